"""Retry of one step and skipping one: what is decided, on a fake engine. The real one is in test_end_to_end."""

from typing import Any

import pytest

from automation import errors, manifests, operations
from automation.database import engine_for, transaction
from automation.fake_stack import FakeBackend
from automation.models import DeploymentStatus
from automation.operations import UpOptions
from automation.queries import show_tenant
from automation.results import RunResult
from automation.run import Context
from automation.skipping import skipped, skipped_steps
from stacks.lines import CABINET
from tests.automation.helpers import MANIFEST, write_manifest


def up(context: Context, slug: str = "acme", changes: dict[str, Any] | None = None, **options: Any) -> RunResult:
    write_manifest(context.settings.project_root, slug, **(changes or {}))
    return operations.up(context, manifests.load(context.settings, slug, None), UpOptions(**options))


def status(context: Context, slug: str = "acme") -> str:
    with transaction(engine_for(context.settings), context.settings) as connection:
        return str(show_tenant(connection, slug)["status"])


def test_a_retry_of_the_failed_step_makes_the_tenant_whole(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["broken"]}
    assert up(context, enable_rollback=False).status is DeploymentStatus.FAILED
    result = up(context, steps=("schema",))
    assert result.error is None
    steps = {step.key: step.message for step in result.state.steps}
    assert steps["record"] == steps["database"] == "not needed"
    assert {step.key for step in result.state.steps if step.changed} == {"schema", "settings", "activation"}
    assert status(context) == "active"


def test_a_retry_that_leaves_something_to_do_leaves_the_tenant_as_it_was(
    context: Context, backend: FakeBackend
) -> None:
    backend.failures = {("up", "schema"): ["broken"]}
    up(context, enable_rollback=False)
    backend.changed = {"record"}
    result = up(context, steps=("schema",))
    assert result.error is None
    assert status(context) == "failed"
    backend.changed = set()
    assert up(context, steps=("schema",)).error is None
    assert status(context) == "active"


def test_a_retry_that_fails_is_not_undone(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["broken", "still broken"]}
    up(context, enable_rollback=False)
    result = up(context, steps=("schema",))
    assert result.error is not None
    assert result.error.exit_code == 9
    assert "destroy" not in backend.calls
    assert set(backend.stacks["acme"]) == {"record", "database"}


@pytest.mark.parametrize("step", ["validation", "nonsense", "database"])
def test_a_step_without_objects_of_its_own_cannot_be_retried(context: Context, backend: FakeBackend, step: str) -> None:
    with pytest.raises(errors.InputError, match=f"step '{step}' of a cabinet cannot be retried") as caught:
        up(context, changes={"skipDatabaseCreation": True}, steps=(step,))
    assert "record, schema, settings, activation" in caught.value.hint
    assert backend.calls == []


def test_skipping_is_a_value_in_the_manifest() -> None:
    assert skipped(CABINET, MANIFEST, "database") == MANIFEST | {"skipDatabaseCreation": True}
    assert skipped_steps(CABINET, MANIFEST) == ()
    assert skipped_steps(CABINET, skipped(CABINET, MANIFEST, "database")) == ("database",)
    with pytest.raises(errors.InputError, match="cannot be skipped") as caught:
        skipped(CABINET, MANIFEST, "schema")
    assert "database" in caught.value.hint


def test_a_step_is_skipped_only_before_it_has_made_anything(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "database"): ["no space"], ("up", "schema"): ["broken"]}
    up(context, enable_rollback=False)
    skip: dict[str, Any] = {"changes": {"skipDatabaseCreation": True}, "skip": ("database",)}
    backend.skipped = frozenset({"database"})
    assert up(context, **skip, enable_rollback=False).error is not None  # of the schema, the database was skipped
    assert "database" not in backend.stacks["acme"]
    backend.stacks["acme"]["database"] = "id-database"
    calls = len(backend.calls)
    with pytest.raises(errors.InputError, match="cannot be skipped: it has made"):
        up(context, **skip)
    assert len(backend.calls) == calls
    del backend.stacks["acme"]["database"]
    assert up(context, **skip).error is None
    with pytest.raises(errors.InputError, match="has worked"):
        up(context, **skip)


def test_a_slug_of_another_line_is_taken(context: Context, main_db: Any) -> None:
    up(context)
    with main_db.connect() as connection:
        connection.execute("UPDATE tenants SET line = 'shop'")
    with pytest.raises(errors.InputError, match="never changes lines"):
        up(context)
    with pytest.raises(errors.InputError, match="no product line 'shop'"):
        operations.refresh(context, "acme")
