"""A department's schema: adopted or created, its fence kept closed, drift told, and nothing left when it goes."""

import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from automation.database import ensure_ready
from automation.settings import Settings
from providers.errors import ConfigurationError, MissingDatabaseError, OwnershipError, ProviderError, UnreachableError
from providers.region_leftovers import left_in
from tests.isolation.region import REGION, SCHEMA, TABLES, Department, Region, exists, make, make_role, remove

ID = f"{REGION}/dept_one"


@pytest.fixture
def department(region: Region) -> Any:
    made = make(region, "dept_extra")
    yield made
    remove(made)


def read(department: Department) -> dict[str, Any]:
    return TABLES.read(ID, department.table_props).outs or {}


def drifted(department: Department) -> bool:
    return bool(TABLES.diff(ID, read(department), department.table_props).changes)


def test_a_second_create_adopts_and_nothing_differs(department: Department) -> None:
    first = SCHEMA.create(department.schema_props)
    assert SCHEMA.diff(first.id, first.outs or {}, department.schema_props).changes is False
    assert SCHEMA.read(first.id, first.outs or {}).outs == first.outs
    made = TABLES.create(department.table_props)
    assert (made.outs or {})["fence"] == "closed"
    assert TABLES.diff(made.id, made.outs or {}, department.table_props).changes is False
    assert TABLES.read(made.id, made.outs or {}).outs == made.outs


def test_somebody_elses_schema_is_refused_and_left(department: Department) -> None:
    other = {**department.schema_props, "tenant_mark": "tenantry/other"}
    with pytest.raises(OwnershipError, match=r"schema 'dept_extra' in region 'test-1': it is there and is not this"):
        SCHEMA.create(other)
    SCHEMA.delete(ID, other)
    department.connect().close()
    assert SCHEMA.read(ID, other).id == ""
    assert SCHEMA.read(ID, department.schema_props).id == ID
    with pytest.raises(OwnershipError):
        TABLES.create({**department.table_props, "tenant_mark": "tenantry/other"})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("ALTER TABLE dept_extra.documents DISABLE ROW LEVEL SECURITY", "documents: row security is off"),
        ("ALTER TABLE dept_extra.events NO FORCE ROW LEVEL SECURITY", "events: row security is not forced"),
        ("DROP POLICY tenant_bound ON dept_extra.files", "files: policy tenant_bound is missing"),
        ("ALTER POLICY tenant_bound ON dept_extra.files USING (true)", "files: policy tenant_bound is another one"),
        ("ALTER POLICY tenant_rows ON dept_extra.files TO PUBLIC", "files: policy tenant_rows is another one"),
        ("CREATE POLICY extra ON dept_extra.files USING (true)", "files: policy extra is not ours"),
        ("ALTER TABLE dept_extra.files ALTER tenant SET DEFAULT 'x'", "files: tenant has another default"),
        ("GRANT SELECT ON dept_extra.files TO PUBLIC", "files: public may SELECT"),
        ("GRANT SELECT (name) ON dept_extra.files TO PUBLIC", "files: public may SELECT"),
        ("GRANT USAGE ON SCHEMA dept_extra TO PUBLIC", "the schema: public may USAGE"),
        ("GRANT TRUNCATE ON dept_extra.files TO dept_extra_app", "files: dept_extra_app may TRUNCATE"),
        ("GRANT CREATE ON SCHEMA dept_extra TO dept_extra_app", "the schema: dept_extra_app may CREATE"),
        ("GRANT dept_extra_app TO dept_guest", "dept_guest is a member of dept_extra_app"),
        ("GRANT dept_guest TO dept_extra_app", "dept_extra_app is a member of dept_guest"),
    ],
)
def test_a_gap_in_the_fence_is_drift_and_closed_again(
    department: Department, guest: None, damage: str, told: str
) -> None:
    with department.region.owner() as connection:
        connection.execute(damage)
    assert read(department)["fence"] == told
    assert drifted(department)
    TABLES.update(ID, read(department), department.table_props)
    assert read(department)["fence"] == "closed"
    assert not drifted(department)
    with department.connect() as connection:
        connection.execute("INSERT INTO files (name) VALUES ('still mine')")


