"""Any record of Odoo as a dynamic resource: adopted or made by its mark, kept as far as it is ours.

Decides which of its fields have drifted, and that its removal is not optional: what stays behind is said. What is done
to a record is decided in `lifecycle`. A typed resource is this provider with other inputs, and with hooks of its own.
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

from providers.odoo.api import Odoo, Row, odoo_at
from providers.odoo.lifecycle import ensure, look, remove, resolved
from providers.odoo.standing import inside
from providers.odoo.wanted import Wanted, Whose, kept_of, seen, wanted_of
from providers.optional import tried
from providers.props import altered, diff_of, required

IDENTITY = ("region", "tenant_mark", "model", "key", "named", "company")
OWNED = ("fields", "ready")
KNOWN = ("record_id", "reference", "created", "server")


class RecordProvider(ResourceProvider):
    serialize_as_secret_always = False
    seconds: ClassVar[float | None] = None
    """What making one may take, where that is longer than any other call."""
    also: ClassVar[tuple[str, ...]] = ()
    """Further fields to read."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        result = required(news, ("region", "tenant_mark", "model", "key", "whose", "named"))
        self._checked(result, olds, news)
        return result

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(wanted_of(props).full_mark, self._tried({}, props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if not props.get("ready", True):
            return ReadResult(id_, props)
        # Of an archived company nothing is seen: it is as it was, until the company is taken up again.
        asis, gone = ReadResult(id_, props), ReadResult("", {})
        wanted, odoo = wanted_of(props), odoo_at(str(props["region"]))
        return inside(odoo, wanted.company, lambda: self._seen(id_, props), what=wanted.what, gone=gone, archived=asis)

    def _seen(self, id_: str, props: dict[str, Any]) -> ReadResult:
        odoo, wanted = kept_at(props), wanted_of(props)
        found = look(odoo, wanted, kept_of(props), also=self.also)
        if found is None:
            return ReadResult("", {})
        known = resolved(odoo, wanted, {name: wanted.fields[name] for name in wanted.codes if name in wanted.fields})
        outs = {**props, **self._outs(odoo, wanted, found.record), "fields": seen(found.record, wanted.fields, known)}
        # Without its mark it is the tenant's no more for whoever looks next: the next up gives it back.
        return ReadResult(id_, outs if found.marked else {**outs, "ready": False})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._tried(_olds, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        wanted, odoo = wanted_of(_props), odoo_at(str(_props["region"]))
        # What is in a company that was archived stays with it.
        inside(odoo, wanted.company, lambda: self._removed(_props), what=wanted.what, gone=None, archived=None)

    def _removed(self, props: Mapping[str, Any]) -> None:
        odoo, wanted = kept_at(props), wanted_of(props)
        remove(odoo, wanted, kept_of(props), before=lambda found: self._cleared(odoo, wanted, found))

    def _tried(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs. An optional one never fails."""
        return tried(olds, news, lambda: self._brought_up(olds, news), known=KNOWN)

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        odoo = kept_at(olds) if olds.get("record_id") else odoo_at(str(news["region"]))
        wanted = wanted_of(news)
        found = ensure(odoo, wanted, kept_of(olds), also=self.also, seconds=self.seconds)
        return self._outs(odoo, wanted, found)

    def _outs(self, odoo: Odoo, wanted: Wanted, found: Row) -> dict[str, Any]:
        known = {"record_id": found["id"], "created": found.get("create_date"), "server": odoo.server}
        return {**known, "reference": f"{wanted.model},{found['id']}", **self._told(found)}

    def _checked(self, result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
        """Failures of a typed resource's own."""

    def _told(self, _found: Row) -> Mapping[str, Any]:
        """Further outputs, from the record as it is."""
        return {}

    def _cleared(self, _odoo: Odoo, _wanted: Wanted, _found: Row) -> None:
        """What stands in the way of the record's removal is gone, as far as it is the tenant's."""


class Common(TypedDict, total=False):
    """What all of a tenant's records are given. `optional`: it never fails, see `providers.optional`."""

    region: Required[str]
    tenant_mark: Required[str]
    optional: bool
    opts: pulumi.ResourceOptions | None


class Record(Resource, module="tenantry", name="OdooRecord"):
    """`record_id` is its id in Odoo, `reference` how Odoo writes it, such as `res.company,5`. `ready` is false where an
    optional one could not be made, `reason` why."""

    record_id: pulumi.Output[int]
    reference: pulumi.Output[str]
    ready: pulumi.Output[bool]
    reason: pulumi.Output[str]
    provider: ClassVar[type[RecordProvider]] = RecordProvider
    outputs: ClassVar[tuple[str, ...]] = ()
    """Further outputs of a typed resource."""

    def __init__(
        self,
        name: str,
        *,
        model: str,
        key: str,
        whose: Whose,
        named: Mapping[str, pulumi.Input[Any]],
        fields: Mapping[str, pulumi.Input[Any]] | None = None,
        initial: Mapping[str, pulumi.Input[Any]] | None = None,
        codes: Mapping[str, tuple[str, str]] | None = None,
        company: pulumi.Input[int] | None = None,
        needs: tuple[str, ...] = (),
        **common: Unpack[Common],
    ) -> None:
        """As `providers.odoo.wanted.Wanted` says them."""
        props: dict[str, Any] = {
            "region": common["region"],
            "tenant_mark": common["tenant_mark"],
            "model": model,
            "key": key,
            "whose": str(whose),
            "named": dict(named),
            "fields": dict(fields or {}),
            "initial": dict(initial or {}),
            "codes": {field: list(pair) for field, pair in (codes or {}).items()},
            "company": company,
            # Pulumi drops what an Output does not give.
            "needs": sorted({*named, *needs}),
            "optional": common.get("optional", False),
            "ready": True,
        }
        told = dict.fromkeys((*KNOWN, "reason", *self.outputs))
        super().__init__(self.provider(), name, {**told, **props}, common.get("opts"))


def kept_at(props: Mapping[str, Any]) -> Odoo:
    """The region's database, which has the record. Raises ConfigurationError where that is in another."""
    odoo, wanted, kept = odoo_at(str(props["region"])), wanted_of(props), kept_of(props)

    def there() -> bool:
        return look(odoo, wanted, kept) is not None

    odoo.check_kept(props.get("server") if kept.id else None, what=wanted.what, there=there)
    return odoo


def stays(result: CheckResult, olds: Mapping[str, Any], news: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Fails for each of `names` that a change would alter, though it has to stay."""
    before, wanted = _given(olds), _given(news)
    for name in names:
        if altered(before.get(name), wanted.get(name)):
            reason = f"it stays as it is ({before[name]!r}): make another tenant for {wanted[name]!r}"
            result.failures.append(CheckFailure(name, reason))


def _given(props: Mapping[str, Any]) -> dict[str, Any]:
    parts = (props.get(name) for name in ("named", "initial", "fields"))
    # Of a preview, one that holds an Output is unknown as a whole.
    return {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}
