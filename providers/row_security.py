"""The fence around a tenant's rows in a database that it shares with others: row security on each of its tables.

Decides the policies, who may hold rights in the schema, and what counts as a gap. Two policies per table:

- `tenant_rows` lets the tenant's role and the tables' owner at rows whose `tenant` is the session's. The session's is
  the setting `tenantry.tenant`; without it, the tenant whose role has logged in; for the owner, nobody.
- `tenant_bound`, restrictive, for everybody: the row is of the schema's tenant, and the session was begun by its role
  or by the owner. That is `session_user`, which neither SET ROLE nor a function with its owner's rights changes.

Row security is forced, so the owner needs the setting too. Superusers and roles with BYPASSRLS are not held by it: that
is PostgreSQL's own rule. It never reads or changes rows.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from providers.errors import ProviderError

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

SETTING = "tenantry.tenant"
"""The session's tenant, as `project/stack`."""
COLUMN = "tenant"
CLOSED = "closed"
_UNFENCED = ["schema_migrations"]  # ours, without rows of the tenant's
_ROWS, _BOUND = "tenant_rows", "tenant_bound"

_TABLES = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, a.attname IS NOT NULL AS has_column,
        pg_get_expr(d.adbin, d.adrelid) AS default_value
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %(column)s AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p') AND c.relname <> ALL (%(unfenced)s) ORDER BY c.relname
"""
# The server writes a condition in its own words. Those are remembered in the policy's comment, to be compared later.
_POLICIES = """
    SELECT c.relname, p.polname, coalesce(obj_description(p.oid, 'pg_policy'), '') AS noted,
        md5(concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
            pg_get_expr(p.polwithcheck, p.polrelid),
            (SELECT string_agg(CASE one WHEN 0 THEN 'public' ELSE pg_get_userbyid(one)::text END, ' ' ORDER BY one)
                FROM unnest(p.polroles) one))) AS words
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s ORDER BY c.relname, p.polname
"""
# (name of the object, '' for the schema; who may too much; what): all but the owner; of the tenant's role, what
# `providers.migrations` does not grant.
_RIGHTS = """
    WITH held AS (
        SELECT ''::text AS name, n.nspowner AS owner, r.grantee, r.privilege_type
        FROM pg_namespace n, aclexplode(n.nspacl) r WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT c.relname, c.relowner, r.grantee, r.privilege_type
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) r
        WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT c.relname, c.relowner, r.grantee, r.privilege_type
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid,
            aclexplode(a.attacl) r WHERE n.nspname = %(schema)s
    )
    SELECT name, CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee)::text END,
        string_agg(DISTINCT privilege_type, ' ' ORDER BY privilege_type)
    FROM held WHERE grantee <> owner AND (
        grantee IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = %(role)s)
        OR privilege_type <> ALL ('{SELECT,INSERT,UPDATE,DELETE,USAGE}'))
    GROUP BY 1, 2 ORDER BY 1, 2
"""
# Whoever is a member of the role may act as it, and the role as those that it is a member of. (granted, to whom)
_MEMBERS = """
    SELECT pg_get_userbyid(m.roleid)::text, pg_get_userbyid(m.member)::text
    FROM pg_auth_members m JOIN pg_roles r ON r.rolname = %(role)s AND r.oid IN (m.roleid, m.member)
    WHERE pg_get_userbyid(m.member) <> current_user ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The schema `schema` of the tenant with the mark `mark`, whose application logs in as `role`."""

    schema: str
    mark: str
    role: str

    @property
    def values(self) -> dict[str, Any]:
        """For the statements of this module."""
        return {"schema": self.schema, "role": self.role, "column": COLUMN, "unfenced": _UNFENCED}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    name: str
    kind: str
    to: sql.Composable
    condition: sql.Composable

    @property
    def digest(self) -> str:
        text = f"{self.name}\n{self.kind}\n{self.to.as_string()}\n{self.condition.as_string()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gaps:
    """What is wrong: with tables (name -> what), rights (object, who, what), memberships (role, member)."""

    tables: dict[str, list[str]]
    rights: list[tuple[str, str, str]]
    members: list[tuple[str, str]]

    def __str__(self) -> str:
        found = [f"{table}: {', '.join(wrong)}" for table, wrong in self.tables.items()]
        found += [f"{name or 'the schema'}: {who} may {what}" for name, who, what in self.rights]
        found += [f"{member} is a member of {role}" for role, member in self.members]
        return "; ".join(found) or CLOSED


def gaps(connection: psycopg.Connection[Any], fence: Fence) -> str:
    """CLOSED, or what is wrong with the fence, for a reader."""
    return str(_look(connection, fence))


def enforce(connection: psycopg.Connection[Any], fence: Fence) -> None:
    """Closes the fence, in the caller's transaction; changes only what is not as it should be.

    Raises ProviderError where that cannot be done.
    """
    found = _look(connection, fence)
    for table in found.tables:
        _fence_in(connection, fence, table)
    _take_back(connection, fence, found)
    if (left := gaps(connection, fence)) != CLOSED:
        raise ProviderError(
            f"schema {fence.schema!r}: its fence has gaps that this user cannot close: {left}. "
            "Have an administrator take these rights back, then retry."
        )


def become(connection: psycopg.Connection[Any], mark: str) -> None:
    """For the rest of the connection's life, its session acts for one tenant."""
    connection.execute("SELECT set_config(%s, %s, false)", (SETTING, mark))


