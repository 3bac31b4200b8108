"""The tenant's own company, looked at before anything in it is touched: is it still the one that was made for it?

Decides that what names a company of that name which is another's is left alone, and what tells of a document without a
mark that it was made for the tenant: our own user has made it, after the company, and for this company alone. By that
a run finds what one before it has made, and did not live to remember. A look counts for FRESH_SECONDS.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.erpnext.api import Site
from providers.erpnext.errors import ErpNextError
from providers.erpnext.merging import of_others, without_ours
from providers.erpnext.wanted import Kept, Wanted, Whose, marked
from providers.errors import OwnershipError

DOCTYPE = "Company"
MARK_FIELD = "registration_details"
"""A text `for your reference`, in which companies keep numbers of registers: it is on no document that is printed."""
FRESH_SECONDS = 30.0
"""All of a run's documents are in one company: it is not asked of for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The company that has the name of the tenant's. `ours`: it is the one that was made for it, or bears its mark."""

    ours: bool
    creation: str


_seen: dict[tuple[str, ...], tuple[float, Any]] = {}
_seeing = threading.Lock()


def own_company(site: Site, wanted: Wanted) -> Own | None:
    """The company that the document is within; None where it is within none, or its company is gone."""
    name = str(wanted.within.get("company") or "")
    if not name:
        return None
    made = str(wanted.within.get("creation") or "")

    def look() -> Own | None:
        found = site.get(DOCTYPE, name, what=wanted.what)
        if found is None:
            return None
        creation = str(found.get("creation") or "")
        bears = marked(found, MARK_FIELD, wanted.tenant_mark)
        return Own(ours=bears or bool(made and made == creation), creation=creation)

    key = (site.server, name, made, wanted.tenant_mark)
    own: Own | None = _fresh(key, look, keeps=lambda one: one is not None and one.ours)
    return own


def demand_ours(site: Site, wanted: Wanted) -> None:
    """Raises OwnershipError where the company of that name is another's."""
    own = own_company(site, wanted)
    if own is None or own.ours:
        return
    name = wanted.within["company"]
    raise OwnershipError(
        f"{wanted.what}: {site.api.name} has another company {name!r} by now than the one that was made for this "
        f"tenant: it does not bear the mark of {wanted.tenant_mark} in its {MARK_FIELD}. Nothing in it is touched. "
        "Rename that one there, then run refresh and up to have the tenant's made anew."
    )


def made_for_us(site: Site, wanted: Wanted, found: Mapping[str, Any]) -> bool:
    """Whether a document of the site that bears no mark was made for the tenant, though no state knows it."""
    if not _shared_without_mark(wanted):
        return False
    shared = bool(wanted.tables)
    if not (bool(without_ours(found, wanted)) and not of_others(found, wanted) if shared else wanted.apart):
        return False
    own = own_company(site, wanted)
    if own is None or not own.ours or not own.creation or str(found.get("creation") or "") <= own.creation:
        return False
    return made_by_us(site, wanted, found)


def asked_for(site: Site, wanted: Wanted, kept: Kept, found: Mapping[str, Any]) -> bool:
    """Whether it came of a request of a run before, whose answer was lost: nobody else makes one of its key but by
    hand."""
    asked = wanted.apart and kept.asked and kept.creation is None
    return asked and made_by_us(site, wanted, found)


def came_of_ours(site: Site, wanted: Wanted, found: Mapping[str, Any]) -> bool:
    """Whether what is there after a lost answer came of that request, where no mark can say so: not of somebody who was
    faster meanwhile, by hand or for another tenant."""
    if not _shared_without_mark(wanted):
        return False
    own = not of_others(found, wanted) if wanted.tables else wanted.apart
    return own and made_by_us(site, wanted, found)


def _shared_without_mark(wanted: Wanted) -> bool:
    return wanted.whose is Whose.SHARED and wanted.mark_field is None


def made_by_us(site: Site, wanted: Wanted, found: Mapping[str, Any]) -> bool:
    """Whether it was made by the user that Tenantry is on the site. False where the site does not say who that is."""

    def look() -> str:
        try:
            return str(site.method("frappe.auth.get_logged_user", what=wanted.what))
        except ErpNextError:
            return ""

    user: str = _fresh((site.server, *site.variables), look, keeps=bool)
    return bool(user) and found.get("owner") == user


def _fresh(key: tuple[str, ...], look: Callable[[], Any], *, keeps: Callable[[Any], bool]) -> Any:
    with _seeing:
        at, known = _seen.get(key, (0.0, None))
    if known is not None and time.monotonic() - at < FRESH_SECONDS:
        return known
    found = look()
    if keeps(found):
        with _seeing:
            _seen[key] = (time.monotonic(), found)
    return found
