"""postgresql.DefaultPrivileges: what a role may do with objects that another role will make."""

from typing import TYPE_CHECKING

from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.wire import Plain
from providers.postgresql import acl
from providers.postgresql.client import Session
from providers.postgresql.grant import check_privileges
from providers.postgresql.resource import (
    Call,
    as_member_of,
    grantee,
    has_role,
    has_schema,
    ident,
    is_gone,
    not_importable,
)

if TYPE_CHECKING:
    from psycopg import sql

# pg_default_acl.defaclobjtype; routines and functions share one.
_LETTERS = {"table": "r", "sequence": "S", "function": "f", "routine": "f", "type": "T", "schema": "n"}


class DefaultPrivileges:
    token = "postgresql:index/defaultPrivileges:DefaultPrivileges"  # noqa: S105
    exclusive = True
    spec = (
        Property(name="role", identifier=True, required=True, replaces=True),
        Property(name="database", identifier=True, required=True, replaces=True),
        Property(name="owner", identifier=True, required=True, replaces=True),
        Property(name="schema", identifier=True, replaces=True),
        Property(name="objectType", required=True, replaces=True, choices=tuple(_LETTERS)),
        Property(name="privileges", kind=Kind.SET, required=True, canonical=acl.canonical),
        Property(name="withGrantOption", kind=Kind.BOOL, default=False, replaces=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        failures = check_privileges(inputs, str(inputs.get("objectType")))
        if inputs.get("objectType") == "schema" and inputs.get("schema"):
            reason = "property 'schema' does not go with objectType schema: schemas are not in one"
            failures.append(Failure(property="schema", reason=reason))
        if inputs.get("withGrantOption") is True and str(inputs.get("role")).lower() == "public":
            reason = "property 'withGrantOption' cannot be true for the role public"
            failures.append(Failure(property="withGrantOption", reason=reason))
        return failures

    def identify(self, call: Call, inputs: Plain) -> str:  # noqa: ARG002
        schema = str(inputs.get("schema") or "noschema")
        parts = (inputs["role"], inputs["database"], schema, inputs["owner"], inputs["objectType"])
        return "_".join(str(part) for part in parts)

    def parse_id(self, object_id: str) -> Plain:  # noqa: ARG002
        raise not_importable(self.token)

    def create(self, call: Call, inputs: Plain) -> None:
        self._set(call, inputs, [str(each) for each in inputs.get("privileges") or []])

    def read(self, call: Call, known: Plain) -> Plain | None:
        if is_gone(call, str(known["database"])):
            return None
        with call.client.session(str(known["database"]), timeout=call.timeout) as session:
            if not _places_exist(session, known):
                return None
            held = _held(session, known)
        wanted = known.get("privileges") or []
        if wanted and not held:
            return None
        facts = {name: known.get(name) for name in ("role", "database", "owner", "schema", "objectType")}
        every = frozenset(held) if any(acl.canonical(word) == "ALL" for word in wanted) else frozenset()
        return facts | {"privileges": wanted if held == acl.expand(wanted, every) else sorted(held)}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:  # noqa: ARG002
        self.create(call, news)

    def delete(self, call: Call, olds: Plain) -> None:
        if is_gone(call, str(olds["database"])):
            return
        with call.client.session(str(olds["database"]), timeout=call.timeout) as session:
            if not _places_exist(session, olds):
                return
        self._set(call, olds, [])

    def _set(self, call: Call, inputs: Plain, privileges: list[str]) -> None:
        from psycopg import sql

        role, owner, kind = str(inputs["role"]), str(inputs["owner"]), str(inputs["objectType"])
        with call.client.session(str(inputs["database"]), timeout=call.timeout) as session:
            session.lock("default-acl", owner)
            scope = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}{}").format(ident(owner), _in_schema(inputs))
            plural = sql.SQL(f"{kind.upper()}S")
            with as_member_of(session, [owner]):
                statement = sql.SQL("{} REVOKE ALL ON {} FROM {}").format(scope, plural, grantee(role))
                session.run(f"revoke the default privileges of role {role!r} on each {kind} of {owner!r}", statement)
                if privileges:
                    words = sql.SQL(", ").join(sql.SQL(acl.canonical(word)) for word in privileges)
                    option = sql.SQL(" WITH GRANT OPTION" if inputs.get("withGrantOption") else "")
                    statement = sql.SQL("{} GRANT {} ON {} TO {}{}").format(scope, words, plural, grantee(role), option)
                    session.run(f"grant role {role!r} default privileges on each {kind} of {owner!r}", statement)


def _in_schema(inputs: Plain) -> "sql.Composable":
    from psycopg import sql

    return sql.SQL(" IN SCHEMA {}").format(ident(str(inputs["schema"]))) if inputs.get("schema") else sql.SQL("")


def _places_exist(session: Session, inputs: Plain) -> bool:
    if not all(has_role(session, str(inputs[name])) for name in ("role", "owner")):
        return False
    return not inputs.get("schema") or has_schema(session, str(inputs["schema"]))


def _held(session: Session, inputs: Plain) -> frozenset[str]:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT DISTINCT x.privilege_type AS word FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) x"
        " LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace LEFT JOIN pg_roles g ON g.oid = x.grantee"
        " WHERE pg_get_userbyid(d.defaclrole) = %s AND d.defaclobjtype = %s"
        " AND COALESCE(n.nspname, '') = %s AND (x.is_grantable OR NOT %s)"
        " AND CASE WHEN %s THEN x.grantee = 0 ELSE g.rolname = %s END"
    )
    role = str(inputs["role"])
    values = (
        *(str(inputs["owner"]), _LETTERS[str(inputs["objectType"])], str(inputs.get("schema") or "")),
        *(bool(inputs.get("withGrantOption")), role.lower() == "public", role),
    )
    rows = session.rows(f"read the default privileges of role {role!r}", statement, *values)
    return frozenset(str(row["word"]) for row in rows)
