"""The steps of a cabinet's run (CAB-2), in order, and which step a resource belongs to.

Decides the steps' keys, titles and component types. It never tracks a run: that is the automation's.
"""

from __future__ import annotations

from dataclasses import dataclass

TENANT_TYPE = "tenantry:cabinet:Cabinet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `component_type` is None where no resource is involved: validation comes before all resources."""

    key: str
    title: str
    component_type: str | None


STEPS: tuple[Step, ...] = (
    Step(key="validation", title="Data validation", component_type=None),
    Step(key="record", title="Cabinet record", component_type="tenantry:cabinet:Record"),
    Step(key="database", title="Cabinet database", component_type="tenantry:cabinet:Database"),
    Step(key="schema", title="Schema and tables", component_type="tenantry:cabinet:Schema"),
    Step(key="settings", title="Settings from template and overrides", component_type="tenantry:cabinet:Settings"),
    Step(key="activation", title="Activation", component_type="tenantry:cabinet:Activation"),
)

_BY_TYPE = {step.component_type: step.key for step in STEPS if step.component_type is not None}


def step_of(urn: str) -> str | None:
    """The key of the step that `urn` belongs to: the outermost step component in its chain of parents, else None.

    A URN is `urn:pulumi:<stack>::<project>::<parent types and type, joined by $>::<name>`.
    """
    parts = urn.split("::", 3)
    if len(parts) != 4:
        return None
    return next((_BY_TYPE[kind] for kind in parts[2].split("$") if kind in _BY_TYPE), None)
