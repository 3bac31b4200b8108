"""Records of any model: made, read, changed, deleted, loaded by external identifier, as one user in one context.

Decides what is seen [companies], [archived], and what a delete does to what links there [restrict]. What a model adds
is in its Rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.odoo.catalogue import CASCADE, RESTRICT, Catalogue, Model
from sandbox.odoo.domains import names_of, test_of
from sandbox.odoo.refusals import NotLoaded, Refusal, denied, gone, invalid, user_error
from sandbox.records import Records

Row = dict[str, Any]
MARKS = "ir.model.data"


class Rules:
    """What a model adds to any other. `env` is who asks; each of these may raise Refusal."""

    def prepare(self, env: Env, values: Row) -> None:
        """What a new record has beside what was given."""

    def validate(self, env: Env, record: Row) -> None:
        """After it was made or changed."""

    def before_write(self, env: Env, record: Mapping[str, Any], values: Mapping[str, Any]) -> None: ...

    def after_create(self, env: Env, record: Row) -> None: ...

    def before_unlink(self, env: Env, record: Mapping[str, Any]) -> None: ...


@dataclass(slots=True, kw_only=True)
class Database:
    """`version` is how it behaves where the rows tell several ways. `charts` are code -> name of what it offers."""

    records: Records
    rules: Mapping[str, Rules]
    catalogue: Catalogue = field(default_factory=Catalogue)
    version: int = 18
    charts: Mapping[str, str] = field(default_factory=dict)
    model_methods: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """One user in one context."""

    db: Database
    user: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)

    def sudo(self) -> Env:
        """For Odoo's own code, which sees all."""
        return replace(self, user={**self.user, "id": 1, "system": True}, context={"active_test": False})

    @property
    def companies(self) -> list[int]:
        """[companies]."""
        asked = list(self.context.get("allowed_company_ids") or ())
        kept = (self.db.records.look("res.company", str(one)) for one in self.user["company_ids"])
        mine = [int(one["id"]) for one in kept if one is not None and one["active"]]
        if set(asked) - set(mine):
            raise denied("Access to unauthorized or invalid companies.")
        # Without one that is named: whoever administers companies sees archived ones, too.
        return asked or list(self.user["company_ids"])

    @property
    def company(self) -> int:
        """That of defaults."""
        asked = self.context.get("allowed_company_ids")
        return int(asked[0]) if asked else int(self.user["company_id"])

    def model(self, name: str) -> Model:
        """[unknown-model]."""
        found = self.db.catalogue.find(name)
        if found is None:
            raise user_error(f"Object {name} doesn't exist")
        if found.system and not self.user["system"]:
            raise denied(f"You are not allowed to access '{name}' records.")
        return found

    def each(self, model: str, domain: Sequence[Any] = ()) -> Iterator[Row]:
        """The records that fit, as stored, in the order of their ids."""
        kind = self.model(model)
        fits = test_of(domain, kind.fields)
        hidden = "active" in kind.fields and self.context.get("active_test", True) and "active" not in names_of(domain)
        allowed = None if self.user["id"] == 1 else set(self.companies)
        for record in sorted(self.db.records.each(model), key=lambda each: int(each["id"])):
            seen = allowed is None or self._visible(kind, record, allowed)
            if seen and fits(record) and not (hidden and not record["active"]):
                yield dict(record)

    def _visible(self, kind: Model, record: Mapping[str, Any], allowed: set[int]) -> bool:
        whose = record.get(kind.company) if kind.company else False
        return not whose or whose in allowed

    def one(self, model: str, number: int) -> Row:
        """[missing]."""
        found = self.db.records.get(model, str(number))
        if found is None:
            raise gone()
        return found

    def search_read(
        self,
        model: str,
        domain: Sequence[Any] = (),
        fields: Sequence[str] = (),
        order: str = "",
        limit: int | None = None,
    ) -> list[Row]:
        rows = [self.shown(model, record, fields) for record in self.each(model, domain)]
        if order.endswith("desc"):
            rows.reverse()
        return rows[:limit] if limit else rows

    def shown(self, model: str, record: Mapping[str, Any], fields: Sequence[str]) -> Row:
        """[links]."""
        kind = self.model(model)
        out: Row = {"id": record["id"]}
        for name in fields or kind.fields:
            if name == "id":
                continue
            if name not in kind.fields:
                raise ValueError(f"Invalid field {name!r} on model {model!r}")
            value = record[name]
            linked = kind.fields[name].kind == "many2one" and value
            out[name] = [value, self._name_of(kind.fields[name].to, value)] if linked else value
        return out

    def _name_of(self, model: str, number: int) -> str:
        found = self.db.records.look(model, str(number)) or {}
        return str(found.get("name") or f"{model},{number}")

    def create(self, model: str, values: Mapping[str, Any]) -> Row:
        kind, rules = self.model(model), self.db.rules.get(model, _NONE)
        given = dict(values)
        rules.prepare(self, given)
        record: Row = {"id": self.db.records.next_of(model)}
        for name, how in kind.fields.items():
            default = True if name == "active" else kind.defaults.get(name, how.empty())
            record[name] = self._cast(kind, name, given.pop(name, default))
        if given:
            raise ValueError(f"Invalid field {next(iter(given))!r} on model {model!r}")
        record["create_date"] = self.db.records.now()[:19]
        self._check(kind, record)
        self.db.records.put(model, str(record["id"]), record)
        rules.validate(self, record)
        rules.after_create(self, record)
        return self.one(model, record["id"])

    def write(self, model: str, numbers: Sequence[int], values: Mapping[str, Any]) -> None:
        kind, rules = self.model(model), self.db.rules.get(model, _NONE)
        for number in numbers:
            record = self.one(model, number)
            rules.before_write(self, record, values)
            for name, value in values.items():
                if name not in kind.fields:
                    raise ValueError(f"Invalid field {name!r} on model {model!r}")
                record[name] = self._cast(kind, name, value)
            self._check(kind, record)
            self.db.records.put(model, str(number), record)
            rules.validate(self, record)

    def set(self, model: str, number: int, **values: Any) -> None:
        """Fields past all checks, as Odoo's own code does it."""
        self.db.records.put(model, str(number), self.one(model, number) | values)

    def unlink(self, model: str, numbers: Sequence[int]) -> None:
        self.model(model)
        for number in numbers:
            self.db.rules.get(model, _NONE).before_unlink(self, self.one(model, number))
        for number in numbers:
            self._deleted(model, number)

    def load(self, model: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
        """[load], [load-again], [load-links], [external-id]."""
        ids = []
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            module, _, name = values.pop("id").partition(".")
            try:
                ids.append(self._loaded(model, module, name, self._parsed(model, values)))
            except Refusal as refusal:
                raise NotLoaded(refusal.message) from None
            except (KeyError, TypeError, ValueError) as error:
                raise NotLoaded(f"Unknown error during import: {type(error)}: {error}") from None
        return {"ids": ids, "messages": [], "nextrow": 0}

    def _loaded(self, model: str, module: str, name: str, values: Row) -> int:
        marks = self.sudo()
        known = next(marks.each(MARKS, [["module", "=", module], ["name", "=", name]]), None)
        if known is not None and self.db.records.look(known["model"], str(known["res_id"])):
            if known["model"] != model:
                raise invalid(f"For external id {module}.{name} when trying to load: it is of {known['model']}")
            self.write(model, [known["res_id"]], values)
            return int(known["res_id"])
        made = int(self.create(model, values)["id"])
        if known is not None:
            marks.unlink(MARKS, [known["id"]])
        marks.create(MARKS, {"module": module, "name": name, "model": model, "res_id": made})
        return made

    def _parsed(self, model: str, cells: Mapping[str, str]) -> Row:
        kind = self.model(model)
        return {column.partition("/")[0]: self._cell(kind, column, text) for column, text in cells.items()}

    def _cell(self, kind: Model, column: str, text: str) -> Any:
        name, _, by = column.partition("/")
        how = kind.fields[name]
        if not isinstance(text, str):
            raise TypeError(f"{column}: {text!r} is no text")
        if how.to and by != ".id":
            raise ValueError(f"{column}: a link is read here by its database id only")
        numbers = [int(each) for each in text.split(",") if each] if how.to else []
        for number in numbers:
            if self.db.records.look(how.to, str(number)) is None:
                raise ValueError(f"No matching record found for database id '{number}' in field '{name}'")
        if how.kind == "many2many":
            return [[6, 0, numbers]]
        if how.kind == "many2one":
            return numbers[0] if numbers else False
        return {
            "boolean": lambda: text in {"1", "true", "yes"},
            "integer": lambda: int(text),
            "float": lambda: float(text),
        }.get(how.kind, lambda: text)()

    def _cast(self, kind: Model, name: str, value: Any) -> Any:
        how = kind.fields[name]
        if how.kind == "many2many" and value and isinstance(value[0], (list, tuple)):
            value = value[0][2]
        if how.to and value:
            for number in value if isinstance(value, list) else [value]:
                if self.db.records.look(how.to, str(number)) is None:
                    raise invalid(f"The operation cannot be completed: {how.to} {number} is not there")
        if how.kind == "float":
            return float(value or 0)
        return how.empty() if value is None else value

    def _check(self, kind: Model, record: Row) -> None:
        """[mandatory], [unique]."""
        for name, how in kind.fields.items():
            if how.mandatory and record[name] in (False, None, ""):
                words = "- Create/update: a mandatory field is not set."
                raise invalid(f"The operation cannot be completed:\n{words}\nModel: ({kind.name})\nField: ({name})")
        for rule in kind.unique:
            same = {name: record[name] for name in rule.fields}
            if any(other["id"] != record["id"] for other in self.db.records.each(kind.name, **same)):
                raise invalid(f"The operation cannot be completed: {rule.words}")

    def _deleted(self, model: str, number: int) -> None:
        """[restrict], [external-id-goes]."""
        for other, name, how in self.db.catalogue.links.get(model, ()):
            for record in list(self.db.records.each(other)):
                value = record[name]
                if how.kind == "many2many" and number in value:
                    self.set(other, record["id"], **{name: [each for each in value if each != number]})
                elif how.kind == "many2one" and value == number:
                    self._unlinked_from(other, record, name, how.on_delete)
        self.db.records.delete(model, str(number))
        for mark in list(self.db.records.each(MARKS, model=model, res_id=number)):
            self.db.records.delete(MARKS, str(mark["id"]))

    def _unlinked_from(self, model: str, record: Mapping[str, Any], name: str, on_delete: str) -> None:
        if on_delete == RESTRICT:
            raise invalid(
                "The operation cannot be completed: another model requires the record being deleted. If possible, "
                f"archive it instead.\n\nModel: ({model})\nConstraint: {model.replace('.', '_')}_{name}_fkey"
            )
        if on_delete == CASCADE:
            self._deleted(model, record["id"])
        else:
            self.set(model, record["id"], **{name: False})


_NONE = Rules()
