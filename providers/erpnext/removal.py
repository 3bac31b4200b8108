"""A document taken away: what is ours of it goes, in the order in which ERPNext lets it.

Decides that what others have come to use is left to them, without a word of the tenant in it, and that nothing is done
to what is in a company which is not the tenant's any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from providers.erpnext.api import Site
from providers.erpnext.errors import LinkedError
from providers.erpnext.lifecycle import edited, look, to_docstatus
from providers.erpnext.merging import of_others, without_mark, without_ours
from providers.erpnext.own_company import asked_for, own_company
from providers.erpnext.wanted import CANCELLED, SUBMITTED, Kept, Wanted, Whose, is_mine
from providers.live import speaker


def remove(
    site: Site, wanted: Wanted, kept: Kept, *, goes: Callable[[Mapping[str, Any]], bool] = lambda _found: True
) -> None:
    """What is ours of it is gone. One that others use, that is not ours, or that not `goes`, stays. Raises
    LinkedError."""
    for found in filter(goes, _removable(site, wanted, kept)):
        if in_anothers(site, wanted, kept, found):
            speaker()(f"{wanted.what} stays in ERPNext: its company is not the tenant's any more.")
        else:
            _removed(site, wanted, kept, found)


def in_anothers(site: Site, wanted: Wanted, kept: Kept, found: Mapping[str, Any]) -> bool:
    """Whether the company that it names is another's by now, so that nothing of it is ours to touch."""
    if kept.mine and kept.creation is not None and found.get("creation") == kept.creation:
        return False  # it is the very one that was made for the tenant, whatever became of the company
    own = own_company(site, wanted)
    return own is not None and not own.ours


def withdraw(site: Site, wanted: Wanted, found: Mapping[str, Any]) -> None:
    """It is gone: what was submitted is cancelled first, which ERPNext refuses of a draft."""
    if found.get("docstatus") == SUBMITTED:
        to_docstatus(site, wanted, found, CANCELLED)
    site.remove(wanted.doctype, str(found["name"]), what=wanted.what)


def _removable(site: Site, wanted: Wanted, kept: Kept) -> list[dict[str, Any]]:
    """What may have to go: of what is submitted also drafts, and cancelled ones, which block what they link to."""
    if wanted.whose is Whose.SINGLE or (wanted.submit and wanted.lacking):
        return []
    if not wanted.submit:
        found = look(site, wanted, kept)
        return [] if found is None else [found]
    rows = site.find(wanted.doctype, wanted.filters, what=wanted.what)
    return [row for row in rows if row.get("docstatus") == CANCELLED or not wanted.is_over(row)]


def _removed(site: Site, wanted: Wanted, kept: Kept, found: Mapping[str, Any]) -> None:
    mine = is_mine(found, wanted, kept) or asked_for(site, wanted, kept, found)
    if not mine and wanted.whose is not Whose.SHARED:
        return
    if not mine or of_others(found, wanted):
        edited(site, wanted, found, lambda now: without_ours(now, wanted))
        return
    try:
        withdraw(site, wanted, found)
    except LinkedError:
        # Another tenant of the site has come to use it, or an entry of the tenant's own that stays: it is left there.
        if wanted.whose is not Whose.SHARED:
            raise
        speaker()(f"{wanted.what} stays in ERPNext, which does not let it go: something links to it.")
        # Our rows in it name what is ours, and would keep that from going; a mark would have it be ours for ever.
        edited(site, wanted, found, lambda now: {**without_ours(now, wanted), **without_mark(now, wanted)})
