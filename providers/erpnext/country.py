"""What ERPNext calls a country: its documents name it, such as Kenya, and a manifest has its code, such as KE.

Decides that a code which the site does not know is an error before anything is made. It changes nothing.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, Resource, ResourceProvider

from providers.erpnext.api import site_of
from providers.errors import ConfigurationError
from providers.props import diff_of, required


class CountryProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region", "code"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region", "code"), owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        code = str(props["code"]).lower()
        return CreateResult(f"country/{code}", {**props, "docname": _named(str(props["region"]), code)})


class Country(Resource, module="tenantry", name="ErpNextCountry"):
    """`docname` is the site's name for the country of a `code` of ISO 3166-1, such as KE."""

    docname: pulumi.Output[str]

    def __init__(self, name: str, *, region: str, code: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CountryProvider(), name, {"region": region, "code": code, "docname": None}, opts)


def _named(region: str, code: str) -> str:
    site, what = site_of(region), f"country {code.upper()!r}"
    rows = site.find("Country", [("code", "=", code)], what=what, fields=("name",))
    if not rows:
        raise ConfigurationError(
            f"{what}: {site.api.name} knows no country of that code. Add it there as a Country, or correct countryCode."
        )
    return str(rows[0]["name"])
