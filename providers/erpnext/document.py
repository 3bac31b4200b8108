"""Any document of ERPNext as a dynamic resource: adopted or made by its natural key, kept as far as it is ours.

Decides what an `optional` one does that fails: it records that it is not ready and why, and by that differs, so that
the next up tries again (see "Severity on a declarative graph"). Its removal is not optional: what stays behind is said.
One of another key is made beside the one of before, which goes last: until then what needs it links to it.
What is done to a document is decided in `lifecycle` and `removal`. A typed resource is this provider with other inputs,
and with `_prepared` or `_told` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Required, TypedDict, Unpack

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.erpnext.api import Site, site_of
from providers.erpnext.lifecycle import ensure, look
from providers.erpnext.merging import seen
from providers.erpnext.removal import in_anothers, remove
from providers.erpnext.wanted import Wanted, Whose, is_beside, is_mine, kept_of, wanted_of
from providers.optional import tried
from providers.props import diff_of, differing, required

IDENTITY = ("region", "tenant_mark", "doctype", "key", "named")
OWNED = ("fields", "docstatus", "ready")


class DocumentProvider(ResourceProvider):
    serialize_as_secret_always = False
    seconds: ClassVar[float | None] = None
    """What making one may take, where that is longer than any other call."""
    known: ClassVar[tuple[str, ...]] = ("docname", "creation", "mine", "server")
    """Outputs that an optional one which fails keeps as they were."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        result = required(news, ("region", "tenant_mark", "doctype", "whose"))
        if news.get("whose") != Whose.SINGLE and not news.get("key") and not news.get("named"):
            result.failures.append(CheckFailure("key", "key is required: give the fields that it is found by"))
        self._checked(result, olds, news)
        return result

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        found = diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)
        # What is submitted is not changed any more: it is cancelled, and made anew. What is not there yet is no matter.
        if _news.get("submit") and _olds.get("ready", True) and (changed := differing(_olds, _news, ("fields",))):
            return DiffResult(changes=True, replaces=[*(found.replaces or ()), *changed], delete_before_replace=True)
        if found.replaces and not _news.get("submit") and is_beside(_olds, _news):
            return DiffResult(changes=True, replaces=found.replaces, delete_before_replace=False)
        return found

    def create(self, props: dict[str, Any]) -> CreateResult:
        wanted = wanted_of(props)
        return CreateResult(f"{wanted.doctype}/{wanted.named or _key_text(wanted)}", self._tried({}, props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        wanted, kept = wanted_of(props), kept_of(props)
        if not props.get("ready", True):
            return ReadResult(id_, props)
        site = kept_site(props)
        found = look(site, wanted, kept)
        mine = found is not None and is_mine(found, wanted, kept) and not in_anothers(site, wanted, kept, found)
        if found is None or (not mine and wanted.whose in {Whose.MARKED, Whose.COMPANY}):
            return ReadResult("", {})
        outs = {**props, **self._outs(site, found, mine), "fields": seen(found, wanted, mine=mine)}
        return ReadResult(id_, {**outs, "docstatus": found.get("docstatus")} if wanted.submit else outs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._tried(_olds, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        remove(kept_site(_props), wanted_of(_props), kept_of(_props))

    def _tried(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs. An optional one never fails."""
        return tried(olds, news, lambda: self._brought_up(olds, news), known=self.known)

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        site = kept_site(olds) if olds.get("docname") else site_of(str(news["region"]))
        wanted = wanted_of(news)

        def body() -> Mapping[str, Any]:
            return self._prepared(site, wanted, news)

        placed = ensure(site, wanted, kept_of(olds), body=body, seconds=self.seconds)
        return self._outs(site, placed.found, placed.mine)

    def _outs(self, site: Site, found: Mapping[str, Any], mine: bool) -> dict[str, Any]:
        known = {"docname": found["name"], "creation": found.get("creation"), "mine": mine, "server": site.server}
        return {**known, **self._told(found)}

    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        """Failures of a typed resource's own."""

    def _prepared(self, _site: Site, wanted: Wanted, _props: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the document is made of. May ask the site."""
        return wanted.body

    def _told(self, _found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Further outputs, from the document as it is."""
        return {}


class Common(TypedDict, total=False):
    """What all of a tenant's documents are given. `within` is as in `Wanted`; `optional`: it never fails, see above."""

    region: Required[str]
    tenant_mark: Required[str]
    within: pulumi.Input[Mapping[str, Any]]
    optional: bool
    opts: pulumi.ResourceOptions | None


class Document(Resource, module="tenantry", name="ErpNextDocument"):
    """`docname` is its name in ERPNext, `ready` false where an optional one could not be made, `reason` why.

    `creation` is when it was made, as ERPNext writes it.
    """

    docname: pulumi.Output[str]
    creation: pulumi.Output[str]
    ready: pulumi.Output[bool]
    reason: pulumi.Output[str]
    mine: pulumi.Output[bool]
    provider: ClassVar[type[DocumentProvider]] = DocumentProvider
    also: ClassVar[tuple[str, ...]] = ()
    """Further outputs of a typed resource."""

    def __init__(
        self,
        name: str,
        *,
        doctype: str,
        key: Mapping[str, pulumi.Input[Any]],
        whose: Whose,
        named: pulumi.Input[str] | None = None,
        fields: Mapping[str, pulumi.Input[Any]] | None = None,
        initial: Mapping[str, pulumi.Input[Any]] | None = None,
        tables: Mapping[str, str] | None = None,
        mark_field: str | None = None,
        submit: bool = False,
        more: Mapping[str, pulumi.Input[Any]] | None = None,
        **common: Unpack[Common],
    ) -> None:
        """As `providers.erpnext.wanted.Wanted` says them. `more` are inputs of a typed provider's own."""
        props: dict[str, Any] = {
            "region": common["region"],
            "tenant_mark": common["tenant_mark"],
            "doctype": doctype,
            "key": dict(key),
            # Pulumi drops what an Output does not give.
            "needs": sorted(key),
            "whose": str(whose),
            "named": named,
            "fields": dict(fields or {}),
            "initial": dict(initial or {}),
            "tables": dict(tables or {}),
            "mark_field": mark_field,
            "submit": submit,
            "within": common.get("within") or {},
            "optional": common.get("optional", False),
            "docstatus": 1 if submit else None,
            "ready": True,
            **(more or {}),
        }
        outputs = dict.fromkeys(("docname", "reason", "mine", "creation", "server", *self.also))
        super().__init__(self.provider(), name, {**outputs, **props}, common.get("opts"))


def kept_site(props: Mapping[str, Any]) -> Site:
    """The region's site, which has the document. Raises ConfigurationError where that is on another."""
    site, wanted, kept = site_of(str(props["region"])), wanted_of(props), kept_of(props)

    def there() -> bool:
        found = look(site, wanted, kept)
        return found is not None and (is_mine(found, wanted, kept) or not kept.mine)

    site.check_kept(props.get("server") if kept.name else None, what=wanted.what, there=there)
    return site


def _key_text(wanted: Wanted) -> str:
    return "/".join(str(value) for _, value in sorted(wanted.key.items()))
