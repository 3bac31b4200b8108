"""The steps of a point of sale's run, in order, under the keys that its users know (POS-3).

Decides the steps' keys, titles, component types and severities. A step that is optional as a whole never fails a run:
the tenant ends PARTIAL, and its next `up` tries the step again. Of the warehouses only the POS Store is optional.
"""

from __future__ import annotations

from stacks.steps import Step, step_finder

TENANT_TYPE = "tenantry:pos:PointOfSale"
STEPS: tuple[Step, ...] = (
    Step(key="step_0_engine_check", title="Engine check", component_type="tenantry:pos:EngineCheck"),
    # ERPNext makes a company with all its accounts in one request.
    Step(key="step_2_company", title="Company", component_type="tenantry:pos:Company", seconds=120),
    Step(
        key="step_3_chart_of_accounts",
        title="Chart of accounts",
        component_type="tenantry:pos:ChartOfAccounts",
        beside=("step_4_warehouses", "step_5_settings", "step_6_items", "step_7_customer"),
    ),
    Step(
        key="step_4_warehouses",
        title="Warehouses",
        component_type="tenantry:pos:Warehouses",
        beside=("step_5_settings", "step_6_items", "step_7_customer"),
    ),
    Step(
        key="step_5_settings",
        title="Selling and stock settings",
        component_type="tenantry:pos:Settings",
        beside=("step_6_items", "step_7_customer"),
        optional=True,
    ),
    Step(
        key="step_6_items",
        title="Demo items",
        component_type="tenantry:pos:Items",
        beside=("step_7_customer",),
        optional=True,
    ),
    Step(key="step_7_customer", title="Walk-in customer", component_type="tenantry:pos:Customer"),
    Step(key="step_8_pos_profile", title="POS profile", component_type="tenantry:pos:Profile"),
    Step(key="step_9_pos_session", title="Open session", component_type="tenantry:pos:Session", optional=True),
)

step_of = step_finder(STEPS)
OPTIONAL: tuple[str, ...] = tuple(step.key for step in STEPS if step.optional)
"""The steps that a manifest may leave out."""
