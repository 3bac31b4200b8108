"""Which objects a grant is on, and who may do what to them, from the catalogs. Reads; never grants.

Privileges come from aclexplode over the object's list, or over the list that stands for none (acldefault), so that what
the server grants by itself is seen too. `every` is what its owner holds by default: all there is for that kind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from providers.plugin.wire import Plain
from providers.postgresql.client import Session
from providers.postgresql.resource import ident

if TYPE_CHECKING:
    from psycopg import sql

_IN_SCHEMA = "JOIN pg_namespace n ON n.oid = {0} AND n.nspname = %(schema)s"
_CLASS = "FROM pg_class o " + _IN_SCHEMA.format("o.relnamespace") + " WHERE o.relkind IN ({0})"
_PROC = "FROM pg_proc o " + _IN_SCHEMA.format("o.pronamespace") + " WHERE o.prokind IN ({0})"
_TABLES = "'r', 'p', 'v', 'm', 'f'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where objects of a kind are listed: label, owner, acl column, acldefault's letter, FROM clause, GRANT's words."""

    label: str
    owner: str
    acl: str
    letter: str
    origin: str
    keyword: str
    plural: str = ""

    @property
    def is_routine(self) -> bool:
        return "pg_proc" in self.origin


def _routine(kinds: str, keyword: str) -> Source:
    return Source(
        label="o.oid::regprocedure::text",
        owner="o.proowner",
        acl="o.proacl",
        letter="f",
        origin=_PROC.format(kinds),
        keyword=keyword,
        plural=f"{keyword}S",
    )


def _relation(kinds: str, letter: str, keyword: str) -> Source:
    return Source(
        label="o.relname",
        owner="o.relowner",
        acl="o.relacl",
        letter=letter,
        origin=_CLASS.format(kinds),
        keyword=keyword,
        plural=f"{keyword}S",
    )


