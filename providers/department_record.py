"""A department's row in the table `departments` of the main database: its data, and never its status.

Decides that a department stays in its region: elsewhere all of it would be made anew, and its data removed here.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, Resource

from providers.names import workflow_versions
from providers.record_provider import RecordProvider, stays_in_region
from providers.record_table import RecordTable

DEPARTMENTS = RecordTable(
    table="departments",
    noun="department",
    required=("name", "admin_email", "region", "retention", "schema_name"),
    optional=("template_id", "template_version", "workflows"),
)
"""`workflows` are `id@version` of each workflow's template."""


def built_from(slug: str, mark: str) -> tuple[tuple[str, str] | None, dict[str, str]]:
    """The template (id, version) in the department's record, and by id the versions of its workflows' templates."""
    row = DEPARTMENTS.get(slug, mark) or {}
    name, version = row.get("template_id"), row.get("template_version")
    return (str(name), str(version)) if name and version else None, workflow_versions(row.get("workflows"))


class DepartmentRecordProvider(RecordProvider):
    table = DEPARTMENTS

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return stays_in_region("department", super().check(_olds, news), _olds, news)


class DepartmentRecord(Resource, module="tenantry", name="DepartmentRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DepartmentRecordProvider(), name, {**props, "record_id": None}, opts)
