"""What a resource type is to the server, and what the types share. Talks to no engine.

A type decides how its object is made, read, changed and removed. Its facts (`read`) hold only what the server knows;
what only the program knows (how to drop it, a password) is kept from the state by `operations`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from providers.postgresql.client import Client, Session
from providers.postgresql.errors import ConflictError, RefusedError
from providers.postgresql.properties import Failure, Property
from providers.postgresql.wire import Plain

if TYPE_CHECKING:
    from psycopg import sql

MARK_PREFIX = "managed by pulumi: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call for one resource. `timeout` is for each statement, in seconds; 0 means the default."""

    client: Client
    urn: str
    timeout: float = 0

    @property
    def mark(self) -> str:
        """What is written on an object of ours, by which a later run knows it. It stays when the object is renamed."""
        return MARK_PREFIX + self.urn


class ResourceType(Protocol):
    """One type of `pulumi-postgresql`."""

    @property
    def token(self) -> str: ...
    @property
    def spec(self) -> tuple[Property, ...]: ...
    @property
    def exclusive(self) -> bool:
        """Whether a replacement has the same key in the server, so that the old one must go first."""
        ...

    def validate(self, inputs: Plain) -> list[Failure]: ...
    def identify(self, call: Call, inputs: Plain) -> str: ...
    def parse_id(self, object_id: str) -> Plain:
        """What an id to import says. Raises RefusedError."""
        ...

    def create(self, call: Call, inputs: Plain) -> None: ...
    def read(self, call: Call, known: Plain) -> Plain | None:
        """The object's facts, or None when it is gone."""
        ...

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None: ...
    def delete(self, call: Call, olds: Plain) -> None: ...


def title(token: str) -> str:
    """`postgresql:index/database:Database` -> `Database`."""
    return token.rpartition(":")[2]


def refuse_foreign(call: Call, what: str, mark: str | None) -> None:
    """Raises ConflictError unless the mark found on an existing object says that it is this resource's."""
    if mark == call.mark:
        return
    owner = f"it belongs to {mark.removeprefix(MARK_PREFIX)}" if mark and mark.startswith(MARK_PREFIX) else ""
    reason = owner or "it exists already and this resource did not make it"
    raise ConflictError(f"cannot create {what}: {reason}. Choose another name, or take it over with `pulumi import`")


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
