"""A document brought up: looked for first, made only if it is not there, changed only if it differs.

Decides what a lost answer means: ERPNext may have made the document, or be still at it, so it is looked for before
anything else is done. Where its name would refuse a second one, the request is then sent again; where ERPNext would
make a second one beside it (a customer, an opening entry), it is not. What is there then is ours only where it proves
that: somebody may have been faster. Whose a document is, is decided in `wanted`; how it goes, in `removal`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from providers import http
from providers.erpnext.api import Site
from providers.erpnext.errors import ErpNextError, LinkedError, StaleError, TakenError
from providers.erpnext.merging import changes
from providers.erpnext.own_company import asked_for, came_of_ours, demand_ours, made_by_us, made_for_us
from providers.erpnext.wanted import (
    DRAFT,
    SUBMITTED,
    UNKNOWN,
    Kept,
    Wanted,
    Whose,
    bears_mark,
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
    """The document, by its name or its key; None where there is none, or it is over. Of several, one that
    bears our mark, else the oldest."""
    name = wanted.named or kept.name
    if name is None and wanted.lacking:
        return None  # a filter without it would find another's
    if name is not None:
        found = site.get(wanted.doctype, name, what=wanted.what)
        return None if found is None or wanted.is_over(found) else found
    rows = sorted(_counting(site, wanted, kept), key=lambda row: not bears_mark(row, wanted))
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
        except ProviderError as error:
            refused = not isinstance(error, UnreachableError) and not (isinstance(error, ErpNextError) and error.lost)
            lost = lost if refused else error
            error.asked = lost is not None
            found = _after_refusal(site, wanted, error) if refused else _sought(site, wanted, error)
            if found is not None:
                return _taken_over(site, wanted, found, lost)
            if refused or wanted.named is None:
                raise
    raise lost or ProviderError(f"{wanted.what}: it was not made.")


def _taken_over(site: Site, wanted: Wanted, found: Mapping[str, Any], lost: ProviderError | None) -> Placed:
    try:
        return _adopted(site, wanted, found, UNKNOWN, lost=lost is not None)
    except ProviderError as error:
        error.asked = lost is not None
        raise


def _after_refusal(site: Site, wanted: Wanted, error: ProviderError) -> dict[str, Any] | None:
    """What is there now because somebody was faster: its name is taken, or ERPNext lets no second one be."""
    taken = isinstance(error, TakenError) or (isinstance(error, ErpNextError) and wanted.named is None)
    return look(site, wanted) if taken else None


def _sought(site: Site, wanted: Wanted, lost: ProviderError) -> dict[str, Any] | None:
    """What came of a request whose answer was lost: it may take its time. Raises `lost` where that cannot be seen."""
    for wait in (0.0, *http.WAITS):
        time.sleep(wait)
        try:
            found = look(site, wanted)
        except ProviderError:
            raise lost from None
        if found is not None:
            return found
    return None


def _alone(site: Site, wanted: Wanted, made: dict[str, Any]) -> Placed:
    """What was made, unless somebody made one of the same key at the same time: then the older one, and ours goes."""
    oldest = _oldest(site, wanted, made) if wanted.named is None else made
    return Placed(found=made, mine=True) if oldest is made else _adopted(site, wanted, oldest, UNKNOWN)


def _oldest(site: Site, wanted: Wanted, ours: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what is there of one key, the oldest; ours goes where it is another, unless it is in use."""
    rows = _counting(site, wanted, Kept(name=str(ours["name"])))
    if not rows or rows[0]["name"] == ours["name"]:
        return ours
    older = site.get(wanted.doctype, str(rows[0]["name"]), what=wanted.what)
    try:
        if older is not None:
            site.remove(wanted.doctype, str(ours["name"]), what=wanted.what)
    except LinkedError:
        return ours
    return older or ours


def _adopted(site: Site, wanted: Wanted, found: Mapping[str, Any], kept: Kept, *, lost: bool = False) -> Placed:
    """What is there, brought up. `lost`: it is there after a request of ours whose answer was lost."""
    if wanted.named is None and found["name"] != kept.name and bears_mark(found, wanted):
        found = _oldest(site, wanted, found)
    mine = is_mine(found, wanted, kept) or asked_for(site, wanted, kept, found)
    if not mine and wanted.whose in {Whose.MARKED, Whose.COMPANY}:
        raise _foreign(site, wanted, found)
    if not mine and kept.creation is None:
        mine = made_for_us(site, wanted, found) or (lost and came_of_ours(site, wanted, found))
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
