"""A department's status in its row of the main database: active while this resource exists, inactive after."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import Resource

from providers.department_record import DEPARTMENTS
from providers.record_provider import StatusProvider
from providers.record_table import ACTIVE


class DepartmentActivationProvider(StatusProvider):
    table = DEPARTMENTS


class DepartmentActivation(Resource, module="tenantry", name="DepartmentActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(DepartmentActivationProvider(), name, props, opts)
