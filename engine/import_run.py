"""`pulumi import`: objects are taken into the state without a program; what is there already stays as it is.

It decides what is missing beside the objects themselves, the stack and default providers, and in which order all is
made: parents before children. The reading is the import step's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.check_failures import check_message
from engine.errors import BailError, EngineError, ResourceError, UsageError
from engine.import_file import check_token
from engine.import_steps import Chosen, ImportStep
from engine.operation import Import, Target
from engine.packages import PackageRequest, default_provider_inputs, default_provider_name
from engine.providers import ProviderRegistry
from engine.resource import (
    PROVIDER_PREFIX,
    STACK_TYPE,
    UNKNOWN_SENTINEL,
    PropertyMap,
    State,
    StepOp,
    is_provider_type,
    make_urn,
    package_of,
    provider_ref,
    split_provider_ref,
    urn_name,
    urn_type,
)
from engine.step_executor import StepExecutor
from engine.steps import CreateStep, SameStep, Step, StepContext

Diagnose = Callable[[str, str, str], None]


class Importer:
    """The imports of one operation on one stack; `resources` is its state."""

    def __init__(
        self,
        imports: Sequence[Import],
        *,
        resources: Sequence[State],
        target: Target,
        registry: ProviderRegistry,
        executor: StepExecutor,
        diagnose: Diagnose,
    ) -> None:
        self._imports = imports
        self._olds = {s.urn: s for s in resources if not s.delete}
        self._target = target
        self._registry = registry
        self._executor = executor
        self._diagnose = diagnose
        self._providers: dict[str, str] = {}
        self._known: set[str] = set()

    def run_to_end(self) -> tuple[Step | None, EngineError | None]:
        """Does all of it: the step that made the stack's own resource, where there was none, and what went wrong.

        A step that fails is in the executor's book alone.
        """
        try:
            return self._all(), None
        except EngineError as error:
            return None, error

    def _all(self) -> Step | None:
        for wanted in self._imports:
            check_token(wanted)
        self._keep_what_is_there()
        root, step = self._root()
        for request in self._missing_providers():
            self._make_provider(request)
        for batch in self._batches(root):
            if not self._run(*batch):
                return None
        return None if self._executor.errored else step

    def _run(self, *steps: Step) -> bool:
        for step in steps:
            self._executor.submit([step])
        self._executor.wait()
        return not (self._executor.errored or self._executor.stopping())

    def _keep_what_is_there(self) -> None:
        steps = [SameStep(op=StepOp.SAME, old=old, new=replace(old)) for old in self._olds.values()]
        self._executor.submit(steps)
        self._executor.wait()
        for old in self._olds.values():
            if is_provider_type(old.type) and package_of(old.type) != "pulumi":
                # As in the stock engine, an import that cannot use a provider of the stack does not begin.
                self._registry.get(provider_ref(old.urn, old.id), "")

    def _root(self) -> tuple[str, Step | None]:
        for old in self._olds.values():
            if old.type == STACK_TYPE:
                return old.urn, None
        urn = self._urn("", STACK_TYPE, f"{self._target.project}-{self._target.stack}")
        step = CreateStep(new=State(urn=urn, type=STACK_TYPE, custom=False))
        if not self._run(step):
            raise BailError("the stack's own resource could not be made")
        return urn, step

    def _urn(self, parent: str, type_: str, name: str) -> str:
        return make_urn(self._target.stack, self._target.project, parent, type_, name)

    # -------------------------------------------------------- providers

    def _missing_providers(self) -> list[PackageRequest]:
        missing: list[PackageRequest] = []
        for wanted in self._imports:
            if wanted.provider or (wanted.component and not wanted.remote):
                continue
            request = _request(wanted)
            known = self._default_provider(request)
            if known is not None:
                self._providers[_key(wanted)] = provider_ref(known.urn, known.id)
            elif request not in missing:
                missing.append(request)
        return sorted(missing, key=lambda request: (request.name, request.version, request.download_url))

    def _default_provider(self, request: PackageRequest) -> State | None:
        """The stack's default provider for a package; of any version, where none is asked for."""
        type_ = PROVIDER_PREFIX + request.name
        named = self._olds.get(self._urn("", type_, default_provider_name(request)))
        if named is not None or request.version or request.download_url:
            return named
        every = [s for s in self._olds.values() if s.type == type_ and urn_name(s.urn).startswith("default_")]
        return every[-1] if every else None

    def _make_provider(self, request: PackageRequest) -> None:
        type_ = PROVIDER_PREFIX + request.name
        urn = self._urn("", type_, default_provider_name(request))
        inputs = default_provider_inputs(request, self._target.config, self._target.secret_keys)
        checked, failures = self._registry.check(urn, None, inputs, os.urandom(32))
        for failure in failures:
            self._diagnose("error", urn, check_message(urn, failure, inputs))
        if failures:
            raise BailError(f"{urn} was refused by its provider")
        step = CreateStep(new=State(urn=urn, type=type_, custom=True, inputs=checked))
        if not self._run(step):
            raise BailError(f"{urn} could not be made")
        for wanted in self._imports:
            if not wanted.provider and _request(wanted) == request:
                self._providers[_key(wanted)] = provider_ref(urn, step.state.id or UNKNOWN_SENTINEL)

    def _provider_of(self, wanted: Import) -> str:
        if wanted.component and not wanted.remote:
            return ""
        if not wanted.provider:
            return self._providers[_key(wanted)]
        state = self._olds.get(wanted.provider)
        return provider_ref(wanted.provider, state.id if state is not None else "")

    # -------------------------------------------------------- the objects

    def _batches(self, root: str) -> list[list[Step]]:
        """The import steps, parents before children."""
        urns = [self._urn(wanted.parent or root, wanted.type, wanted.name) for wanted in self._imports]
        self._known = {*self._olds, root, *urns}
        waiting = dict[str, Step]()
        for urn, wanted in zip(urns, self._imports, strict=True):
            if urns.count(urn) > 1:
                raise UsageError(f"duplicate import '{wanted.name}' of type '{wanted.type}'")
            old = self._olds.get(urn)
            if old is None or (old.import_id or old.id) != wanted.id:
                waiting[urn] = self._step(urn, wanted, wanted.parent or root)
        batches: list[list[Step]] = []
        while waiting:
            ready = [urn for urn, step in waiting.items() if step.state.parent not in waiting]
            batches.append([waiting.pop(urn) for urn in ready])
        return batches

    def _step(self, urn: str, wanted: Import, parent: str) -> Step:
        new = State(
            urn=urn,
            type=wanted.type,
            custom=not wanted.component,
            import_id=wanted.id,
            parent=parent,
            protect=wanted.protect,
            provider=self._provider_of(wanted),
        )
        return PlannedImport(new, problem=self._problem(new), chosen=self._chooser(wanted))

    def _problem(self, new: State) -> str:
        """Why an import cannot be, in the stock engine's words; empty where nothing speaks against it."""
        if new.urn in self._olds:
            return f"resource '{new.urn}' already exists"
        if new.parent not in self._known:
            return f"unknown parent '{new.parent}' for resource '{new.urn}'"
        if new.provider and not split_provider_ref(new.provider)[1]:
            return f"unknown provider '{split_provider_ref(new.provider)[0]}' for resource '{new.urn}'"
        return ""

    def _chooser(self, wanted: Import) -> Chosen:
        def chosen(context: StepContext, new: State, inputs: PropertyMap) -> PropertyMap:
            names = [name for name in wanted.properties if name in inputs]
            kept = {name: inputs[name] for name in names} if wanted.properties else inputs
            _, failures = context.provider_of(new).check(new.urn, inputs, kept, os.urandom(32))
            if failures:
                self._diagnose("warning", new.urn, _unfit(new, by_choice=bool(wanted.properties)))
            for failure in failures:
                self._diagnose("warning", new.urn, check_message(new.urn, failure, kept))
            return kept

        return chosen


