"""The steps of a site's run, in order, each with its time budget.

Decides the steps' keys, titles, component types and seconds.
"""

from __future__ import annotations

from stacks.steps import Step, step_finder

TENANT_TYPE = "tenantry:site:Site"
SITE_SECONDS = 7200.0
"""What bench is given for a site and its apps, or for its last backup and its removal. How long each of its commands
may take is the region's to say (`site.seconds`): by default 900 s for the site, 1800 s for each app."""
STEPS: tuple[Step, ...] = (
    Step(key="validation", title="Validation", component_type=None),
    Step(key="record", title="Site record", component_type="tenantry:site:Record"),
    Step(key="site", title="Site and apps", component_type="tenantry:site:Bench", seconds=SITE_SECONDS),
    Step(key="activation", title="Activation", component_type="tenantry:site:Activation"),
)

step_of = step_finder(STEPS)
