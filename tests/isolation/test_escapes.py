"""From one tenant to another there is no way: neither to read a row nor to change one.

Each attack is tried with each fence alone: as it is; with all rights on the victim's schema given away by mistake; as a
member of the victim's role; and through an owner's view and function. What comes back must not hold the victim's word.
Where rights are given away, the attacker may also make objects at home: its views and functions would otherwise fail
before row security has a say.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.isolation.attacks import ATTACKS
from tests.isolation.region import Department

CANARY = "canary-7d1f0c"
OWN = "own-row-31ab"
COUNTED = 400  # so many equal rows that ANALYZE keeps the value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who attacks whom, and a superuser who looks on."""

    attacker: Department
    victim: Department
    root: psycopg.Connection[Any]


@pytest.fixture(scope="module")
def scene(pair: tuple[Department, Department]) -> Iterator[Scene]:
    """The attacker with a row of its own, the victim with rows that hold CANARY wherever text can be."""
    attacker, victim = pair
    with attacker.connect() as connection:
        connection.execute("INSERT INTO documents (title, body) VALUES ('mine', %s)", (OWN,))
    with victim.connect() as connection:
        insert = "INSERT INTO documents (title, body) SELECT %s, %s || CASE WHEN n > 5 THEN '' ELSE n::text END "
        connection.execute(f"{insert} FROM generate_series(1, {COUNTED}) n", (CANARY, CANARY))
        connection.execute("INSERT INTO settings (section, value) VALUES ('secret', to_jsonb(%s::text))", (CANARY,))
        connection.execute("INSERT INTO events (kind, source) VALUES (%s, %s)", (CANARY, CANARY))
        connection.execute("INSERT INTO audit_log (actor, action) VALUES (%s, %s)", (CANARY, CANARY))
    with victim.region.root() as connection:
        connection.execute("ANALYZE")
        yield Scene(attacker=attacker, victim=victim, root=connection)


@pytest.fixture
def rights_given_away(scene: Scene) -> Iterator[None]:
    """Somebody has granted the attacker all that can be granted on the victim's schema, and to make objects."""
    with making_objects(scene):
        yield from _while(scene, "GRANT {} ON {} {} TO {}", "REVOKE {} ON {} {} FROM {}")


def _while(scene: Scene, give: str, take: str) -> Iterator[None]:
    schema, role = sql.Identifier(scene.victim.schema), sql.Identifier(scene.attacker.role)
    for statement in (give, take):
        for what, kind in (
            ("USAGE, CREATE", "SCHEMA"),
            ("ALL", "ALL TABLES IN SCHEMA"),
            ("ALL", "ALL SEQUENCES IN SCHEMA"),
        ):
            scene.root.execute(sql.SQL(statement).format(sql.SQL(what), sql.SQL(kind), schema, role))
        if statement == give:
            yield


@pytest.fixture
def member(scene: Scene) -> Iterator[None]:
    """Somebody has made the attacker's role a member of the victim's, and lets it make objects."""
    attacker, victim = scene.attacker, scene.victim
    with making_objects(scene):
        scene.root.execute(f"GRANT {victim.role} TO {attacker.role}")
        yield
        scene.root.execute(f"REVOKE {victim.role} FROM {attacker.role}")


@contextlib.contextmanager
def making_objects(scene: Scene) -> Iterator[None]:
    """The attacker may make objects in its own schema, and temporary ones. Afterwards what it has made is gone."""
    root, role, schema = scene.root, scene.attacker.role, scene.attacker.schema
    rights = (("CREATE", f"SCHEMA {schema}"), ("TEMPORARY", f"DATABASE {scene.victim.region.database}"))
    for what, place in rights:
        root.execute(f"GRANT {what} ON {place} TO {role}")
    try:
        yield
    finally:
        for what, place in rights:
            root.execute(f"REVOKE {what} ON {place} FROM {role}")
        # The one thing that is made at the victim's, which owns it then.
        root.execute(f"DROP TRIGGER IF EXISTS t ON {scene.victim.schema}.documents")
        for statement in root.execute(_MADE, (role, role)).fetchall():
            root.execute(statement[0])


# What is temporary ends with its session.
_MADE = r"""
    SELECT format('DROP %%s IF EXISTS %%s CASCADE',
        CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, oid::regclass)
    FROM pg_class WHERE relowner = %s::regrole AND relkind IN ('r', 'v', 'm') AND relpersistence <> 't'
    UNION ALL
    SELECT format('DROP ROUTINE IF EXISTS %%s CASCADE', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE proowner = %s::regrole AND n.nspname NOT LIKE 'pg\_temp\_%%'
"""