def _look(connection: psycopg.Connection[Any], fence: Fence) -> _Gaps:
    values = fence.values
    noted: dict[str, dict[str, tuple[str, str]]] = {}
    for table, policy, note, words in connection.execute(_POLICIES, values):
        noted.setdefault(table, {})[policy] = (note, words)
    wanted = {policy.name: policy.digest for policy in _policies(connection, fence)}
    tables: dict[str, list[str]] = {}
    for table, enabled, forced, has_column, default in connection.execute(_TABLES, values):
        wrong = [
            *([] if enabled else ["row security is off"]),
            *([] if forced else ["row security is not forced"]),
            *([] if has_column else [f"there is no column {COLUMN!r}"]),
            *([] if default == _default(fence) else [f"{COLUMN} has another default"]),
            *_wrong_policies(noted.get(table, {}), wanted),
        ]
        if wrong:
            tables[table] = wrong
    rights = [(str(name), str(who), str(what)) for name, who, what in connection.execute(_RIGHTS, values)]
    members = [(str(role), str(member)) for role, member in connection.execute(_MEMBERS, values)]
    return _Gaps(tables=tables, rights=rights, members=members)


def _wrong_policies(found: dict[str, tuple[str, str]], wanted: dict[str, str]) -> list[str]:
    wrong = [f"policy {name} is missing" for name in wanted if name not in found]
    for name, (note, words) in found.items():
        if name not in wanted:
            wrong.append(f"policy {name} is not ours")
        elif note != f"{wanted[name]} {words}":
            wrong.append(f"policy {name} is another one")
    return wrong


def _default(fence: Fence) -> str:
    from psycopg import sql

    return f"{sql.Literal(fence.mark).as_string()}::text"


def _policies(connection: psycopg.Connection[Any], fence: Fence) -> tuple[_Policy, ...]:
    from psycopg import sql

    row = connection.execute("SELECT current_user::text").fetchone()
    owner = str(row[0]) if row else ""
    names = {
        "column": sql.Identifier(COLUMN),
        "setting": sql.Literal(SETTING),
        "mark": sql.Literal(fence.mark),
        "role": sql.Literal(fence.role),
        "owner": sql.Literal(owner),
    }
    session = "coalesce(nullif(current_setting({setting}, true), ''), CASE WHEN session_user = {role} THEN {mark} END)"
    bound = "{column} = {mark} AND session_user IN ({role}, {owner})"
    both = sql.SQL(", ").join([sql.Identifier(fence.role), sql.Identifier(owner)])
    return (
        _Policy(name=_ROWS, kind="PERMISSIVE", to=both, condition=sql.SQL(f"{{column}} = {session}").format(**names)),
        _Policy(name=_BOUND, kind="RESTRICTIVE", to=sql.SQL("PUBLIC"), condition=sql.SQL(bound).format(**names)),
    )


def _fence_in(connection: psycopg.Connection[Any], fence: Fence, table: str) -> None:
    from psycopg import sql

    values = fence.values
    place = sql.Identifier(fence.schema, table)
    if not any(name == table and has for name, _, _, has, _ in connection.execute(_TABLES, values)):
        raise ProviderError(
            f"schema {fence.schema!r}: table {table!r} has no column {COLUMN!r}, so its rows cannot be fenced. "
            "Add the column in the migration that makes the table."
        )
    there = [policy for name, policy, _, _ in connection.execute(_POLICIES, values) if name == table]
    for policy in there:
        connection.execute(sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(policy), place))
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, ALTER COLUMN {} SET DEFAULT {}"
        ).format(place, sql.Identifier(COLUMN), sql.Literal(fence.mark))
    )
    made = {policy.name: policy for policy in _policies(connection, fence)}
    for policy in made.values():
        connection.execute(
            sql.SQL("CREATE POLICY {} ON {} AS {} FOR ALL TO {} USING ({}) WITH CHECK ({})").format(
                sql.Identifier(policy.name), place, sql.SQL(policy.kind), policy.to, policy.condition, policy.condition
            )
        )
    for name, policy_name, _, words in connection.execute(_POLICIES, values).fetchall():
        if name == table:
            note = f"{made[policy_name].digest} {words}"
            statement = sql.SQL("COMMENT ON POLICY {} ON {} IS {}")
            connection.execute(statement.format(sql.Identifier(policy_name), place, sql.Literal(note)))


def _take_back(connection: psycopg.Connection[Any], fence: Fence, found: _Gaps) -> None:
    from psycopg import sql

    statements = []
    for name, who, _ in found.rights:
        grantee = sql.SQL("PUBLIC") if who == "public" else sql.Identifier(who)
        # What is in a schema may all be called a table here: also a view, and a sequence.
        kind = sql.SQL("TABLE" if name else "SCHEMA")
        place = sql.Identifier(fence.schema, name) if name else sql.Identifier(fence.schema)
        statements.append(sql.SQL("REVOKE ALL ON {} {} FROM {} CASCADE").format(kind, place, grantee))
    for role, member in found.members:
        statements.append(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), sql.Identifier(member)))
    for statement in statements:
        _as_far_as_allowed(connection, statement)


def _as_far_as_allowed(connection: psycopg.Connection[Any], statement: sql.Composed) -> None:
    import psycopg

    # What may not be taken back is a gap that is still there afterwards, and told as one.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute(statement)