class PlannedImport(ImportStep):
    """An import that no program asks for. `problem` says what is known to be wrong with it before anything is read."""

    def __init__(self, new: State, *, problem: str, chosen: Chosen) -> None:
        # The state keeps no import id: the id is the one that it was imported by.
        ImportStep.__init__(self, new, keep_id=False, chosen=chosen)
        self._problem = problem

    __slots__ = ("_problem",)

    def apply(self, context: StepContext) -> None:
        if self._problem:
            raise ResourceError(self.urn, self._problem)
        ImportStep.apply(self, context)


# ------------------------------------------------------------------ helpers


def failure_text(error: EngineError | None, step_error: Exception | None) -> str:
    """What is said after `update failed`, in the stock engine's words."""
    if error is not None and not isinstance(error, BailError):
        return f": {error}"
    return f": step application failed: {step_error}" if step_error is not None else ""


def _request(wanted: Import) -> PackageRequest:
    return PackageRequest(package_of(wanted.type), wanted.version, wanted.download_url)


def _key(wanted: Import) -> str:
    return "|".join((package_of(wanted.type), wanted.version, wanted.download_url))


def _unfit(new: State, *, by_choice: bool) -> str:
    package = package_of(urn_type(split_provider_ref(new.provider)[0]))
    why = (
        "Try specifying a different set of properties to import with in the future."
        if by_choice
        else f"This is almost certainly a bug in the `{package}` provider."
    )
    return (
        f"One or more imported inputs failed to validate. {why} The import will still proceed, but you will need to "
        "edit the generated code after copying it into your program."
    )
