"""One operation from its first event to its last. It owns the order of things: refresh, program, deletes, the end.

What a program asks for is `registrations`', what is read before `refresh_run`'s; what they share is in `workings`.
"""

from __future__ import annotations

import time

from engine import events
from engine.deletions import in_layers
from engine.errors import BailError, EngineError, UsageError
from engine.hooks import delete_hooks
from engine.import_run import Importer, failure_text
from engine.journal import Journal
from engine.operation import Kind, Operation, Outcome, RunInfo
from engine.pending import pending_text
from engine.program_thread import ProgramThread
from engine.provider_client import Provider
from engine.refresh_run import Refresher
from engine.registrations import Registrations
from engine.resource import STACK_TYPE, PropertyMap, State, make_urn
from engine.resource_monitor import MonitorServer
from engine.snapshot import outputs_of
from engine.source import StepsEnded
from engine.steps import Step
from engine.transforms import Transforms
from engine.workings import Workings


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
    changes = deployment.work.reporter.changes()
    if deployment.begun:
        ran = deployment.work.policies.ran
        operation.emit(events.summary(changes, seconds, preview=operation.options.dry_run, policy_packs=ran))
    plan = deployment.work.planning.plan if operation.options.make_plan and error is None else None
    return Outcome(changes=changes, outputs=deployment.outputs(), error=error, duration_seconds=seconds, plan=plan)


