"""postgresql.GrantRole: the membership of one role in another. Granting what is granted already changes nothing."""

from typing import Any

from providers.plugin.properties import Failure, Kind, Property
from providers.plugin.wire import Plain
from providers.postgresql.client import Session
from providers.postgresql.resource import Call, ident, not_importable


class GrantRole:
    token = "postgresql:index/grantRole:GrantRole"  # noqa: S105
    exclusive = True
    spec = (
        Property(name="role", identifier=True, required=True, replaces=True),
        Property(name="grantRole", identifier=True, required=True, replaces=True),
        Property(name="withAdminOption", kind=Kind.BOOL, default=False, replaces=True),
    )

    def validate(self, inputs: Plain) -> list[Failure]:
        if inputs.get("role") == inputs.get("grantRole") and isinstance(inputs.get("role"), str):
            return [Failure(property="grantRole", reason="property 'grantRole' is the role itself: name another")]
        return []

    def identify(self, call: Call, inputs: Plain) -> str:  # noqa: ARG002
        admin = str(bool(inputs.get("withAdminOption"))).lower()
        return f"{inputs['role']}_{inputs['grantRole']}_{admin}"

    def parse_id(self, object_id: str) -> Plain:  # noqa: ARG002
        raise not_importable(self.token)

    def create(self, call: Call, inputs: Plain) -> None:
        from psycopg import sql

        role, group = str(inputs["role"]), str(inputs["grantRole"])
        option = sql.SQL(" WITH ADMIN OPTION" if inputs.get("withAdminOption") else "")
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", role, group)
            statement = sql.SQL("GRANT {} TO {}{}").format(ident(group), ident(role), option)
            session.run(f"grant role {group!r} to role {role!r}", statement)

    def read(self, call: Call, known: Plain) -> Plain | None:
        with call.client.session(timeout=call.timeout) as session:
            found = _find(session, str(known["role"]), str(known["grantRole"]))
        if found is None:
            return None
        return {"role": known["role"], "grantRole": known["grantRole"], "withAdminOption": found["admin"]}

    def update(self, call: Call, olds: Plain, news: Plain, changed: frozenset[str]) -> None:  # noqa: ARG002
        # Every property replaces; an update can only come from an engine that knows better.
        self.create(call, news)

    def delete(self, call: Call, olds: Plain) -> None:
        from psycopg import sql

        role, group = str(olds["role"]), str(olds["grantRole"])
        with call.client.session(timeout=call.timeout) as session:
            session.lock("role", role, group)
            if _find(session, role, group) is not None:
                statement = sql.SQL("REVOKE {} FROM {}").format(ident(group), ident(role))
                session.run(f"take role {group!r} from role {role!r}", statement)


def _find(session: Session, role: str, group: str) -> dict[str, Any] | None:
    from psycopg import sql

    statement = sql.SQL(
        "SELECT bool_or(m.admin_option) AS admin FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
        " JOIN pg_roles g ON g.oid = m.roleid WHERE r.rolname = %s AND g.rolname = %s HAVING count(*) > 0"
    )
    return session.row(f"read the membership of role {role!r} in role {group!r}", statement, role, group)
