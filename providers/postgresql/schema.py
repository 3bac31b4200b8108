"""postgresql.Schema: a schema in a database, with the privileges that its policies name.

As in the stock provider, `ifNotExists` (the default) takes a schema that exists as its own. One that bears another
resource's mark is refused all the same.
"""

from typing import Any

from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.resource import MARK_PREFIX
from providers.plugin.wire import Plain
from providers.postgresql.client import Session
from providers.postgresql.errors import ConflictError, RefusedError
from providers.postgresql.resource import (
    Call,
    as_member_of,
    database_of,
    grantee,
    has_role,
    ident,
    is_gone,
    refuse_foreign,
)

_POLICY = (
    Property(name="role", default=""),
    Property(name="create", kind=Kind.BOOL, default=False),
    Property(name="createWithGrant", kind=Kind.BOOL, default=False),
    Property(name="usage", kind=Kind.BOOL, default=False),
    Property(name="usageWithGrant", kind=Kind.BOOL, default=False),
)


class Schema:
    token = "postgresql:index/schema:Schema"  # noqa: S105
    exclusive = False
    spec = (
        Property(name="name", identifier=True, autonamed=True),
        Property(name="database", identifier=True, computed=True, replaces=True),
        Property(name="owner", identifier=True, computed=True),
        Property(name="ifNotExists", kind=Kind.BOOL, default=True),
        Property(name="dropCascade", kind=Kind.BOOL, default=False),
        Property(name="policies", kind=Kind.OBJECTS, computed=True, fields=_POLICY),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        failures: list[Failure] = []
        policies = inputs.get("policies")
        for index, policy in enumerate(policies if isinstance(policies, list) else []):
            for name in ("create", "usage"):
                if isinstance(policy, dict) and policy.get(name) is True and policy.get(f"{name}WithGrant") is True:
                    path = f"policies[{index}].{name}"
                    reason = f"property {path!r} and {name}WithGrant exclude each other: give one"
                    failures.append(Failure(property=path, reason=reason))
        return failures

    def identify(self, call: Call, inputs: Plain) -> str:
        return f"{database_of(call, inputs)}.{inputs['name']}"

    def parse_id(self, object_id: str) -> Plain:
        database, dot, name = object_id.partition(".")
        if not dot or not database or not name:
            raise RefusedError(f"the id of a Schema is DATABASE.SCHEMA, not {object_id!r}")
        return {"name": name, "database": database, "ifNotExists": True}

    def create(self, call: Call, inputs: Plain) -> None:
        from psycopg import sql

        name, owner = str(inputs["name"]), str(inputs.get("owner") or "")
        with call.client.session(database_of(call, inputs), timeout=call.timeout) as session:
            session.lock("schema", name)
            with as_member_of(session, [_database_owner(session), owner]):
                found = _find(session, name)
                if found is None:
                    authorization = sql.SQL(" AUTHORIZATION {}").format(ident(owner)) if owner else sql.SQL("")
                    statement = sql.SQL("CREATE SCHEMA {}{}").format(ident(name), authorization)
                    session.run(f"create schema {name!r}", statement)
                    _mark(call, session, name)
                else:
                    _adopt(call, session, found, inputs)
                _set_policies(session, name, [], inputs.get("policies") or [])

    def read(self, call: Call, known: Plain) -> Plain | None:
        database = database_of(call, known)
        if is_gone(call, database):
            return None
        with call.client.session(database, timeout=call.timeout) as session:
            found = _find(session, str(known["name"]))
        return None if found is None else {"name": found["nspname"], "owner": found["owner"], "database": database}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        from psycopg import sql

        name, wanted, owner = str(olds["name"]), str(news["name"]), str(news.get("owner") or "")
        with call.client.session(database_of(call, olds), timeout=call.timeout) as session:
            session.lock("schema", name, wanted)
            with as_member_of(session, [_database_owner(session), str(olds.get("owner") or ""), owner]):
                if wanted != name:
                    statement = sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(ident(name), ident(wanted))
                    session.run(f"rename schema {name!r} to {wanted!r}", statement)
                if "owner" in changed and owner:
                    statement = sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(ident(wanted), ident(owner))
                    session.run(f"give schema {wanted!r} to role {owner!r}", statement)
                if "policies" in changed:
                    _set_policies(session, wanted, olds.get("policies") or [], news.get("policies") or [])

    def delete(self, call: Call, olds: Plain) -> None:
        from psycopg import sql

        name, database = str(olds["name"]), database_of(call, olds)
        if is_gone(call, database):
            return
        with call.client.session(database, timeout=call.timeout) as session:
            session.lock("schema", name)
            found = _find(session, name)
            if found is None:
                return
            mode = sql.SQL("CASCADE" if olds.get("dropCascade") else "RESTRICT")
            with as_member_of(session, [found["owner"]]):
                session.run(f"drop schema {name!r}", sql.SQL("DROP SCHEMA {} {}").format(ident(name), mode))


def _database_owner(session: Session) -> str:
    from psycopg import sql

    statement = sql.SQL("SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = current_database()")
    row = session.row("read the database's owner", statement)
    return str(row["owner"]) if row else ""


def _find(session: Session, name: str) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT nspname, pg_get_userbyid(nspowner) AS owner, obj_description(oid, 'pg_namespace') AS mark"
        " FROM pg_namespace WHERE nspname = %s"
    )
    return session.row(f"read schema {name!r}", statement, name)


def _adopt(call: Call, session: Session, found: dict[str, Any], inputs: Plain) -> None:
    from psycopg import sql

    name, owner, mark = found["nspname"], str(inputs.get("owner") or ""), found["mark"] or ""
    if mark != call.mark and mark.startswith(MARK_PREFIX):
        refuse_foreign(call, f"schema {name!r}", mark)
    if mark != call.mark and not inputs.get("ifNotExists"):
        raise ConflictError(f"cannot create schema {name!r}: it exists. Set ifNotExists, or import it")
    if owner and owner != found["owner"]:
        statement = sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(ident(name), ident(owner))
        session.run(f"give schema {name!r} to role {owner!r}", statement)


def _mark(call: Call, session: Session, name: str) -> None:
    from psycopg import sql

    statement = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(ident(name), sql.Literal(call.mark))
    session.run(f"mark schema {name!r} as this resource's", statement)


def _set_policies(session: Session, name: str, olds: list[Plain], news: list[Plain]) -> None:
    from psycopg import sql

    for policy in olds:
        role = str(policy.get("role") or "public")
        if not has_role(session, role):
            continue  # its privileges went with it
        statement = sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(ident(name), grantee(role))
        session.run(f"revoke the policy for role {role!r} on schema {name!r}", statement)
    for policy in news:
        role = str(policy.get("role") or "public")
        for word in ("create", "usage"):
            with_grant = bool(policy.get(f"{word}WithGrant"))
            if not (policy.get(word) or with_grant):
                continue
            option = sql.SQL(" WITH GRANT OPTION" if with_grant else "")
            statement = sql.SQL("GRANT {} ON SCHEMA {} TO {}{}").format(
                sql.SQL(word.upper()), ident(name), grantee(role), option
            )
            session.run(f"grant {word} on schema {name!r} to role {role!r}", statement)
