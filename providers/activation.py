"""A cabinet's status in its row of the main database: active while this resource exists, inactive after.

Decides the columns `status` and `activated_at` and no others: the row itself is `providers.cabinet_record`'s.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.cabinet_record import on_cabinets
from providers.errors import MissingTableError, ProviderError
from providers.props import diff_of, required

if TYPE_CHECKING:
    import psycopg

IDENTITY = ("slug", "tenant_mark")
ACTIVE = "active"


class ActivationProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "status"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=("status",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["slug"]), _activated(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = on_cabinets(id_, lambda connection: _status(connection, id_, props["tenant_mark"]))
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_activated(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        # A table that is gone took the row along.
        with contextlib.suppress(MissingTableError):
            on_cabinets(_id, lambda connection: _deactivate(connection, _id, _props["tenant_mark"]))


class CabinetActivation(Resource, module="tenantry", name="CabinetActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(ActivationProvider(), name, props, opts)


def _activated(props: dict[str, Any]) -> dict[str, Any]:
    slug, mark = str(props["slug"]), str(props["tenant_mark"])

    def work(connection: psycopg.Connection[Any]) -> dict[str, Any]:
        connection.execute(
            "UPDATE cabinets SET status = 'active', activated_at = coalesce(activated_at, now()), updated_at = now() "
            "WHERE slug = %s AND tenant_mark = %s AND (status <> 'active' OR activated_at IS NULL)",
            (slug, mark),
        )
        outs = _status(connection, slug, mark)
        if outs is None:
            raise ProviderError(
                f"activation of {slug!r}: its row is gone from the main database. "
                "Run refresh, then up, to make it again."
            )
        return outs

    return on_cabinets(slug, work)


def _status(connection: psycopg.Connection[Any], slug: str, mark: str) -> dict[str, Any] | None:
    row = connection.execute(
        "SELECT status, to_char(activated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
        "FROM cabinets WHERE slug = %s AND tenant_mark = %s",
        (slug, mark),
    ).fetchone()
    if row is None:
        return None
    return {"slug": slug, "tenant_mark": mark, "status": row[0], **({"activated_at": row[1]} if row[1] else {})}


def _deactivate(connection: psycopg.Connection[Any], slug: str, mark: str) -> None:
    connection.execute(
        "UPDATE cabinets SET status = 'inactive', updated_at = now() "
        "WHERE slug = %s AND tenant_mark = %s AND status = 'active'",
        (slug, mark),
    )
