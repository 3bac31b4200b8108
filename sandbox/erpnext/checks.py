"""What holds for documents of every DocType: links, mandatory and unique fields, and which docstatus follows which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.erpnext.doctypes import Catalogue, DocType
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.records import Doc, Records

_ACTIONS = {(0, 0): "save", (0, 1): "submit", (1, 1): "late", (1, 2): "cancel"}


def label(field: str) -> str:
    return field.replace("_", " ").title().replace(" Of ", " of ").replace("Pos ", "POS ").replace("Uom", "UOM")


def parts(kinds: Catalogue, kind: DocType, doc: Doc) -> Iterator[tuple[DocType, str, Doc]]:
    """The document and its rows: (DocType, words that say which row, fields)."""
    yield kind, "", doc
    for table, child in kind.tables.items():
        for row in doc.get(table) or []:
            yield kinds[child], f"Row #{row['idx']}: ", row


def check_links(records: Records, kinds: Catalogue, kind: DocType, doc: Doc) -> None:
    """[link-to-nothing]. Raises Refusal."""
    missing, cancelled = [], []
    for part, where, fields in parts(kinds, kind, doc):
        for field, target in part.links.items():
            value = fields.get(field)
            found = records.look(target, value) if value else None
            if value and found is None:
                missing.append(f"{where}{label(field)}: {value}")
            elif found is not None and found.get("docstatus") == 2:
                cancelled.append(f"{where}{label(field)}: {value}")
    if missing:
        raise Refusal("LinkValidationError", f"Could not find {', '.join(missing)}")
    if cancelled:
        raise Refusal("CancelledLinkError", f"Cannot link cancelled document: {', '.join(cancelled)}")


def check_mandatory(kinds: Catalogue, kind: DocType, doc: Doc) -> None:
    """[field-missing]. Raises Refusal."""
    empty: tuple[Any, ...] = (None, "", [])
    missing = [
        f"{where}{field}"
        for part, where, fields in parts(kinds, kind, doc)
        for field in part.need
        if fields.get(field) in empty
    ]
    if missing:
        raise Refusal("MandatoryError", f"[{kind.name}, {doc.get('name')}]: {', '.join(missing)}")


def check_unique(records: Records, kind: DocType, doc: Mapping[str, Any]) -> None:
    """[unique-field]. Raises Refusal."""
    for field in kind.unique:
        others = records.each(kind.name, **{field: doc.get(field)}) if doc.get(field) else iter(())
        if any(other["name"] != doc["name"] for other in others):
            raise Refusal("UniqueValidationError", f"{kind.name} {label(field)} {doc[field]} must be unique")


def check_unlinked(records: Records, kinds: Catalogue, doctype: str, name: str, *, cancelling: bool = False) -> None:
    """[linked-from-elsewhere], [cancelled-blocks]: cancelled ones block a delete. Submitted ones block a cancel."""
    for kind, table, field in kinds.linking_to(doctype):
        for other in records.each(kind.name):
            if (kind.name, other["name"]) == (doctype, name) or (cancelling and other.get("docstatus") != 1):
                continue
            rows = other.get(table) or [] if table else [other]
            if any(row.get(field) == name for row in rows):
                # A Single is named once.
                where = kind.name if kind.single else f"{kind.name} {other['name']}"
                message = f"Cannot delete or cancel because {doctype} {name} is linked with {where}"
                raise Refusal("LinkExistsError", message)


def check_late(kind: DocType, doc: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    """A submitted document keeps its fields, but for those that may change later. Raises Refusal."""
    for field in (*kind.columns, *kind.tables):
        if field not in kind.late and _plain(doc.get(field)) != _plain(old.get(field)):
            message = f"Not allowed to change {label(field)} after submission"
            raise Refusal("UpdateAfterSubmitError", message)


def action_for(kind: DocType, old: int, new: int) -> str:
    """`save`, `submit`, `late` (a change of a submitted one) or `cancel`: [docstatus]. Raises Refusal."""
    if old == 2:
        raise invalid("Cannot edit cancelled document")
    action = _ACTIONS.get((old, new))
    if action is None or (new != 0 and not kind.submittable):
        raise Refusal("DocstatusTransitionError", f"Cannot change docstatus of {kind.name} from {old} to {new}")
    return action


def _plain(value: Any) -> Any:
    """Rows by what they say, not by who wrote them when."""
    if isinstance(value, list):
        own = {"name", "creation", "modified", "modified_by", "owner", "docstatus"}
        return [{key: each for key, each in row.items() if key not in own} for row in value]
    return value
