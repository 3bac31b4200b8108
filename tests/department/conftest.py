"""One region for the session's tests of departments, and a project for each of them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import region as sandbox_region
from sandbox.postgres import EmbeddedPostgres
from sandbox.region import EmbeddedRegion
from tests.automation.conftest import project
from tests.department.yard import NOTHING, Yard

__all__ = ["project"]


@pytest.fixture(scope="session")
def region(postgres: EmbeddedPostgres) -> Iterator[EmbeddedRegion]:
    """The servers that departments are built on."""
    home = Path(tempfile.mkdtemp(prefix="tenantry-test-region-"))
    home.chmod(0o711)
    try:
        yield sandbox_region.start(home, postgres)
    finally:
        sandbox_region.remove(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def yard(
    project: Path, postgres: EmbeddedPostgres, region: EmbeddedRegion, main_db: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """A project with its own slug; whatever the test leaves of it is removed."""
    made = Yard(project, postgres, region, main_db.name)
    with made.open():
        made.write()
        yield made
        for api in made.apis.values():
            api.heal()
        if made.objects() != NOTHING:
            made.run("destroy", made.slug, "--yes")
            assert made.objects() == NOTHING
