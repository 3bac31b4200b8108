"""Two departments in one database, on each server there is: the embedded one, and TENANTRY_POSTGRES_URL's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.isolation.region import Department, Region, make, region_on

_REAL = os.environ.get("TENANTRY_POSTGRES_URL", "")
_SERVERS = ["embedded", *(["stock"] if _REAL else [])]


@pytest.fixture(scope="module", params=_SERVERS)
def server_url(request: pytest.FixtureRequest) -> str:
    """A superuser's URL."""
    return _REAL if request.param == "stock" else f"{request.getfixturevalue('postgres').url()}?sslmode=disable"


@pytest.fixture(scope="module")
def region(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with region_on(server_url, tmp_path_factory.mktemp("region")) as made:
        yield made


@pytest.fixture(scope="module")
def pair(region: Region) -> tuple[Department, Department]:
    """Two departments of one region."""
    return make(region, "dept_one"), make(region, "dept_two")


@pytest.fixture
def fresh(server_url: str, tmp_path: Path) -> Iterator[Region]:
    """A region of a test's own, whose database nobody has made yet."""
    with region_on(server_url, tmp_path, made=False) as made:
        yield made
