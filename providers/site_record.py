"""A site's row in the table `sites` of the main database: its data, and its status by a resource of its own.

Decides that a site stays in its region: elsewhere it would be made anew, and its data removed here.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, Resource

from providers.record_provider import RecordProvider, StatusProvider, stays_in_region
from providers.record_table import ACTIVE, RecordTable

SITES = RecordTable(
    table="sites",
    noun="site",
    required=("name", "region", "host"),
    optional=("admin_email", "template_id", "template_version"),
)


class SiteRecordProvider(RecordProvider):
    table = SITES

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return stays_in_region("site", super().check(_olds, news), _olds, news)


class SiteActivationProvider(StatusProvider):
    table = SITES


class SiteRecord(Resource, module="tenantry", name="SiteRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(SiteRecordProvider(), name, {**props, "record_id": None}, opts)


class SiteActivation(Resource, module="tenantry", name="SiteActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(SiteActivationProvider(), name, props, opts)
