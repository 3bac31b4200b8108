"""Migrations: once each, in order, whoever runs them and whatever breaks; and what the application's role may do."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from providers import migration_files
from providers.errors import OwnershipError, ProviderError
from providers.migration_files import SQL_DIR, digest_of, load_bundle
from providers.migrations import MigrationsProvider

SCHEMA = MigrationsProvider()
Props = dict[str, Any]
ENOUGH = {
    "practitioners",
    "patients",
    "rooms",
    "chairs",
    "appointment_types",
    "availability",
    "appointments",
    "notifications",
    "settings",
    "audit_log",
    "schema_migrations",
}


def props_for(database: str, **changes: Any) -> Props:
    migrations = load_bundle("cabinet")
    return {
        "tenant_mark": "tenantry/acme",
        "database": database,
        "schema": "cabinet",
        "bundle": "cabinet",
        "version": float(migrations[-1].version),
        "digest": digest_of([migration.checksum for migration in migrations]),
        **changes,
    }


@pytest.fixture
def props(main_db: Any) -> Props:
    return props_for(main_db.name)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the migrations that a test may change; `load_bundle.cache_clear()` makes a change seen."""
    folder = tmp_path / "sql"
    shutil.copytree(SQL_DIR, folder)
    monkeypatch.setattr(load_bundle.__wrapped__, "__defaults__", (folder,))
    load_bundle.cache_clear()
    yield folder / "cabinet"
    load_bundle.cache_clear()


def tables(main_db: Any, schema: str = "cabinet") -> set[str]:
    with main_db.connect() as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
    return {row[0] for row in rows}


def test_makes_all_tables_and_says_which_version(main_db: Any, props: Props) -> None:
    created = SCHEMA.create(props)
    assert created.id == f"{main_db.name}/cabinet"
    assert tables(main_db) >= ENOUGH
    assert SCHEMA.diff(created.id, created.outs or {}, props).changes is False
    assert SCHEMA.read(created.id, created.outs or {}).outs == created.outs


def test_running_again_applies_nothing_twice(main_db: Any, props: Props) -> None:
    SCHEMA.create(props)
    with main_db.connect() as connection:
        before = connection.execute("SELECT * FROM cabinet.schema_migrations ORDER BY version").fetchall()
    assert SCHEMA.create(props).outs == SCHEMA.update("x", props, props).outs
    with main_db.connect() as connection:
        assert connection.execute("SELECT * FROM cabinet.schema_migrations ORDER BY version").fetchall() == before


