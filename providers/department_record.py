"""A department's row in the table `departments` of the main database: its data, and never its status."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import Resource

from providers.record_provider import RecordProvider
from providers.record_table import RecordTable

DEPARTMENTS = RecordTable(
    table="departments",
    noun="department",
    required=("name", "admin_email", "region", "retention", "schema_name"),
    optional=("template_id", "template_version"),
)


class DepartmentRecordProvider(RecordProvider):
    table = DEPARTMENTS


class DepartmentRecord(Resource, module="tenantry", name="DepartmentRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DepartmentRecordProvider(), name, {**props, "record_id": None}, opts)
