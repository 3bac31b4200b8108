"""A till's open session: one for each POS profile, which ERPNext has as a submitted POS Opening Entry.

Decides what an open one is, that it is adopted whoever opened it, and that a draft which a run has left is submitted.
Newer ERPNext refuses a second one by itself, older does not: so the rule is here. One that was closed at the end of a
day is no open one: after a refresh, the next up opens another. Its removal takes an open one; a closed one stays, as
ERPNext's record of what was sold.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Mapping
from typing import Any, Unpack

import pulumi

from providers.erpnext.api import Site, site_of
from providers.erpnext.document import Common, Document, DocumentProvider
from providers.erpnext.errors import ErpNextError, ProfileMissingError, SessionOpenError
from providers.erpnext.wanted import Wanted, Whose
from providers.errors import ConfigurationError, ProviderError

DOCTYPE = "POS Opening Entry"
_OPEN = "Open"


class PosSessionProvider(DocumentProvider):
    def _prepared(self, site: Site, wanted: Wanted, props: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(wanted.key["pos_profile"])
        profile = site.get("POS Profile", name, what=wanted.what)
        if profile is None:
            raise ProfileMissingError(f"{wanted.what}: {site.api.name} has no POS profile {name!r}. Run up to make it.")
        return {**wanted.body, **opening(profile, user=props.get("user"), now=_now(props.get("time_zone")))}

    def _brought_up(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return super()._brought_up(olds, news)
        except ErpNextError as error:
            # Its refusal of a second session has no exception of its own.
            raise _in_the_way(error, news) or error from None

    def _told(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"user": found.get("user"), "opened_at": found.get("period_start_date")}


class PosSession(Document, module="tenantry", name="ErpNextPosSession"):
    """`user` is who opens it: without one, whoever has made the profile. `time_zone` is the site's (EngineCheck's)."""

    user: pulumi.Output[str]
    opened_at: pulumi.Output[str]
    provider = PosSessionProvider
    also = ("user", "opened_at")

    def __init__(
        self,
        name: str,
        *,
        profile: pulumi.Input[str],
        user: str | None = None,
        time_zone: pulumi.Input[str] | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            name,
            doctype=DOCTYPE,
            key={"pos_profile": profile},
            whose=Whose.COMPANY,
            submit=True,
            more={"user": user, "time_zone": time_zone, "ended": {"status": "Closed"}},
            **common,
        )


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


def _in_the_way(error: ErpNextError, news: Mapping[str, Any]) -> SessionOpenError | None:
    """Which session of the same user, at another till, was the reason of a refusal."""
    if error.exc_type != "ValidationError":
        return None
    site, profile, what = site_of(str(news["region"])), str(news["key"]["pos_profile"]), f"{DOCTYPE} of {news['key']}"
    try:
        user = news.get("user") or (site.get("POS Profile", profile, what=what) or {}).get("owner")
        filters = [("user", "=", user), ("docstatus", "=", 1), ("status", "=", _OPEN)]
        rows = site.find(DOCTYPE, filters, what=what, fields=("name", "pos_profile"))
    except ProviderError:
        return None
    other = next((row for row in rows if row["pos_profile"] != profile), None)
    if other is None:
        return None
    return SessionOpenError(
        f"{DOCTYPE} {profile!r}: {user} has a session open already, {other['name']} at {other['pos_profile']!r}. Close "
        "that one in ERPNext, or give this till a user of its own."
    )