def test_many_at_once_apply_each_migration_once(main_db: Any, props: Props) -> None:
    with ThreadPoolExecutor(6) as pool:
        outs = list(pool.map(lambda _: SCHEMA.create(props).outs, range(6)))
    assert all(out == outs[0] for out in outs)
    with main_db.connect() as connection:
        rows = connection.execute(
            "SELECT version, count(*) FROM cabinet.schema_migrations GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert rows == [(migration.version, 1) for migration in load_bundle("cabinet")]


def test_only_missing_ones_are_applied(main_db: Any, bundle: Path) -> None:
    SCHEMA.create(props_for(main_db.name))
    (bundle / "0004_letters.sql").write_text("CREATE TABLE letters (id bigint);", encoding="utf-8")
    load_bundle.cache_clear()
    news = props_for(main_db.name)
    olds = SCHEMA.read("x", news).outs or {}
    assert SCHEMA.diff("x", olds, news).changes is True
    assert (SCHEMA.update("x", olds, news).outs or {})["version"] == 4
    assert "letters" in tables(main_db)


def test_a_failing_migration_leaves_nothing_of_itself(main_db: Any, bundle: Path) -> None:
    (bundle / "0004_letters.sql").write_text("CREATE TABLE letters (id bigint);\nSELECT 1 / 0;", encoding="utf-8")
    load_bundle.cache_clear()
    with pytest.raises(ProviderError, match=r"0004_letters.sql failed: division by zero\. Nothing of it was kept"):
        SCHEMA.create(props_for(main_db.name))
    assert "letters" not in tables(main_db)
    (bundle / "0004_letters.sql").write_text("CREATE TABLE letters (id bigint);", encoding="utf-8")
    load_bundle.cache_clear()
    assert (SCHEMA.create(props_for(main_db.name)).outs or {})["version"] == 4


def test_a_changed_file_is_refused(main_db: Any, bundle: Path) -> None:
    SCHEMA.create(props_for(main_db.name))
    path = bundle / "0002_appointments.sql"
    path.write_text(path.read_text(encoding="utf-8") + "\n-- changed", encoding="utf-8")
    load_bundle.cache_clear()
    with pytest.raises(ProviderError, match=r"0002_appointments.sql has changed since it was applied\. Restore"):
        SCHEMA.update("x", {}, props_for(main_db.name))


def test_other_line_ends_are_no_change(bundle: Path) -> None:
    before = digest_of([migration.checksum for migration in load_bundle("cabinet")])
    for path in bundle.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    load_bundle.cache_clear()
    assert digest_of([migration.checksum for migration in load_bundle("cabinet")]) == before


def test_a_database_that_is_ahead_is_refused(main_db: Any, props: Props) -> None:
    SCHEMA.create(props)
    with main_db.connect() as connection:
        connection.execute("INSERT INTO cabinet.schema_migrations (version, name, checksum) VALUES (99, 'future', 'x')")
    read = SCHEMA.read("x", props).outs or {}
    assert read["version"] == 99
    assert SCHEMA.diff("x", read, props).changes is True
    with pytest.raises(ProviderError, match=r"at version 99, this Tenantry knows 3\. Use a newer Tenantry"):
        SCHEMA.update("x", read, props)


@pytest.mark.parametrize("comment", [None, "tenantry tenant: tenantry/other"])
def test_someone_elses_schema_is_refused_and_never_dropped(main_db: Any, props: Props, comment: str | None) -> None:
    with main_db.connect() as connection:
        connection.execute("CREATE SCHEMA cabinet")
        if comment:
            connection.execute(f"COMMENT ON SCHEMA cabinet IS '{comment}'")
        connection.execute("CREATE TABLE cabinet.precious (id int)")
    with pytest.raises(OwnershipError, match=comment or "no owner named"):
        SCHEMA.create(props)
    assert SCHEMA.read("x", props).id == ""
    SCHEMA.delete("x", props)
    assert tables(main_db) == {"precious"}


def test_delete_takes_all_and_what_is_gone_stays_gone(main_db: Any, props: Props) -> None:
    SCHEMA.create(props)
    SCHEMA.delete("x", props)
    assert tables(main_db) == set()
    SCHEMA.delete("x", props)
    assert SCHEMA.read("x", props).id == ""
    gone = props | {"database": "nowhere"}
    SCHEMA.delete("x", gone)
    assert SCHEMA.read("x", gone).id == ""
    with pytest.raises(ProviderError, match=r"there is no database 'nowhere'.*Run refresh, then up"):
        SCHEMA.create(gone)


def test_a_schema_without_its_migrations_counts_as_gone(main_db: Any, props: Props) -> None:
    SCHEMA.create(props)
    with main_db.connect() as connection:
        connection.execute("DROP TABLE cabinet.schema_migrations")
    assert SCHEMA.read("x", props).id == ""


def test_programs_and_providers_of_different_releases_are_told(props: Props) -> None:
    with pytest.raises(ProviderError, match=r"asked for version 7, this process knows 3"):
        SCHEMA.create(props | {"version": 7.0})


@pytest.mark.parametrize("field", ["tenant_mark", "database", "schema", "bundle"])
def test_another_identity_replaces(field: str) -> None:
    props = props_for("x")
    diff = SCHEMA.diff("x", props, props | {field: "other"})
    assert (diff.changes, diff.replaces) == (True, [field])


def test_check_names_what_is_missing() -> None:
    assert [failure.property for failure in SCHEMA.check({}, {"schema": ""}).failures] == [
        "tenant_mark",
        "database",
        "schema",
        "bundle",
        "version",
        "digest",
    ]


@pytest.mark.parametrize(
    "files", [[], ["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["one.sql"]]
)
def test_misnumbered_files_are_refused(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "b").mkdir()
    for name in files:
        (tmp_path / "b" / name).write_text("SELECT 1;", encoding="utf-8")
    with pytest.raises(ProviderError, match=r"migrations 'b'"):
        migration_files.load_bundle("b", tmp_path)


def test_no_migration_ends_its_own_transaction() -> None:
    for migration in load_bundle("cabinet"):
        code = "\n".join(line.split("--")[0] for line in migration.sql.splitlines())
        statements = [statement.split()[:1] for statement in code.upper().split(";")]
        assert not [word for word in statements if word in (["COMMIT"], ["ROLLBACK"], ["VACUUM"])], migration.name


class TestTables:
    """What the tables guard, as the application's role sees them."""

    @pytest.fixture(autouse=True)
    def _schema(self, main_db: Any, app_role: str) -> None:
        SCHEMA.create(props_for(main_db.name, app_role=app_role))

    @pytest.fixture
    def app(self, as_app: Callable[[], "psycopg.Connection[Any]"]) -> Iterator["psycopg.Connection[Any]"]:
        with as_app() as connection:
            connection.execute("SET search_path TO cabinet")
            connection.execute(
                "INSERT INTO practitioners (given_name, family_name) VALUES ('Zoé', 'Müller'), ('渡辺', '健')"
            )
            connection.execute("INSERT INTO patients (given_name, family_name) VALUES ('A', 'B'), ('C', 'D')")
            connection.execute("INSERT INTO rooms (name) VALUES ('1')")
            connection.execute("INSERT INTO chairs (room_id, name) VALUES (1, 'a'), (1, 'b')")
            connection.execute(
                "INSERT INTO appointment_types (code, title, duration) VALUES ('check-up', 'Check-up', '30 min')"
            )
            yield connection

    def book(
        self,
        app: "psycopg.Connection[Any]",
        practitioner: int,
        patient: int,
        chair: int | None,
        span: str,
        status: str = "booked",
    ) -> None:
        app.execute(
            "INSERT INTO appointments "
            "(practitioner_id, patient_id, chair_id, appointment_type_id, during, status, cancelled_at) "
            "VALUES (%s, %s, %s, 1, %s, %s, %s)",
            (practitioner, patient, chair, span, status, "2026-01-01" if status == "cancelled" else None),
        )

    def test_double_booking_is_impossible(self, app: "psycopg.Connection[Any]") -> None:
        nine = "[2030-01-07 09:00+01, 2030-01-07 09:30+01)"
        self.book(app, 1, 1, 1, nine)
        overlapping = "[2030-01-07 09:15+01, 2030-01-07 09:45+01)"
        for practitioner, patient, chair, constraint in (
            (1, 2, 2, "practitioner"),
            (2, 2, 1, "chair"),
            (2, 1, 2, "patient"),
        ):
            with pytest.raises(psycopg.errors.ExclusionViolation, match=f"appointments_{constraint}_free"):
                self.book(app, practitioner, patient, chair, overlapping)
        self.book(app, 2, 2, 2, overlapping)
        self.book(app, 1, 1, 1, "[2030-01-07 09:30+01, 2030-01-07 10:00+01)")
        self.book(app, 1, 1, 1, nine, "cancelled")

    @pytest.mark.parametrize(
        "span", ["empty", "[2030-01-07 09:00+01, 2030-01-07 09:30+01]", "(,2030-01-07)", "[2030-01-07,)"]
    )
    def test_an_appointment_has_a_beginning_and_an_end(self, app: "psycopg.Connection[Any]", span: str) -> None:
        with pytest.raises(psycopg.errors.CheckViolation):
            self.book(app, 1, 1, 1, span)

    def test_changes_of_patients_are_recorded_and_the_record_stays(
        self, app: "psycopg.Connection[Any]", app_role: str
    ) -> None:
        app.execute("UPDATE patients SET city = 'Nyon' WHERE id = 1")
        row = app.execute(
            "SELECT actor, action, entity_id, new_value ->> 'city' FROM audit_log ORDER BY id DESC LIMIT 1"
        ).fetchone()
        assert row == (app_role, "update", "1", "Nyon")
        for statement in ("UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE cabinet.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "DROP TABLE patients",
            "ALTER TABLE patients ADD COLUMN x int",
            "TRUNCATE patients",
            "CREATE INDEX ON patients (city)",
            "UPDATE schema_migrations SET checksum = 'x'",
            "DELETE FROM schema_migrations",
            "CREATE ROLE mine",
            "CREATE DATABASE mine",
            "SELECT rolpassword FROM pg_authid",
            "COPY patients TO PROGRAM 'true'",
        ],
    )
    def test_the_applications_role_may_not(self, app: "psycopg.Connection[Any]", statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(statement)

    def test_the_applications_role_cannot_pass_its_rights_on(self, app: "psycopg.Connection[Any]") -> None:
        # PostgreSQL warns of a grant that grants nothing, and does not fail.
        app.execute("GRANT ALL ON patients TO PUBLIC")
        row = app.execute("SELECT relacl::text FROM pg_class WHERE oid = 'cabinet.patients'::regclass").fetchone()
        assert row is not None
        assert ",=" not in str(row[0])
        assert "{=" not in str(row[0])

    def test_rights_that_were_taken_are_drift_and_come_back(
        self, main_db: Any, app_role: str, as_app: Callable[[], Any]
    ) -> None:
        props = props_for(main_db.name, app_role=app_role)
        with main_db.connect() as connection:
            connection.execute(f"REVOKE INSERT ON cabinet.patients FROM {app_role}")
        read = SCHEMA.read("x", props).outs or {}
        assert "app_role" not in read
        assert SCHEMA.diff("x", read, props).changes is True
        assert (SCHEMA.update("x", read, props).outs or {})["app_role"] == app_role
        with as_app() as connection:
            connection.execute("INSERT INTO cabinet.patients (given_name, family_name) VALUES ('A', 'B')")
