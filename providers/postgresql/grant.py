"""postgresql.Grant: privileges of a role on objects of one kind. It makes them exactly so, as the stock provider does:
what the role held on these objects before is revoked in the same transaction.
"""

from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.wire import UNKNOWN, Plain, has_unknown
from providers.postgresql import acl
from providers.postgresql.client import Session
from providers.postgresql.errors import RefusedError
from providers.postgresql.resource import Call, as_member_of, grantee, has_role, has_schema, is_gone, not_importable

_WITHOUT_SCHEMA = {"database", "foreign_data_wrapper", "foreign_server"}
_NAMED_ONLY = {"foreign_data_wrapper", "foreign_server", "column"}
PRIVILEGES = {
    "database": {"CREATE", "CONNECT", "TEMPORARY"},
    "schema": {"CREATE", "USAGE"},
    "table": {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"},
    "sequence": {"USAGE", "SELECT", "UPDATE"},
    "function": {"EXECUTE"},
    "procedure": {"EXECUTE"},
    "routine": {"EXECUTE"},
    "type": {"USAGE"},
    "foreign_data_wrapper": {"USAGE"},
    "foreign_server": {"USAGE"},
    "column": {"SELECT", "INSERT", "UPDATE", "REFERENCES"},
}


def check_privileges(inputs: Plain, kind: str) -> list[Failure]:
    """The privileges that a kind of object does not have."""
    known = PRIVILEGES.get(kind)
    given = inputs.get("privileges")
    if known is None or not isinstance(given, list):
        return []
    choice = ", ".join(sorted(known))
    return [
        Failure(
            property=f"privileges[{index}]",
            reason=f"property 'privileges[{index}]': a {kind} has no privilege {word!r}, only {choice}",
        )
        for index, word in enumerate(given)
        if isinstance(word, str) and acl.canonical(word) not in known | {"ALL"}
    ]


class Grant:
    token = "postgresql:index/grant:Grant"  # noqa: S105
    exclusive = True
    spec = (
        Property(name="role", identifier=True, required=True, replaces=True),
        Property(name="database", identifier=True, required=True, replaces=True),
        Property(name="schema", identifier=True, replaces=True),
        Property(name="objectType", required=True, replaces=True, choices=tuple(acl.SOURCES)),
        Property(name="objects", kind=Kind.SET, replaces=True),
        Property(name="columns", kind=Kind.SET, identifier=True, replaces=True),
        Property(name="privileges", kind=Kind.SET, required=True, canonical=acl.canonical),
        Property(name="withGrantOption", kind=Kind.BOOL, default=False, replaces=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        kind = inputs.get("objectType")
        if not isinstance(kind, str) or kind not in acl.SOURCES:
            return []
        failures = check_privileges(inputs, kind)
        if kind not in _WITHOUT_SCHEMA and not inputs.get("schema"):
            failures.append(Failure(property="schema", reason=f"property 'schema' is missing: a {kind} is in one"))
        objects, columns = inputs.get("objects") or [], inputs.get("columns") or []
        if objects and kind in {"database", "schema"}:
            failures.append(Failure(property="objects", reason=f"property 'objects' does not go with a {kind}"))
        if kind in _NAMED_ONLY and objects is not UNKNOWN and len(objects) != 1:
            failures.append(
                Failure(property="objects", reason=f"property 'objects' must name exactly one for a {kind}")
            )
        if (kind == "column") != bool(columns):
            failures.append(Failure(property="columns", reason="property 'columns' goes with objectType column, only"))
        if inputs.get("withGrantOption") is True and str(inputs.get("role")).lower() == "public":
            reason = "property 'withGrantOption' cannot be true for the role public"
            failures.append(Failure(property="withGrantOption", reason=reason))
        return failures

    def identify(self, call: Call, inputs: Plain) -> str:  # noqa: ARG002
        kind = str(inputs["objectType"])
        middle = [] if kind in _WITHOUT_SCHEMA else [str(inputs.get("schema") or "")]
        named = [*sorted(inputs.get("objects") or []), *sorted(inputs.get("columns") or [])]
        return "_".join([str(inputs["role"]), str(inputs["database"]), *middle, kind, *named])

    def parse_id(self, object_id: str) -> Plain:  # noqa: ARG002
        raise not_importable(self.token)

    def create(self, call: Call, inputs: Plain) -> None:
        self._set(call, inputs, [str(each) for each in inputs.get("privileges") or []])

    def read(self, call: Call, known: Plain) -> Plain | None:
        database = _session_database(call, known)
        if is_gone(call, str(known["database"])):
            return None
        with call.client.session(database, timeout=call.timeout) as session:
            if not has_role(session, str(known["role"])) or not _has_schema(session, known):
                return None
            found = acl.targets(session, known)
        wanted = known.get("privileges") or []
        facts = {name: known.get(name) for name in ("role", "database", "schema", "objectType")}
        if known.get("objects") and not found:
            return facts | {"privileges": []}
        for target in found:
            if target.held != acl.expand(wanted, target.every):
                return facts | {"privileges": sorted(target.held)}
        return facts | {"privileges": wanted}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:  # noqa: ARG002
        self.create(call, news)

    def delete(self, call: Call, olds: Plain) -> None:
        if is_gone(call, str(olds["database"])):
            return
        with call.client.session(_session_database(call, olds), timeout=call.timeout) as session:
            if not has_role(session, str(olds["role"])) or not _has_schema(session, olds):
                return
            if olds.get("objects") and not acl.targets(session, olds):
                return
        self._set(call, olds, [])

    def _set(self, call: Call, inputs: Plain, privileges: list[str]) -> None:
        from psycopg import sql

        if has_unknown(inputs):
            raise RefusedError("cannot grant yet: some of its inputs are not known")
        kind, role = str(inputs["objectType"]), str(inputs["role"])
        with call.client.session(_session_database(call, inputs), timeout=call.timeout) as session:
            session.lock("acl", f"{inputs['database']}.{inputs.get('schema') or ''}")
            found = acl.targets(session, inputs)
            named = inputs.get("objects")
            if named and not found and privileges:
                raise RefusedError(
                    f"cannot grant on {kind} {', '.join(named)}: there is none of that name in its place"
                )
            on = acl.on_clause(inputs, found)
            columns = sql.SQL("")
            if kind == "column":
                names = sql.SQL(", ").join(sql.Identifier(str(each)) for each in inputs["columns"])
                columns = sql.SQL(" ({})").format(names)  # type: ignore[assignment]
            with as_member_of(session, [target.owner for target in found]):
                statement = sql.SQL("REVOKE ALL PRIVILEGES{} ON {} FROM {}").format(columns, on, grantee(role))
                session.run(f"revoke the privileges of role {role!r} on {kind}", statement)
                if privileges:
                    words = [sql.SQL("{}{}").format(sql.SQL(acl.canonical(word)), columns) for word in privileges]
                    option = sql.SQL(" WITH GRANT OPTION" if inputs.get("withGrantOption") else "")
                    statement = sql.SQL("GRANT {} ON {} TO {}{}").format(
                        sql.SQL(", ").join(words), on, grantee(role), option
                    )
                    session.run(f"grant {', '.join(privileges)} on {kind} to role {role!r}", statement)


def _session_database(call: Call, inputs: Plain) -> str:
    """Databases are the whole server's: all runs change their privileges from one place, where the lock is shared."""
    return call.client.config.database if inputs["objectType"] == "database" else str(inputs["database"])


def _has_schema(session: Session, inputs: Plain) -> bool:
    return inputs["objectType"] in _WITHOUT_SCHEMA or has_schema(session, str(inputs.get("schema") or ""))
