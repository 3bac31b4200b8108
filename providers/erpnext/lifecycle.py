"""A document brought up: looked for first, made only if it is not there, changed only if it differs.

Decides what a lost answer means: ERPNext may have made the document, or be still at it, so it is looked for before
anything else is done. Where its name would refuse a second one, the request is then sent again; where ERPNext would
make a second one beside it (a customer, an opening entry), it is not. Whose a document is, is decided in `wanted`; how
it goes, in `removal`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from providers import http
from providers.erpnext.api import Site
from providers.erpnext.errors import ErpNextError, StaleError, TakenError
from providers.erpnext.merging import changes
from providers.erpnext.own_company import demand_ours, made_by_us, made_for_us
from providers.erpnext.wanted import (
    DRAFT,
    SUBMITTED,
    UNKNOWN,
    Kept,
    Wanted,
    Whose,
    is_mine,
    mark_text,
    strangers,
)
from providers.errors import NotReadyError, OwnershipError, ProviderError, UnreachableError
from providers.live import speaker

TRIES = 30
"""How often a change is made anew because someone else was faster: more than tenants share a document at once."""
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A document that is as it should be, and whether it is ours."""

    found: Mapping[str, Any]
    mine: bool


def look(site: Site, wanted: Wanted, kept: Kept = UNKNOWN) -> dict[str, Any] | None:
    """The document, by its name or its key; None where there is none, or it is over. Of several, the oldest."""
    name = wanted.named or kept.name
    if name is None and wanted.lacking:
        return None  # a filter without it would find another's
    if name is not None:
        found = site.get(wanted.doctype, name, what=wanted.what)
        return None if found is None or wanted.is_over(found) else found
    rows = _counting(site, wanted, kept)
    if not rows:
        return None
    if any(isinstance(value, (list, tuple)) for value in wanted.fields.values()):
        # A list has no child tables.
        return site.get(wanted.doctype, str(rows[0]["name"]), what=wanted.what)
    return rows[0]


def _counting(site: Site, wanted: Wanted, kept: Kept = UNKNOWN) -> list[dict[str, Any]]:
    """Those of its key that are not over, oldest first. A draft counts only if it is ours: whoever else has begun one
    has not said yet that it is to be."""
    rows = [row for row in site.find(wanted.doctype, wanted.filters, what=wanted.what) if not wanted.is_over(row)]
    drafts = [row for row in rows if wanted.submit and row.get("docstatus") == DRAFT and row["name"] != kept.name]
    return [row for row in rows if row not in drafts or made_by_us(site, wanted, row)]


def ensure(
    site: Site, wanted: Wanted, kept: Kept, *, body: Callable[[], Mapping[str, Any]], seconds: float | None
) -> Placed:
    """The document is there, as wanted. `body` gives what it is made of, asked only if it is made.

    `seconds` is what its making may take. Raises OwnershipError for one that is not ours, and ProviderError.
    """
    if wanted.lacking:
        raise NotReadyError(f"{wanted.what}: it waits for its {', '.join(wanted.lacking)}, which is not ready.")
    demand_ours(site, wanted)
    found = look(site, wanted, kept)
    if found is None and wanted.named is None and kept.name is not None:
        found = look(site, wanted)  # the one of before is gone; there may be another of its key
    placed = _made(site, wanted, body(), seconds) if found is None else _adopted(site, wanted, found, kept)
    if wanted.submit and placed.found.get("docstatus") == DRAFT:
        return Placed(found=to_docstatus(site, wanted, placed.found, SUBMITTED), mine=placed.mine)
    return placed