@pytest.fixture
def guest(region: Region) -> Any:
    with region.owner() as connection:
        connection.execute("CREATE ROLE dept_guest")
    yield
    with region.root() as connection:
        connection.execute("DROP ROLE dept_guest")


def test_a_gap_that_the_administrator_cannot_close_fails(department: Department) -> None:
    with department.region.root() as connection:
        connection.execute("CREATE ROLE dept_auditor SUPERUSER")
        connection.execute("GRANT dept_auditor TO dept_extra_app")
    try:
        with pytest.raises(ProviderError, match=r"cannot close: dept_extra_app is a member of dept_auditor"):
            TABLES.update(ID, {}, department.table_props)
    finally:
        with department.region.root() as connection:
            connection.execute("DROP ROLE dept_auditor")


def test_a_table_without_the_column_is_refused(department: Department) -> None:
    with department.region.owner() as connection:
        connection.execute("CREATE TABLE dept_extra.open (id bigint)")
    assert "open: " in read(department)["fence"]
    with pytest.raises(ProviderError, match="table 'open' has no column 'tenant', so its rows cannot be fenced"):
        TABLES.update(ID, {}, department.table_props)
    assert "the column" not in read(department)["fence"]


def test_rows_need_not_name_their_tenant_whatever_the_client(department: Department) -> None:
    """With the URL, and with a client that knows host, user and password only, as n8n's PostgreSQL node does."""
    with department.connect() as connection:
        assert connection.execute("SHOW tenantry.tenant").fetchone() == (department.mark,)
        connection.execute("INSERT INTO documents (title) VALUES ('by URL')")
    with department.connect(options="") as connection:
        connection.execute("INSERT INTO documents (title) VALUES ('plainly')")
        rows = connection.execute("SELECT title, tenant FROM documents ORDER BY id").fetchall()
    assert rows == [("by URL", department.mark), ("plainly", department.mark)]


def test_the_application_may_not_rewrite_its_audit_log(department: Department) -> None:
    with department.connect() as connection:
        connection.execute("INSERT INTO audit_log (actor, action) VALUES ('ann', 'read')")
        for statement in (
            "UPDATE audit_log SET actor = 'bob'",
            "DELETE FROM audit_log",
            "DELETE FROM schema_migrations",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_no_tenant_can_hold_up_another_by_a_lock(department: Department) -> None:
    key = "hashtextextended('tenantry.schema:dept_extra', 0)"
    with department.connect() as connection:
        connection.execute(f"SELECT pg_advisory_lock({key})")
        TABLES.update(ID, {}, department.table_props)


def test_the_lost_way_in_is_drift(department: Department) -> None:
    with department.region.owner() as connection:
        connection.execute(f"REVOKE CONNECT ON DATABASE {department.region.database} FROM {department.role}")
    found = SCHEMA.read(ID, department.schema_props).outs or {}
    assert found["connect"] is False
    assert SCHEMA.diff(ID, found, department.schema_props).changes
    SCHEMA.update(ID, found, department.schema_props)
    department.connect().close()


def test_ten_at_once_in_a_database_that_nobody_made(fresh: Region) -> None:
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda number: make(fresh, f"dept_{number}"), range(10)))
    assert exists(fresh, fresh.database)
    for department in made:
        with department.connect() as connection:
            connection.execute("INSERT INTO documents (title) VALUES ('x')")
            assert connection.execute("SELECT count(*) FROM documents").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), department.connect() as connection:
            connection.execute("CREATE TEMP TABLE t (id int)")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(remove, made))
    with fresh.root() as connection:
        assert connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dept%'").fetchall() == []
        rights = "SELECT datacl::text FROM pg_database WHERE datname = current_database()"
        assert "dept" not in str(connection.execute(rights).fetchone())


