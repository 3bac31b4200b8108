"""A run's steps, worked out from the engine's events (CORE-3). Pure: no I/O, no clock, no engine.

A resource belongs to the step that `step_of` names. A step runs from its first custom resource's start to its last
one's end; it is over when another step begins. Components say nothing: their events come at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

UNCHANGING_OPS = frozenset({"same", "read", "refresh", ""})
UNCHANGED = "unchanged"
NOT_NEEDED = "not needed"
NOT_REACHED = "not reached"
_WHOLE = 100


class StepStatus(StrEnum):
    """A step's status, in the words of CORE-3."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled_back"


class Mode(StrEnum):
    """What the engine's events mean for the steps."""

    FORWARD = "forward"
    ROLLBACK_DESTROY = "rollback_destroy"
    ROLLBACK_APPLY = "rollback_apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The engine starts an operation on a resource."""

    urn: str
    op: str
    custom: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An operation on a resource has succeeded. `unready`: why its object, which is optional, is not there."""

    urn: str
    op: str
    custom: bool
    at: datetime
    unready: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An operation on a resource has failed."""

    urn: str
    op: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A diagnostic: `severity` is info, info#err, warning or error."""

    urn: str
    severity: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a resource that is worked on waits for just now, in place of what it waited for before."""

    urn: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The engine's command is over. `reason` says why it was stopped, when it was stopped."""

    ok: bool
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """The same command is about to be tried again."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged:
    """From here on the events are those of a rollback."""

    mode: Mode
    at: datetime


RunEvent = Started | Done | Failed | Said | Waiting | Ended | Retried | ModeChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step. `live` are the custom resources that exist, `open` those being worked on.

    `beside` are later steps that may begin while this one goes on, `seconds` a limit of its own. `unready` says why
    optional objects of it are not there, by URN: then it ends as failed and the run goes on, which is what `soft` says.
    """

    key: str
    title: str
    beside: frozenset[str] = frozenset()
    seconds: float | None = None
    status: StepStatus = StepStatus.PENDING
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rolled_back_at: datetime | None = None
    message: str = ""
    error: str | None = None
    changed: bool = False
    live: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    last_at: datetime | None = None
    unready: Mapping[str, str] = field(default_factory=dict)
    soft: bool = False

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to end; None while it runs or has never run."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0, round((self.ended_at - self.started_at).total_seconds() * 1000))

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe. Times are ISO 8601, the duration is in milliseconds."""
        stamps = ("started_at", "ended_at", "rolled_back_at")
        return {
            "key": self.key,
            "title": self.title,
            "status": self.status.value,
            "attempts": self.attempts,
            **{name: at.isoformat() if (at := getattr(self, name)) else None for name in stamps},
            "duration_ms": self.duration_ms,
            "message": self.message,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """All steps in order, and `progress` 0..100, which never goes backwards. `errors` belong to no step."""

    steps: tuple[StepState, ...]
    mode: Mode = Mode.FORWARD
    progress: int = 0
    errors: tuple[str, ...] = ()
    changes: dict[str, int] = field(default_factory=dict)

    def step(self, key: str) -> StepState:
        """The step called `key`. Raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)

    @property
    def failed_step(self) -> StepState | None:
        """The first step whose failure is the run's."""
        return next((step for step in self.steps if step.status is StepStatus.FAILED and not step.soft), None)

    @property
    def unready(self) -> tuple[StepState, ...]:
        """The steps that lack an optional object."""
        return tuple(step for step in self.steps if step.soft)

    @property
    def partial(self) -> tuple[str, ...]:
        """The keys of the steps that lack an optional object, a rollback's too."""
        return tuple(step.key for step in self.steps if step.unready)

    @property
    def running(self) -> tuple[StepState, ...]:
        """The steps that run now."""
        return tuple(step for step in self.steps if step.status is StepStatus.RUNNING)


def new_run(
    steps: Iterable[tuple[str, str]],
    beside: Mapping[str, Iterable[str]] = MappingProxyType({}),
    seconds: Mapping[str, float | None] = MappingProxyType({}),
) -> RunState:
    """A run of (key, title) steps, all pending.

    `beside` says which later steps begin while one goes on, `seconds` which have a limit of their own.
    """
    made = (
        StepState(key=key, title=title, beside=frozenset(beside.get(key, ())), seconds=seconds.get(key))
        for key, title in steps
    )
    return RunState(steps=tuple(made))


def complete(state: RunState, key: str, *, started: datetime, ended: datetime, message: str = "") -> RunState:
    """`state` with one step done that has no resources, such as validation."""
    step = replace(
        state.step(key), status=StepStatus.COMPLETED, attempts=1, started_at=started, ended_at=ended, message=message
    )
    return _progressed(_with(state, step))


