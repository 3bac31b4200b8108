"""A till's open session: one for each POS profile, which ERPNext has as a submitted POS Opening Entry.

Decides what an open one is, that it is adopted whoever opened it, that a draft which a run has left is submitted (one
that somebody else has begun is not), and how the till passes to another cashier: see `PosSessionProvider`.
Newer ERPNext refuses a second one by itself, older does not: so the rule is here. One that was closed at the end of a
day is no open one: after a refresh, the next up opens another. Its removal takes an open one that Tenantry has opened;
what somebody has opened or begun goes with the profile. A closed one stays, as ERPNext's record of what was sold.
"""

from __future__ import annotations

import dataclasses
import datetime
import zoneinfo
from collections.abc import Mapping
from typing import Any, Unpack

import pulumi
from pulumi.dynamic import DiffResult

from providers.erpnext.api import Site, site_of
from providers.erpnext.document import Common, Document, DocumentProvider, kept_site
from providers.erpnext.errors import ErpNextError, ProfileMissingError, SessionOpenError
from providers.erpnext.lifecycle import look
from providers.erpnext.own_company import made_by_us
from providers.erpnext.removal import remove, withdraw
from providers.erpnext.wanted import UNKNOWN, Wanted, Whose, kept_of, wanted_of
from providers.errors import ConfigurationError, NotReadyError, ProviderError

DOCTYPE = "POS Opening Entry"
ENDED = {"status": "Closed"}
_OPEN = "Open"


