"""A record brought up, and taken away: looked for first, made only if it is not there, changed only if it differs.

Decides what a lost answer means: Odoo may have made the record, or be still at it, so it is looked for before the
request is sent again. A record and its mark are made by one `load`, in one transaction; and a `load` of a mark that is
there already changes that record, so that a second one is never made. Whose a record is, is decided by its mark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from providers import http
from providers.errors import ConfigurationError, NotReadyError, OwnershipError, ProviderError, UnreachableError
from providers.odoo.api import Domain, Odoo, Row
from providers.odoo.errors import GoneError, InUseError, InvalidError, OdooError
from providers.odoo.marks import MODULE
from providers.odoo.wanted import UNKNOWN, Kept, Wanted, Whose, cells, changes, plain, written

MARKS = "ir.model.data"
T = TypeVar("T")
_codes: dict[tuple[str, str, str], int] = {}
"""Ids of what is in every database, such as countries, by server, model and code: asked once a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record that is there. `marked`: it bears our mark."""

    record: Row
    marked: bool


def look(odoo: Odoo, wanted: Wanted, kept: Kept = UNKNOWN, *, also: Sequence[str] = ()) -> Found | None:
    """The record that bears our mark, else the one with its natural key. Raises OwnershipError for another's."""
    found = marked(odoo, wanted, also=also)
    if found is not None:
        return Found(record=found, marked=True)
    if wanted.lacking:
        return None  # a natural key without what it needs would find another's
    found = _read(odoo, wanted, wanted.domain, also)
    if found is None:
        return None
    if not kept.is_it(found):
        _check_free(odoo, wanted, found)
    return Found(record=found, marked=False)


def marked(odoo: Odoo, wanted: Wanted, *, also: Sequence[str] = ()) -> Row | None:
    """The record that bears our mark."""
    domain = [("module", "=", MODULE), ("name", "=", wanted.mark)]
    rows = odoo.search(MARKS, domain, ["model", "res_id"], what=wanted.what, limit=1)
    if not rows:
        return None
    if rows[0]["model"] != wanted.model:
        raise OwnershipError(
            f"{wanted.what}: {odoo.api.name} has given its mark {wanted.full_mark} to a {rows[0]['model']}. Delete "
            "that external identifier in Odoo, then retry."
        )
    return _read(odoo, wanted, [("id", "=", rows[0]["res_id"])], also)


def ensure(odoo: Odoo, wanted: Wanted, kept: Kept, *, also: Sequence[str], seconds: float | None) -> Row:
    """The record is there, as wanted, and bears our mark. `also` are further fields to read.

    `seconds` is what its making may take. Raises OwnershipError for one that is not ours, and ProviderError.
    """
    if wanted.lacking:
        raise NotReadyError(f"{wanted.what}: it waits for its {', '.join(wanted.lacking)}, which is not ready.")
    found = look(odoo, wanted, kept, also=also)
    if found is None:
        return _made(odoo, wanted, also, seconds)
    if not found.marked:
        _mark(odoo, wanted, found.record)
    return _as_wanted(odoo, wanted, found.record, also)


def remove(odoo: Odoo, wanted: Wanted, kept: Kept, *, before: Callable[[Row], None]) -> None:
    """What is ours is gone. `before` clears the way, from the record. Raises InUseError where others need it."""
    found = marked(odoo, wanted)
    if found is None and kept.id is not None:
        there = _read(odoo, wanted, [("id", "=", kept.id)], ())
        found = there if there is not None and kept.is_it(there) else None
    if found is None:
        return
    before(found)
    unlinked(odoo, wanted.model, [int(found["id"])], what=wanted.what, company=wanted.company)


def unlinked(odoo: Odoo, model: str, ids: Sequence[int], *, what: str, company: int | None) -> None:
    """The records are gone, whoever deleted them. Raises InUseError with Odoo's own reason."""
    if not ids:
        return
    lost: ProviderError | None = None
    for wait in (0.0, *http.WAITS[: http.ATTEMPTS - 1]):
        time.sleep(wait)
        try:
            # Of several, one that somebody else has deleted fails all.
            left = (
                [row["id"] for row in odoo.search(model, [("id", "in", list(ids))], ["id"], what=what)] if lost else ids
            )
            if left:
                odoo.unlink(model, left, what=what, company=company)
        except InvalidError as error:
            raise InUseError(
                f"{error} Delete in Odoo what needs it, or archive the company there, then retry.",
                status=error.status,
                name=error.name,
            ) from None
        except GoneError as error:
            lost = error
            continue
        except (UnreachableError, OdooError) as error:
            if isinstance(error, OdooError) and not error.lost:
                raise
            lost = error
            continue
        return
    raise lost or ProviderError(f"{what}: it was not deleted.")


