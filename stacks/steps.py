"""The steps of a tenant's run, in order, and which step a resource belongs to.

Decides how a resource's step is found, for all lines; a line's own steps are in its own module, but for the cabinet's
(CAB-2). It never tracks a run: that is the automation's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `component_type` is None where no resource is involved: validation comes before all resources.

    `state` is what the line's requirements call the tenant while the step runs. `beside` are the keys of later steps
    that may begin while this one goes on. `seconds` is how long it may take, where it needs longer than others do.
    `optional`: none of its objects ever fails a run (see `StepState.unready` in `automation.steps`).
    """

    key: str
    title: str
    component_type: str | None
    state: str = ""
    beside: tuple[str, ...] = ()
    seconds: float | None = None
    optional: bool = False


def step_finder(steps: Iterable[Step]) -> Callable[[str], str | None]:
    """A function from a URN to the key of its step: the outermost step component in its chain of parents, else None.

    A URN is `urn:pulumi:<stack>::<project>::<parent types and type, joined by $>::<name>`.
    """
    by_type = {step.component_type: step.key for step in steps if step.component_type is not None}

    def find(urn: str) -> str | None:
        parts = urn.split("::", 3)
        if len(parts) != 4:
            return None
        return next((by_type[kind] for kind in parts[2].split("$") if kind in by_type), None)

    return find


TENANT_TYPE = "tenantry:cabinet:Cabinet"
STEPS: tuple[Step, ...] = (
    Step(key="validation", title="Data validation", component_type=None),
    Step(key="record", title="Cabinet record", component_type="tenantry:cabinet:Record"),
    Step(key="database", title="Cabinet database", component_type="tenantry:cabinet:Database"),
    Step(key="schema", title="Schema and tables", component_type="tenantry:cabinet:Schema"),
    Step(key="settings", title="Settings from template and overrides", component_type="tenantry:cabinet:Settings"),
    Step(key="activation", title="Activation", component_type="tenantry:cabinet:Activation"),
)

step_of = step_finder(STEPS)
