"""A cabinet's row in the table `cabinets` of the main database: its data, and never its status (`activation`)."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required
from providers.record_table import IDENTITY, RecordTable

CABINETS = RecordTable(
    table="cabinets",
    noun="cabinet",
    required=("name", "street", "city", "postal_code", "country", "phone", "email"),
    optional=("template_id", "template_version", "database_name"),
)


class CabinetRecordProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *CABINETS.required))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=CABINETS.owned)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["slug"]), CABINETS.put(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = CABINETS.get(id_, props.get("tenant_mark"))
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(CABINETS.change(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        CABINETS.remove(_id, _props["tenant_mark"])


class CabinetRecord(Resource, module="tenantry", name="CabinetRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CabinetRecordProvider(), name, {**props, "record_id": None}, opts)