def test_the_same_schema_twice_at_once_is_one(fresh: Region) -> None:
    department = Department(region=fresh, name="dept_same", password="w0rd-of-same")
    make_role(fresh, department)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: SCHEMA.create(department.schema_props), range(4)))
        outs = list(pool.map(lambda _: TABLES.create(department.table_props).outs, range(4)))
    assert all(out == outs[0] for out in outs)
    remove(department)


def test_deleting_what_is_gone_succeeds(fresh: Region) -> None:
    department = Department(region=fresh, name="dept_never", password="x")
    SCHEMA.delete(ID, department.schema_props)
    assert SCHEMA.read(ID, department.schema_props).id == ""
    assert TABLES.read(ID, department.table_props).id == ""


def test_the_control_database_takes_no_tenants(fresh: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    department = Department(region=fresh, name="dept_main", password="x")
    with fresh.root("postgres") as connection:
        monkeypatch.setenv("DB_HOST", str(connection.info.host))
        monkeypatch.setenv("DB_PORT", str(connection.info.port))
    monkeypatch.setenv("DB_NAME", fresh.database)
    with pytest.raises(ConfigurationError, match="Give the region a database of its own"):
        SCHEMA.create(department.schema_props)


def test_the_control_database_takes_no_tenants_under_another_name_of_its_server(
    fresh: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it lose the rights that others have in it."""
    department = Department(region=fresh, name="dept_main", password="x")
    with fresh.root("postgres") as connection:
        host, port = str(connection.info.host), str(connection.info.port)
        connection.execute(f"CREATE DATABASE {fresh.database} OWNER {fresh.admin}")
    login = {"DB_HOST": host, "DB_PORT": port, "DB_USER": fresh.admin, "DB_PASSWORD": fresh.password}
    for name, value in (login | {"DB_NAME": fresh.database}).items():
        monkeypatch.setenv(name, value)
    ensure_ready(Settings())
    monkeypatch.setenv("DB_HOST", "another-name-of-it.example")
    rights = "SELECT datacl::text, has_database_privilege('public', datname, 'CONNECT') FROM pg_database"
    with fresh.root() as connection:
        before = connection.execute(f"{rights} ORDER BY datname").fetchall()
        with pytest.raises(ConfigurationError, match=r"is Tenantry's own, 'departments_\w+' at .* of its own"):
            SCHEMA.create(department.schema_props)
        assert connection.execute(f"{rights} ORDER BY datname").fetchall() == before
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'dept_main'").fetchone() is None


def test_a_region_may_have_some_tables_that_are_called_as_ours(fresh: Region) -> None:
    with fresh.root("postgres") as connection:
        connection.execute(f"CREATE DATABASE {fresh.database} OWNER {fresh.admin}")
    with fresh.owner() as connection:
        # In two schemas: nobody's control tables.
        connection.execute("CREATE SCHEMA other")
        for table in ("public.alembic_version", "public.tenants", "other.tenants", "other.deployments"):
            connection.execute(f"CREATE TABLE {table} (id bigint)")
    remove(make(fresh, "dept_beside"))


def test_an_administrator_who_may_not_make_the_database_is_told(fresh: Region) -> None:
    with fresh.root("postgres") as connection:
        connection.execute(f"ALTER ROLE {fresh.admin} NOCREATEDB")
    with pytest.raises(MissingDatabaseError, match=r"there is no database 'departments_\w+' at .* cannot be made"):
        SCHEMA.create(Department(region=fresh, name="dept_none", password="x").schema_props)


def test_an_administrator_who_does_not_own_the_database_is_told(fresh: Region) -> None:
    with fresh.root("postgres") as connection:
        connection.execute(f"CREATE DATABASE {fresh.database}")
    department = Department(region=fresh, name="dept_late", password="x")
    make_role(fresh, department)
    with fresh.root() as connection:
        connection.execute(f"GRANT CREATE, CONNECT ON DATABASE {fresh.database} TO {fresh.admin}")
        connection.execute(f"REVOKE CONNECT ON DATABASE {fresh.database} FROM PUBLIC")
    with pytest.raises(ProviderError, match=r"may not let role 'dept_late_app' into database .* that database's owner"):
        SCHEMA.create(department.schema_props)


def test_a_wrong_password_is_told_without_it(fresh: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_BACKEND_TEST_DB", "wrong-word")
    with pytest.raises(UnreachableError, match="refuses the login") as raised:
        SCHEMA.create(Department(region=fresh, name="dept_none", password="x").schema_props)
    assert "wrong-word" not in str(raised.value)


def test_a_server_that_is_away_is_told(fresh: Region, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    from providers.backends import DatabaseBackend

    real = DatabaseBackend.settings
    monkeypatch.setattr(DatabaseBackend, "settings", lambda self: replace(real(self), port=unused_tcp_port))
    monkeypatch.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))
    with pytest.raises(UnreachableError, match="cannot be reached"):
        SCHEMA.create(Department(region=fresh, name="dept_none", password="x").schema_props)


def test_a_server_that_accepts_and_never_answers_is_given_up(fresh: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    from providers.backends import DatabaseBackend

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port, real = silent.getsockname()[1], DatabaseBackend.settings
        monkeypatch.setattr(DatabaseBackend, "settings", lambda self: replace(real(self), port=port, connect_timeout=2))
        monkeypatch.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))
        with pytest.raises(UnreachableError, match="cannot be reached") as raised:
            SCHEMA.create(Department(region=fresh, name="dept_none", password="x").schema_props)
    assert fresh.password not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_tables_come_with_their_fence_or_not_at_all(fresh: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends a run, no table is there without its policies, and the next run makes what is missing."""
    department = Department(region=fresh, name="dept_cut", password="w0rd-of-cut")
    make_role(fresh, department)
    SCHEMA.create(department.schema_props)

    def cut(connection: "psycopg.Connection[Any]", _props: object) -> None:
        connection.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("providers.migrations._grant", cut)
        with pytest.raises(KeyboardInterrupt):
            TABLES.create(department.table_props)
    with fresh.root() as connection:
        assert connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'dept_cut'").fetchall() == []
    assert (TABLES.create(department.table_props).outs or {})["fence"] == "closed"


def test_a_connection_that_is_cut_is_made_again(fresh: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    from providers import row_security

    department = Department(region=fresh, name="dept_cut", password="w0rd-of-cut")
    make_role(fresh, department)
    SCHEMA.create(department.schema_props)
    monkeypatch.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))
    real, cut = row_security.enforce, []

    def enforce(connection: "psycopg.Connection[Any]", fence: row_security.Fence) -> None:
        if not cut:
            cut.append(connection.info.backend_pid)
            with fresh.root() as root:
                root.execute("SELECT pg_terminate_backend(%s)", (cut[0],))
        real(connection, fence)

    monkeypatch.setattr(row_security, "enforce", enforce)
    assert (TABLES.create(department.table_props).outs or {})["fence"] == "closed"
    assert len(cut) == 1


def test_a_session_that_holds_the_tables_does_not_hold_up_their_removal(fresh: Region) -> None:
    department = make(fresh, "dept_busy")
    with department.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO documents (title) VALUES ('never committed')")
        SCHEMA.delete(ID, department.schema_props)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert SCHEMA.read(ID, department.schema_props).id == ""
    with fresh.root() as connection:
        groups = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = %s"
        before = (
            connection.execute(f"{groups} AND m.inherit_option", (department.role,)) if fresh.version() > 15 else None
        )
        assert before is None or before.fetchone() == (0,)


def test_what_is_left_is_found_where_the_database_is_gone(fresh: Region) -> None:
    department = Department(region=fresh, name="dept_alone", password=secrets.token_hex(12))
    make_role(fresh, department)
    left = left_in(REGION, tenant_mark=department.mark, databases=[], roles=[department.role], server_mark="nobody's")
    assert left == [f"role dept_alone_app in region {REGION}"]
