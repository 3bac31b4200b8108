"""A site of its own for each test of points of sale, and a project."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.postgres import EmbeddedPostgres
from tests.automation.conftest import project
from tests.pos.yard import Yard

__all__ = ["project"]


@pytest.fixture
def yard(project: Path, postgres: EmbeddedPostgres, main_db: Any) -> Iterator[Yard]:
    with Yard.open(project, postgres, main_db.name) as made:
        yield made
