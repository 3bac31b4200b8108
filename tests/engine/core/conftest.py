"""A fresh stack and cloud for each scenario."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.core.dsl import Stack, a_stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with a_stack(tmp_path) as stack:
        yield stack
