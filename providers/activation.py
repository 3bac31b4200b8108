"""A cabinet's status in its row of the main database: active while this resource exists, inactive after."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.cabinet_record import CABINETS
from providers.props import diff_of, required
from providers.record_table import ACTIVE, IDENTITY


class ActivationProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "status"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=("status",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        slug = str(props["slug"])
        return CreateResult(slug, CABINETS.activate(slug, str(props["tenant_mark"])))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        outs = CABINETS.status(id_, props["tenant_mark"])
        return ReadResult(id_, outs) if outs else ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(CABINETS.activate(str(_news["slug"]), str(_news["tenant_mark"])))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        CABINETS.deactivate(_id, _props["tenant_mark"])


class CabinetActivation(Resource, module="tenantry", name="CabinetActivation"):
    """`status` is `active`; `activated_at` is when it first became so (ISO 8601, UTC)."""

    status: pulumi.Output[str]
    activated_at: pulumi.Output[str]

    def __init__(self, name: str, *, slug: str, tenant_mark: str, opts: pulumi.ResourceOptions | None = None) -> None:
        props = {"slug": slug, "tenant_mark": tenant_mark, "status": ACTIVE, "activated_at": None}
        super().__init__(ActivationProvider(), name, props, opts)
