"""Step `settings`: the effective settings, in the cabinet's own table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.step import StepComponent
from providers.cabinet_settings import CabinetSettings


class Settings(StepComponent):
    def __init__(
        self,
        name: str,
        *,
        database: str,
        schema: str,
        template: str,
        settings: Mapping[str, Any],
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
        inside: pulumi.Resource | None = None,
    ) -> None:
        super().__init__("tenantry:cabinet:Settings", name, tenant=tenant, after=after, inside=inside)
        self.settings = CabinetSettings(
            name, database=database, schema=schema, template=template, settings=settings, opts=self.child_options()
        )
        self.register_outputs({"template": self.settings.template})
