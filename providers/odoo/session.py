"""A till's open session: one for each point of sale, adopted whoever opened it.

Decides what an open one is. Odoo refuses a second one by itself. Where a till is paid in cash, a new one waits for the
drawer to be counted (`opening_control`): it is opened with nothing in it. One that was closed at the end of a day is no
open one: after a refresh, the next up opens another. Its removal takes an open one that has sold nothing; a closed one
stays, as Odoo's record of the day, until its till goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import NotReadyError
from providers.odoo.api import Odoo, Row, odoo_at
from providers.odoo.errors import InvalidError, OdooError, SessionOpenError, TillMissingError
from providers.odoo.lifecycle import sent, unlinked
from providers.odoo.standing import inside
from providers.odoo.till import SESSIONS, check_unsold
from providers.optional import tried
from providers.props import diff_of, required

OPENED, COUNTING, CLOSING = "opened", "opening_control", "closing_control"
_KNOWN = ("session", "reference", "session_id", "state", "opened_at")
_FIELDS = ("name", "state", "start_at", "user_id")
_RENAMED = 18
"""From this version on the method that opens a counted drawer is set_opening_control, before set_cashbox_pos."""


class PosSessionProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region",))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region", "company", "till"), owned=("ready",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{SESSIONS}/{props.get('till')}", _tried({}, props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if not props.get("ready", True):
            return ReadResult(id_, props)
        odoo, asis, gone = odoo_at(str(props["region"])), ReadResult(id_, props), ReadResult("", {})

        def seen() -> ReadResult:
            found = _open(odoo, props)
            return ReadResult(id_, {**props, **_outs(found), "ready": found["state"] == OPENED}) if found else gone

        return inside(odoo, int(props["company"]), seen, what=_what(props), gone=gone, archived=asis)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_tried(_olds, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        if not _props.get("till"):
            return
        odoo, company = odoo_at(str(_props["region"])), int(_props["company"])

        def removed() -> None:
            found = _open(odoo, _props)
            if found is not None:
                check_unsold(odoo, _what(_props), [found["id"]], company=company)
                unlinked(odoo, SESSIONS, [found["id"]], what=_what(_props), company=company)

        inside(odoo, company, removed, what=_what(_props), gone=None, archived=None)


class PosSession(Resource, module="tenantry", name="OdooPosSession"):
    """`session` is its name in Odoo, `state` opened. `ready` is false where an optional one is not, `reason` why."""

    session: pulumi.Output[str]
    reference: pulumi.Output[str]
    session_id: pulumi.Output[int]
    state: pulumi.Output[str]
    opened_at: pulumi.Output[str]
    ready: pulumi.Output[bool]
    reason: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        till: pulumi.Input[int],
        company: pulumi.Input[int],
        optional: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        outputs = dict.fromkeys((*_KNOWN, "reason"))
        props = {"region": region, "till": till, "company": company, "optional": optional, "ready": True}
        super().__init__(PosSessionProvider(), name, {**outputs, **props}, opts)


def _tried(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    return tried(olds, news, lambda: _brought_up(news), known=_KNOWN)


def _brought_up(news: Mapping[str, Any]) -> dict[str, Any]:
    if not news.get("till"):
        raise NotReadyError(f"{SESSIONS}: it waits for its point of sale, which is not ready.")
    odoo = odoo_at(str(news["region"]))
    found = _open(odoo, news) or _created(odoo, news)
    if found["state"] == COUNTING:
        found = _counted(odoo, news, found)
    if found["state"] == CLOSING:
        raise SessionOpenError(
            f"{_what(news)}: the session {found['name']} is being closed, and Odoo lets no second one be. Finish "
            "closing it in Odoo, then retry."
        )
    return _outs(found)


def _created(odoo: Odoo, news: Mapping[str, Any]) -> Row:
    company, what = int(news["company"]), _what(news)
    tills = odoo.search("pos.config", [("id", "=", int(news["till"]))], ["id"], what=what, company=company, limit=1)
    if not tills:
        raise TillMissingError(f"{what}: {odoo.api.name} has no such point of sale. Run up to make it.")

    def create() -> Row:
        made = odoo.call(SESSIONS, "create", {"config_id": int(news["till"])}, what=what, company=company)
        found = _open(odoo, news)
        if found is None:
            raise NotReadyError(f"{what}: the session that was just opened is closed already. Run refresh, then up.")
        if found["id"] != made and isinstance(made, int):
            # Two came at the same moment: the older one stays.
            unlinked(odoo, SESSIONS, [made], what=what, company=company)
        return found

    try:
        return sent(create, lambda: _open(odoo, news))
    except InvalidError:
        # Somebody was faster: then there is one.
        found = _open(odoo, news)
        if found is None:
            raise
        return found


def _counted(odoo: Odoo, news: Mapping[str, Any], found: Row) -> Row:
    what = _what(news)
    method = "set_opening_control" if odoo.version(what=what)[0] >= _RENAMED else "set_cashbox_pos"

    def count() -> Row:
        odoo.call(SESSIONS, method, [found["id"]], 0, "", what=what, company=int(news["company"]))
        now = _open(odoo, news)
        if now is None or now["state"] == COUNTING:
            raise NotReadyError(f"{what}: its session {found['name']} was not opened. Open it in Odoo, then retry.")
        return now

    def counted() -> Row | None:
        now = _open(odoo, news)
        return now if now is not None and now["state"] == OPENED else None

    try:
        return sent(count, counted)
    except OdooError:
        # Somebody was faster: then it is open.
        now = counted()
        if now is None:
            raise
        return now


def _open(odoo: Odoo, props: Mapping[str, Any]) -> Row | None:
    """The oldest session of the till that is not closed. One that Odoo made to recover orders is none."""
    domain = [("config_id", "=", int(props["till"])), ("state", "!=", "closed"), ("rescue", "=", False)]
    rows = odoo.search(SESSIONS, domain, list(_FIELDS), what=_what(props), company=int(props["company"]), limit=1)
    return rows[0] if rows else None


def _outs(found: Row) -> dict[str, Any]:
    return {
        "session": found["name"],
        "reference": f"{SESSIONS},{found['id']}",
        "session_id": found["id"],
        "state": found["state"],
        "opened_at": found["start_at"] or "",
    }


def _what(props: Mapping[str, Any]) -> str:
    return f"the session of point of sale {int(props['till'])}"