def resolved(odoo: Odoo, wanted: Wanted, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the ids of what is given by a code. Raises ConfigurationError for a code that Odoo has not."""
    return {name: _id_by_code(odoo, wanted, name, value) for name, value in values.items()}


def _id_by_code(odoo: Odoo, wanted: Wanted, name: str, value: Any) -> Any:
    if name not in wanted.codes:
        return value
    model, code = wanted.codes[name]
    known = (odoo.server, model, str(value))
    if known not in _codes:
        rows = odoo.search(model, [(code, "=", value)], ["id"], what=wanted.what, limit=1)
        if not rows:
            raise ConfigurationError(f"{wanted.what}: {odoo.api.name} has no {model} {value!r}. Correct it.")
        _codes[known] = int(rows[0]["id"])
    return _codes[known]


def sent(send: Callable[[], T], seen: Callable[[], T | None]) -> T:
    """What `send` answers, or, where its answer is lost, what `seen` finds of its work: then it is not sent again.

    Only for what Odoo lets be there once, since it may be at it still. Raises what `send` raises.
    """
    lost: UnreachableError | OdooError | None = None
    for wait in (0.0, *http.WAITS[: http.ATTEMPTS - 1]):
        if lost is not None:
            time.sleep(wait)
            if (found := seen()) is not None:
                return found
        try:
            return send()
        except (UnreachableError, OdooError) as error:
            if isinstance(error, OdooError) and not error.lost:
                raise
            lost = error
    if (found := seen()) is None:
        raise lost or ProviderError("it was never sent")
    return found


def _made(odoo: Odoo, wanted: Wanted, also: Sequence[str], seconds: float | None) -> Row:
    columns, row = cells(resolved(odoo, wanted, wanted.body))
    given = (["id", *columns], [[wanted.full_mark, *row]])

    def load() -> Row:
        told = odoo.call(wanted.model, "load", *given, what=wanted.what, company=wanted.company, seconds=seconds)
        return _loaded(odoo, wanted, told, also)

    def made() -> Row | None:
        # Its mark says so, and protects what is sent again.
        found = marked(odoo, wanted, also=also)
        return None if found is None else _as_wanted(odoo, wanted, found, also)

    return sent(load, made)


def _loaded(odoo: Odoo, wanted: Wanted, told: Any, also: Sequence[str]) -> Row:
    """What a `load` has made. It says what it refuses in its answer, without an error."""
    ids = told.get("ids") if isinstance(told, dict) else None
    if not ids:
        # Somebody was faster, as another run of ours: its record is there, or its natural key is taken.
        found = look(odoo, wanted, also=also)
        if found is not None:
            if not found.marked:
                _mark(odoo, wanted, found.record)
            return _as_wanted(odoo, wanted, found.record, also)
        hidden = wanted.whose is Whose.MARKED
        advice = f" One of that name may be hidden from the user of {odoo.variable}." if hidden else ""
        raise InvalidError(
            f"{wanted.what}: {odoo.api.name} refuses it: {_messages(told) or 'it says not why'}{advice}", status=200
        )
    made = _read(odoo, wanted, [("id", "=", ids[0])], also)
    if made is None:
        raise ProviderError(f"{wanted.what} went from Odoo while it was made. Run refresh, then up.")
    return made


def _messages(told: Any) -> str:
    rows = told.get("messages") if isinstance(told, dict) else None
    texts = [str(row.get("message") or "") for row in rows or () if isinstance(row, dict)]
    return "; ".join(" ".join(text.split()) for text in texts)[:300]


def _as_wanted(odoo: Odoo, wanted: Wanted, found: Row, also: Sequence[str]) -> Row:
    differing = changes(found, resolved(odoo, wanted, wanted.fields))
    if not differing:
        return found
    odoo.write(wanted.model, [found["id"]], written(differing), what=wanted.what, company=wanted.company)
    now = _read(odoo, wanted, [("id", "=", found["id"])], also)
    if now is None:
        raise ProviderError(f"{wanted.what} went from Odoo while it was changed. Run refresh, then up.")
    return now


def _mark(odoo: Odoo, wanted: Wanted, found: Row) -> None:
    """A record of the tenant's company that bears no mark becomes known as ours."""
    values = {"module": MODULE, "name": wanted.mark, "model": wanted.model, "res_id": found["id"], "noupdate": True}
    try:
        odoo.call(MARKS, "create", values, what=wanted.what)
    except (UnreachableError, OdooError) as error:
        # Its name is unique: whoever was faster has marked this one, or another.
        now = marked(odoo, wanted)
        if now is None or now["id"] != found["id"]:
            raise error from None


def _check_free(odoo: Odoo, wanted: Wanted, found: Row) -> None:
    domain: Domain = [("module", "=", MODULE), ("model", "=", wanted.model), ("res_id", "=", found["id"])]
    marks = odoo.search(MARKS, domain, ["name"], what=wanted.what, limit=1)
    if marks:
        raise OwnershipError(
            f"{wanted.what}: {odoo.api.name} has one that bears another mark, {MODULE}.{marks[0]['name']}. Choose "
            "another name."
        )
    if wanted.whose is Whose.MARKED:
        raise OwnershipError(
            f"{wanted.what}: {odoo.api.name} has one that does not bear the mark of {wanted.tenant_mark}. Choose "
            f"another name, or, to have it adopted, give it in Odoo the external identifier {wanted.full_mark} "
            "(Settings, Technical, External Identifiers)."
        )


def _read(odoo: Odoo, wanted: Wanted, domain: Domain, also: Sequence[str]) -> Row | None:
    fields = dict.fromkeys(["create_date", *wanted.named, *wanted.fields, *also])
    rows = odoo.search(wanted.model, domain, list(fields), what=wanted.what, company=wanted.company, limit=1)
    return {name: plain(value) for name, value in rows[0].items()} if rows else None
