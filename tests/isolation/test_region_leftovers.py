"""What is left of a department on its region's server, and what errors of that server say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from providers.backends import backends_of
from providers.connection import DatabaseSettings
from providers.errors import MissingDatabaseError, UnreachableError
from providers.region_leftovers import left_in
from providers.session import run_in
from tests.isolation.region import REGION, Department, Region, make, remove

ROLE_MARK = "managed by pulumi: urn:pulumi:gone::tenantry::"


def left(department: Department, *roles: str) -> list[str]:
    return left_in(REGION, tenant_mark=department.mark, databases=[], roles=list(roles), server_mark=ROLE_MARK)


def test_a_schema_and_a_role_are_found_by_mark_and_by_name(region: Region, pair: tuple[Department, Department]) -> None:
    gone = make(region, "dept_gone")
    assert left(gone, gone.role) == [f"schema dept_gone in region {REGION}", f"role dept_gone_app in region {REGION}"]
    with region.root() as connection:
        connection.execute("ALTER SCHEMA dept_gone RENAME TO dept_elsewhere")
        connection.execute(f"COMMENT ON ROLE dept_gone_app IS '{ROLE_MARK}x::gone'")
    assert left(gone) == [f"schema dept_elsewhere in region {REGION}", f"role dept_gone_app in region {REGION}"]
    with region.root() as connection:
        connection.execute("ALTER SCHEMA dept_elsewhere RENAME TO dept_gone")
    remove(gone)
    assert left(gone, gone.role) == []
    assert left(pair[0], pair[0].role) != []


def test_errors_of_a_region_say_what_to_correct_there(region: Region) -> None:
    where = backends_of(REGION).database.settings()
    of_region = f"of the database of region {REGION!r} in TENANTRY_BACKENDS"
    assert where.region == REGION

    def said(settings: DatabaseSettings) -> str:
        with pytest.raises(UnreachableError) as told:
            run_in(None, "a look", lambda connection: connection.execute("SELECT 1"), settings=settings)
        return str(told.value)

    refused, unreachable = said(replace(where, user="nobody_known")), said(replace(where, port=9))
    assert f"Correct user and the secret that passwordFrom names {of_region}" in refused
    assert f"Start it, or correct host and port {of_region}." in unreachable
    with pytest.raises(MissingDatabaseError, match=r"Run refresh, then up, to make it again\."):
        run_in(None, "a look", lambda _connection: None, settings=replace(where, main_database="not_made"))
    assert "DB_" not in refused + unreachable