def attack(scene: Scene, statements: tuple[str, ...], **changes: Any) -> str:
    """All that came back, errors and notices too, as text."""
    attacker, victim = scene.attacker, scene.victim
    names = {"schema": victim.schema, "role": victim.role, "mark": victim.mark, "owner": victim.region.admin}
    said: list[str] = []
    with attacker.connect(**changes) as connection:
        connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        for statement in statements:
            # Without values: psycopg takes no percent sign for a place then.
            text = statement.replace("%%", "%")
            for name, value in (names | {"canary": CANARY}).items():
                text = text.replace(f"{{{name}}}", value)
            try:
                said.append(_run(connection, text))
            except psycopg.Error as error:
                said.extend(str(part) for part in (error, error.diag.message_detail, error.diag.context))
    return "\n".join(said)


def _run(connection: psycopg.Connection[Any], text: str) -> str:
    with connection.cursor() as cursor:
        if text.startswith("COPY") and text.endswith("STDOUT"):
            with cursor.copy(text) as copied:
                return b"".join(bytes(part) for part in copied).decode()
        if text.startswith("COPY") and text.endswith("STDIN"):
            with cursor.copy(text) as copied:
                copied.write(b"tenantry/dept_two\tx\n" if "tenant" in text.split("(")[1] else b"from outside\n")
            return ""
        cursor.execute(text)
        return repr(cursor.fetchall()) if cursor.description else ""


def snapshot(scene: Scene) -> list[Any]:
    """What the attacker must not change: the victim's rows, and the fence around them."""
    schema = scene.victim.schema
    found = []
    for table in ("documents", "settings", "events", "audit_log", "messages"):
        query = f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {schema}.{table} t"
        found.append(scene.root.execute(query).fetchone())
    query = (
        "SELECT c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner)::text, array_agg(p.polname)"
        " FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relname = 'documents'"
        f" AND c.relnamespace = '{schema}'::regnamespace GROUP BY 1, 2, 3"
    )
    return [*found, scene.root.execute(query).fetchone()]


def check(scene: Scene, statements: tuple[str, ...]) -> None:
    before = snapshot(scene)
    said = attack(scene, statements)
    # The words that the attacker has sent itself do not count.
    assert CANARY not in said.replace(f"LIKE '{CANARY}", ""), said
    assert "(1,)" not in said or "EXISTS" not in statements[-1], said
    assert snapshot(scene) == before
    foreign = f"SELECT count(*) FROM {scene.attacker.schema}.documents WHERE tenant <> %s"
    assert scene.root.execute(foreign, (scene.attacker.mark,)).fetchone() == (0,)


@pytest.mark.parametrize("name", ATTACKS)
def test_there_is_no_way_across(scene: Scene, name: str) -> None:
    check(scene, ATTACKS[name])


@pytest.mark.parametrize("name", ATTACKS)
def test_nor_with_all_rights_given_away(scene: Scene, rights_given_away: None, name: str) -> None:
    if name == "truncate":
        pytest.skip("row security knows no TRUNCATE: who is granted it may use it, so nobody is")
    check(scene, ATTACKS[name])


@pytest.mark.parametrize("name", ATTACKS)
def test_nor_as_a_member_of_the_others_role(scene: Scene, member: None, name: str) -> None:
    check(scene, ATTACKS[name])


_REACHING = (
    *("select", "copy out", "prepared", "cast that fails", "common table", "do"),
    *("view", "temporary view", "materialized view", "temporary table", "select into"),
    *("function", "temporary function", "operator that tells"),
)


def test_the_attacks_reach_what_is_not_fenced(scene: Scene) -> None:
    """The suite itself: without the fence, the same statements do bring the word."""
    attacker, schema, root = scene.attacker, scene.victim.schema, scene.root
    root.execute(f"CREATE TABLE {schema}.open (body text)")
    root.execute(f"INSERT INTO {schema}.open VALUES ('{CANARY}')")
    root.execute(f"GRANT USAGE ON SCHEMA {schema} TO {attacker.role}")
    root.execute(f"GRANT SELECT ON {schema}.open TO {attacker.role}")
    try:
        for way in _REACHING:
            statements = tuple(one.replace("documents", "open") for one in ATTACKS[way])
            with making_objects(scene):
                assert CANARY in attack(scene, statements), way
    finally:
        root.execute(f"DROP TABLE {schema}.open")
        root.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {attacker.role}")


