"""One class per operation on one resource: what it asks of the provider, and what it leaves in the journal.

A step applies what has been decided; it never decides. `apply` talks to the provider and may raise; `begin` and `end`
write the journal around it. A step whose object exists though the call failed raises `PartialFailureError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final, Literal

from engine.attempts import Creation
from engine.departures import Departures
from engine.diff import PropertyDiff
from engine.errors import EngineError, InitFailedError, ProtectedError, ResourceError
from engine.events import StepInfo
from engine.hooks import HookPoint, Hooks
from engine.journal import Journal
from engine.provider_client import Created, Provider, UpdateCall
from engine.providers import ProviderRegistry
from engine.resource import (
    PropertyMap,
    State,
    StepOp,
    is_provider_type,
    same_values,
    secret_of,
)


class PartialFailureError(Exception):
    """The step failed, but there is an object to keep track of. `error` is what is told."""

    def __init__(self, error: EngineError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What every step may use."""

    registry: ProviderRegistry
    preview: bool
    departures: Departures
    hooks: Hooks

    def provider_of(self, state: State) -> Provider:
        return self.registry.get(state.provider, state.type)


Verdict = Literal["done", "failed", "skipped", "unknown"]
"""`unknown`: the resource is not made in this operation, and the program goes on without its outputs."""
Done = Callable[[State, Verdict], None]


def _nothing(_: State, __: Verdict) -> None:
    """For steps that nobody waits for."""


@dataclass(slots=True, kw_only=True, eq=False)
class Step:
    """One operation. `state` is the one it is about: the new one where there is one."""

    op: StepOp
    old: State | None = None
    new: State | None = None
    keys: Sequence[str] = ()
    diffs: Sequence[str] = ()
    detailed: Mapping[str, PropertyDiff] | None = None
    logical: bool = True
    done: Done = _nothing

    @property
    def state(self) -> State:
        state = self.new if self.new is not None else self.old
        if state is None:
            raise ValueError(f"a {self.op} step without a resource")
        return state

    @property
    def urn(self) -> str:
        return self.state.urn

    def info(self) -> StepInfo:
        return StepInfo(
            op=self.op,
            urn=self.urn,
            type=self.state.type,
            provider=self.state.provider,
            old=self.old,
            new=self.new,
            keys=self.keys,
            diffs=self.diffs,
            detailed_diff=self.detailed,
            logical=self.logical,
        )

    def apply(self, context: StepContext) -> None:
        """Does it. Raises EngineError, or PartialFailureError where the state has to be kept all the same."""

    def begin(self, journal: Journal) -> None:
        """Writes down that it is about to happen."""

    def end(self, journal: Journal, *, ok: bool) -> None:
        """Writes down what became of it; `ok` also after a partial failure."""

    def hook_point(self) -> HookPoint | None:
        """What the resource's hooks are told, as it is at the moment; None for a step that has none."""
        return None

    def is_needless(self) -> bool:
        """Whether the steps before it in the chain have left it nothing to do."""
        return False

    def answers(self) -> bool:
        """Whether somebody may wait for it: the program, for what it has registered."""
        return self.new is not None and self.op is not StepOp.REPLACE

    def stands_alone(self) -> bool:
        """Whether it is done whatever else has failed."""
        return False

    def answer(self) -> None:
        """Tells who waits for it."""
        self.done(self.state, "done")

    def give_up(self) -> None:
        """Tells who waits that it failed, where the program is to go on."""
        self.done(self.state, "failed")

    def skip(self) -> None:
        """Tells who waits that it was not tried."""
        self.done(self.state, "skipped")


