"""Settings of a tenant's selling and stock: fields of its own company, read, merged, written only if one differs.

Decides that no setting is shared between tenants: what Odoo keeps per database, such as its system parameters and the
rights of its groups, is not touched. All of them go with the company.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import ProviderError
from providers.odoo.api import Odoo, odoo_at
from providers.odoo.company import MODEL
from providers.odoo.standing import inside
from providers.odoo.wanted import changes, plain, seen, written
from providers.optional import tried
from providers.props import diff_of, required


class SettingsProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "company", "fields"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region", "company"), owned=("fields", "ready"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"settings/{int(props['company'])}", _tried({}, props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if not props.get("ready", True):
            return ReadResult(id_, props)
        odoo, asis, gone = odoo_at(str(props["region"])), ReadResult(id_, props), ReadResult("", {})
        company = int(props["company"])
        return inside(odoo, company, lambda: self._seen(id_, props), what=_what(props), gone=gone, archived=asis)

    def _seen(self, id_: str, props: dict[str, Any]) -> ReadResult:
        found = _found(odoo_at(str(props["region"])), props)
        if found is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "fields": seen(found, props["fields"], {})})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_tried(_olds, _news))


class Settings(Resource, module="tenantry", name="OdooSettings"):
    """`fields` are the company's, such as `point_of_sale_update_stock_quantities`."""

    ready: pulumi.Output[bool]
    reason: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        company: pulumi.Input[int],
        fields: Mapping[str, pulumi.Input[Any]],
        optional: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"region": region, "company": company, "fields": dict(fields), "optional": optional, "ready": True}
        super().__init__(SettingsProvider(), name, {"reason": None, **props}, opts)


def _tried(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    return tried(olds, news, lambda: _brought_up(news), known=())


def _brought_up(news: Mapping[str, Any]) -> dict[str, Any]:
    odoo, company = odoo_at(str(news["region"])), int(news["company"])
    found = _found(odoo, news)
    if found is None:
        raise ProviderError(f"{_what(news)}: the company is not there. Run refresh, then up, to make it again.")
    differing = changes(found, news["fields"])
    if differing:
        odoo.write(MODEL, [company], written(differing), what=_what(news), company=company)
    return {}


def _found(odoo: Odoo, props: Mapping[str, Any]) -> dict[str, Any] | None:
    company, fields = int(props["company"]), sorted(props["fields"])
    rows = odoo.search(MODEL, [("id", "=", company)], fields, what=_what(props), company=company, limit=1)
    return {name: plain(value) for name, value in rows[0].items()} if rows else None


def _what(props: Mapping[str, Any]) -> str:
    return f"the settings of company {int(props['company'])}"
