"""A department's row in the table `departments` of the main database: its data, and never its status."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required
from providers.record_table import IDENTITY, RecordTable

DEPARTMENTS = RecordTable(
    table="departments",
    noun="department",
    required=("name", "admin_email", "region", "retention", "schema_name"),
    optional=("template_id", "template_version"),
)


class DepartmentRecordProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *DEPARTMENTS.required))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=DEPARTMENTS.owned)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["slug"]), DEPARTMENTS.put(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = DEPARTMENTS.get(id_, props.get("tenant_mark"))
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(DEPARTMENTS.change(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        DEPARTMENTS.remove(_id, _props["tenant_mark"])


class DepartmentRecord(Resource, module="tenantry", name="DepartmentRecord"):
    """`record_id` is the row's uuid."""

    record_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DepartmentRecordProvider(), name, {**props, "record_id": None}, opts)