def now() -> str:
    """The time in the checkpoint's form."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def require(state: State | None) -> State:
    if state is None:
        raise ValueError("this step needs a state that it was not given")
    return state


def with_secret_outputs(state: State, outputs: PropertyMap) -> PropertyMap:
    """The outputs, those that the program named (`additionalSecretOutputs`) made secret."""
    names = set(state.additional_secret_outputs)
    return {k: secret_of(v) if k in names else v for k, v in outputs.items()}


class SameStep(Step):
    """Nothing changes but what the program says of the resource."""

    def apply(self, context: StepContext) -> None:
        old, new = require(self.old), require(self.new)
        new.id, new.created, new.modified = old.id, old.created, old.modified
        new.outputs = old.outputs
        new.refresh_before_update = old.refresh_before_update
        if is_provider_type(new.type):
            context.registry.same(new)

    def end(self, journal: Journal, *, ok: bool) -> None:
        old, new = require(self.old), require(self.new)
        journal.same(old, new, changed=_same_step_matters(old, new))


def _never() -> bool:
    return False


class CarryStep(SameStep):
    """Takes over a resource that the program has not registered, or not yet: nobody waits for it."""

    def answers(self) -> bool:
        return False


class SkippedStep(Step):
    """A resource of the program that this operation does not make. The state keeps what it has of it, if anything."""

    def __init__(self, *, needless: Callable[[], bool] = _never, **known: object) -> None:
        Step.__init__(self, op=StepOp.SAME, **known)  # type: ignore[arg-type]
        self.needless = needless

    __slots__ = ("needless",)

    def is_needless(self) -> bool:
        return self.needless()

    def answer(self) -> None:
        self.done(self.state, "unknown")


_told_of: Final = attrgetter(
    *("urn", "type", "custom", "delete", "id", "parent", "protect", "external", "provider", "init_errors"),
    *("pending_replacement", "additional_secret_outputs", "aliases", "custom_timeouts", "import_id"),
    *("retain_on_delete", "deleted_with", "replace_with", "ignore_changes", "replace_on_changes"),
    *("resource_hooks", "hide_diff"),
)


def _same_step_matters(old: State, new: State) -> bool:
    """Whether a state that is the same to its provider differs in what the checkpoint keeps of it."""
    if _told_of(old) != _told_of(new):
        return True
    if set(old.dependencies) != set(new.dependencies):
        return True
    if {k: set(v) for k, v in old.property_dependencies.items()} != {
        k: set(v) for k, v in new.property_dependencies.items()
    }:
        return True
    return not (same_values(old.inputs, new.inputs) and same_values(old.replacement_trigger, new.replacement_trigger))


class CreateStep(Step):
    """Creates a resource: a new one, or the replacement of `old`."""

    def __init__(self, *, replacement: bool = False, keeps_old: bool = False, **known: object) -> None:
        op = StepOp.CREATE_REPLACEMENT if replacement else StepOp.CREATE
        Step.__init__(self, op=op, logical=not replacement, **known)  # type: ignore[arg-type]
        self.keeps_old = keeps_old

    __slots__ = ("keeps_old",)

    def comes_after_a_delete(self) -> bool:
        """Whether the old resource has to be deleted before, and has not been."""
        replaces = self.op is StepOp.CREATE_REPLACEMENT and not self.keeps_old
        return replaces and self.old is not None and not self.old.pending_replacement

    def apply(self, context: StepContext) -> None:
        new = require(self.new)
        if not new.custom:
            new.created = new.modified = now()
            self._mark_old()
            return
        creation = Creation(context.provider_of(new), new, preview=context.preview)
        try:
            made = context.hooks.retried(self.hook_point(), creation.attempt)
        except InitFailedError as failure:
            new.init_errors = list(failure.reasons)
            self._made(Created(failure.object_id, failure.outputs, failure.refresh_before_update))
            raise PartialFailureError(failure) from failure
        self._made(made)

    def hook_point(self) -> HookPoint:
        new = require(self.new)
        return HookPoint(action="Create", state=new, id=new.id, new_inputs=new.inputs, new_outputs=new.outputs)

    def _made(self, made: Created) -> None:
        new = require(self.new)
        new.id, new.outputs = made.id, with_secret_outputs(new, made.outputs)
        new.refresh_before_update = made.refresh_before_update
        new.created = new.modified = now()
        self._mark_old()

    def _mark_old(self) -> None:
        if self.old is not None and self.keeps_old:
            self.old.delete = True

    def begin(self, journal: Journal) -> None:
        journal.begin("creating", require(self.new))

    def end(self, journal: Journal, *, ok: bool) -> None:
        new = require(self.new)
        replaced = [self.old] if self.old is not None and not self.keeps_old else []
        if ok:
            journal.end(new, made=new, gone=replaced)
        else:
            journal.end(new)


class UpdateStep(Step):
    """Changes a resource in place."""

    def apply(self, context: StepContext) -> None:
        old, new = require(self.old), require(self.new)
        new.id, new.created = old.id, old.created
        if not new.custom:
            new.modified = now()
            # A component's outputs come with RegisterResourceOutputs; until then it has those it had.
            new.outputs = old.outputs
            return
        call = UpdateCall(
            old_inputs=old.inputs,
            old_outputs=old.outputs,
            news=new.inputs,
            ignored=new.ignore_changes,
            timeout=new.custom_timeouts.update,
        )
        provider = context.provider_of(new)
        try:
            updated = context.hooks.retried(
                self.hook_point(), lambda: provider.update(new.urn, old.id, call, preview=context.preview)
            )
        except InitFailedError as failure:
            new.init_errors = list(failure.reasons)
            # The provider may not have applied all of it: the next update must see the old inputs.
            new.inputs = old.inputs
            new.outputs = with_secret_outputs(new, failure.outputs)
            new.refresh_before_update = failure.refresh_before_update
            new.modified = now()
            raise PartialFailureError(failure) from failure
        new.outputs = with_secret_outputs(new, updated.outputs)
        # A preview that nobody was asked for says nothing of it.
        new.refresh_before_update = updated.refresh_before_update or (context.preview and old.refresh_before_update)
        new.modified = now()

    def hook_point(self) -> HookPoint:
        old, new = require(self.old), require(self.new)
        return HookPoint(
            action="Update",
            state=new,
            id=old.id,
            new_inputs=new.inputs,
            old_inputs=old.inputs,
            new_outputs=new.outputs,
            old_outputs=old.outputs,
        )

    def begin(self, journal: Journal) -> None:
        journal.begin("updating", require(self.new))

    def end(self, journal: Journal, *, ok: bool) -> None:
        new = require(self.new)
        if ok:
            journal.end(new, made=new, gone=[require(self.old)])
        else:
            journal.end(new)


class ReplaceStep(Step):
    """Says that a resource is replaced; the deeds are in the create and delete steps beside it."""

    def __init__(self, **known: object) -> None:
        Step.__init__(self, op=StepOp.REPLACE, **known)  # type: ignore[arg-type]


class DeleteStep(Step):
    """Deletes a resource, or lets go of it. `recreated` says that its replacement is to come in this update."""

    def __init__(self, *, op: StepOp = StepOp.DELETE, recreated: bool = False, **known: object) -> None:
        Step.__init__(self, op=op, logical=op in (StepOp.DELETE, StepOp.READ_DISCARD), **known)  # type: ignore[arg-type]
        self.recreated = recreated
        self._departures = Departures()

    __slots__ = ("_departures", "recreated")

    def apply(self, context: StepContext) -> None:
        old = require(self.old)
        self._departures = context.departures
        if self._refused(old):
            raise ProtectedError(old.urn, protected_message(old.urn))
        if self._nothing_to_call(old) or self._departures.goes_along(old):
            return
        provider = context.provider_of(old)
        if not context.preview:
            context.hooks.retried(
                self.hook_point(),
                lambda: provider.delete(old.urn, old.id, old.inputs, old.outputs, old.custom_timeouts.delete),
            )

    def _refused(self, old: State) -> bool:
        # A replacement that was protected by mistake must not be stuck: only what is really removed is refused.
        return old.protect and not old.delete and not self.recreated

    def hook_point(self) -> HookPoint | None:
        old = require(self.old)
        if self._refused(old):
            return None
        return HookPoint(action="Delete", state=old, id=old.id, old_inputs=old.inputs, old_outputs=old.outputs)

    @staticmethod
    def _nothing_to_call(old: State) -> bool:
        return old.external or not old.custom or old.retain_on_delete

    def begin(self, journal: Journal) -> None:
        old = require(self.old)
        if not old.external:
            journal.begin("deleting", old)

    def end(self, journal: Journal, *, ok: bool) -> None:
        old = require(self.old)
        along = not self._nothing_to_call(old) and self._departures.goes_along(old)
        if not ok or (along and self._departures.wait(old, recreated=self.recreated)):
            journal.end(old)
            return
        with self._departures.lock:
            self._go(journal, old)

    def _go(self, journal: Journal, old: State) -> None:
        gone: list[State] = []
        waiting: list[State] = []
        called = not self._nothing_to_call(old) and not is_provider_type(old.type)
        for state, recreated in self._departures.gone(old, recreated=self.recreated, called=called):
            if recreated:
                # It stays in the state until its replacement is there, so that a crash in between is seen.
                state.pending_replacement = True
                waiting.append(state)
            else:
                gone.append(state)
        journal.end(old, gone=gone, flagged=waiting)


def protected_message(urn: str) -> str:
    """Why a protected resource was not deleted, in the stock engine's words."""
    return (
        f'resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either remove the '
        f"`protect` flag from the resource in your Pulumi program and run `pulumi up`, or use the command:\n"
        f"`pulumi state unprotect '{urn}'`"
    )


