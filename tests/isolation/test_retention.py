"""How long data is kept, and the deletion of what is older: only that, only the tenant's own, in small steps."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import retention
from providers.migration_files import load_bundle
from providers.retention import AGEING, KEPT, Retained, Retention, overdue, parse, purge
from tests.isolation.region import REGION, Department, Region, make, remove

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=90)


@pytest.mark.parametrize(
    ("text", "cutoff"),
    [
        ("1d", "2026-03-30"),
        ("90d", "2025-12-31"),
        ("2w", "2026-03-17"),
        ("1m", "2026-02-28"),
        ("6m", "2025-09-30"),
        ("13m", "2025-02-28"),
        ("1y", "2025-03-31"),
        ("2000y", "0026-03-31"),
        ("99999y", "0002-01-02"),
        ("99999d", "1752-06-16"),
    ],
)
def test_units_are_the_calendars(text: str, cutoff: str) -> None:
    assert str(parse(text)) == text
    assert parse(text).cutoff(NOW).date().isoformat() == cutoff


@pytest.mark.parametrize(
    "text", ["", "90", "d", "0d", "-1d", "1.5d", "90D", "90 d", "090d", "100000d", "1d\n", "\u0661d", 90, None]
)
def test_what_is_no_retention_is_refused_with_what_is(text: object) -> None:
    with pytest.raises(ValueError, match="such as 90d, 12w, 6m or 1y"):
        parse(text)


@given(st.integers(1, 99_999), st.sampled_from("dwmy"), st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))
def test_a_longer_retention_never_deletes_more(count: int, unit: str, now: datetime) -> None:
    moment = now.replace(tzinfo=UTC)
    shorter = Retention(count=count, unit=unit).cutoff(moment)
    assert Retention(count=count + 1, unit=unit).cutoff(moment) <= shorter < moment


def test_every_table_of_a_department_is_purged_or_known_to_be_kept() -> None:
    sql = "".join(migration.sql for migration in load_bundle("department"))
    made = set(re.findall(r"CREATE TABLE (\w+)", sql))
    assert made | {"schema_migrations"} == {*AGEING, *KEPT}
    for table in AGEING:
        body = re.search(rf"CREATE TABLE {table} \((.*?)\n\);", sql, re.DOTALL)
        assert body is not None
        assert "created_at" in body[1]
        assert f"ON {table} (created_at)" in sql


@pytest.fixture
def department(region: Region) -> Iterator[Department]:
    made = make(region, "dept_old")
    fill(made, 250)
    yield made
    remove(made)


def fill(department: Department, rows: int) -> None:
    """In each table: as many rows that are too old, and as many that are not."""
    with department.connect() as connection:
        for days in (91, 89):
            at = NOW - timedelta(days=days)
            series = f"FROM generate_series(1, {rows}) n"
            for statement in (
                f"INSERT INTO workflow_runs (workflow, created_at) SELECT 'w', %s {series}",
                f"INSERT INTO documents (title, created_at) SELECT n::text, %s {series}",
                f"INSERT INTO events (kind, created_at) SELECT 'k', %s {series}",
                f"INSERT INTO audit_log (actor, action, created_at) SELECT 'a', 'b', %s {series}",
                f"INSERT INTO messages (direction, run_id, created_at) SELECT 'in', n, %s {series}",
                f"INSERT INTO files (name, run_id, created_at) SELECT 'f', n, %s {series}",
            ):
                connection.execute(statement, (at,))
        connection.execute(
            "INSERT INTO settings (section, value, created_at) VALUES ('s', '1', %s)", (NOW - timedelta(days=900),)
        )


def retained(department: Department, **changes: Any) -> Retained:
    values: dict[str, Any] = {
        "region": REGION,
        "schema": department.schema,
        "tenant_mark": department.mark,
        "retention": parse("90d"),
        **changes,
    }
    return Retained(**values)


def counts(department: Department) -> dict[str, int]:
    with department.connect() as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in AGEING}  # type: ignore[index]


def test_what_is_too_old_goes_and_nothing_else(department: Department) -> None:
    assert overdue(retained(department), CUTOFF) == dict.fromkeys(AGEING, 250)
    done = purge(retained(department), CUTOFF, batch=100)
    assert (done.rows, done.complete, done.error, done.total) == (dict.fromkeys(AGEING, 250), True, None, 1500)
    assert counts(department) == dict.fromkeys(AGEING, 250)
    with department.connect() as connection:
        assert connection.execute("SELECT count(*) FROM settings").fetchone() == (1,)
        oldest = connection.execute("SELECT min(created_at) FROM documents").fetchone()
        assert oldest is not None
        assert oldest[0] > CUTOFF
    again = purge(retained(department), CUTOFF)
    assert (again.total, again.complete) == (0, True)


def test_another_tenants_rows_stay_even_where_they_lie_in_the_same_schema(department: Department) -> None:
    with department.region.root() as connection:
        insert = (
            f"INSERT INTO {department.schema}.documents (tenant, title, created_at) VALUES ('tenantry/other', 'x', %s)"
        )
        connection.execute(insert, (NOW - timedelta(days=500),))
    purge(retained(department), CUTOFF)
    with department.region.root() as connection:
        left = f"SELECT count(*) FROM {department.schema}.documents WHERE tenant = 'tenantry/other'"
        assert connection.execute(left).fetchone() == (1,)


def test_a_purge_that_runs_out_of_time_goes_on_the_next_time(department: Department) -> None:
    calls = iter([True, True, True, False])
    first = purge(retained(department), CUTOFF, batch=100, going=lambda: next(calls))
    assert (first.total, first.complete, first.error) == (250, False, None)
    second = purge(retained(department), CUTOFF, batch=100)
    assert (second.total, second.complete) == (1250, True)
    nothing = purge(retained(department), CUTOFF, seconds=0)
    assert (nothing.total, nothing.complete) == (0, False)


def test_a_row_that_is_in_use_is_left_and_not_waited_for(department: Department) -> None:
    with department.connect() as user, user.transaction():
        user.execute("SELECT * FROM documents WHERE created_at < %s LIMIT 10 FOR UPDATE", (CUTOFF,))
        done = purge(retained(department), CUTOFF)
    assert done.rows["documents"] == 240
    assert purge(retained(department), CUTOFF).rows["documents"] == 10


def test_a_connection_that_is_cut_is_made_again_and_the_count_is_right(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))
    real, cut = retention._delete, []

    def delete(connection: "psycopg.Connection[Any]", *values: Any) -> int:
        if len(cut) < 2 and values[1] == "events":
            cut.append(connection.info.backend_pid)
            with department.region.root() as root:
                root.execute("SELECT pg_terminate_backend(%s)", (cut[-1],))
        return real(connection, *values)

    monkeypatch.setattr(retention, "_delete", delete)
    done = purge(retained(department), CUTOFF, batch=100)
    assert (done.rows, done.complete, done.error) == (dict.fromkeys(AGEING, 250), True, None)


def test_a_failure_is_told_beside_what_was_done(department: Department) -> None:
    with department.region.owner() as connection:
        connection.execute(f"DROP TABLE {department.schema}.documents")
    done = purge(retained(department), CUTOFF)
    assert done.complete is False
    assert done.rows["messages"] == 250
    assert "documents" in str(done.error)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": "dept_nowhere"}, "the schema is not there"),
        ({"tenant_mark": "tenantry/other"}, "the schema is not this tenant's"),
        ({"region": "mars"}, "'mars' is not one of test-1"),
    ],
)
def test_data_that_is_not_the_tenants_is_not_touched(
    department: Department, changes: dict[str, Any], told: str
) -> None:
    done = purge(retained(department, **changes), CUTOFF)
    assert told in str(done.error)
    assert done.total == 0
    assert counts(department) == dict.fromkeys(AGEING, 500)
