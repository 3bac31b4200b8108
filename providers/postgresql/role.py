"""postgresql.Role: a role with its attributes, settings, memberships and password.

The password reaches the server only as a SCRAM verifier made here, so that no statement, and no log of one, holds it.
Memberships (`roles`) are managed only where given, so that GrantRole can manage them elsewhere.
"""

from typing import TYPE_CHECKING, Any

from providers.plugin.properties import Failure, Kind, Property, diff
from providers.plugin.wire import Bag, Plain
from providers.postgresql import passwords
from providers.postgresql.client import Session
from providers.postgresql.resource import Call, as_member_of, ident, refuse_foreign
from providers.postgresql.role_settings import read_settings, set_settings

if TYPE_CHECKING:
    from psycopg import sql

_FLAGS = {
    "superuser": "SUPERUSER",
    "createDatabase": "CREATEDB",
    "createRole": "CREATEROLE",
    "inherit": "INHERIT",
    "login": "LOGIN",
    "replication": "REPLICATION",
    "bypassRowLevelSecurity": "BYPASSRLS",
}


class Role:
    token = "postgresql:index/role:Role"  # noqa: S105
    exclusive = False
    spec = (
        Property(name="name", identifier=True, autonamed=True),
        Property(name="password", secret=True),
        Property(name="login", kind=Kind.BOOL, default=False),
        Property(name="superuser", kind=Kind.BOOL, default=False),
        Property(name="createDatabase", kind=Kind.BOOL, default=False),
        Property(name="createRole", kind=Kind.BOOL, default=False),
        Property(name="inherit", kind=Kind.BOOL, default=True),
        Property(name="replication", kind=Kind.BOOL, default=False),
        Property(name="bypassRowLevelSecurity", kind=Kind.BOOL, default=False),
        Property(name="connectionLimit", kind=Kind.INTEGER, default=-1, minimum=-1),
        Property(name="validUntil", default="infinity"),
        Property(name="roles", kind=Kind.SET, identifier=True),
        Property(name="searchPaths", kind=Kind.LIST, identifier=True),
        Property(name="statementTimeout", kind=Kind.INTEGER, minimum=0),
        Property(name="idleInTransactionSessionTimeout", kind=Kind.INTEGER, minimum=0),
        Property(name="assumeRole", identifier=True),
        Property(name="encryptedPassword", kind=Kind.BOOL, default=True),
        Property(name="skipDropRole", kind=Kind.BOOL, default=False),
        Property(name="skipReassignOwned", kind=Kind.BOOL, default=False),
        Property(name="encrypted", refused="it was renamed to encryptedPassword"),
        Property(name="passwordWo", refused="give password; the state keeps it encrypted"),
        Property(name="passwordWoVersion", refused="give password; the state keeps it encrypted"),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        if inputs.get("encryptedPassword") is False:
            reason = (
                "property 'encryptedPassword' cannot be false: PostgreSQL 10 and later keep passwords only encrypted"
            )
            return [Failure(property="encryptedPassword", reason=reason)]
        return []

    def identify(self, call: Call, inputs: Plain) -> str:  # noqa: ARG002
        return str(inputs["name"])

    def parse_id(self, object_id: str) -> Plain:
        return {"name": object_id, "roles": []}

    def create(self, call: Call, inputs: Plain) -> None:
        from psycopg import sql

        name = str(inputs["name"])
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", name, *_roles(inputs))
            found = _find(session, name)
            if found is None:
                options = _options(session, inputs, frozenset(inputs), name)
                session.run(f"create role {name!r}", sql.SQL("CREATE ROLE {} {}").format(ident(name), options))
                _mark(call, session, name)
                set_settings(session, name, inputs, frozenset(inputs))
                _set_memberships(session, name, [], _roles(inputs))
                return
            refuse_foreign(call, f"role {name!r}", found["mark"])
        # Made by a run that ended before it could write so down: brought up to date instead.
        facts = _facts(found)
        changed = frozenset(diff(self.spec, Bag(values=facts), Bag(values=inputs)).by_name)
        self.update(call, facts, inputs, changed | ({"password"} & inputs.keys()))

    def read(self, call: Call, known: Plain) -> Plain | None:
        name = str(known["name"])
        with call.client.session(timeout=call.timeout) as session:
            found = _find(session, name)
            if found is None:
                return None
            facts = _facts(found)
            facts["validUntil"] = _valid_until(session, found, known)
            if "roles" not in known:
                facts["roles"] = None
            if known.get("password") and not _has_password(session, name, str(known["password"])):
                facts["password"] = None
        return facts

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:
        from psycopg import sql

        name, wanted = str(olds["name"]), str(news["name"])
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", name, wanted, *_roles(olds), *_roles(news))
            if wanted != name:
                statement = sql.SQL("ALTER ROLE {} RENAME TO {}").format(ident(name), ident(wanted))
                session.run(f"rename role {name!r} to {wanted!r}", statement)
                # An md5 verifier holds the name, and is cleared by a renaming.
                changed |= {"password"} & news.keys()
            options = _options(session, news, changed, wanted)
            if options.as_string():
                session.run(f"change role {wanted!r}", sql.SQL("ALTER ROLE {} {}").format(ident(wanted), options))
            set_settings(session, wanted, news, changed)
            if "roles" in changed:
                _set_memberships(session, wanted, _roles(olds), _roles(news))
            _mark(call, session, wanted)

    def delete(self, call: Call, olds: Plain) -> None:
        from psycopg import sql

        name = str(olds["name"])
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", name)
            if _find(session, name) is None:
                return
            elsewhere = _databases_with_traces(session, name)
        if not olds.get("skipReassignOwned"):
            for database in elsewhere:
                with call.client.session(database, timeout=call.timeout) as session:
                    _disown(session, name)
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", name)
            if not olds.get("skipReassignOwned"):
                _disown(session, name)
            if not olds.get("skipDropRole"):
                session.run(f"drop role {name!r}", sql.SQL("DROP ROLE IF EXISTS {}").format(ident(name)))


def _roles(values: Plain) -> list[str]:
    return [str(role) for role in values.get("roles") or []]


def _find(session: Session, name: str) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolinherit, r.rolcanlogin, r.rolreplication,"
        " r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text AS valid_until, r.rolconfig,"
        " shobj_description(r.oid, 'pg_authid') AS mark,"
        " ARRAY(SELECT DISTINCT pg_get_userbyid(m.roleid)::text FROM pg_auth_members m WHERE m.member = r.oid) AS roles"
        " FROM pg_roles r WHERE r.rolname = %s"
    )
    return session.row(f"read role {name!r}", statement, name)