class RemovePendingReplaceStep(Step):
    """Forgets a resource that was deleted for a replacement which never came, and is not wanted any more."""

    def __init__(self, **known: object) -> None:
        Step.__init__(self, op=StepOp.REMOVE_PENDING_REPLACE, logical=False, **known)  # type: ignore[arg-type]

    def end(self, journal: Journal, *, ok: bool) -> None:
        old = require(self.old)
        journal.end(old, gone=[old] if ok else [])


class ReadStep(Step):
    """Reads an object that the program refers to and does not own."""

    def __init__(self, *, replacement: bool = False, **known: object) -> None:
        op = StepOp.READ_REPLACEMENT if replacement else StepOp.READ
        Step.__init__(self, op=op, logical=not replacement, **known)  # type: ignore[arg-type]

    def apply(self, context: StepContext) -> None:
        new = require(self.new)
        error = self._read(context, new) if new.id else None  # without an id: a preview, in which nothing is known yet
        if self.old is not None:
            self._follow(self.old, new)
        if error is not None:
            raise PartialFailureError(error)

    def _read(self, context: StepContext, new: State) -> InitFailedError | None:
        result = context.provider_of(new).read(new.urn, new.id, new.inputs, {})
        if result.missing:
            raise ResourceError(new.urn, f"resource '{new.id}' does not exist")
        new.id = result.id or new.id
        new.outputs = with_secret_outputs(new, result.outputs)
        new.init_errors = list(result.init_errors)
        if not result.init_errors:
            return None
        return InitFailedError(result.init_errors, new.id, result.outputs, result.inputs)

    def _follow(self, old: State, new: State) -> None:
        new.created, new.modified = old.created, old.modified
        if not (same_values(old.inputs, new.inputs) and same_values(old.outputs, new.outputs)):
            new.modified = now()
        if self.op is StepOp.READ_REPLACEMENT:
            old.delete = True

    def begin(self, journal: Journal) -> None:
        journal.begin("reading", require(self.new))

    def end(self, journal: Journal, *, ok: bool) -> None:
        new = require(self.new)
        if not ok:
            journal.end(new)
            return
        replaces = self.op is StepOp.READ_REPLACEMENT
        journal.end(new, made=new, gone=[self.old] if self.old is not None and not replaces else [])