def to_docstatus(site: Site, wanted: Wanted, found: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    """The document submitted (1) or cancelled (2). What was done before its answer was lost is done."""
    name = str(found["name"])
    try:
        return site.change(wanted.doctype, name, {"docstatus": status}, what=wanted.what)
    except ProviderError:
        now = site.get(wanted.doctype, name, what=wanted.what)
        if now is None or now.get("docstatus") != status:
            raise
        return now


def _made(site: Site, wanted: Wanted, body: Mapping[str, Any], seconds: float | None) -> Placed:
    if wanted.whose is Whose.SINGLE:
        raise ProviderError(f"{wanted.what}: {site.api.name} has no such settings. Is its app erpnext installed?")
    lost: ProviderError | None = None
    for _ in range(http.ATTEMPTS):
        try:
            made = site.insert(wanted.doctype, body, what=wanted.what, seconds=seconds)
            return _alone(site, wanted, made)
        except (UnreachableError, ErpNextError) as error:
            refused = isinstance(error, ErpNextError) and not error.lost
            if not refused:
                lost = error
                lost.asked = True
            found = _after_refusal(site, wanted, error) if refused else _sought(site, wanted, error)
            if found is not None:
                return _adopted(site, wanted, found, _of_lost(found, lost))
            if refused or wanted.named is None:
                raise
    raise lost or ProviderError(f"{wanted.what}: it was not made.")


def _of_lost(found: Mapping[str, Any], lost: ProviderError | None) -> Kept:
    """As if the state knew it: it was not there before our request, whose answer was lost."""
    return UNKNOWN if lost is None else Kept(name=str(found["name"]), creation=found.get("creation"), mine=True)


def _after_refusal(site: Site, wanted: Wanted, error: ProviderError) -> dict[str, Any] | None:
    """What is there now because somebody was faster: its name is taken, or ERPNext lets no second one be."""
    return look(site, wanted) if isinstance(error, TakenError) or wanted.named is None else None


def _sought(site: Site, wanted: Wanted, lost: ProviderError) -> dict[str, Any] | None:
    """What came of a request whose answer was lost: it may take its time. Raises `lost` where that cannot be seen."""
    for wait in (0.0, *http.WAITS):
        time.sleep(wait)
        try:
            found = look(site, wanted)
        except (UnreachableError, ErpNextError):
            raise lost from None
        if found is not None:
            return found
    return None


def _alone(site: Site, wanted: Wanted, made: dict[str, Any]) -> Placed:
    """What was made, unless somebody made one of the same key at the same time: then the older one, and ours goes."""
    if wanted.named is None:
        rows = _counting(site, wanted, Kept(name=str(made["name"])))
        if rows and rows[0]["name"] != made["name"]:
            site.remove(wanted.doctype, str(made["name"]), what=wanted.what)
            older = site.get(wanted.doctype, str(rows[0]["name"]), what=wanted.what)
            if older is not None:
                return _adopted(site, wanted, older, UNKNOWN)
    return Placed(found=made, mine=True)


def _adopted(site: Site, wanted: Wanted, found: Mapping[str, Any], kept: Kept) -> Placed:
    mine = is_mine(found, wanted, kept)
    if not mine and wanted.whose in {Whose.MARKED, Whose.COMPANY}:
        raise _foreign(site, wanted, found)
    if not mine and kept.creation is None:
        mine = made_for_us(site, wanted, found)
        if not mine and wanted.apart:
            speaker()(f"{wanted.what} was in ERPNext before: it is used as it is, and stays when the tenant goes.")
    return Placed(found=edited(site, wanted, found, lambda now: changes(now, wanted, mine=mine)), mine=mine)


def edited(
    site: Site, wanted: Wanted, found: Mapping[str, Any], edit: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Mapping[str, Any]:
    """The document after `edit` of it as it is, made only if nobody was faster; again where somebody was."""
    name, now = str(found["name"]), found
    for attempt in range(TRIES):
        body = edit(now)
        if not body:
            return now
        stamp = {"modified": now["modified"]} if now.get("modified") else {}
        try:
            return site.change(wanted.doctype, name, {**body, **stamp}, what=wanted.what)
        except StaleError:
            time.sleep(PAUSE_SECONDS * (attempt + 1))
        read = site.get(wanted.doctype, name, what=wanted.what)
        if read is None:
            raise ProviderError(f"{wanted.what} went from ERPNext while it was changed. Run refresh, then up.")
        now = read
    raise ProviderError(f"{wanted.what}: others changed it each of {TRIES} times that we were about to. Retry later.")


def _foreign(site: Site, wanted: Wanted, found: Mapping[str, Any]) -> OwnershipError:
    if wanted.whose is Whose.MARKED:
        raise OwnershipError(
            f"{wanted.what}: {site.api.name} has one that does not bear the mark of {wanted.tenant_mark} in its "
            f"{wanted.mark_field}. Choose another name, or, to have it adopted, write there: "
            f"{mark_text(wanted.tenant_mark)}"
        )
    return OwnershipError(
        f"{wanted.what}: {site.api.name} has one of that name with {', '.join(strangers(found, wanted))}, which is not "
        "ours. Choose another name, or rename that one in ERPNext."
    )