def _facts(row: dict[str, Any]) -> Plain:
    return {
        "name": row["rolname"],
        "superuser": row["rolsuper"],
        "createDatabase": row["rolcreatedb"],
        "createRole": row["rolcreaterole"],
        "inherit": row["rolinherit"],
        "login": row["rolcanlogin"],
        "replication": row["rolreplication"],
        "bypassRowLevelSecurity": row["rolbypassrls"],
        "connectionLimit": row["rolconnlimit"],
        "validUntil": row["valid_until"] or "infinity",
        "roles": sorted(row["roles"]),
        "encryptedPassword": True,
    } | read_settings(row["rolconfig"] or [])


def _options(session: Session, inputs: Plain, changed: frozenset[str], name: str) -> "sql.Composed":
    """The attributes to set. Only changed ones: naming a superuser's attribute takes one, even to leave it as it is."""
    from psycopg import sql

    parts: list[sql.Composable] = [
        sql.SQL(word if inputs.get(flag) else f"NO{word}") for flag, word in _FLAGS.items() if flag in changed
    ]
    if "connectionLimit" in changed:
        parts.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(inputs.get("connectionLimit", -1))))
    if "validUntil" in changed:
        parts.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(inputs.get("validUntil") or "infinity")))
    if "password" in changed:
        parts.append(sql.SQL("PASSWORD {}").format(_verifier(session, str(inputs.get("password") or "NULL"), name)))
    return sql.SQL(" ").join(parts)


def _verifier(session: Session, password: str, name: str) -> "sql.Composable":
    from psycopg import sql

    if password.upper() == "NULL":
        return sql.SQL("NULL")
    if passwords.is_verifier(password):
        return sql.Literal(password)
    made = session.connection.pgconn.encrypt_password(password.encode(), name.encode(), None)
    return sql.Literal(made.decode())


def _valid_until(session: Session, found: dict[str, Any], known: Plain) -> str:
    """The time as the program wrote it, when it is the same time."""
    from psycopg import sql

    said, seen = str(known.get("validUntil") or "infinity"), found["valid_until"] or "infinity"
    if said == seen:
        return said
    statement = sql.SQL("SELECT {}::timestamptz = {}::timestamptz AS same").format(sql.Literal(said), sql.Literal(seen))
    row = session.row("compare two times", statement)
    return said if row is not None and row["same"] else str(seen)


def _has_password(session: Session, name: str, password: str) -> bool:
    """Whether the role still has it, as far as this user may see: others than superusers must believe the state."""
    from psycopg import sql

    if not session.superuser or password.upper() == "NULL":
        return True
    statement = sql.SQL("SELECT rolpassword FROM pg_authid WHERE rolname = %s")
    row = session.row(f"compare the password of role {name!r}", statement, name)
    return row is not None and passwords.matches(row["rolpassword"] or "", password, name)


def _set_memberships(session: Session, name: str, olds: list[str], news: list[str]) -> None:
    from psycopg import sql

    for role in sorted(set(olds) - set(news)):
        statement = sql.SQL("REVOKE {} FROM {}").format(ident(role), ident(name))
        session.run(f"take role {role!r} from role {name!r}", statement)
    for role in sorted(set(news) - set(olds)):
        session.run(f"grant role {role!r} to role {name!r}", sql.SQL("GRANT {} TO {}").format(ident(role), ident(name)))


def _mark(call: Call, session: Session, name: str) -> None:
    from psycopg import sql

    statement = sql.SQL("COMMENT ON ROLE {} IS {}").format(ident(name), sql.Literal(call.mark))
    session.run(f"mark role {name!r} as this resource's", statement)


def _databases_with_traces(session: Session, name: str) -> list[str]:
    """Other databases where something belongs to the role or names it: PostgreSQL would refuse to drop it."""
    from psycopg import sql

    statement = sql.SQL(
        "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid"
        " JOIN pg_roles r ON r.oid = s.refobjid AND s.refclassid = 'pg_authid'::regclass"
        " WHERE r.rolname = %s AND d.datallowconn AND d.datname <> current_database() ORDER BY 1"
    )
    return [str(row["datname"]) for row in session.rows(f"look for what role {name!r} owns", statement, name)]


def _disown(session: Session, name: str) -> None:
    from psycopg import sql

    with as_member_of(session, [name]):
        doing = f"take over what role {name!r} owns in database {session.connection.info.dbname!r}"
        session.run(doing, sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(ident(name)))
        session.run(doing, sql.SQL("DROP OWNED BY {}").format(ident(name)))
