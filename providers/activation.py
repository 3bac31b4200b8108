"""A cabinet's status in its row of the main database: active while this resource exists, inactive after."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import Resource

from providers.cabinet_record import CABINETS
from providers.record_provider import StatusProvider
from providers.record_table import ACTIVE


class ActivationProvider(StatusProvider):
    table = CABINETS


class CabinetActivation(Resource, module="tenantry", name="CabinetActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(ActivationProvider(), name, props, opts)