class PosSessionProvider(DocumentProvider):
    """With another `cashier` an open session that Tenantry has opened, and that nothing was sold in, is cancelled, and
    one of the new cashier's opened. One that somebody has opened, or has sold in, is theirs to close: it stays, and the
    error says so. `opened_for` is the cashier that was wanted when it was opened or adopted."""

    known = (*DocumentProvider.known, "opened_for")

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        found = super().diff(_id, _olds, _news)
        found.changes = bool(found.changes) or _passes_on(_olds, _news)
        return found

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        site, wanted = kept_site(_props), wanted_of(_props)
        remove(site, wanted, kept_of(_props), goes=lambda found: made_by_us(site, wanted, found))

    def _prepared(self, site: Site, wanted: Wanted, props: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(wanted.key["pos_profile"])
        profile = site.get("POS Profile", name, what=wanted.what)
        if profile is None:
            raise ProfileMissingError(f"{wanted.what}: {site.api.name} has no POS profile {name!r}. Run up to make it.")
        return {**wanted.body, **opening(profile, user=props.get("cashier"), now=_now(props.get("time_zone")))}

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        if _passes_on(olds, news):
            _passed_on(olds, news)
        try:
            outs = super()._brought_up(olds, news)
        except ErpNextError as error:
            # Its refusal of a second session has no exception of its own.
            raise _in_the_way(error, news) or error from None
        return {**outs, "opened_for": news.get("cashier") or ""}

    def _told(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"user": found.get("user"), "opened_at": found.get("period_start_date")}


class PosSession(Document, module="tenantry", name="ErpNextPosSession"):
    """`cashier` is who is to stand at it: without one, whoever has made the profile. `user` is who does.

    `time_zone` is the site's (EngineCheck's).
    """

    user: pulumi.Output[str]
    opened_at: pulumi.Output[str]
    provider = PosSessionProvider
    also = ("user", "opened_at", "opened_for")

    def __init__(
        self,
        name: str,
        *,
        profile: pulumi.Input[str],
        cashier: str | None = None,
        time_zone: pulumi.Input[str] | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype=DOCTYPE,
            key={"pos_profile": profile},
            whose=Whose.COMPANY,
            submit=True,
            more={"cashier": cashier, "time_zone": time_zone, "ended": ENDED},
            **common,
        )


def without_sessions(site: Site, profile: Wanted) -> None:
    """No session of a profile that goes is open any more, nor begun, whoever has done that."""
    key = {"pos_profile": profile.named}
    sessions = dataclasses.replace(profile, doctype=DOCTYPE, key=key, needs=(), named=None, submit=True, ended=ENDED)
    remove(site, sessions, UNKNOWN)


def opening(profile: Mapping[str, Any], *, user: str | None, now: datetime.datetime) -> dict[str, Any]:
    """What an opening entry says, beside its profile: nothing in any drawer. `now` is the site's local time."""
    return {
        "period_start_date": f"{now:%Y-%m-%d %H:%M:%S}",
        "posting_date": f"{now:%Y-%m-%d}",
        "company": profile["company"],
        "user": user or profile["owner"],
        "balance_details": [
            {"mode_of_payment": row["mode_of_payment"], "opening_amount": 0} for row in profile.get("payments") or ()
        ],
    }


def _now(time_zone: str | None) -> datetime.datetime:
    try:
        return datetime.datetime.now(zoneinfo.ZoneInfo(time_zone or "UTC"))
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise ConfigurationError(
            f"the site's time zone {time_zone!r} is not known here. Correct it in its System Settings."
        ) from None


def _passes_on(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether another cashier is wanted than when the session was opened or adopted."""
    before = olds.get("opened_for")
    return before is not None and before != (news.get("cashier") or "")


def _passed_on(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """No session of another than the cashier is open any more. Raises SessionOpenError where that is not ours to do,
    and NotReadyError where it would leave the till without any."""
    site, wanted = kept_site(olds), wanted_of(news)
    found = look(site, wanted, kept_of(olds)) or look(site, wanted)
    if found is None:
        return
    user = _cashier(site, wanted, news)
    if user is None or found.get("user") == user:
        return
    where = f"{wanted.what}: {found['name']} of {found.get('user')} is open since {found.get('period_start_date')}"
    then = f"Close it in ERPNext; the next up opens one for {user}."
    if not made_by_us(site, wanted, found):
        raise SessionOpenError(f"{where}, and was opened by {found.get('owner')}. {then}")
    _check_free(site, wanted, user)
    try:
        withdraw(site, wanted, found)
    except ErpNextError as error:
        raise SessionOpenError(f"{where}, and ERPNext does not let it be cancelled ({error}) {then}") from None


def _check_free(site: Site, wanted: Wanted, user: str) -> None:
    """Raises before the till is without a session: NotReadyError for a user there is not, SessionOpenError."""
    if site.get("User", user, what=wanted.what) is None:
        raise NotReadyError(f"{wanted.what}: there is no user {user} yet, so that the session stays as it is.")
    elsewhere = _open_elsewhere(site, wanted, user)
    if elsewhere is not None:
        raise elsewhere


def _cashier(site: Site, wanted: Wanted, news: Mapping[str, Any]) -> str | None:
    if news.get("cashier"):
        return str(news["cashier"])
    profile = site.get("POS Profile", str(wanted.key["pos_profile"]), what=wanted.what)
    return None if profile is None else str(profile["owner"])


def _in_the_way(error: ErpNextError, news: Mapping[str, Any]) -> SessionOpenError | None:
    """Which session of the same user, at another till, was the reason of a refusal."""
    if error.exc_type != "ValidationError":
        return None
    site, wanted = site_of(str(news["region"])), wanted_of(news)
    try:
        user = _cashier(site, wanted, news)
        return None if user is None else _open_elsewhere(site, wanted, user)
    except ProviderError:
        return None


def _open_elsewhere(site: Site, wanted: Wanted, user: str) -> SessionOpenError | None:
    filters = [("user", "=", user), ("docstatus", "=", 1), ("status", "=", _OPEN)]
    rows = site.find(DOCTYPE, filters, what=wanted.what, fields=("name", "pos_profile"))
    other = next((row for row in rows if row["pos_profile"] != wanted.key["pos_profile"]), None)
    if other is None:
        return None
    return SessionOpenError(
        f"{wanted.what}: {user} has a session open already, {other['name']} at {other['pos_profile']!r}. Close "
        "that one in ERPNext, or give this till a user of its own."
    )
