"""What the parts of one operation share: its state and journal, plugins, generator and executor, and how it fares.

It is made from the operation, and in part anew after a refresh, since decisions depend on the state that they start
from. It decides nothing but whether to go on.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.builtin import BuiltinProvider
from engine.callbacks import Callbacks
from engine.errors import BailError, EngineError, ResourceError
from engine.hooks import Hooks
from engine.journal import Journal
from engine.operation import Kind, Operation
from engine.packages import spec_of_provider
from engine.planning import Planning
from engine.plugin_host import PluginHost
from engine.policies import PolicyPacks
from engine.program_modes import mode_of
from engine.providers import ProviderRegistry
from engine.reporter import Reporter
from engine.resource import State, is_provider_type
from engine.snapshot import Snapshot, protected_with_needs
from engine.source import Event, StepsEnded
from engine.step_executor import StepExecutor
from engine.step_generator import StepGenerator
from engine.steps import StepContext
from engine.targets import not_found


class Workings:
    """Of one operation. `failed` says that it has failed where no step has, `program_error` how the program ended."""

    def __init__(self, operation: Operation, engine_address: Callable[[], str]) -> None:
        self.operation = operation
        self.options = operation.options
        self.preview = operation.options.dry_run
        self.queue: queue.Queue[Event] = queue.Queue()
        self.reporter = Reporter(operation.emit, preview=self.preview, refreshes=operation.kind is Kind.REFRESH)
        self.base = _own_copy(operation.snapshot) if self.preview else operation.snapshot
        self.journal = Journal(self.base, operation.save)
        self.host = PluginHost(operation.target, engine_address, self.reporter.log, debug=operation.options.debug)
        self.policies = PolicyPacks(operation.policy_packs, operation.target, self.reporter, dry_run=self.preview)
        self.planning = Planning(
            constraint=operation.plan, record=operation.options.make_plan, salt=operation.target.salt
        )
        self.callbacks = Callbacks(operation.cancel)
        self.hooks = Hooks(
            self.callbacks,
            self.reporter.diagnose,
            preview=self.preview,
            stopping=operation.cancel.requested.is_set,
        )
        # Kept through a refresh: a provider that has read the objects is configured, and changes none of them.
        builtin = BuiltinProvider(operation.stack_outputs, self.made)
        self.registry = ProviderRegistry(self.host, operation.target, self.base.resources, builtin)
        self.failed = False
        self.program_error: EngineError | None = None
        self.start_over()

    def start_over(self) -> None:
        """Everything that depends on the old state; made anew after a refresh."""
        operation = self.operation
        self.mode = mode_of(operation.kind, run_program=operation.options.run_program, preview=self.preview)
        self.generator = StepGenerator(
            project=operation.target.project,
            stack=operation.target.stack,
            options=operation.options,
            resources=self.base.resources,
            registry=self.registry,
            planning=self.planning,
            policies=self.policies,
            diagnose=self.reporter.diagnose,
            mode=self.mode,
            settle=self.settle,
            has_failed=self.has_failed,
            spared=self.spared(),
        )
        self.executor = StepExecutor(
            context=StepContext(
                registry=self.registry,
                preview=self.preview,
                departures=self.generator.departures,
                hooks=self.hooks,
            ),
            journal=self.journal,
            observer=self.reporter,
            parallel=operation.options.parallel if operation.options.parallel > 0 else 256,
            continue_on_error=operation.options.continue_on_error,
            cancel=operation.cancel,
            on_failure=lambda: self.queue.put(StepsEnded()),
        )

    def settle(self) -> None:
        """Waits for all steps that have been started."""
        self.executor.wait()

    def has_failed(self, urn: str) -> bool:
        return self.executor.has_failed(urn)

    def made(self, urn: str) -> State | None:
        """What this operation has registered or read as `urn`."""
        return self.generator.decided.states.get(urn)

    def spared(self) -> list[str]:
        """What `--exclude-protected` leaves, as if it had been named."""
        if not self.options.exclude_protected:
            return []
        return [state.urn for state in protected_with_needs(self.base.resources)]

    def may_go_on(self) -> bool:
        if self.operation.cancel.requested.is_set() or self.program_error is not None or self.failed:
            return False
        return self.options.continue_on_error or not self.executor.errored

    def broken(self) -> bool:
        cancelled = self.operation.cancel.requested.is_set()
        return self.failed or self.executor.errored or self.program_error is not None or cancelled

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What is raised in here is told, and the operation fails."""
        try:
            yield
        except ResourceError as error:
            self.reporter.diagnose("error", error.urn, str(error))
            self.failed = True

    def tell_missing(self, urns: list[str]) -> bool:
        for urn in urns:
            self.reporter.diagnose("error", "", not_found(urn))
        return bool(urns)

    def require_known(self, missing: list[str]) -> None:
        """Raises BailError where a name on the command line is not in the state."""
        if self.tell_missing(missing):
            raise BailError("a resource that was named is not in the stack")

    def host_ahead(self) -> None:
        """Starts the plugins of the old state while other things are being prepared."""
        for state in self.base.resources:
            if is_provider_type(state.type):
                spec, _ = spec_of_provider(state.type, state.inputs)
                self.host.start_ahead(spec)

    def close(self) -> None:
        """Ends what the program's callbacks need, then the plugins."""
        self.callbacks.close()
        self.host.close()
        self.policies.close()


def _own_copy(snapshot: Snapshot) -> Snapshot:
    """States that a preview may mark as deleted without anybody else seeing it."""
    return replace(snapshot, resources=[replace(state) for state in snapshot.resources])
