"""A point of sale's row in the table `points_of_sale` of the main database: its data, and its status by a resource of
its own.

Decides that a point of sale stays in its region and its engine: elsewhere all of it would be made anew, and its company
removed here.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, Resource

from providers.record_provider import RecordProvider, StatusProvider, stays_in_region
from providers.record_table import ACTIVE, RecordTable

POINTS_OF_SALE = RecordTable(
    table="points_of_sale",
    noun="point of sale",
    required=("name", "region", "engine", "category", "country_code", "provisioning_type"),
    optional=("admin_email", "template_id", "template_version"),
)


class PosRecordProvider(RecordProvider):
    table = POINTS_OF_SALE

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        result = stays_in_region("point of sale", super().check(_olds, news), _olds, news)
        before, wanted = _olds.get("engine"), news.get("engine")
        if before is not None and wanted != before:
            reason = f"this point of sale is in {before}, and stays there: make another one for {wanted}"
            result.failures.append(CheckFailure("engine", reason))
        return result


class PosActivationProvider(StatusProvider):
    table = POINTS_OF_SALE


class PosRecord(Resource, module="tenantry", name="PosRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(PosRecordProvider(), name, {**props, "record_id": None}, opts)


class PosActivation(Resource, module="tenantry", name="PosActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(PosActivationProvider(), name, props, opts)
