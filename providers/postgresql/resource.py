"""What the types share: marks, names, roles. Talks to no engine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from providers.plugin import resource as plugin
from providers.plugin.resource import Call as PluginCall
from providers.plugin.resource import ResourceType as PluginType
from providers.plugin.resource import title
from providers.plugin.wire import Plain
from providers.postgresql.client import Client, Session
from providers.postgresql.errors import RefusedError

if TYPE_CHECKING:
    from psycopg import sql

Call = PluginCall[Client]
ResourceType = PluginType[Client]


def refuse_foreign(call: Call, what: str, mark: str | None) -> None:
    """Raises ConflictError unless the mark found on an existing object says that it is this resource's."""
    plugin.refuse_foreign(call.mark, what, mark)


def not_importable(token: str) -> RefusedError:
    name = title(token)
    return RefusedError(f"a {name} cannot be imported: declare it instead; creating one that exists changes nothing")


def ident(*names: str) -> "sql.Identifier":
    from psycopg import sql

    return sql.Identifier(*names)


def grantee(role: str) -> "sql.Composable":
    """A role, or PUBLIC for the word `public` in any case, as the stock provider has it."""
    from psycopg import sql

    return sql.SQL("PUBLIC") if role.lower() == "public" else sql.Identifier(role)


def has_role(session: Session, name: str) -> bool:
    from psycopg import sql

    if name.lower() == "public":
        return True
    statement = sql.SQL("SELECT 1 AS found FROM pg_roles WHERE rolname = %s")
    return session.row(f"look for role {name!r}", statement, name) is not None


def has_schema(session: Session, name: str) -> bool:
    from psycopg import sql

    statement = sql.SQL("SELECT 1 AS found FROM pg_namespace WHERE nspname = %s")
    return session.row(f"look for schema {name!r}", statement, name) is not None


def database_of(call: Call, values: Plain) -> str:
    """The database that an object is in: its own property, or the provider's."""
    return str(values.get("database") or call.client.config.database)


def is_gone(call: Call, database: str) -> bool:
    """Whether a database, and with it all that was in it, is no more. The one to ask in is there."""
    return database != call.client.config.database and not call.client.has_database(database)


@contextmanager
def as_member_of(session: Session, roles: Sequence[str]) -> Iterator[None]:
    """Act for other roles. A superuser needs nothing; another user is made a member for this long."""
    from psycopg import sql

    granted: list[str] = []
    for role in sorted(set(roles)):
        if session.superuser or not role or role.lower() == "public":
            continue
        statement = sql.SQL("SELECT pg_has_role(current_user, oid, 'USAGE') AS member FROM pg_roles WHERE rolname = %s")
        found = session.row(f"look at role {role!r}", statement, role)
        if found is not None and not found["member"]:
            joining = sql.SQL("GRANT {} TO CURRENT_USER").format(ident(role))
            session.run(f"become a member of role {role!r}", joining)
            granted.append(role)
    try:
        yield
    finally:
        for role in granted:
            # In a failed transaction this cannot run, and need not: the membership is rolled back with the rest.
            if session.connection.info.transaction_status.name != "INERROR":
                leaving = sql.SQL("REVOKE {} FROM CURRENT_USER").format(ident(role))
                session.run(f"leave role {role!r}", leaving)
