"""One deployment from its first row to its last: running the engine under watch, retrying, removing, recording.

Decides in which order these happen. What follows a failure is in `recovery`, what a step is in `steps`.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Engine, RowMapping

from automation import counting, endings, history, leftovers, manifests, objects
from automation.database import transaction
from automation.engine_events import called, run_event
from automation.engines import EngineChoice
from automation.errors import DatabaseError, EngineError, TenantryError
from automation.history import NewDeployment, TenantFacts
from automation.jobs import totals
from automation.jobs.child_events import JobEvents
from automation.locks import TenantLock
from automation.messages import engine_failure, is_transient, summary
from automation.models import DeploymentStatus, TenantStatus
from automation.redaction import redactor
from automation.results import RunResult
from automation.rollback import Decision, Stop
from automation.settings import PROJECT_NAME, Settings
from automation.steps import Ended, Retried, RunEvent, RunState, Said, reducer
from automation.supervision import CancelRequests, Outcome, Supervisor
from automation.tracking import HistoryWriter, Observer, Silent, Tracker
from automation.workspace import StackFactory, TenantStack, holder_is_dead, open_stack, processes_of

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

_LOCK_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every operation needs. Tests give a fake `stacks`."""

    settings: Settings
    choice: EngineChoice
    observer: Observer = field(default_factory=Silent)
    stacks: StackFactory = open_stack
    cancel: CancelRequests = field(default_factory=CancelRequests)
    # Told of each event of the engine, from whichever thread.
    heard: Callable[[RunEvent], None] = lambda _event: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A tenant whose lock we hold. `dead` are the runs of dead processes that were taken over."""

    lock: TenantLock
    database: Engine
    facts: TenantFacts
    dead: Sequence[RowMapping]

    @property
    def broken_off(self) -> bool:
        """Whether a run before ended in its middle, so that the state may not say what is there."""
        return self.facts.failed or bool(self.dead)


class Run:
    """A deployment in the making. As a context manager it never leaves a `running` row behind."""

    def __init__(
        self,
        context: Context,
        held: Held,
        new: NewDeployment,
        state: RunState,
        *,
        step_of: Callable[[str], str | None] | None = None,
    ) -> None:
        """`step_of` finds the step of what events are of, where that is no resource of the tenant's line."""
        self.context = context
        self.new = new
        self.held = held
        self._started = time.monotonic()
        self._ended = False
        counting.begin()
        self._counted_from = counting.position()
        self._commands: list[tuple[str, float]] = []
        self._rollback_until: float | None = None
        events = JobEvents.from_environment()
        rows = [history.step_row(new.id, position, step) for position, step in enumerate(state.steps)]
        with transaction(held.database, context.settings) as connection:
            history.start(
                connection, new, state.steps, {"status": TenantStatus.PROVISIONING} if new.first_create else {}
            )
            if events is not None:
                events.begin(connection, new.id, rows)
        self._writer = HistoryWriter(held.database, context.settings, new.id, events)
        redact = redactor(context.settings.secrets())
        self._step_of = step_of or manifests.line_named(new.line).step_of
        self.tracker = Tracker(
            state,
            reducer(self._step_of),
            step_of=self._step_of,
            redact=redact,
            observer=context.observer,
            writer=self._writer,
            heard=context.heard,
        )
        self._redact = redact
        self._resources = contextlib.ExitStack()
        self.stack: TenantStack
        self._supervisor: Supervisor
        context.observer.changed(state)

    def __enter__(self) -> Self:
        try:
            self.stack = self._resources.enter_context(
                self.context.stacks(self.context.settings, self.new.tenant, self.context.choice)
            )
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        self._supervisor = Supervisor(
            self.context.settings,
            self.stack,
            self.tracker,
            self.held.lock,
            self.context.cancel,
            line=self.new.line,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()
        if self._ended:
            return
        # Something of ours broke, or state could not be opened: the record must not stay `running`.
        self.tracker.take(Ended(ok=False, at=history.now(), reason="the run could not go on"))
        self._writer.close()
        text = self._redact(str(error)) if error is not None else "the run ended without a result"
        with contextlib.suppress(DatabaseError), transaction(self.held.database, self.context.settings) as connection:
            history.finish(
                connection,
                self.new.id,
                {"status": self._status_now(), **self._objects(connection, self._status_now())},
                status=DeploymentStatus.FAILED,
                error=text,
            )
            self._count(connection)

    def _status_now(self) -> TenantStatus:
        facts = self.held.facts
        return facts.working if facts.last_good is not None and not facts.failed else TenantStatus.FAILED

    @property
    def working(self) -> TenantStatus:
        """What a tenant is whose manifest was applied: all of it, or what is critical."""
        return TenantStatus.PARTIAL if self.tracker.state.partial else TenantStatus.ACTIVE

    # Running the engine

    def execute(
        self,
        work: Callable[[], None],
        command: str | None,
        *,
        rolling_back: bool = False,
        why: Callable[[Outcome], str] | None = None,
    ) -> Outcome:
        """Runs `work` under the run's limits, again after errors that pass. Leaves the last `Ended` to `end_events`.

        `command` is what the engine's time is counted for: preview, up, refresh or destroy; None is not counted.
        All commands of a rollback share its limit. `why` says why it failed, where no step tells that.
        """
        settings = self.context.settings
        line = self.new.line
        limit = settings.rollback_limit(line) if rolling_back else settings.run_limit(line)
        deadline = time.monotonic() + limit.seconds
        if rolling_back:
            deadline = self._rollback_until = self._rollback_until or deadline
        failures: Counter[str | None] = Counter()
        while True:
            began = time.monotonic()
            outcome = self._unlocked(
                lambda: self._supervisor.call(
                    work, replace(limit, seconds=max(0.1, deadline - time.monotonic())), steps=not rolling_back
                )
            )
            if command is not None:
                self._commands.append((command, time.monotonic() - began))
            self.tracker.check()
            if isinstance(outcome.error, TenantryError):
                raise outcome.error
            if outcome.ok or outcome.stop is not Stop.NONE:
                return outcome
            step, text = self.failure(outcome) if why is None else (None, why(outcome))
            failures[step] += 1
            delay = settings.retry_delay(step, failures[step]) if is_transient(text) else None
            if delay is None or time.monotonic() + delay >= deadline:
                return outcome
            self.tracker.log(
                "warning", f"failed with an error that may pass: {text}; next try in {delay:g} s", step=step
            )
            if not self._supervisor.pause(delay):
                return Outcome(stop=Stop.USER, reason="cancelled by a signal")
            self.tracker.take(Retried(at=history.now()))

    def look_again(self, steps: Sequence[str] = (), *, rolling_back: bool = False) -> Outcome:
        """Reads what is really there into the state, where there is one: of these steps, or of all.

        A provider that has changed its server and then failed leaves the old state. What is found belongs to no step.
        """
        said: list[str] = []

        def heed(event: EngineEvent) -> None:
            if (told := run_event(event, history.now(), self._redact)) is None:
                self.tracker.engine_event(event)
            elif isinstance(told, Said) and told.severity == "error":
                said.append(f"{called(told.urn)}: {told.message}" if told.urn else told.message)

        def work() -> None:
            said.clear()
            if self.stack.exists():
                self.stack.refresh(heed, targets=targets_of(self.new, steps))

        def why(outcome: Outcome) -> str:
            words = "; ".join(dict.fromkeys(said)) or self._redact(summary(str(outcome.error)))
            return f"what is there could not be read: {words}"

        outcome = self.execute(work, "refresh", rolling_back=rolling_back, why=why)
        return outcome if outcome.ok or outcome.stop is not Stop.NONE else replace(outcome, reason=why(outcome))

    def export(self) -> dict[str, Any]:
        """The stack's state. Raises EngineError when it cannot be read."""
        try:
            return self.stack.export()
        except Exception as error:
            text = self._redact(str(error))
            known = engine_failure(text, tenant=self.new.tenant, backend=self.context.settings.backend)
            raise known or EngineError(f"the state of '{self.new.tenant}' cannot be read: {summary(text)}") from error

    def end_events(self, outcome: Outcome) -> None:
        """Tells the steps that the command is over."""
        self.tracker.take(Ended(ok=outcome.ok, at=history.now(), reason=outcome.reason))

    def failure(self, outcome: Outcome) -> tuple[str | None, str]:
        """The step that failed, and why, in one text."""
        state = self.tracker.state
        step = state.failed_step
        if outcome.reason:
            return (step.key if step else None), outcome.reason
        if step is not None:
            return step.key, step.error or "it failed without a reason"
        if state.errors:
            return None, "; ".join(state.errors)
        return None, self._redact(summary(str(outcome.error)))

    def _unlocked(self, call: Callable[[], Outcome]) -> Outcome:
        """Runs `call`; when Pulumi's own lock stops it and its holder is known to be dead, breaks that lock first."""
        from pulumi.automation.errors import ConcurrentUpdateError

        outcome = call()
        if isinstance(outcome.error, ConcurrentUpdateError) and self._lock_is_stale():
            self.tracker.log("warning", "broke the Pulumi lock that a dead process had left")
            self.stack.break_lock()
            outcome = call()
        return outcome

    def _lock_is_stale(self) -> bool:
        dead = {(row["host"], row["pid"]) for row in self.held.dead}
        # The stock CLI outlives a killed parent for a moment: it finishes what is in flight, then unlocks.
        until = time.monotonic() + (self.context.settings.cancel_grace if dead else 0)
        while True:
            holders = self.stack.lock_holders()
            if not holders:
                return bool(dead)
            if all(holder_is_dead(one) or not dead.isdisjoint(processes_of(one)) for one in holders):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(_LOCK_POLL_SECONDS)

    # Removing

    def destroy(self, *, rolling_back: bool) -> tuple[Outcome, tuple[str, ...]]:
        """Removes all resources, then the stack, and looks whether anything is left. Ends the events too."""
        before = self.export()
        outcome = self.execute(
            lambda: self.stack.destroy(self.tracker.engine_event, continue_on_error=True),
            "destroy",
            rolling_back=rolling_back,
        )
        left = self._leftovers(before, outcome)
        if left and outcome.ok:
            outcome = Outcome(error=RuntimeError(f"something is left: {'; '.join(left)}"))
        self.end_events(outcome)
        if outcome.ok:
            self.stack.remove()
        return outcome, left

    def _leftovers(self, before: dict[str, Any], outcome: Outcome) -> tuple[str, ...]:
        try:
            after = [] if outcome.stop is Stop.STUCK else self.export().get("resources", [])
            known = before.get("resources", [])
            left = leftovers.found(self.held.database, self.context.settings, self.new, known, after)
        except (DatabaseError, EngineError) as error:
            left = [f"unknown, because {error.message}"]
        return tuple(dict.fromkeys(left))

    def where(self, step: str | None) -> str:
        """What failed, as the subject of a sentence."""
        subject = f"{self.new.operation} of '{self.new.tenant}'"
        return f"{subject}: step '{step}'" if step else subject

    def last_words(self, outcome: Outcome) -> str:
        """Why a command failed, where no step says it: the last of the engine's errors."""
        if outcome.reason:
            return outcome.reason
        state = self.tracker.state
        return state.errors[-1] if state.errors else self._redact(summary(str(outcome.error)))

    # Recording

    def left(
        self,
        outcome: Outcome,
        decision: Decision,
        step: str | None,
        text: str,
        *,
        tenant_status: TenantStatus | None = None,
    ) -> RunResult:
        """Ends a failed run that is left as it is. Without `tenant_status` the steps say what the tenant is."""
        status, error = endings.left(
            endings.Left(
                tenant=self.new.tenant,
                operation=self.new.operation,
                stop=outcome.stop,
                step=step,
                reason=text,
                decision=decision.reason,
                said=self._redact(str(outcome.error)),
                backend=self.context.settings.backend,
                state=self.tracker.state,
                step_of=self._step_of,
            )
        )
        # What was begun and not undone is neither the old tenant nor the new one.
        touched = any(step.changed for step in self.tracker.state.steps)
        now = tenant_status or (TenantStatus.FAILED if touched else self._status_now())
        return self.finish(status, now, error=error)

    def finish(
        self,
        status: DeploymentStatus,
        tenant_status: TenantStatus,
        *,
        error: TenantryError | None = None,
        rolled_back_to: str | None = None,
        leftovers: tuple[str, ...] = (),
        also: Callable[[Any], None] | None = None,
        **tenant_values: Any,
    ) -> RunResult:
        """Writes the end of the run. `also` writes more in the same transaction."""
        if error is not None:
            self.tracker.log("error", error.message)
        unwritten = self._writer.close()
        self._ended = True
        values = {"status": tenant_status, **tenant_values}
        if "last_good_manifest" in tenant_values:
            values["url"] = self.tracker.outputs.get("url") if tenant_values["last_good_manifest"] is not None else None
        state, requests = self.tracker.state, counting.since(self._counted_from)
        try:
            if unwritten is not None:
                raise unwritten
            with transaction(self.held.database, self.context.settings) as connection:
                history.finish(
                    connection,
                    self.new.id,
                    values | self._objects(connection, tenant_status),
                    status=status,
                    progress=state.progress,
                    changes=state.changes,
                    requests=requests or None,
                    error=error.message if error is not None else None,
                    leftovers=list(leftovers) or None,
                )
                if also is not None:
                    also(connection)
                self._count(connection)
        except DatabaseError as lost:
            ended = error.message if error is not None else f"{self.where(None)} succeeded"
            error = DatabaseError(f"{ended}. This could not be recorded: {lost.message}", hint=lost.hint)
        return RunResult(
            tenant=self.new.tenant,
            operation=self.new.operation,
            deployment=str(self.new.id),
            correlation_id=self.new.correlation_id,
            engine=self.context.choice.name,
            status=status,
            state=state,
            duration_ms=round((time.monotonic() - self._started) * 1000),
            error=error,
            rolled_back_to=rolled_back_to,
            leftovers=leftovers,
            drift=dict(self.tracker.drift) if self.new.operation == "refresh" else {},
            partial=state.partial,
            requests=requests,
            outputs=self.tracker.outputs if self.new.operation == "up" and error is None else {},
        )

    def _objects(self, connection: Connection, status: TenantStatus) -> dict[str, Any]:
        """The column of the tenant's objects, where the run told of any, or took them away."""
        if status is TenantStatus.REMOVED:
            return {"objects": None}
        if not self.tracker.made:
            return {}
        before = history.objects(connection, self.new.tenant)
        return {"objects": objects.kept(before, self.tracker.made, step_of=self._step_of, redact=self._redact)}

    def _count(self, connection: Connection) -> None:
        """Counts the run. Last in its transaction: the rows are everybody's."""
        engine = totals.of_engine(self.context.choice.name, self._commands)
        totals.add_now(connection, [*totals.of_runs(connection, [self.new.id]), *engine])


def targets_of(new: NewDeployment, steps: Sequence[str]) -> list[str]:
    """The URNs of all that belongs to these steps, made or not yet made, as globs."""
    line = manifests.line_named(new.line)
    stack = f"urn:pulumi:{new.tenant}::{PROJECT_NAME}::"
    return [f"{stack}**{line.step(key).component_type}{end}" for key in steps for end in ("::**", "$**")]
