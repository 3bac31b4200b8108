"""The two dynamic providers of a tenant's row, for all lines: its data, and its status. Each line names its own table.

Decides nothing: what is written is decided in `record_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from providers.props import diff_of, required
from providers.record_table import IDENTITY, RecordTable


class RecordProvider(ResourceProvider):
    """The row's data, and never its status."""

    serialize_as_secret_always = False
    table: ClassVar[RecordTable]

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *self.table.required))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=self.table.owned)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["slug"]), self.table.put(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = self.table.get(id_, props.get("tenant_mark"))
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self.table.change(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        self.table.remove(_id, _props["tenant_mark"])


def stays_in_region(noun: str, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> CheckResult:
    """`result` with a failure where the tenant would move: elsewhere all of it would be made anew."""
    before, wanted = olds.get("region"), news.get("region")
    if before is not None and wanted != before:
        reason = (
            f"this {noun} is in {before}, and its data would be lost on the way to {wanted}: leave it there, "
            f"or make another {noun} and move the data"
        )
        result.failures.append(CheckFailure("region", reason))
    return result


class StatusProvider(ResourceProvider):
    """The row's status: active while the resource exists, inactive after."""

    serialize_as_secret_always = False
    table: ClassVar[RecordTable]

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "status"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=("status",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        slug = str(props["slug"])
        return CreateResult(slug, self.table.activate(slug, str(props["tenant_mark"])))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = self.table.status(id_, props["tenant_mark"])
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self.table.activate(str(_news["slug"]), str(_news["tenant_mark"])))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        self.table.deactivate(_id, _props["tenant_mark"])
