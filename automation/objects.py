"""What a tenant has on servers that many share: each object by its name there, and whether it is there. Pure.

Decides which resources are such objects: those whose outputs say `ready` and `reason`, as the providers' documents do
(see "Severity on a declarative graph"). They are kept with the tenant, as its last runs told them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

_GONE = frozenset({"delete", "discard"})
_PASSING = frozenset({"delete-replaced", "read-replacement", "discard-replaced"})
"""Of a replacement: what is told of the new object counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One object. `name` is what its server calls it, empty before it is there; `reason` why it is not `ready`.

    `title` is what people call it, where its server knows it by a number. `ours`: a run of the tenant made it, and its
    removal takes it away.
    """

    urn: str
    kind: str
    name: str
    ready: bool
    reason: str
    ours: bool
    title: str = ""
    gone: bool = False


def made_of(event: EngineEvent) -> Made | None:
    """The object that an engine event tells of; None for what is none."""
    told = event.res_outputs_event
    if told is None:
        return None
    data = told.metadata
    op = str(getattr(data.op, "value", data.op))
    state = data.old if op in _GONE else data.new
    outputs = (state.outputs if state is not None else None) or {}
    ready, reason = outputs.get("ready"), outputs.get("reason")
    if op in _PASSING or not isinstance(ready, bool) or not isinstance(reason, str):
        return None
    return Made(
        urn=data.urn,
        kind=str(outputs.get("doctype") or outputs.get("model") or data.type.rsplit(":", 1)[-1]),
        name=str(outputs.get("docname") or outputs.get("reference") or ""),
        ready=ready,
        reason="" if ready else reason or "its server did not say why",
        ours=bool(outputs.get("mine", True)),
        title=_title(outputs),
        gone=op in _GONE,
    )


def _title(outputs: Mapping[str, Any]) -> str:
    """The name that a document of Odoo's was given, else the code by which it is found."""
    given = [one for part in ("named", "fields", "initial") if isinstance(one := outputs.get(part), Mapping)]
    texts = [one.get("name") for one in given] + [value for one in given[:1] for value in one.values()]
    return next((text for text in texts if isinstance(text, str) and text), "") if "reference" in outputs else ""


def kept(
    before: Iterable[Mapping[str, Any]] | None,
    told: Mapping[str, Made],
    *,
    step_of: Callable[[str], str | None],
    redact: Callable[[str], str],
) -> list[dict[str, Any]]:
    """The tenant's objects after a run: urn, step, kind, name, ready, reason, ours, title. What it told nothing of
    stays."""
    rows = {row["urn"]: dict(row) for row in before or ()}
    for urn, one in told.items():
        if one.gone:
            rows.pop(urn, None)
            continue
        rows[urn] = {
            "urn": urn,
            "step": step_of(urn),
            "kind": one.kind,
            "name": one.name or None,
            "ready": one.ready,
            "reason": redact(one.reason) or None,
            "ours": one.ours,
            **({"title": redact(one.title)} if one.title else {}),
        }
    return list(rows.values())
