"""A stack with the raw plugin on its PATH. No plugin may be left when a test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.core.dsl import a_stack
from tests.engine.plugins.raw import Raw


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    with a_stack(tmp_path) as stack:
        raw = Raw(stack, tmp_path)
        yield raw
    assert raw.running() == []
