"""A cabinet's row in the table `cabinets` of the main database: its data, and never its status (`activation`)."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import Resource

from providers.record_provider import RecordProvider
from providers.record_table import RecordTable

CABINETS = RecordTable(
    table="cabinets",
    noun="cabinet",
    required=("name", "street", "city", "postal_code", "country", "phone", "email"),
    optional=("template_id", "template_version", "database_name"),
)


class CabinetRecordProvider(RecordProvider):
    table = CABINETS


class CabinetRecord(Resource, module="tenantry", name="CabinetRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CabinetRecordProvider(), name, {**props, "record_id": None}, opts)
