"""Documents of any DocType: made, changed, submitted, cancelled, deleted, in the order in which Frappe checks.

Decides that order: links, right, name, its own rules, mandatory fields, name taken. What a DocType adds is in its
Rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.erpnext import checks
from sandbox.erpnext.doctypes import ROW, Catalogue, DocType
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.erpnext.rules import Rules
from sandbox.records import Doc, Records

ADMINISTRATOR = "Administrator"
_RIGHTS = {"save": "write", "submit": "submit", "late": "submit", "cancel": "cancel"}


@dataclass(slots=True, kw_only=True)
class Documents:
    """`permit(user, doctype, right)` raises Refusal. `newer` is how newer ERPNexts behave where the rows tell two
    ways.
    """

    records: Records
    kinds: Catalogue
    rules: Mapping[str, Rules]
    permit: Callable[[str, str, str], None]
    newer: bool = True
    charts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deletion_seconds: float = 0.2

    def kind(self, doctype: str) -> DocType:
        """[unknown-doctype]. A row's DocType has no documents of its own here."""
        found = self.kinds.find(doctype)
        if found is None or doctype in self.kinds.rows:
            raise Refusal(
                "ImportError",
                f"Module import failed for {doctype}, the DocType you're trying to open might be deleted.",
            )
        return found

    def get(self, doctype: str, name: str, user: str = ADMINISTRATOR) -> Doc:
        """[unknown-name]. A Single that nobody has saved yet is there, empty."""
        kind = self.kind(doctype)
        found = self.records.get(doctype, doctype if kind.single else name)
        if found is None and kind.single:
            found = self._filled(kind, {"name": doctype, "docstatus": 0}, kind.defaults)
        if found is None:
            raise Refusal("DoesNotExistError", f"{doctype} {name} not found")
        self.permit(user, doctype, "read")
        return found

    def insert(self, doctype: str, sent: Mapping[str, Any], user: str = ADMINISTRATOR) -> Doc:
        kind, rules = self.kind(doctype), self._rules(doctype)
        if kind.single:
            return self.update(doctype, doctype, sent, user)
        doc = self._filled(kind, {}, {**kind.defaults, **sent})
        doc["docstatus"] = int(sent.get("docstatus") or 0)
        action = checks.action_for(kind, 0, doc["docstatus"])
        checks.check_links(self.records, self.kinds, kind, doc)
        self.permit(user, doctype, "create")
        doc["name"] = rules.name(self, doc) or self._named(kind, doc, sent)
        rules.validate(self, doc)
        checks.check_mandatory(self.kinds, kind, doc)
        if self.records.look(doctype, doc["name"]) is not None:
            raise Refusal("DuplicateEntryError", f"{doctype} {doc['name']} already exists")  # [name-taken]
        self._kept(kind, doc, user)
        rules.after_insert(self, doc)
        if action == "submit":
            self.permit(user, doctype, "submit")
            rules.on_submit(self, doc)
        return self.get(doctype, doc["name"])

    def update(self, doctype: str, name: str, sent: Mapping[str, Any], user: str = ADMINISTRATOR) -> Doc:
        """[single-merge], [child-table-replaced]: fields that are not sent stay."""
        kind, rules = self.kind(doctype), self._rules(doctype)
        old = self.get(doctype, name)
        doc = self._filled(kind, old, sent)
        told = sent.get("docstatus")
        doc["docstatus"] = int(old["docstatus"] if told is None else told)
        action = checks.action_for(kind, old["docstatus"], doc["docstatus"])
        _check_latest(doctype, old, sent)
        self.permit(user, doctype, _RIGHTS[action])
        if action == "cancel":
            rules.before_cancel(self, doc)
            checks.check_unlinked(self.records, self.kinds, doctype, name, cancelling=True)
        else:
            checks.check_links(self.records, self.kinds, kind, doc)
            if action == "late":
                checks.check_late(kind, doc, old)
            else:
                rules.validate(self, doc)
            checks.check_mandatory(self.kinds, kind, doc)
        self._kept(kind, doc, user)
        if action == "submit":
            rules.on_submit(self, doc)
        elif action == "cancel":
            rules.on_cancel(self, doc)
        return self.get(doctype, doc["name"])

    def delete(self, doctype: str, name: str, user: str = ADMINISTRATOR) -> None:
        """[delete-submitted], [linked-from-elsewhere]; what its DocType takes along goes first."""
        kind = self.kind(doctype)
        doc = self.records.look(doctype, name)
        if doc is None:
            raise Refusal("DoesNotExistError", f"{doctype} {name} not found")
        self.permit(user, doctype, "delete")
        if kind.single or doc["docstatus"] == 1:
            raise invalid(f"{doctype} {name}: Submitted Record cannot be deleted.")
        self._rules(doctype).on_trash(self, doc)
        checks.check_unlinked(self.records, self.kinds, doctype, name)
        self.records.delete(doctype, name)

    def set(self, doctype: str, name: str, **values: Any) -> None:
        """Fields of a document, past all checks, as Frappe's own code does it."""
        doc = self.get(doctype, name)
        self.records.put(doctype, doc["name"], doc | values | {"modified": self.records.now()})

    def _rules(self, doctype: str) -> Rules:
        return self.rules.get(doctype) or _NONE

    def _filled(self, kind: DocType, old: Mapping[str, Any], sent: Mapping[str, Any]) -> Doc:
        doc: Doc = {"doctype": kind.name, "name": None, "idx": 0, **old}
        for column in kind.columns:
            if column in sent or column not in doc:
                doc[column] = kind.cast(column, sent.get(column))
        for table, child in kind.tables.items():
            if table in sent or table not in doc:
                doc[table] = self._rows(kind, table, self.kinds[child], old, sent.get(table))
        return doc

    def _rows(self, kind: DocType, table: str, child: DocType, old: Mapping[str, Any], sent: Any) -> list[Doc]:
        """[child-table-replaced]: a row that is sent with its name keeps the name, and nothing else of what it had."""
        before = {row["name"] for row in old.get(table) or []}
        rows = []
        for number, told in enumerate(sent or [], start=1):
            name = told["name"] if told.get("name") in before else self.records.hash()
            row: Doc = {"doctype": child.name, "name": name, "idx": number}
            row |= {column: child.cast(column, {**child.defaults, **told}.get(column)) for column in child.columns}
            row |= dict(zip(ROW, (old.get("name"), table, kind.name), strict=True))
            rows.append(row)
        return rows

    def _named(self, kind: DocType, doc: Doc, sent: Mapping[str, Any]) -> str:
        how, _, what = kind.naming.partition(":")
        if how == "hash":
            return self.records.hash()
        if how == "series":
            return self.in_series(what)
        given = str((sent.get("name") if how == "prompt" else doc.get(what)) or "").strip()
        if not given and how == "prompt":
            raise invalid(f"Please set the document name of {kind.name}")  # [pos-profile-name]
        if not given:
            raise Refusal("MandatoryError", f"[{kind.name}]: {what}")
        return self.with_abbr(given, doc.get("company")) if how == "abbr" else given

    def with_abbr(self, name: str, company: str | None) -> str:
        """[warehouse-name]: `X - ABBR`, and not twice."""
        owner = self.records.look("Company", company) if company else None
        suffix = f" - {owner['abbr']}" if owner else ""
        return name if not suffix or name.endswith(suffix) else name + suffix

    def in_series(self, series: str) -> str:
        prefix = series.replace(".YYYY.", self.records.now()[:4])
        return f"{prefix}{self.records.next_of(prefix):05d}"

    def _kept(self, kind: DocType, doc: Doc, user: str) -> None:
        checks.check_unique(self.records, kind, doc)
        now = self.records.now()
        stamps = {"owner": doc.get("owner") or user, "creation": doc.get("creation") or now}
        for part, _, own in checks.parts(self.kinds, kind, doc):
            own.update(stamps, modified=now, modified_by=user, docstatus=doc["docstatus"])
            own.update({number: own.get(number) or 0.0 for number in part.numbers})
            if part is not kind:
                own["parent"] = doc["name"]
        self.records.put(kind.name, doc["name"], doc)


_NONE = Rules()


def _check_latest(doctype: str, old: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """[stale-modified]."""
    if sent.get("modified") and old.get("modified") and str(sent["modified"]) != old["modified"]:
        moments = f"({old['modified']}, {sent['modified']})"
        message = f"Error: Document {doctype} has been modified after you have opened it {moments}"
        raise Refusal("TimestampMismatchError", message)
