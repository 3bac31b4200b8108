"""The steps of an ISP's run, in order, each with its time budget (ISP-5).

Decides the steps' keys, titles, component types and seconds.
"""

from __future__ import annotations

from stacks.steps import Step, step_finder

TENANT_TYPE = "tenantry:isp:Isp"
STEPS: tuple[Step, ...] = (
    Step(key="validation", title="Validation", component_type=None),
    Step(key="record", title="ISP record", component_type="tenantry:isp:Record"),
    Step(
        key="infrastructure",
        title="Namespace, volumes and network",
        component_type="tenantry:isp:Infrastructure",
        # The database is made meanwhile: the container, which comes next, needs both.
        beside=("configuration",),
        seconds=60,
    ),
    Step(key="container", title="Container", component_type="tenantry:isp:Container", seconds=90),
    Step(
        key="configuration",
        title="Database, certificate and ingress",
        component_type="tenantry:isp:Configuration",
        seconds=45,
    ),
    Step(key="health", title="Health and smoke tests", component_type="tenantry:isp:Health", seconds=45),
)

step_of = step_finder(STEPS)