SOURCES = {
    "database": Source(
        label="o.datname",
        owner="o.datdba",
        acl="o.datacl",
        letter="d",
        origin="FROM pg_database o WHERE o.datname = %(database)s",
        keyword="DATABASE",
    ),
    "schema": Source(
        label="o.nspname",
        owner="o.nspowner",
        acl="o.nspacl",
        letter="n",
        origin="FROM pg_namespace o WHERE o.nspname = %(schema)s",
        keyword="SCHEMA",
    ),
    "table": _relation(_TABLES, "r", "TABLE"),
    "sequence": _relation("'S'", "s", "SEQUENCE"),
    "function": _routine("'f', 'a', 'w'", "FUNCTION"),
    "procedure": _routine("'p'", "PROCEDURE"),
    "routine": _routine("'f', 'a', 'w', 'p'", "ROUTINE"),
    "foreign_data_wrapper": Source(
        label="o.fdwname",
        owner="o.fdwowner",
        acl="o.fdwacl",
        letter="F",
        origin="FROM pg_foreign_data_wrapper o WHERE true",
        keyword="FOREIGN DATA WRAPPER",
    ),
    "foreign_server": Source(
        label="o.srvname",
        owner="o.srvowner",
        acl="o.srvacl",
        letter="S",
        origin="FROM pg_foreign_server o WHERE true",
        keyword="FOREIGN SERVER",
    ),
    "column": Source(
        label="a.attname",
        owner="o.relowner",
        acl="a.attacl",
        letter="c",
        origin="FROM pg_class o "
        + _IN_SCHEMA.format("o.relnamespace")
        + " JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped"
        + f" WHERE o.relkind IN ({_TABLES}) AND a.attname = ANY(%(columns)s)",
        keyword="TABLE",
    ),
}
_COLUMN_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object that a grant is on: what the role holds on it, and all that can be held."""

    label: str
    owner: str
    held: frozenset[str]
    every: frozenset[str]


def canonical(privilege: str) -> str:
    word = " ".join(privilege.upper().split())
    return {"TEMP": "TEMPORARY", "ALL PRIVILEGES": "ALL"}.get(word, word)


def expand(privileges: Iterable[str], every: frozenset[str]) -> frozenset[str]:
    wanted = frozenset(canonical(each) for each in privileges)
    return every if "ALL" in wanted else wanted


def targets(session: Session, inputs: Plain) -> list[Target]:
    """The objects of a grant that exist now, with what its role holds (grantable only, where that is the wish)."""
    from psycopg import sql

    source = SOURCES[str(inputs["objectType"])]
    parameters: dict[str, Any] = {
        "database": inputs["database"],
        "schema": inputs.get("schema"),
        "columns": inputs.get("columns") or [],
        "role": inputs["role"],
        "public": str(inputs["role"]).lower() == "public",
        "grantable": bool(inputs.get("withGrantOption")),
        "objects": inputs.get("objects") or [],
    }
    # Every part is text of this module; whatever comes from a program is a parameter.
    text = (
        f"SELECT {source.label} AS label, pg_get_userbyid({source.owner}) AS owner,"  # noqa: S608
        " ARRAY(SELECT DISTINCT x.privilege_type FROM"
        f" aclexplode(COALESCE({source.acl}, acldefault('{source.letter}', {source.owner}))) x"
        " LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE (x.is_grantable OR NOT %(grantable)s)"
        " AND CASE WHEN %(public)s THEN x.grantee = 0 ELSE g.rolname = %(role)s END) AS held,"
        f" ARRAY(SELECT DISTINCT x.privilege_type FROM aclexplode(acldefault('{source.letter}', {source.owner})) x"
        f" WHERE x.grantee = {source.owner}) AS every"
        f" {source.origin} {_chosen(source, bool(parameters['objects']))} ORDER BY 1"
    )
    rows = session.rows_named("read privileges", sql.SQL(text), parameters)
    return [
        Target(
            label=row["label"],
            owner=row["owner"],
            held=frozenset(row["held"]),
            every=_COLUMN_PRIVILEGES if source.letter == "c" else frozenset(row["every"]),
        )
        for row in rows
    ]


def _chosen(source: Source, some: bool) -> str:
    if not some:
        return ""
    if source.is_routine:
        # A bare name means all of its overloads; with argument types the server finds the one, by any of their names.
        return (
            "AND EXISTS (SELECT FROM unnest(%(objects)s::text[]) AS w(given) WHERE"
            " CASE WHEN strpos(given, '(') = 0 THEN o.proname = given ELSE o.oid = to_regprocedure("
            " quote_ident(%(schema)s) || '.' || quote_ident(trim(split_part(given, '(', 1)))"
            " || substr(given, strpos(given, '('))) END)"
        )
    column = "o.relname" if source.letter == "c" else source.label
    return f"AND {column} = ANY(%(objects)s)"


def on_clause(inputs: Plain, found: list[Target]) -> "sql.Composable":
    """The words of GRANT and REVOKE that say what it is on."""
    from psycopg import sql

    kind = str(inputs["objectType"])
    source = SOURCES[kind]
    schema = str(inputs.get("schema") or "")
    names = [str(each) for each in inputs.get("objects") or []]
    if kind == "database":
        chosen: sql.Composable = ident(str(inputs["database"]))
    elif kind == "schema":
        chosen = ident(schema)
    elif not names:
        return sql.SQL("ALL {} IN SCHEMA {}").format(sql.SQL(source.plural), ident(schema))
    elif source.is_routine:
        # The server's own spelling of each signature, quoted by it.
        chosen = sql.SQL(", ").join(sql.SQL(target.label) for target in found)
    elif source.plural or kind == "column":
        chosen = sql.SQL(", ").join(ident(schema, name) for name in names)
    else:
        chosen = sql.SQL(", ").join(ident(name) for name in names)
    return sql.SQL("{} {}").format(sql.SQL(source.keyword), chosen)
