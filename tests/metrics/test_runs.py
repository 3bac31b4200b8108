"""Runs are counted by whoever ends them: by hand as well as for a job, once, and also those whose process died."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from automation import operations
from automation.database import engine_for, transaction
from automation.fake_stack import FakeBackend
from automation.run import Context
from automation.steps import StepStatus
from stacks.manifest import parse_manifest
from tests.automation.conftest import backend, context, project, recorder
from tests.automation.helpers import MANIFEST

__all__ = ["backend", "context", "project", "recorder"]


def counted(context: Context) -> dict[str, float]:
    """How many observations each histogram of runs, steps and the engine has, by its labels."""
    query = """
        SELECT metric || ' ' || labels AS series, sum(value) AS number
        FROM metric_totals WHERE part <> 'sum' GROUP BY 1
    """
    with transaction(engine_for(context.settings), context.settings) as connection:
        return {row.series.removeprefix("tenantry_"): row.number for row in connection.execute(text(query))}


def run(operation: str, status: str, by: str = "hand") -> str:
    return f'run_duration_seconds {{"by": "{by}", "line": "cabinet", "operation": "{operation}", "status": "{status}"}}'


def engine(command: str) -> str:
    return f'engine_duration_seconds {{"command": "{command}", "engine": "fake"}}'


def step(key: str, status: StepStatus = StepStatus.COMPLETED) -> str:
    return f'step_duration_seconds {{"line": "cabinet", "status": "{status}", "step": "{key}"}}'


def test_runs_by_hand_are_counted_with_steps_and_the_engines_time(context: Context) -> None:
    operations.up(context, parse_manifest(MANIFEST))
    operations.refresh(context, "acme")
    operations.destroy(context, "acme")
    found = counted(context)
    assert {key: number for key, number in found.items() if not key.startswith("step")} == {
        run("up", "succeeded"): 1,
        run("refresh", "succeeded"): 1,
        run("destroy", "succeeded"): 1,
        engine("up"): 1,
        engine("refresh"): 1,
        engine("destroy"): 1,
    }
    assert found[step("schema")] >= 1


def test_a_failed_run_and_its_rollback_are_one_run_and_two_commands(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["it is broken"]}
    assert operations.up(context, parse_manifest(MANIFEST)).error is not None
    found = counted(context)
    assert found[run("up", "rolled_back")] == 1
    assert (found[engine("up")], found[engine("destroy")]) == (1, 1)


def test_a_run_for_a_job_says_so(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    operations.up(context, parse_manifest(MANIFEST))
    monkeypatch.setattr("automation.history.job", uuid.uuid4)
    operations.up(context, parse_manifest(MANIFEST))
    found = counted(context)
    assert (found[run("up", "succeeded")], found[run("up", "succeeded", by="job")]) == (1, 1)


def test_a_run_whose_process_died_is_counted_once_by_whoever_finds_it(context: Context) -> None:
    operations.up(context, parse_manifest(MANIFEST))
    with transaction(engine_for(context.settings), context.settings) as connection:
        connection.execute(text("UPDATE deployments SET status = 'running', ended_at = NULL, duration_ms = NULL"))
    for _ in range(2):
        operations.refresh(context, "acme")
    found = counted(context)
    assert (found[run("up", "interrupted")], found[run("refresh", "succeeded")]) == (1, 2)


def test_a_run_that_breaks_off_is_counted(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("of our own")

    monkeypatch.setattr("automation.operations._apply", broken)
    with pytest.raises(RuntimeError, match="of our own"):
        operations.up(context, parse_manifest(MANIFEST))
    assert counted(context)[run("up", "failed")] == 1


def test_a_preview_counts_the_engines_time_and_no_run(
    context: Context, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del tmp_path
    monkeypatch.setattr("automation.previewing.open_for_preview", backend.open)
    operations.preview(context, parse_manifest(MANIFEST))
    assert counted(context) == {engine("preview"): 1}
