"""What the operation's own process tells about its job: step, progress and log events, in the history's transaction.

Decides when an event is one: only while the job runs, and in the attempt that this process was started for, so that
a process that outlived its lease is no longer heard. It never ends a job: its worker does. Synchronous, as the
operations are.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from automation.errors import InputError
from automation.jobs.rows import JOB_COLUMNS, job_of, json_safe, storable
from automation.models_jobs import EventKind, JobStatus, jobs

JOB_VARIABLE = "TENANTRY_JOB"
ATTEMPT_VARIABLE = "TENANTRY_JOB_ATTEMPT"

# One statement for a batch: each call numbers its event and tells the listeners, in the order of the array.
_EVENTS = text(
    """
    SELECT tenantry_event(:job, one.value->>'kind', one.value->'data')
    FROM jsonb_array_elements(:batch) WITH ORDINALITY AS one(value, place)
    ORDER BY one.place
    """
).bindparams(bindparam("batch", type_=JSONB))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: 0..100, the phase (run or rollback), and the step that runs now."""

    progress: int
    phase: str
    current_step: str | None


class JobEvents:
    """The events of one job, from one attempt at it. `attempt` None hears whichever attempt runs."""

    def __init__(self, job: uuid.UUID, attempt: int | None = None) -> None:
        self.job = job
        self._attempt = attempt

    @classmethod
    def from_environment(cls) -> Self | None:
        """The job that TENANTRY_JOB names, with TENANTRY_JOB_ATTEMPT; None outside of one. Raises InputError."""
        name, attempt = os.environ.get(JOB_VARIABLE), os.environ.get(ATTEMPT_VARIABLE)
        if not name:
            return None
        try:
            return cls(uuid.UUID(name), int(attempt) if attempt else None)
        except ValueError:
            raise InputError(
                f"{JOB_VARIABLE} or {ATTEMPT_VARIABLE} is not a job's id and number",
                hint="the worker sets both; leave them out when running by hand",
            ) from None

    def begin(self, connection: Connection, deployment: uuid.UUID, steps: Sequence[Mapping[str, Any]]) -> None:
        """The job's deployment has begun, with these steps (rows of `deployment_steps`)."""
        if not self._heard(connection):
            return
        row = (
            connection.execute(
                update(jobs).where(jobs.c.id == self.job).values(deployment_id=deployment).returning(*JOB_COLUMNS)
            )
            .mappings()
            .one()
        )
        self._send(
            connection, [(EventKind.JOB, job_of(row).to_dict()), *((EventKind.STEP, _step(one)) for one in steps)]
        )

    def write(self, connection: Connection, items: Sequence[tuple[str, Any]]) -> None:
        """What happened, in order: ("step", row), ("progress", Progress), ("log", row)."""
        if not items or not self._heard(connection):
            return
        newest = max((place for place, (kind, _) in enumerate(items) if kind == "progress"), default=None)
        events = []
        for place, (kind, item) in enumerate(items):
            if kind != "progress":
                events.append(_event(kind, item))
            elif place == newest:
                events.append((EventKind.PROGRESS, self._advance(connection, item)))
        self._send(connection, events)

    def _advance(self, connection: Connection, newest: Progress) -> dict[str, Any]:
        """Writes the progress, which never goes backwards: an attempt that begins anew is not behind the last one."""
        statement = (
            update(jobs)
            .where(jobs.c.id == self.job)
            .values(progress=func.greatest(jobs.c.progress, newest.progress), current_step=newest.current_step)
            .returning(jobs.c.progress)
        )
        reached = connection.execute(statement).scalar_one()
        return {"progress": reached, "phase": newest.phase, "current_step": newest.current_step}

    def _heard(self, connection: Connection) -> bool:
        """Whether the job runs, in our attempt. Locks its row: nothing comes after the job's `end`."""
        statement = (
            select(jobs.c.attempts)
            .where(jobs.c.id == self.job, jobs.c.status == JobStatus.RUNNING)
            .with_for_update(key_share=True)
        )
        attempts = connection.execute(statement).scalar_one_or_none()
        return attempts is not None and self._attempt in {None, attempts}

    def _send(self, connection: Connection, events: Sequence[tuple[EventKind, Mapping[str, Any]]]) -> None:
        batch = [{"kind": kind.value, "data": storable(data)} for kind, data in events]
        connection.execute(_EVENTS, {"job": self.job, "batch": batch})


def _event(kind: str, row: Mapping[str, Any]) -> tuple[EventKind, Mapping[str, Any]]:
    return (EventKind.STEP, _step(row)) if kind == "step" else (EventKind.LOG, _without(row, "deployment_id"))


def _step(row: Mapping[str, Any]) -> dict[str, Any]:
    return _without(row, "deployment_id", "position")


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in json_safe(row).items() if key not in names}
