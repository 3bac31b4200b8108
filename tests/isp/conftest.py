"""The categories of ISP-8: `pytest -m unit tests/isp`, and so on.

A test says its category itself, or is in a folder of that name; else it is `integration` if it asks for a server, and
`unit` if it does not.
"""

from pathlib import Path

import pytest

CATEGORIES = ("unit", "integration", "performance")
_HERE = Path(__file__).parent
_SERVERS = {"postgres", "main_db", "cluster", "kubeconfig", "engine", "region"}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses among them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE) and not any(item.get_closest_marker(name) for name in CATEGORIES):
            item.add_marker(_category(item))


def _category(item: pytest.Item) -> str:
    folders = item.path.relative_to(_HERE).parts[:-1]
    named = next((name for name in CATEGORIES if name in folders), None)
    asked = _SERVERS & set(getattr(item, "fixturenames", ()))
    return named or ("integration" if asked else "unit")
