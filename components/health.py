"""Step `health`: the department is done when each of its parts works as its users use it; then it is active.

Decides nothing about what works: `providers.health` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.step import StepComponent
from providers.department_activation import DepartmentActivation
from providers.department_health import DepartmentHealth


class Health(StepComponent):
    """`status` is `active`. `parts` are the inputs of DepartmentHealth."""

    def __init__(
        self,
        name: str,
        *,
        slug: str,
        region: str,
        tenant_mark: str,
        parts: Mapping[str, Any],
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:department:Health", name, tenant=tenant, after=after)
        props = {"tenant_mark": tenant_mark, "region": region, **parts}
        self.health = DepartmentHealth(name, props, self.child_options())
        self.activation = DepartmentActivation(
            name, slug=slug, tenant_mark=tenant_mark, opts=self.child_options(self.health)
        )
        self.status = self.activation.status
        self.register_outputs({"status": self.status})
