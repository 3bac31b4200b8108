"""A role's settings (ALTER ROLE ... SET): which properties they are, how they are read and set. Nothing else."""

from typing import TYPE_CHECKING

from providers.plugin.wire import Plain
from providers.postgresql.resource import ident

if TYPE_CHECKING:
    from providers.postgresql.client import Session

_PARAMETERS = {
    "searchPaths": "search_path",
    "statementTimeout": "statement_timeout",
    "idleInTransactionSessionTimeout": "idle_in_transaction_session_timeout",
    "assumeRole": "role",
}


def read_settings(config: list[str]) -> Plain:
    """From pg_roles.rolconfig, a list of `parameter=value`. What is not set is None."""
    given = dict(item.split("=", 1) for item in config)
    facts: Plain = dict.fromkeys(_PARAMETERS)
    if "search_path" in given:
        facts["searchPaths"] = split_identifiers(given["search_path"])
    for name in ("statementTimeout", "idleInTransactionSessionTimeout"):
        value = given.get(_PARAMETERS[name], "")
        if value.isdecimal():
            facts[name] = int(value)
    if "role" in given:
        facts["assumeRole"] = given["role"]
    return facts


def set_settings(session: "Session", role: str, inputs: Plain, changed: frozenset[str]) -> None:
    from psycopg import sql

    for name, parameter in _PARAMETERS.items():
        if name not in changed:
            continue
        value = inputs.get(name)
        chosen: sql.Composable
        if value is None or value == []:
            chosen = sql.SQL("RESET {}").format(ident(parameter))
        elif name == "searchPaths":
            chosen = sql.SQL("SET search_path TO {}").format(sql.SQL(", ").join(ident(str(item)) for item in value))
        else:
            chosen = sql.SQL("SET {} TO {}").format(ident(parameter), sql.Literal(value))
        statement = sql.SQL("ALTER ROLE {} {}").format(ident(role), chosen)
        session.run(f"set {parameter} of role {role!r}", statement)


def split_identifiers(text: str) -> list[str]:
    """`a, "B ""c"", d"` -> [`a`, `B "c", d`], as PostgreSQL writes a list of identifiers."""
    items: list[str] = []
    current, quoted, index = "", False, 0
    while index < len(text):
        character = text[index]
        if character == '"' and quoted and text[index + 1 : index + 2] == '"':
            current += '"'
            index += 1
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            items.append(current)
            current = ""
        elif quoted or character != " ":
            current += character
        index += 1
    return [*items, current] if current or items else []
