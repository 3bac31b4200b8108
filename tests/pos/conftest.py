"""A site of its own for each test of points of sale, and a project."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.postgres import EmbeddedPostgres
from tests.automation.conftest import project
from tests.pos.yard import Yard

__all__ = ["project"]


@pytest.fixture(scope="package", autouse=True)
def _quiet() -> Iterator[None]:
    """Without asyncio's word, at length and at a cost, on each of the SDK's tasks that a failed run leaves behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("asyncio"), "disabled", True)
        yield


@pytest.fixture
def yard(project: Path, postgres: EmbeddedPostgres, main_db: Any) -> Iterator[Yard]:
    with Yard.open(project, postgres, main_db.name) as made:
        yield made
