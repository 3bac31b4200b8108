"""The workflow runs of a tenant that is removed, on a fake engine: each is charged once, whatever fails in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from automation import costs, manifests, operations
from automation.database import engine_for, transaction
from automation.fake_stack import FakeBackend
from automation.run import Context
from providers import retention
from providers.errors import MissingTableError
from providers.retention import Retained, parse
from tests.automation.helpers import write_manifest


@pytest.fixture
def there(context: Context, monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """A tenant of whose workflow runs there are so many; None: their table is gone."""
    where = Retained(region="r", schema="s", tenant_mark="tenantry/acme", retention=parse("90d"))
    monkeypatch.setattr(costs, "_retained", lambda *_: where)

    def runs(count: int | None) -> None:
        def counted(_of: Retained) -> int:
            if count is None:
                raise MissingTableError("the schema is not there")
            return count

        monkeypatch.setattr(retention, "count_runs", counted)

    write_manifest(context.settings.project_root)
    assert operations.up(context, manifests.load(context.settings, "acme", None)).error is None
    return runs


def recorded(context: Context) -> int:
    with transaction(engine_for(context.settings), context.settings) as connection:
        return costs.facts(connection, "acme").purged_runs


def test_they_are_recorded_once_when_the_tenant_is_gone(context: Context, there: Callable[[int | None], None]) -> None:
    there(3)
    assert operations.destroy(context, "acme").error is None
    assert operations.destroy(context, "acme").error is None
    assert recorded(context) == 3


def test_a_removal_that_fails_with_the_table_still_there_records_none(
    context: Context, backend: FakeBackend, there: Callable[[int | None], None]
) -> None:
    there(3)
    backend.failures = {("destroy", "database"): ["it is in use"]}
    assert operations.destroy(context, "acme").error is not None
    assert recorded(context) == 0
    assert operations.destroy(context, "acme").error is None
    assert recorded(context) == 3


def test_a_removal_that_fails_after_the_table_is_gone_records_them(
    context: Context, backend: FakeBackend, there: Callable[[int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    there(3)
    backend.failures = {("destroy", "record"): ["the main database is away"]}
    before = costs.table_is_gone

    def gone(*of: Any) -> bool:
        there(None)
        return before(*of)

    monkeypatch.setattr(costs, "table_is_gone", gone)
    assert operations.destroy(context, "acme").error is not None
    assert recorded(context) == 3
    assert operations.destroy(context, "acme").error is None
    assert recorded(context) == 3