def reducer(step_of: Callable[[str], str | None]) -> Callable[[RunState, RunEvent], RunState]:
    """The function from a state and an event to the next state, for resources assigned by `step_of`."""

    def reduce(state: RunState, event: RunEvent) -> RunState:
        match event:
            case Started():
                after = _started(state, event, step_of(event.urn)) if event.custom else state
            case Done():
                after = _done(state, event, step_of(event.urn)) if event.custom else state
            case Failed():
                after = _failed(state, event, step_of(event.urn))
            case Said():
                after = _said(state, event, step_of(event.urn))
            case Waiting():
                after = _waiting(state, event, step_of(event.urn))
            case Ended():
                after = _ended(state, event)
            case Retried():
                after = _retried(state)
            case ModeChanged():
                after = _mode_changed(state, event)
        return _progressed(after)

    return reduce


def _started(state: RunState, event: Started, key: str | None) -> RunState:
    if not _known(state, key):
        return state
    state = _finish_others(state, str(key), deleting=event.op == "delete")
    step = state.step(str(key))
    changed = step.changed or event.op not in UNCHANGING_OPS
    if state.mode is not Mode.FORWARD:
        return _with(state, replace(step, open=step.open | {event.urn}))
    if step.status is StepStatus.FAILED and not step.soft:
        return _with(state, replace(step, open=step.open | {event.urn}, changed=changed))
    return _with(
        state,
        replace(
            step,
            status=StepStatus.RUNNING,
            attempts=max(1, step.attempts),
            started_at=step.started_at or event.at,
            ended_at=None,
            message="",
            error=None if step.soft else step.error,
            soft=False,
            changed=changed,
            open=step.open | {event.urn},
            last_at=event.at,
        ),
    )


def is_object(urn: str, *, custom: bool) -> bool:
    """Whether a resource counts for the reader: something that exists, so no component and no provider."""
    own_type = urn.split("::", 3)[2].rsplit("$", 1)[-1] if urn.count("::") >= 3 else ""
    return custom and not own_type.startswith("pulumi:providers:")


def _done(state: RunState, event: Done, key: str | None) -> RunState:
    if is_object(event.urn, custom=event.custom):
        state = replace(state, changes={**state.changes, event.op: state.changes.get(event.op, 0) + 1})
    if not _known(state, key):
        return state
    step = state.step(str(key))
    deleted = event.op in {"delete", "discard"}
    step = replace(
        step,
        open=step.open - {event.urn},
        live=step.live - {event.urn} if deleted else step.live | {event.urn},
        last_at=event.at,
        message="" if step.status is StepStatus.RUNNING else step.message,
        unready=_unready(step, event),
    )
    if state.mode is Mode.ROLLBACK_DESTROY and deleted and not step.live and not step.open:
        step = _rolled_back(step, event.at)
    return _with(state, step)


def _unready(step: StepState, event: Done) -> Mapping[str, str]:
    others = {urn: why for urn, why in step.unready.items() if urn != event.urn}
    return {**others, event.urn: event.unready} if event.unready and event.op != "delete" else others


def _failed(state: RunState, event: Failed, key: str | None) -> RunState:
    if not _known(state, key):
        return state
    step = state.step(str(key))
    step = replace(step, open=step.open - {event.urn}, last_at=event.at)
    if state.mode is Mode.FORWARD:
        step = replace(step, status=StepStatus.FAILED, ended_at=event.at, started_at=step.started_at or event.at)
        step = replace(step, message="", soft=False)
    return _with(state, step)


def _said(state: RunState, event: Said, key: str | None) -> RunState:
    if event.severity != "error":
        return state
    if not _known(state, key):
        return replace(state, errors=(*state.errors, event.message)) if event.message not in state.errors else state
    step = state.step(str(key))
    if event.message in (step.error or ""):
        return state
    return _with(state, replace(step, error=f"{step.error}\n{event.message}" if step.error else event.message))


def _waiting(state: RunState, event: Waiting, key: str | None) -> RunState:
    """What is told is of the resource that spoke last, and goes when that is done."""
    if not _known(state, key):
        return state
    step = state.step(str(key))
    if step.status is not StepStatus.RUNNING or event.urn not in step.open:
        return state
    return _with(state, replace(step, message=event.message, last_at=event.at))