@pytest.mark.parametrize("tenant", ["", "tenantry/dept_two", "tenantry/dept_one' OR ''='"])
def test_a_session_that_begins_as_another_tenant_finds_nothing(
    scene: Scene, rights_given_away: None, tenant: str
) -> None:
    options = f"-c tenantry.tenant={tenant}".replace(" OR ", "\\ OR\\ ")
    said = attack(scene, ("SELECT body FROM {schema}.documents", "SELECT body FROM documents"), options=options)
    assert CANARY not in said
    assert (OWN in said) == (tenant == "")


def test_an_owners_view_and_function_give_nothing_of_another_tenant(scene: Scene) -> None:
    """What runs with its owner's rights is held by the session, which stays the attacker's."""
    attacker, victim = scene.attacker, scene.victim
    region = victim.region
    with region.owner() as connection:
        connection.execute(f"CREATE VIEW {attacker.schema}.v AS SELECT * FROM {victim.schema}.documents")
        connection.execute(
            f"CREATE FUNCTION {attacker.schema}.f() RETURNS SETOF text SECURITY DEFINER LANGUAGE sql "
            f"AS 'SELECT body FROM {victim.schema}.documents'"
        )
        connection.execute(f"GRANT SELECT ON {attacker.schema}.v TO {attacker.role}")
        try:
            for tenant in ("", attacker.mark, victim.mark):
                said = attack(scene, (f"SET tenantry.tenant TO '{tenant}'", "SELECT * FROM v", "SELECT f()"))
                assert CANARY not in said
                assert "Error" not in said
                assert "permission" not in said
        finally:
            connection.execute(f"DROP VIEW {attacker.schema}.v")
            connection.execute(f"DROP FUNCTION {attacker.schema}.f()")


def test_no_catalog_shows_a_word_of_another_tenant(scene: Scene) -> None:
    """Every relation of the server that the attacker may read, each row of it as text."""
    attacker = scene.attacker
    looked, word = 0, f"%{CANARY}%"
    with attacker.connect() as connection:
        relations = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')"
            " AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1"
        ).fetchall()
        for (relation,) in relations:
            try:
                row = connection.execute(f"SELECT count(*) FROM {relation} t WHERE t::text LIKE %s", (word,)).fetchone()
            except psycopg.errors.InsufficientPrivilege:
                continue
            looked += 1
            assert row == (0,) or relation.endswith("pg_stat_activity"), relation  # its own query has the word
    assert looked > 150


def test_the_owner_sees_only_the_tenant_that_it_acts_for(scene: Scene) -> None:
    attacker, victim = scene.attacker, scene.victim
    with victim.region.owner() as connection:
        count = f"SELECT count(*) FROM {victim.schema}.documents"
        assert connection.execute(count).fetchone() == (0,)
        connection.execute(f"SET tenantry.tenant TO '{attacker.mark}'")
        assert connection.execute(count).fetchone() == (0,)
        assert connection.execute(f"SELECT body FROM {attacker.schema}.documents").fetchall() == [(OWN,)]
        connection.execute(f"SET tenantry.tenant TO '{victim.mark}'")
        assert connection.execute(count).fetchone() == (COUNTED,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(f"INSERT INTO {victim.schema}.documents (tenant, title) VALUES ('{attacker.mark}', 'x')")


def test_a_row_that_got_into_the_wrong_schema_stays_unseen(scene: Scene) -> None:
    """As a restore, or a copy between schemas, may leave one."""
    table, mark = f"{scene.attacker.schema}.documents", scene.victim.mark
    scene.root.execute(f"INSERT INTO {table} (tenant, title) VALUES (%s, %s)", (mark, CANARY))
    try:
        statements = ("SELECT * FROM documents", f"SET tenantry.tenant TO '{mark}'", "SELECT * FROM documents")
        assert CANARY not in attack(scene, statements)
    finally:
        scene.root.execute(f"DELETE FROM {table} WHERE tenant = %s", (mark,))


def test_a_tenants_role_is_nothing_but_itself(scene: Scene) -> None:
    attacker, victim = scene.attacker, scene.victim
    with attacker.connect() as connection:
        rights = "rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        assert (
            connection.execute(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user").fetchone() == (False,) * 5
        )
        groups = (
            "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = current_user"
        )
        assert connection.execute(groups).fetchone() == (0,)
        assert connection.execute(
            "SELECT count(*) FROM pg_proc WHERE prosecdef AND pronamespace <> ALL "
            "('{pg_catalog,information_schema}'::regnamespace[])"
        ).fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        attacker.connect(user=victim.role)
