"""Step `activation`: the cabinet becomes active once all before it has succeeded."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.step import StepComponent
from providers.activation import CabinetActivation


class Activation(StepComponent):
    """`status` is `active`."""

    def __init__(
        self, name: str, *, slug: str, tenant_mark: str, tenant: pulumi.Resource, after: Sequence[pulumi.Resource]
    ) -> None:
        super().__init__("tenantry:cabinet:Activation", name, tenant=tenant, after=after)
        self.activation = CabinetActivation(name, slug=slug, tenant_mark=tenant_mark, opts=self.child_options())
        self.status = self.activation.status
        self.register_outputs({"status": self.status})
