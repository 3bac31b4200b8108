"""Translates the Automation API's engine events into run events and planned changes. Keeps no state."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from automation.objects import made_of
from automation.redaction import SIGNATURE, plain
from automation.steps import Done, Failed, RunEvent, Said, Started, Waiting
from providers.masking import MASK

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent, StepEventMetadata, StepEventStateMetadata

_EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?(?P<name>[A-Za-z_]\w*): (?P<text>.*)$", re.DOTALL)
NOISE = (
    "update failed",
    "preview failed",
    "destroy failed",
    "refresh failed",
    "resource operation failed",
    # The program's half of an error that the engine has told already.
    "Resource monitor has terminated",
)
"""How those errors begin that only say that there was another one."""
HIDDEN_KEYS = frozenset({"__provider", "__defaults", "__internal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyChange:
    """One property that changes; `before` or `after` is None where it is added or removed."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What a run would do to one resource. Secrets are masked by the engine already."""

    urn: str
    op: str
    type: str
    name: str
    step: str | None
    properties: tuple[PropertyChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: urn, op, type, name, step, properties [{path, before, after}]."""
        rows = [{"path": row.path, "before": row.before, "after": row.after} for row in self.properties]
        return {
            "urn": self.urn,
            "op": self.op,
            "type": self.type,
            "name": self.name,
            "step": self.step,
            "properties": rows,
        }


def run_event(event: EngineEvent, at: datetime, redact: Callable[[str], str]) -> RunEvent | None:
    """The run event in an engine event; None for what says nothing about steps."""
    if event.resource_pre_event is not None:
        data = event.resource_pre_event.metadata
        return Started(urn=data.urn, op=_op(data), custom=_custom(data), at=at)
    if event.res_outputs_event is not None:
        data = event.res_outputs_event.metadata
        missing = made_of(event)
        unready = redact(missing.reason) if missing is not None and not missing.ready else ""
        return Done(urn=data.urn, op=_op(data), custom=_custom(data), at=at, unready=unready)
    if event.res_op_failed_event is not None:
        data = event.res_op_failed_event.metadata
        return Failed(urn=data.urn, op=_op(data), at=at)
    if event.diagnostic_event is not None:
        said = event.diagnostic_event
        message = redact(clean(said.message))
        if not message or message.startswith(NOISE):
            return None
        if said.ephemeral:
            return Waiting(urn=said.urn or "", message=message, at=at)
        return Said(urn=said.urn or "", severity=said.severity, message=message, at=at)
    return None


def clean(message: str) -> str:
    """A diagnostic as a sentence: without colours, and of a Python traceback only what the exception says."""
    text = plain(message).strip()
    if "Traceback (most recent call last)" in text:
        lines = text.splitlines()
        last = max((i for i, line in enumerate(lines) if _EXCEPTION_LINE.match(line)), default=len(lines) - 1)
        text = "\n".join(line for line in lines[last:] if line.strip())
        text = re.sub(r"^(?:[A-Za-z_][\w.]*\.)?[A-Za-z_]\w*(?:Error|Exception|Refused|Failed)?: ", "", text, count=1)
    text = re.sub(r"^Exception calling application: ", "", text)
    return text.removeprefix("error: ").strip().removesuffix(".")


def planned_change(event: EngineEvent, step_of: Callable[[str], str | None]) -> PlannedChange | None:
    """The change that a resource-pre event announces; None for anything else and for `same`."""
    if event.resource_pre_event is None:
        return None
    data = event.resource_pre_event.metadata
    if _op(data) in {"same", "read", "refresh"} or data.type.startswith("pulumi:providers:"):
        return None
    return PlannedChange(
        urn=data.urn,
        op=_op(data),
        type=data.type,
        name=data.urn.rsplit("::", 1)[-1],
        step=step_of(data.urn),
        properties=tuple(property_changes(_inputs(data.old), _inputs(data.new))),
    )


def drifted(event: EngineEvent) -> tuple[str, str] | None:
    """(urn, what happened) for a resource that a refresh found changed or gone."""
    if event.res_outputs_event is None:
        return None
    data = event.res_outputs_event.metadata
    op = _op(data)
    if op in {"update", "delete"} and _custom(data) and not data.type.startswith("pulumi:providers:"):
        return data.urn, "changed" if op == "update" else "gone"
    return None


def stack_outputs(event: EngineEvent) -> Mapping[str, Any] | None:
    """The stack's outputs, which the engine tells once the program has exported them; its secrets are masked."""
    data = event.res_outputs_event.metadata if event.res_outputs_event is not None else None
    if data is None or data.type != "pulumi:pulumi:Stack" or data.new is None:
        return None
    return {key: MASK if _secret(value) else value for key, value in (data.new.outputs or {}).items()}


def _secret(value: object) -> bool:
    return isinstance(value, Mapping) and SIGNATURE in value


def called(urn: str) -> str:
    """How people are told of a resource: `Process finance`. All of a tenant's bear its name."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rsplit(':', 1)[-1].rsplit('/', 1)[-1]} {name}".strip()


def property_changes(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> list[PropertyChange]:
    """The leaves that differ between two nested mappings, in the order of their paths."""
    changes = []
    for key in sorted({*before, *after} - HIDDEN_KEYS):
        old, new = before.get(key), after.get(key)
        where = f"{path}.{key}" if path else key
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes.extend(property_changes(old, new, where))
        elif old != new:
            changes.append(PropertyChange(path=where, before=old, after=new))
    return changes


def _inputs(state: StepEventStateMetadata | None) -> Mapping[str, Any]:
    return (state.inputs if state is not None else None) or {}


def _op(data: StepEventMetadata) -> str:
    return str(getattr(data.op, "value", data.op))


def _custom(data: StepEventMetadata) -> bool:
    state = data.new or data.old
    return bool(state is not None and state.custom)
