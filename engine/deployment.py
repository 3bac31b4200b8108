"""One operation from its first event to its last: the loop that turns registrations into steps, refresh, cancel.

It owns the order of things: refresh, program, deletes. What a registration means is the generator's to
decide, how a step is done the step's, when it runs the executor's.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from engine import events, program_thread
from engine.builtin import BuiltinProvider
from engine.callbacks import Callbacks
from engine.deletions import in_layers
from engine.errors import (
    BailError,
    EngineError,
    ProgramError,
    ResourceError,
    UsageError,
)
from engine.hooks import Hooks, delete_hooks
from engine.import_run import Importer, failure_text
from engine.import_steps import ImportStep
from engine.journal import Journal
from engine.operation import Kind, Operation, Outcome, RunInfo
from engine.packages import spec_of_provider
from engine.pending import pending_text
from engine.planning import Planning
from engine.plugin_host import PluginHost
from engine.policies import PolicyPacks
from engine.program_modes import mode_of
from engine.program_thread import ProgramThread
from engine.provider_client import Provider
from engine.providers import ProviderRegistry
from engine.refresh_run import Refresher
from engine.reporter import Reporter
from engine.resource import (
    STACK_TYPE,
    PropertyMap,
    State,
    contains_unknown,
    is_provider_type,
    make_urn,
    same_values,
)
from engine.resource_monitor import MonitorServer, MonitorStoppedError
from engine.snapshot import Snapshot, outputs_of, protected_with_needs
from engine.source import (
    Event,
    ProgramEnded,
    ReadResource,
    Registered,
    RegisterOutputs,
    RegisterResource,
    ResourceImported,
    StepsEnded,
    refuse,
    settle,
)
from engine.step_executor import StepExecutor
from engine.step_generator import StepGenerator
from engine.steps import Step, StepContext, Verdict
from engine.targets import not_found
from engine.transforms import Transforms


def run_operation(operation: Operation) -> Outcome:
    """Runs one operation to its end. It never raises an EngineError: the outcome holds it."""
    started = time.monotonic()
    deployment = _Deployment(operation)
    error: EngineError | None = None
    try:
        deployment.run()
    except EngineError as failure:
        error = failure
    finally:
        deployment.close()
    seconds = time.monotonic() - started
    changes = deployment.reporter.changes()
    if deployment.begun:
        ran = deployment.policies.ran
        operation.emit(events.summary(changes, seconds, preview=operation.options.dry_run, policy_packs=ran))
    plan = deployment.planning.plan if operation.options.make_plan and error is None else None
    return Outcome(changes=changes, outputs=deployment.outputs(), error=error, duration_seconds=seconds, plan=plan)


class _Deployment:
    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._options = operation.options
        self._preview = operation.options.dry_run
        self.begun = False
        self._targets_missing = False
        self._queue: queue.Queue[Event] = queue.Queue()
        self.reporter = Reporter(operation.emit, preview=self._preview, refreshes=operation.kind is Kind.REFRESH)
        self._base = _own_copy(operation.snapshot) if self._preview else operation.snapshot
        self._journal = Journal(self._base, operation.save)
        self._monitor: MonitorServer | None = None
        self._host = PluginHost(
            operation.target, self._engine_address, self.reporter.log, debug=operation.options.debug
        )
        self.policies = PolicyPacks(operation.policy_packs, operation.target, self.reporter, dry_run=self._preview)
        self.planning = Planning(constraint=operation.plan, record=operation.options.make_plan)
        self._registered: dict[str, Step] = {}
        self._callbacks = Callbacks(operation.cancel)
        self._hooks = Hooks(
            self._callbacks,
            self.reporter.diagnose,
            preview=self._preview,
            stopping=operation.cancel.requested.is_set,
        )
        self._stack_outputs: PropertyMap | None = None
        self._held_outputs: PropertyMap | None = None
        self._failed = False
        self._import_error: EngineError | None = None
        self._refresher = Refresher(operation.options, self.reporter.diagnose)
        self._program_error: EngineError | None = None
        self._running: ProgramThread | None = None
        operation.cancel.on_request(self._on_cancel)
        operation.cancel.on_terminate(self._on_terminate)
        self._start_over()

    def _start_over(self) -> None:
        """Everything that depends on the old state; made anew after a refresh."""
        operation = self._operation
        builtin = BuiltinProvider(operation.stack_outputs, self._made)
        self._registry = ProviderRegistry(self._host, operation.target, self._base.resources, builtin)
        self._mode = mode_of(operation.kind, run_program=operation.options.run_program, preview=self._preview)
        self._generator = StepGenerator(
            project=operation.target.project,
            stack=operation.target.stack,
            options=operation.options,
            resources=self._base.resources,
            registry=self._registry,
            planning=self.planning,
            policies=self.policies,
            diagnose=self.reporter.diagnose,
            mode=self._mode,
            settle=self._settle,
            has_failed=self._has_failed,
            spared=self._spared(),
        )
        self._executor = StepExecutor(
            context=StepContext(
                registry=self._registry,
                preview=self._preview,
                departures=self._generator.departures,
                hooks=self._hooks,
            ),
            journal=self._journal,
            observer=self.reporter,
            parallel=operation.options.parallel if operation.options.parallel > 0 else 256,
            continue_on_error=operation.options.continue_on_error,
            cancel=operation.cancel,
            on_failure=lambda: self._queue.put(StepsEnded()),
        )

    # The executor is made after the generator, and anew after a refresh.

    def _settle(self) -> None:
        self._executor.wait()

    def _has_failed(self, urn: str) -> bool:
        return self._executor.has_failed(urn)

    # -------------------------------------------------------- the whole

    def run(self) -> None:
        operation = self._operation
        target = operation.target
        self.policies.load(self._engine_address)
        operation.emit(events.prelude(target.config, target.secret_keys))
        if operation.kind is Kind.DESTROY:
            self._require_destroyed()
        self._require_program_for_hooks()
        self.begun = True
        if operation.kind is Kind.IMPORT:
            self._import()
        else:
            self._deploy()
        self._executor.wait()
        self._check_promises()
        self._set_stack_outputs()
        self._inspect_stack()
        if not self._preview:
            self._journal.finish()
        self._end_program()
        self._conclude()

    def _deploy(self) -> None:
        operation = self._operation
        self._warn_of_pending()
        runs_program = operation.kind is Kind.UPDATE or self._options.run_program
        everything = self._options.refresh or (operation.kind is Kind.REFRESH and not runs_program)
        if everything or (self._refreshed_first() and not self._options.run_program):
            self._refresh(everything=everything)
            if self._executor.errored:
                return
        if runs_program and not self._executor.stopping():
            self._run_program()
        if operation.kind is Kind.REFRESH and runs_program:
            self._refresh_rest()
        elif operation.kind is not Kind.REFRESH and self._may_go_on():
            self._targets_missing = self._tell_missing(self._generator.selection.unknown_targets(self._generator.knows))
            self._delete()

    def _import(self) -> None:
        importer = Importer(
            self._operation.imports,
            resources=self._base.resources,
            target=self._operation.target,
            registry=self._registry,
            executor=self._executor,
            diagnose=self.reporter.diagnose,
        )
        made, self._import_error = importer.run_to_end()
        self._failed = self._import_error is not None
        if made is not None:
            self._registered[made.urn], self._held_outputs = made, {}

    def _require_program_for_hooks(self) -> None:
        """Raises UsageError where a destroy would have to run hooks, which only a running program has."""
        if self._operation.kind is not Kind.DESTROY or self._options.run_program:
            return
        found = delete_hooks(self._base.resources)
        for urn, names in found:
            words = "Resource has delete hooks registered, but the program is not running. Hooks: "
            self.reporter.diagnose("error", urn, words + ", ".join(names))
        if found:
            raise UsageError("You must run with the `--run-program` flag to use delete hooks during destroy.")

    def _warn_of_pending(self) -> None:
        pending = self._base.pending
        settled = self._operation.kind is Kind.REFRESH or self._options.refresh
        if pending and not self._preview and not settled:
            self.reporter.diagnose("warning", "", pending_text(pending))

    def _may_go_on(self) -> bool:
        if self._operation.cancel.requested.is_set() or self._program_error is not None or self._failed:
            return False
        return self._options.continue_on_error or not self._executor.errored

    def _conclude(self) -> None:
        """Says how it ended; raises what makes the command fail."""
        word = "preview" if self._preview else "update"
        if self._operation.cancel.requested.is_set():
            self.reporter.diagnose("error", "", f"{word} canceled")
            raise BailError("canceled")
        if self._targets_missing:
            raise BailError("a target is not in the stack")
        judged = self._generator.decided.errored or self.policies.violated
        errored = self._executor.errored or (judged and not self._failed)
        if self._operation.kind is Kind.IMPORT and (self._executor.errored or self._failed):
            why = failure_text(self._import_error, self._executor.first_error)
            self.reporter.diagnose("error", "", f"{word} failed{why}")
        elif errored:
            self.reporter.diagnose("error", "", f"{word} failed")
        if self._program_error is not None:
            raise self._program_error
        if errored or self._failed:
            raise BailError(f"{word} failed")

    def outputs(self) -> PropertyMap:
        """The stack's outputs as they are now; in a preview as they would be."""
        if self._preview and self._stack_outputs is not None:
            return self._stack_outputs
        return outputs_of(self._journal.snapshot()) or {}

    def close(self) -> None:
        self._executor.close()
        if self._monitor is not None:
            self._monitor.release()
            if self._running is not None:
                self._running.join()
            self._monitor.stop()
        self._callbacks.close()
        self._host.close()
        self.policies.close()

    def _on_cancel(self) -> None:
        self._host.cancel()
        self.policies.cancel()
        self._queue.put(StepsEnded())

    def _on_terminate(self) -> None:
        self._journal.close()
        self._host.abandon()

    def _engine_address(self) -> str:
        return self._server().address

    def _server(self) -> MonitorServer:
        if self._monitor is None:
            self._monitor = MonitorServer(
                self._operation.target,
                self._options,
                self._queue.put,
                self.reporter,
                provider_of=self._provider_of,
                prepare=self._host.start_ahead,
                hooks=self._hooks,
                transforms=Transforms(self._callbacks),
            )
        return self._monitor

    def _made(self, urn: str) -> State | None:
        """What this operation has registered or read as `urn`."""
        return self._generator.decided.states.get(urn)

    def _provider_of(self, ref: str, token: str) -> Provider:
        # Not bound to a registry: a refresh makes another one.
        return self._registry.get(ref, token)

    # -------------------------------------------------------- targets

    def _spared(self) -> list[str]:
        """What `--exclude-protected` leaves, as if it had been named."""
        if not self._options.exclude_protected:
            return []
        return [state.urn for state in protected_with_needs(self._base.resources)]

    def _tell_missing(self, urns: list[str]) -> bool:
        for urn in urns:
            self.reporter.diagnose("error", "", not_found(urn))
        return bool(urns)

    def _require_known(self, missing: list[str]) -> None:
        """Raises BailError where a name on the command line is not in the state."""
        if self._tell_missing(missing):
            raise BailError("a resource that was named is not in the stack")

    def _require_destroyed(self) -> None:
        for urn in self._generator.selection.unknown_targets(self._generator.knows):
            raise EngineError(f"no resource named '{urn}' found")

    # -------------------------------------------------------- refresh

    def _refreshed_first(self) -> bool:
        """Whether any resource wants to be read before it is compared with what the program says."""
        return any(state.refresh_before_update for state in self._base.resources)

    def _refresh(self, *, everything: bool) -> None:
        selection, knows = self._generator.selection, self._generator.knows
        self._require_known([*selection.unknown_targets(knows), *selection.unknown_excludes(knows)])
        self._host_ahead()
        chosen = [s for s in selection.to_refresh(self._base.resources) if everything or s.refresh_before_update]
        self._take_refreshed(self._refresher.read(self._base, chosen, self._executor))
        if self._operation.kind is not Kind.REFRESH:
            self._executor.close()
            errored = self._executor.errored
            self._start_over()
            self._executor.errored = errored

    def _refresh_rest(self) -> None:
        """After a program that has had its own resources refreshed: the others."""
        if not self._may_go_on():
            return
        kept = self._generator.kept()
        chosen = self._generator.selection.to_refresh(self._base.resources)
        rest = [s for s in chosen if s.delete or s.urn not in kept]
        self._take_refreshed({**self._refresher.read(self._base, rest, self._executor), **self._mode.gone()})

    def _take_refreshed(self, found: dict[State, State | None]) -> None:
        base = self._base if self._preview else self._journal.snapshot()
        self._base = self._refresher.taken(base, found)
        if self._preview:
            self._journal = Journal(self._base, lambda _: None)
        else:
            self._journal.rebase(self._base)

    def _host_ahead(self) -> None:
        """Starts the plugins of the old state while other things are being prepared."""
        for state in self._base.resources:
            if is_provider_type(state.type):
                spec, _ = spec_of_provider(state.type, state.inputs)
                self._host.start_ahead(spec)

    # -------------------------------------------------------- the program

    def _run_program(self) -> None:
        program = self._operation.program
        if program is None:
            raise UsageError(
                f"this {self._operation.kind.value} needs a program: a Pulumi.yaml with a runtime, or an inline one"
            )
        self._require_known(self._generator.selection.unknown_replacements(self._generator.knows))
        server = self._server()
        self._host_ahead()
        self._running = running = ProgramThread(program, self._run_info(server), self._queue.put)
        running.start()
        self._loop()
        if not self._ended_well():
            # The program's hooks may still be wanted by what is under way, so it learns of the end after that.
            self._executor.wait()
            self._callbacks.end()
            server.reject()
            server.let_go()
            self.reporter.mute_program()
            self._drain(running)
        self._executor.wait()

    def _end_program(self) -> None:
        """Lets a program go that waits for the end of the operation, and takes what it has to say after that."""
        if self._monitor is None or self._running is None:
            return
        self._monitor.release()
        self._running.join()
        if self._program_error is None:
            self._take_program_error(self._running.error)

    def _run_info(self, server: MonitorServer) -> RunInfo:
        target = self._operation.target
        return RunInfo(
            monitor_address=server.address,
            engine_address=server.address,
            project=target.project,
            stack=target.stack,
            organization=target.organization,
            config=target.config,
            secret_keys=target.secret_keys,
            dry_run=self._preview,
            parallel=self._options.parallel,
        )

    def _ended_well(self) -> bool:
        stopped = self._failed or self._executor.stopping() or self._operation.cancel.requested.is_set()
        return self._program_error is None and not stopped

    def _loop(self) -> None:
        """Until the program has ended, or nothing more may be started."""
        while True:
            event = self._queue.get()
            if isinstance(event, ProgramEnded):
                self._take_program_error(event.error)
                return
            self._handle(event)
            if self._failed or self._executor.stopping():
                return

    def _handle(self, event: Event) -> None:
        try:
            if isinstance(event, RegisterResource):
                self._start(event, self._generator.register(event))
            elif isinstance(event, ReadResource):
                self._start(event, self._generator.read(event))
            elif isinstance(event, ResourceImported):
                self._go_on(event, self._generator.imported(event))
            elif isinstance(event, RegisterOutputs):
                self._take_outputs(event)
        except BailError:
            self._failed = True
        except EngineError as error:
            urn = error.urn if isinstance(error, ResourceError) else _urn_of(event, self._operation)
            self.reporter.diagnose("error", urn, str(error))
            self._failed = True

    def _start(self, event: RegisterResource | ReadResource, chain: list[Step]) -> None:
        if not chain:
            return  # it has been answered already
        for step in chain:
            if step.new is not None:
                self._registered.setdefault(step.urn, step)
        # Of a chain, the step that makes the new state answers the program, whatever comes after it.
        answering = [step for step in chain if step.answers()]
        if isinstance(event, RegisterResource):
            self.planning.steps(chain, self._generator.identities.aliased)
        if isinstance(answering[0], ImportStep) and isinstance(event, RegisterResource):
            self._answer_later(event, answering[0], chain[-1])
        else:
            for step in answering:
                step.done = _answer_to(event)
        self._registered[answering[0].urn] = answering[0]
        self._journal.rename(self._generator.identities.found_by)
        self._executor.submit(chain)

    def _answer_later(self, event: RegisterResource, step: ImportStep, last: Step) -> None:
        """Has the program wait until what was imported has been compared with what it says."""

        def read(state: State, verdict: Verdict) -> None:
            if verdict != "done":
                _answer_to(event)(state, verdict)

        def compare(state: State, verdict: Verdict) -> None:
            if verdict == "done":
                self._queue.put(ResourceImported(event=event, state=state))
            else:
                _answer_to(event)(state, verdict)

        step.done = read
        last.done = compare

    def _go_on(self, imported: ResourceImported, chain: list[Step]) -> None:
        if chain:
            self._start(imported.event, chain)
        else:
            _answer_to(imported.event)(imported.state, "done")

    def _take_outputs(self, event: RegisterOutputs) -> None:
        step = self._registered.get(event.urn)
        if step is None or step.new is None:
            refuse(event.answer, EngineError(f"outputs for {event.urn}, which is not registered"))
            return
        if self._has_failed(event.urn):
            settle(event.answer, None)  # it was skipped: what the state has of it stays
            return
        if step.new.type == STACK_TYPE:
            # The stack's outputs count when all else is done: only then is it known whether they are complete.
            self._held_outputs = event.outputs
        else:
            try:
                self._set_outputs(step, step.new, event.outputs)
            except ResourceError:
                refuse(event.answer, MonitorStoppedError())
                raise
        settle(event.answer, None)

    def _set_outputs(self, step: Step, new: State, outputs: PropertyMap) -> None:
        if not self._preview:
            # What the program could not know keeps its last known value; an unknown one is never saved.
            last = {k: new.outputs[k] for k in outputs if k in new.outputs}
            outputs = {**last, **{k: v for k, v in outputs.items() if not contains_unknown(v)}}
        if not self._broken():
            self.planning.outputs(new.urn, step.old.outputs if step.old is not None else {}, outputs)
        changed = not same_values(new.outputs, outputs)
        new.outputs = outputs
        if changed and not self._preview:
            self._journal.touched(new)
        self.reporter.outputs(step)

    def _set_stack_outputs(self) -> None:
        held = self._held_outputs
        step = next((s for s in self._registered.values() if s.state.type == STACK_TYPE), None)
        if held is None or step is None or step.new is None:
            return
        if self._broken():
            # What the program could not compute keeps its last known value.
            held = {**step.new.outputs, **held}
        self._stack_outputs = held
        with self._told():
            self._set_outputs(step, step.new, held)

    def _inspect_stack(self) -> None:
        """What has come out is judged as a whole, where it has come out well."""
        failed = self._failed or self._executor.errored or self._program_error is not None
        if failed or self._operation.cancel.requested.is_set() or self._operation.kind is not Kind.UPDATE:
            return
        root = f"{self._operation.target.project}-{self._operation.target.stack}"
        urn = make_urn(self._operation.target.stack, self._operation.target.project, "", STACK_TYPE, root)
        self.policies.inspect_stack(self._generator.decided.states, urn)

    def _check_promises(self) -> None:
        """What was planned and did not come is an error, unless something else has gone wrong already."""
        unmet = [] if self._broken() else self.planning.unmet(self._base.resources)
        for urn, message in unmet:
            self.reporter.diagnose("error", urn, message)
        self._failed = self._failed or bool(unmet)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What is raised in here is told, and the operation fails."""
        try:
            yield
        except ResourceError as error:
            self.reporter.diagnose("error", error.urn, str(error))
            self._failed = True

    def _broken(self) -> bool:
        cancelled = self._operation.cancel.requested.is_set()
        return self._failed or self._executor.errored or self._program_error is not None or cancelled

    def _drain(self, running: ProgramThread) -> None:
        """Lets a failed program end: it still says its outputs, and gets an error for all else."""
        deadline = time.monotonic() + program_thread.STOP_SECONDS
        while not running.done or not self._queue.empty():
            if time.monotonic() > deadline:
                running.stop()
                return
            try:
                event = self._queue.get(timeout=0.01)
            except queue.Empty:
                continue
            if isinstance(event, ProgramEnded):
                self._take_program_error(event.error)
            elif isinstance(event, RegisterOutputs):
                self._take_outputs(event)
            elif isinstance(event, RegisterResource | ReadResource):
                refuse(event.answer, MonitorStoppedError())

    def _take_program_error(self, error: EngineError | None) -> None:
        if error is None or self._broken():
            return  # a program that was stopped has nothing of its own to say
        if isinstance(error, ProgramError):
            if not error.shown and str(error):
                self.reporter.diagnose("error", "", f"an unhandled error occurred: {error}")
            error = BailError(str(error))
        self._program_error = error

    # -------------------------------------------------------- deletes

    def _delete(self) -> None:
        self._executor.wait()
        if not self._may_go_on():
            return
        try:
            stays, steps = self._generator.deletes()
        except BailError:
            return  # which is told at the end
        steps = self._without_what_is_needed(steps)
        aliased = self._generator.identities.aliased
        with self._told():
            self.planning.steps([*stays, *steps], aliased)
        if self._failed:
            return
        if stays:
            self._executor.submit(stays)
            self._executor.wait()
        graph = self._generator.graph()
        self._executor.run_layers(in_layers(steps, graph), graph.dependencies_of)

    def _without_what_is_needed(self, steps: list[Step]) -> list[Step]:
        """After errors some resources stay as they were: what they need must stay too."""
        if not self._executor.errored:
            return steps
        condemned = {step.state for step in steps}
        staying = (state for state in self._journal.left() if state not in condemned)
        needed = self._generator.graph().needed_by(staying)
        return [step for step in steps if step.state not in needed]


# ------------------------------------------------------------------ helpers


def _own_copy(snapshot: Snapshot) -> Snapshot:
    """States that a preview may mark as deleted without anybody else seeing it."""
    return replace(snapshot, resources=[replace(state) for state in snapshot.resources])


def _answer_to(event: RegisterResource | ReadResource) -> Callable[[State, Verdict], None]:
    def answer(state: State, verdict: Verdict) -> None:
        registered = Registered(
            state=state, failed=verdict == "failed", skipped=verdict == "skipped", unknown=verdict == "unknown"
        )
        settle(event.answer, registered)

    return answer


def _urn_of(event: Event, operation: Operation) -> str:
    if isinstance(event, ResourceImported):
        return event.state.urn
    if not isinstance(event, RegisterResource | ReadResource):
        return ""
    goal = event.goal
    return make_urn(operation.target.stack, operation.target.project, goal.parent, goal.type, goal.name)
