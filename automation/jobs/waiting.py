"""Jobs that wait for what their tenant is made on: a shop for its ERPNext, which may be away when it is asked for.

Decides whether an attempt begins or ends at once, to be tried again. A job waits until `wait_until` at the latest; then
it is run as any other, and its run says what is wrong. A turn of waiting touches nothing, and counts as no failure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from automation.errors import NotYetError
from automation.jobs.model import Job

if TYPE_CHECKING:
    from stacks.lines import Line, Manifest

UNTIL = "wait_until"
"""The option of a job that may wait: until when, ISO 8601 with a zone."""
TURNS = "turns_waited"
"""The option that counts the turns in which it has waited."""

_DELAYS = (5.0, 10.0, 20.0, 30.0, 60.0)


def until(seconds: float, now: datetime | None = None) -> dict[str, Any]:
    """The options of a job that may wait for so long from now on."""
    return {UNTIL: ((now or datetime.now(UTC)) + timedelta(seconds=seconds)).isoformat()}


def turns(job: Job) -> int:
    """In how many of its attempts it has only waited."""
    return int(job.options.get(TURNS, 0))


def begun(job: Job) -> int:
    """How many of its attempts, this one among them, were more than a turn of waiting: at least one."""
    return max(job.attempts - turns(job), 1)


def delay(job: Job) -> float:
    """Seconds until it looks again."""
    return _DELAYS[min(turns(job), len(_DELAYS) - 1)]


def may_wait(job: Job, now: datetime) -> bool:
    """Whether this attempt may still wait: not one that continues what an earlier one has begun.

    A worker that ended while it looked has begun nothing: what was begun has a deployment.
    """
    last = job.options.get(UNTIL)
    return last is not None and job.deployment_id is None and now < datetime.fromisoformat(str(last))


def demand_begin(job: Job, line: Line, manifest: Manifest) -> None:
    """Raises NotYetError where the job is to wait. Asks what its tenant is made on, which may take seconds."""
    if not may_wait(job, datetime.now(UTC)):
        return
    if (why := line.hold(manifest)) is not None:
        last = f"by itself until {job.options[UNTIL]}" if UNTIL in job.options else "by itself"
        raise NotYetError(f"waiting: {why.removesuffix('.')}", hint=f"it is tried again {last}")