class _Deployment:
    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._options = operation.options
        self._monitor: MonitorServer | None = None
        self.work = Workings(operation, self._engine_address)
        self._registrations = Registrations(self.work)
        self._refresher = Refresher(operation.options, self.work.reporter.diagnose)
        self._running: ProgramThread | None = None
        self._targets_missing = False
        self._import_error: EngineError | None = None
        self.begun = False
        operation.cancel.on_request(self._on_cancel)
        operation.cancel.on_terminate(self._on_terminate)

    # -------------------------------------------------------- the whole

    def run(self) -> None:
        operation = self._operation
        target = operation.target
        self.work.policies.load(self._engine_address)
        operation.emit(events.prelude(target.config, target.secret_keys))
        if operation.kind is Kind.DESTROY:
            self._require_destroyed()
        self._require_program_for_hooks()
        self.begun = True
        if operation.kind is Kind.IMPORT:
            self._import()
        else:
            self._deploy()
        self.work.executor.wait()
        self._check_promises()
        self._registrations.set_stack_outputs()
        self._inspect_stack()
        if not self.work.preview:
            self.work.journal.finish()
        self._end_program()
        self._conclude()

    def _deploy(self) -> None:
        operation = self._operation
        self._warn_of_pending()
        runs_program = operation.kind is Kind.UPDATE or self._options.run_program
        everything = self._options.refresh or (operation.kind is Kind.REFRESH and not runs_program)
        if everything or (self._refreshed_first() and not self._options.run_program):
            self._refresh(everything=everything)
            if self.work.executor.errored:
                return
        if runs_program and not self.work.executor.stopping():
            self._run_program()
        if operation.kind is Kind.REFRESH and runs_program:
            self._refresh_rest()
        elif operation.kind is not Kind.REFRESH and self.work.may_go_on():
            self._targets_missing = self.work.tell_missing(
                self.work.generator.selection.unknown_targets(self.work.generator.knows)
            )
            self._delete()

    def _import(self) -> None:
        importer = Importer(
            self._operation.imports,
            resources=self.work.base.resources,
            target=self._operation.target,
            registry=self.work.registry,
            executor=self.work.executor,
            diagnose=self.work.reporter.diagnose,
        )
        made, self._import_error = importer.run_to_end()
        self.work.failed = self._import_error is not None
        if made is not None:
            self._registrations.imported(made)

    def _require_program_for_hooks(self) -> None:
        """Raises UsageError where a destroy would have to run hooks, which only a running program has."""
        if self._operation.kind is not Kind.DESTROY or self._options.run_program:
            return
        found = delete_hooks(self.work.base.resources)
        for urn, names in found:
            words = "Resource has delete hooks registered, but the program is not running. Hooks: "
            self.work.reporter.diagnose("error", urn, words + ", ".join(names))
        if found:
            raise UsageError("You must run with the `--run-program` flag to use delete hooks during destroy.")

    def _warn_of_pending(self) -> None:
        pending = self.work.base.pending
        settled = self._operation.kind is Kind.REFRESH or self._options.refresh
        if pending and not self.work.preview and not settled:
            self.work.reporter.diagnose("warning", "", pending_text(pending))

    def _conclude(self) -> None:
        """Says how it ended; raises what makes the command fail."""
        word = "preview" if self.work.preview else "update"
        if self._operation.cancel.requested.is_set():
            self.work.reporter.diagnose("error", "", f"{word} canceled")
            raise BailError("canceled")
        if self._targets_missing:
            raise BailError("a target is not in the stack")
        judged = self.work.generator.decided.errored or self.work.policies.violated
        errored = self.work.executor.errored or (judged and not self.work.failed)
        if self._operation.kind is Kind.IMPORT and (self.work.executor.errored or self.work.failed):
            why = failure_text(self._import_error, self.work.executor.first_error)
            self.work.reporter.diagnose("error", "", f"{word} failed{why}")
        elif errored:
            self.work.reporter.diagnose("error", "", f"{word} failed")
        if self.work.program_error is not None:
            raise self.work.program_error
        if errored or self.work.failed:
            raise BailError(f"{word} failed")

    def outputs(self) -> PropertyMap:
        """The stack's outputs as they are now; in a preview as they would be."""
        known = self._registrations.stack_outputs
        if self.work.preview and known is not None:
            return known
        return outputs_of(self.work.journal.snapshot()) or {}

    def close(self) -> None:
        self.work.executor.close()
        if self._monitor is not None:
            self._monitor.release()
            if self._running is not None:
                self._running.join()
            self._monitor.stop()
        self.work.close()

    def _on_cancel(self) -> None:
        self.work.host.cancel()
        self.work.policies.cancel()
        self.work.queue.put(StepsEnded())

    def _on_terminate(self) -> None:
        self.work.journal.close()
        self.work.host.abandon()

    def _engine_address(self) -> str:
        return self._server().address

    def _server(self) -> MonitorServer:
        if self._monitor is None:
            self._monitor = MonitorServer(
                self._operation.target,
                self._options,
                self.work.queue.put,
                self.work.reporter,
                provider_of=self._provider_of,
                prepare=self.work.host.start_ahead,
                hooks=self.work.hooks,
                transforms=Transforms(self.work.callbacks),
            )
        return self._monitor

    def _provider_of(self, ref: str, token: str) -> Provider:
        # Not bound to a registry: a refresh makes another one.
        return self.work.registry.get(ref, token)

    def _require_destroyed(self) -> None:
        for urn in self.work.generator.selection.unknown_targets(self.work.generator.knows):
            raise EngineError(f"no resource named '{urn}' found")

    # -------------------------------------------------------- refresh

    def _refreshed_first(self) -> bool:
        """Whether any resource wants to be read before it is compared with what the program says."""
        return any(state.refresh_before_update for state in self.work.base.resources)

    def _refresh(self, *, everything: bool) -> None:
        selection, knows = self.work.generator.selection, self.work.generator.knows
        self.work.require_known([*selection.unknown_targets(knows), *selection.unknown_excludes(knows)])
        self.work.host_ahead()
        chosen = [s for s in selection.to_refresh(self.work.base.resources) if everything or s.refresh_before_update]
        self._take_refreshed(self._refresher.read(self.work.base, chosen, self.work.executor))
        if self._operation.kind is not Kind.REFRESH:
            self.work.executor.close()
            errored = self.work.executor.errored
            self.work.start_over()
            self.work.executor.errored = errored

    def _refresh_rest(self) -> None:
        """After a program that has had its own resources refreshed: the others."""
        if not self.work.may_go_on():
            return
        kept = self.work.generator.kept()
        chosen = self.work.generator.selection.to_refresh(self.work.base.resources)
        rest = [s for s in chosen if s.delete or s.urn not in kept]
        self._take_refreshed(
            {**self._refresher.read(self.work.base, rest, self.work.executor), **self.work.mode.gone()}
        )

    def _take_refreshed(self, found: dict[State, State | None]) -> None:
        base = self.work.base if self.work.preview else self.work.journal.snapshot()
        self.work.base = self._refresher.taken(base, found)
        if self.work.preview:
            self.work.journal = Journal(self.work.base, lambda _: None)
        else:
            self.work.journal.rebase(self.work.base)

    # -------------------------------------------------------- the program

    def _run_program(self) -> None:
        program = self._operation.program
        if program is None:
            raise UsageError(
                f"this {self._operation.kind.value} needs a program: a Pulumi.yaml with a runtime, or an inline one"
            )
        self.work.require_known(self.work.generator.selection.unknown_replacements(self.work.generator.knows))
        server = self._server()
        self.work.host_ahead()
        self._running = running = ProgramThread(program, self._run_info(server), self.work.queue.put)
        running.start()
        self._registrations.loop()
        if not self._ended_well():
            # The program's hooks may still be wanted by what is under way, so it learns of the end after that.
            self.work.executor.wait()
            self.work.callbacks.end()
            server.reject()
            server.let_go()
            self.work.reporter.mute_program()
            self._registrations.drain(running)
        self.work.executor.wait()

    def _end_program(self) -> None:
        """Lets a program go that waits for the end of the operation, and takes what it has to say after that."""
        if self._monitor is None or self._running is None:
            return
        self._monitor.release()
        self._running.join()
        if self.work.program_error is None:
            self._registrations.take_program_error(self._running.error)

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
            dry_run=self.work.preview,
            parallel=self._options.parallel,
        )

    def _ended_well(self) -> bool:
        stopped = self.work.failed or self.work.executor.stopping() or self._operation.cancel.requested.is_set()
        return self.work.program_error is None and not stopped

    def _inspect_stack(self) -> None:
        """What has come out is judged as a whole, where it has come out well."""
        failed = self.work.failed or self.work.executor.errored or self.work.program_error is not None
        if failed or self._operation.cancel.requested.is_set() or self._operation.kind is not Kind.UPDATE:
            return
        root = f"{self._operation.target.project}-{self._operation.target.stack}"
        urn = make_urn(self._operation.target.stack, self._operation.target.project, "", STACK_TYPE, root)
        self.work.policies.inspect_stack(self.work.generator.decided.states, urn)

    def _check_promises(self) -> None:
        """What was planned and did not come is an error, unless something else has gone wrong already."""
        unmet = [] if self.work.broken() else self.work.planning.unmet(self.work.base.resources)
        for urn, message in unmet:
            self.work.reporter.diagnose("error", urn, message)
        self.work.failed = self.work.failed or bool(unmet)

    # -------------------------------------------------------- deletes

    def _delete(self) -> None:
        self.work.executor.wait()
        if not self.work.may_go_on():
            return
        try:
            stays, steps = self.work.generator.deletes()
        except BailError:
            return  # which is told at the end
        steps = self._without_what_is_needed(steps)
        aliased = self.work.generator.identities.aliased
        with self.work.told():
            self.work.planning.steps([*stays, *steps], aliased)
        if self.work.failed:
            return
        if stays:
            self.work.executor.submit(stays)
            self.work.executor.wait()
        graph = self.work.generator.graph()
        self.work.executor.run_layers(in_layers(steps, graph), graph.dependencies_of)

    def _without_what_is_needed(self, steps: list[Step]) -> list[Step]:
        """After errors some resources stay as they were: what they need must stay too."""
        if not self.work.executor.errored:
            return steps
        condemned = {step.state for step in steps}
        staying = (state for state in self.work.journal.left() if state not in condemned)
        needed = self.work.generator.graph().needed_by(staying)
        return [step for step in steps if step.state not in needed]


# ------------------------------------------------------------------ helpers
