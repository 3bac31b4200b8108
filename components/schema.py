"""Step `schema`: the cabinet's tables, from versioned SQL migrations."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.step import StepComponent
from providers.migrations import SchemaMigrations

BUNDLE = "cabinet"


class Schema(StepComponent):
    """`version` is the number of the last migration."""

    def __init__(
        self,
        name: str,
        *,
        tenant_mark: str,
        database: str,
        schema: str,
        app_role: str | None,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
        inside: pulumi.Resource | None = None,
    ) -> None:
        super().__init__("tenantry:cabinet:Schema", name, tenant=tenant, after=after, inside=inside)
        self.migrations = SchemaMigrations(
            name,
            tenant_mark=tenant_mark,
            database=database,
            schema=schema,
            bundle=BUNDLE,
            app_role=app_role,
            opts=self.child_options(),
        )
        self.version = self.migrations.version
        self.register_outputs({"version": self.version})