def _ended(state: RunState, event: Ended) -> RunState:
    if state.mode is not Mode.FORWARD:
        return _rollback_ended(state, event) if event.ok else state
    steps = []
    for step in state.steps:
        if step.error and not event.ok and step.status in {StepStatus.RUNNING, StepStatus.COMPLETED}:
            # An object of it was refused before it was begun: nothing is open, and it has failed all the same.
            steps.append(_stopped(step, event))
        elif step.status is StepStatus.RUNNING:
            steps.append(_closed(step) if event.ok or not step.open else _stopped(step, event))
        elif step.status is StepStatus.PENDING and step.error and not event.ok:
            steps.append(_stopped(replace(step, attempts=1, started_at=event.at), event))
        elif step.status is StepStatus.PENDING:
            message = NOT_NEEDED if event.ok else NOT_REACHED
            steps.append(replace(step, status=StepStatus.SKIPPED, message=message))
        else:
            steps.append(step)
    return replace(state, steps=tuple(steps), progress=_WHOLE if event.ok else state.progress)


def _mode_changed(state: RunState, event: ModeChanged) -> RunState:
    """A removal begins with the step that failed: what has no objects is undone at once."""
    if event.mode is not Mode.ROLLBACK_DESTROY:
        return replace(state, mode=event.mode)
    empty = [
        _rolled_back(step, event.at) if step.status is StepStatus.FAILED and not step.live and step.attempts else step
        for step in state.steps
    ]
    return replace(state, mode=event.mode, steps=tuple(empty))


def _rollback_ended(state: RunState, event: Ended) -> RunState:
    undone = []
    for step in state.steps:
        touched = step.status in {StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.RUNNING} and step.attempts > 0
        had_objects = bool(step.live or step.open or step.error) or step.changed
        if state.mode is Mode.ROLLBACK_APPLY:
            had_objects = step.changed or step.status is not StepStatus.COMPLETED
        undone.append(_rolled_back(step, event.at) if touched and had_objects else step)
    return replace(state, steps=tuple(undone))


def _retried(state: RunState) -> RunState:
    if state.mode is not Mode.FORWARD:
        # Of a rollback: the step that failed has failed.
        return replace(state, errors=())
    steps = [
        replace(
            step,
            status=StepStatus.RUNNING,
            attempts=step.attempts + 1,
            error=None,
            ended_at=None,
            open=frozenset(),
            unready={},
            soft=False,
        )
        if step.status is StepStatus.FAILED
        else replace(step, status=StepStatus.PENDING, message="")
        if step.message == NOT_REACHED
        else step
        for step in state.steps
    ]
    return replace(state, steps=tuple(steps), errors=())


def _finish_others(state: RunState, key: str, *, deleting: bool) -> RunState:
    """A step has ended once a later one (in a removal: any other one) starts and nothing of it is being worked on.

    Unless the later one may begin beside it: then it has ended when another one starts, or the run ends.
    """
    position = [step.key for step in state.steps].index(key)

    def over(index: int, step: StepState) -> bool:
        idle = step.status is StepStatus.RUNNING and not step.open
        if deleting:
            return idle and index != position
        return idle and index < position and bool(step.live) and key not in step.beside

    return replace(state, steps=tuple(_closed(step) if over(i, step) else step for i, step in enumerate(state.steps)))


def _closed(step: StepState) -> StepState:
    if step.status is not StepStatus.RUNNING or step.open:
        return step
    if step.unready:
        why = "\n".join(dict.fromkeys(step.unready.values()))
        return replace(step, status=StepStatus.FAILED, ended_at=step.last_at, message="", error=why, soft=True)
    message = step.message or ("" if step.changed else UNCHANGED)
    return replace(step, status=StepStatus.COMPLETED, ended_at=step.last_at or step.started_at, message=message)


def _stopped(step: StepState, event: Ended) -> StepState:
    reason = event.reason or "the run ended before this step did"
    return replace(step, status=StepStatus.FAILED, ended_at=event.at, error=step.error or reason)


def _rolled_back(step: StepState, at: datetime) -> StepState:
    return replace(step, status=StepStatus.ROLLED_BACK, rolled_back_at=at, open=frozenset(), live=frozenset())


def _known(state: RunState, key: str | None) -> bool:
    return any(step.key == key for step in state.steps)


def _with(state: RunState, changed: StepState) -> RunState:
    return replace(state, steps=tuple(changed if step.key == changed.key else step for step in state.steps))


def _progressed(state: RunState) -> RunState:
    """Half a share for a running step, a whole one for a finished one; the last percent only at a good end."""
    halves = {StepStatus.PENDING: 0, StepStatus.RUNNING: 1}
    reached = sum(halves.get(step.status, 2) for step in state.steps if step.message != NOT_REACHED)
    share = _WHOLE * reached // (2 * len(state.steps)) if state.steps else 0
    return replace(state, progress=max(state.progress, min(share, _WHOLE - 1)))
