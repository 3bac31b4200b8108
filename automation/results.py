"""What an operation answers: the record of a run, or the changes a preview found. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automation.engine_events import PlannedChange
from automation.errors import TenantryError
from automation.models import DeploymentStatus
from automation.steps import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run. `error` is what the command ends with, None when all went well.

    `outputs` are the stack's, after an `up` that succeeded: where the tenant is, and what it has. Secrets are masked.
    `partial` are the steps of which something optional is not ready, and is tried again by the next `up`; `requests`
    how many were sent to each server that counts them, by its name.
    `backup` is the one that a backup has made or a restore has put back: id, site, size in bytes, apps, store; the
    `note` of a restore says which apps it lacks. `kept` are those of what was there before: of a restore, and the last
    one of a tenant that was removed.
    """

    tenant: str
    operation: str
    deployment: str
    correlation_id: str
    engine: str
    status: DeploymentStatus
    state: RunState
    duration_ms: int
    error: TenantryError | None = None
    rolled_back_to: str | None = None
    leftovers: tuple[str, ...] = ()
    drift: dict[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    partial: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    backup: Mapping[str, Any] | None = None
    kept: tuple[Mapping[str, Any], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any resource was created, changed or deleted."""
        return any(count for op, count in self.state.changes.items() if op not in {"same", "read", "refresh"})

    def to_dict(self) -> dict[str, Any]:
        """The `result` document of `--json`, as docs/cli.md describes it."""
        return {
            "type": "result",
            "tenant": self.tenant,
            "operation": self.operation,
            "deployment": self.deployment,
            "correlation_id": self.correlation_id,
            "engine": self.engine,
            "status": self.status.value,
            "changed": self.changed,
            "changes": dict(self.state.changes),
            "progress": self.state.progress,
            "duration_ms": self.duration_ms,
            "steps": [step.to_dict() for step in self.state.steps],
            "partial": list(self.partial),
            "requests": dict(self.requests),
            "rolled_back_to": self.rolled_back_to,
            "leftovers": list(self.leftovers),
            "drift": [{"urn": urn, "what": what} for urn, what in self.drift.items()],
            "outputs": dict(self.outputs),
            **({"backup": dict(self.backup)} if self.backup is not None else {}),
            **({"kept": [dict(one) for one in self.kept]} if self.kept else {}),
            "error": self.error.to_dict() if self.error is not None else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewResult:
    """What an `up` would do."""

    tenant: str
    engine: str
    changes: tuple[PlannedChange, ...]
    counts: dict[str, int]

    @property
    def changed(self) -> bool:
        """Whether an `up` would do anything."""
        return bool(self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The `preview` document of `--json`."""
        return {
            "type": "preview",
            "tenant": self.tenant,
            "engine": self.engine,
            "changed": self.changed,
            "counts": self.counts,
            "changes": [change.to_dict() for change in self.changes],
        }
