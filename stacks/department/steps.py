"""The steps of a department's run, in order, each with the state that it stands for (DEP-1).

Decides the steps' keys, titles and component types, and which states a run has gone through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.steps import Step, step_finder

STEPS: tuple[Step, ...] = (
    Step(key="validation", title="Validation", component_type=None, state="VALIDATING"),
    Step(
        key="record", title="Department record", component_type="tenantry:department:Record", state="CREATING_DATABASE"
    ),
    Step(
        key="database",
        title="Schema with row-level security",
        component_type="tenantry:department:TenantSchema",
        state="CREATING_DATABASE",
        beside=("credential",),
    ),
    Step(
        key="credential",
        title="OAuth credential",
        component_type="tenantry:department:Credential",
        state="CREATING_OAUTH",
    ),
    Step(
        key="container",
        title="Container",
        component_type="tenantry:department:Container",
        state="DEPLOYING_CONTAINER",
        beside=("workflows",),
        # Its platform fetches the image first.
        seconds=240,
    ),
    Step(
        key="workflows",
        title="Workflows",
        component_type="tenantry:department:Workflows",
        state="DEPLOYING_WORKFLOWS",
    ),
    Step(
        key="gateway", title="Gateway route", component_type="tenantry:department:Gateway", state="CONFIGURING_GATEWAY"
    ),
    Step(
        key="health",
        title="Health of each part",
        component_type="tenantry:department:Health",
        state="VALIDATING_DEPLOYMENT",
    ),
)

step_of = step_finder(STEPS)

STATES = (
    "PENDING",
    *dict.fromkeys(step.state for step in STEPS),
    *("COMPLETED", "FAILED", "ROLLING_BACK"),
)
"""All states, in the order in which a run that succeeds goes through them; then those of a run that fails."""

_Rows = Mapping[str, Mapping[str, Any]]
_BEGUN = frozenset({"running", "completed", "failed", "rolled_back"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A state, and since when (ISO 8601)."""

    state: str
    at: str


def states_of(
    run: str,
    steps: Iterable[Mapping[str, Any]],
    *,
    asked_at: str,
    ended_at: str | None,
    removal: bool = False,
    rolling_back: bool = False,
) -> tuple[Reached, ...]:
    """The states that a department went through, the one that it is in last. None is left out.

    `run` is the status of its job or deployment; steps are mappings with key, status, started_at and rolled_back_at.
    Parts are made side by side: a state is reached when its first part, or that of a later state, is begun. A removal
    makes nothing: once it is valid it rolls the department back. `rolling_back`: the run itself began to undo what it
    did. A step that has failed does not say so: it may be tried again, or left as it is.
    """
    known = {str(step["key"]): step for step in steps}
    reached = [Reached(state="PENDING", at=asked_at)]
    if removal:
        _removing(known, reached)
    else:
        _making(known, reached)
        stamps = [str(step["rolled_back_at"]) for step in known.values() if step.get("rolled_back_at")]
        # What was undone after the run's end was undone by another run, whose state it is.
        undone = [at for at in stamps if ended_at is None or at <= ended_at]
        if undone or rolling_back:
            _reach(reached, "ROLLING_BACK", min(undone, default=reached[-1].at))
    if run not in {"pending", "running"}:
        _reach(reached, "COMPLETED" if run == "succeeded" else "FAILED", ended_at or reached[-1].at)
    return tuple(reached)


def _making(known: _Rows, reached: list[Reached]) -> None:
    order = list(dict.fromkeys(step.state for step in STEPS))
    began = [_first(known, [step.key for step in STEPS if step.state == state]) for state in order]
    for index, state in enumerate(order):
        later = [at for at in began[index:] if at is not None]
        if later:
            _reach(reached, state, min(later))


def _removing(known: _Rows, reached: list[Reached]) -> None:
    parts = [step.key for step in STEPS if step.component_type is not None]
    removed = _first(known, parts)
    validated = _first(known, [step.key for step in STEPS if step.component_type is None])
    if first := min((at for at in (validated, removed) if at is not None), default=None):
        _reach(reached, "VALIDATING", first)
    if removed is not None:
        _reach(reached, "ROLLING_BACK", removed)


def _reach(reached: list[Reached], state: str, at: str) -> None:
    """Adds a state. It is never earlier than the one before, whatever the steps' own times say."""
    reached.append(Reached(state=state, at=max(at, reached[-1].at)))


def _first(known: _Rows, keys: Iterable[str]) -> str | None:
    """When the first of these steps was begun."""
    rows = [known[key] for key in keys if key in known and known[key]["status"] in _BEGUN]
    return min((str(row["started_at"]) for row in rows if row["started_at"] is not None), default=None)
