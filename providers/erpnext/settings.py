"""Settings of the site, of which there is one set for all tenants: read, merged, written only if a field differs.

Decides that a field which names something of the tenant's, such as a default warehouse, is let go before that goes
(ERPNext would refuse to delete it), if it still names it. All other fields stay as they are when the tenant goes: which
value another tenant has come to rely on, nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult

from providers.erpnext.document import Common, Document, DocumentProvider, kept_site
from providers.erpnext.lifecycle import edited
from providers.erpnext.wanted import Whose, same, wanted_of


class SettingsProvider(DocumentProvider):
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        site, wanted = kept_site(_props), wanted_of(_props)
        names = _props.get("release") or ()
        found = site.get(wanted.doctype, wanted.doctype, what=wanted.what) if names else None
        if found is None:
            return

        def released(now: Mapping[str, Any]) -> dict[str, Any]:
            return {name: None for name in names if same(now.get(name), wanted.fields.get(name))}

        edited(site, wanted, {**found, "name": wanted.doctype}, released)

    def _checked(self, result: CheckResult, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        fields = news.get("fields") or {}
        # Of a preview, fields that hold an Output are unknown as a whole.
        for name in (news.get("release") or ()) if isinstance(fields, Mapping) else ():
            if name not in fields:
                result.failures.append(
                    CheckFailure("release", f"{name} is not among fields: give only what is set here")
                )


class Settings(Document, module="tenantry", name="ErpNextSettings"):
    """`doctype` is such as `Selling Settings`; `release` are the fields that name something of the tenant's own."""

    provider = SettingsProvider

    def __init__(
        self,
        name: str,
        *,
        doctype: str,
        fields: Mapping[str, pulumi.Input[Any]],
        release: Sequence[str] = (),
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype=doctype,
            key={},
            whose=Whose.SINGLE,
            named=doctype,
            fields=fields,
            more={"release": list(release)},
            **common,
        )
