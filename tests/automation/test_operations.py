"""Operations on a fake engine and a real main database: history, rollback, locks, limits, retries."""

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, update

from automation import errors, history, manifests, operations
from automation.database import engine_for, ensure_ready, transaction
from automation.fake_stack import FakeBackend, FakeStack
from automation.models import DeploymentStatus, deployments, tenants
from automation.operations import UpOptions
from automation.queries import logs, show_deployment, show_tenant
from automation.results import RunResult
from automation.run import Context
from automation.settings import load_settings
from automation.steps import StepStatus
from stacks.lines import LINES
from tests.automation.helpers import Recorder, write_manifest


def run_up(context: Context, slug: str = "acme", **options: Any) -> RunResult:
    path = context.settings.stacks_dir / f"{slug}.yaml"
    if not path.exists():
        write_manifest(context.settings.project_root, slug)
    return operations.up(context, manifests.load(context.settings, slug, None), UpOptions(**options))


def statuses(result: RunResult) -> dict[str, str]:
    return {step.key: step.status.value for step in result.state.steps}


def rows(context: Context, result: RunResult) -> dict[str, Any]:
    with transaction(engine_for(context.settings), context.settings) as connection:
        return show_deployment(connection, uuid.UUID(result.deployment))


def tenant(context: Context, slug: str = "acme") -> dict[str, Any]:
    with transaction(engine_for(context.settings), context.settings) as connection:
        return show_tenant(connection, slug)


def limited(context: Context, **values: Any) -> Context:
    return replace(context, settings=load_settings().model_copy(update=values))


def test_a_create_is_recorded_with_its_steps(context: Context, recorder: Recorder) -> None:
    result = run_up(context)
    assert result.error is None
    assert result.status is DeploymentStatus.SUCCEEDED
    assert set(statuses(result).values()) == {"completed"}
    saved = rows(context, result)
    assert saved["status"] == "succeeded"
    assert saved["progress"] == 100
    assert saved["changes"] == {"create": 5}
    assert [step["key"] for step in saved["steps"]] == list(statuses(result))
    assert {step["status"] for step in saved["steps"]} == {"completed"}
    assert all(step["duration_ms"] is not None and step["started_at"] and step["ended_at"] for step in saved["steps"])
    progress = [state.progress for state in recorder.states]
    assert progress == sorted(progress)
    assert tenant(context)["status"] == "active"


def test_a_second_up_says_that_nothing_changed(context: Context) -> None:
    run_up(context)
    result = run_up(context, expect_no_changes=True)
    assert result.error is None
    assert not result.changed
    assert {step.message for step in result.state.steps[1:]} == {"unchanged"}


def test_changes_where_none_were_expected(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    backend.changed = {"settings"}
    result = run_up(context, expect_no_changes=True)
    assert result.error is not None
    assert result.error.exit_code == 7


def test_a_failing_first_create_is_destroyed_in_reverse(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["the table is wrong"]}
    result = run_up(context)
    assert isinstance(result.error, errors.RunFailedError)
    assert result.error.exit_code == 3
    assert "step 'schema'" in result.error.message
    assert "the table is wrong" in result.error.message
    assert result.status is DeploymentStatus.ROLLED_BACK
    assert backend.stacks == {}
    saved = {step["key"]: step for step in rows(context, result)["steps"]}
    assert {key: step["status"] for key, step in saved.items()} == {
        "validation": "completed",
        "record": "rolled_back",
        "database": "rolled_back",
        "schema": "rolled_back",
        "settings": "skipped",
        "activation": "skipped",
    }
    assert saved["schema"]["error"] == "the table is wrong"
    assert saved["database"]["rolled_back_at"] < saved["record"]["rolled_back_at"]
    assert tenant(context)["status"] == "removed"


def test_a_failing_change_goes_back_to_the_last_good_settings(context: Context, backend: FakeBackend) -> None:
    first = run_up(context)
    good = tenant(context)["last_good_manifest"]
    backend.changed = {"settings"}
    backend.failures = {("up", "settings"): ["no such colour"]}
    write_manifest(context.settings.project_root, name="Another name")
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 3
    assert backend.calls.count("destroy") == 0
    assert statuses(result)["settings"] == "rolled_back"
    assert statuses(result)["record"] == "completed"
    now = tenant(context)
    assert now["status"] == "active"
    assert now["last_good_manifest"] == good
    assert now["deployment"]["status"] == "rolled_back"
    assert now["deployment"]["id"] != first.deployment
    # What a failed step has changed is not in the state: only its server knows, and the last good settings equal the
    # state. What has not been begun is not read.
    assert backend.calls == ["up", "up", "refresh", "up"]
    assert backend.refreshed == ["settings"]
    # The record before, and the five of the last good settings: what was read counts for nothing.
    assert sum(result.state.changes.values()) == 3 + 5


def test_a_rollback_that_cannot_look_does_not_claim_to_be_one(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    backend.changed = {"settings"}
    backend.failures = {("up", "settings"): ["no such colour"], ("refresh", "settings"): ["nobody answers"]}
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 4
    assert "step 'settings' failed: no such colour" in result.error.message
    assert "could not be read: Object acme-settings: nobody answers" in result.error.message
    assert backend.calls == ["up", "up", "refresh", "up"]
    assert statuses(result)["settings"] == "failed"
    assert tenant(context)["status"] == "failed"
    # The next run looks at everything. Where it cannot, it looks again with its own settings, and does without no look.
    backend.changed = set()
    backend.failures = {("refresh", "database"): ["nobody answers"] * 2}
    blind = run_up(context)
    assert blind.error is not None
    assert blind.error.exit_code == 9
    assert "what is there could not be read: Object acme-database: nobody answers" in blind.error.message
    assert tenant(context)["status"] == "failed"
    assert backend.calls[4:] == ["refresh", "up", "refresh"]
    backend.refreshed.clear()
    backend.failures = {("refresh", "database"): ["nobody answers"]}
    assert run_up(context).error is None
    assert backend.calls[7:] == ["refresh", "up", "refresh", "up"]
    assert backend.refreshed == ["record", "record", "database", "schema", "settings", "activation"]
    assert tenant(context)["status"] == "active"
    run_up(context)
    assert backend.calls[11:] == ["up"]


def test_the_commands_of_a_rollback_share_its_limit(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    backend.changed = {"settings"}
    backend.failures = {("up", "settings"): ["no such colour"]}
    began: list[float] = []
    stopped: list[float] = []

    def hold(operation: str, step: str, stop: threading.Event) -> None:
        if operation == "refresh":
            began.append(time.monotonic())
            time.sleep(2)
        if began and (operation, step) == ("up", "record"):
            assert stop.wait(20)
            stopped.append(time.monotonic())

    backend.hold = hold
    result = run_up(limited(context, rollback_timeout=3))
    assert stopped[0] - began[0] < 4
    assert result.error is not None
    assert result.error.exit_code == 4
    assert "TENANTRY_ROLLBACK_TIMEOUT" in result.error.message


def test_without_rollback_a_failure_stays(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["broken"]}
    result = run_up(context, enable_rollback=False)
    assert result.error is not None
    assert result.error.exit_code == 9
    assert "switched off" in result.error.message
    assert set(backend.stacks["acme"]) == {"record", "database"}
    assert tenant(context)["status"] == "failed"
    again = run_up(context)
    assert again.error is None
    assert tenant(context)["status"] == "active"


def test_a_rollback_that_fails_says_what_is_left(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "schema"): ["broken"], ("destroy", "database"): ["it is in use"]}
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 4
    assert "acme-database" in result.error.message
    assert result.status is DeploymentStatus.ROLLBACK_FAILED
    assert set(backend.stacks["acme"]) == {"database"}
    assert rows(context, result)["leftovers"] == ["pulumi-python:dynamic/fake:Object acme-database (id id-database)"]


def test_destroy_then_destroy_again(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    result = operations.destroy(context, "acme")
    assert result.error is None
    assert backend.stacks == {}
    assert tenant(context)["status"] == "removed"
    assert operations.destroy(context, "acme").error is None


def killed_in(backend: FakeBackend, key: str) -> None:
    """As a run leaves it that was killed while it made this step's resource, and all before it was made."""
    urn = next(row["urn"] for row in FakeStack(backend, "acme").export()["resources"] if row["id"] == f"id-{key}")
    keys = list(backend.stacks["acme"])
    for later in keys[keys.index(key) :]:
        del backend.stacks["acme"][later]
    backend.pending = [{"type": "creating", "resource": {"urn": urn}}]


def test_destroy_after_a_killed_run_takes_over_what_that_was_making_and_nothing_else(
    context: Context, backend: FakeBackend
) -> None:
    run_up(context)
    killed_in(backend, "database")
    operated: list[tuple[str, str]] = []
    backend.hold = lambda operation, key, _stop: operated.append((operation, key))
    assert operations.destroy(context, "acme").error is None
    assert [key for operation, key in operated if operation == "up"] == ["database"]
    assert ("destroy", "database") in operated
    assert backend.stacks == {}


def test_who_stops_what_is_taken_over_stops_the_removal(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    killed_in(backend, "database")

    def stopped(operation: str, _key: str, stop: threading.Event) -> None:
        if operation == "up":
            context.cancel.request()
            stop.wait(20)

    backend.hold = stopped
    result = operations.destroy(context, "acme")
    assert result.status is DeploymentStatus.CANCELLED
    assert "destroy" not in backend.calls[backend.calls.index("interrupt") :]
    assert backend.stacks["acme"]


def test_a_manifest_that_cannot_be_read_any_more_keeps_no_tenant(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    killed_in(backend, "database")
    with transaction(engine_for(context.settings), context.settings) as connection:
        old = {"manifest": {"kind": "of another version"}}
        connection.execute(update(deployments).values(manifest=old))
        connection.execute(update(tenants).values(last_good_manifest=old))
    result = operations.destroy(context, "acme")
    assert result.error is None
    assert tenant(context)["status"] == "removed"
    with transaction(engine_for(context.settings), context.settings) as connection:
        said = " ".join(line["message"] for line in logs(connection, uuid.UUID(result.deployment)))
    assert "cannot be adopted" in said


def test_a_run_without_a_manifest_has_none_in_the_eyes_of_sql(context: Context) -> None:
    run_up(context)
    operations.destroy(context, "acme")
    with transaction(engine_for(context.settings), context.settings) as connection:
        of_removal = select(deployments.c.operation).where(deployments.c.manifest.is_(None))
        assert connection.execute(of_removal).scalars().all() == ["destroy"]
        gone = select(tenants.c.slug).where(tenants.c.last_good_manifest.is_(None))
        assert connection.execute(gone).scalars().all() == ["acme"]


def test_destroy_of_an_unknown_tenant(context: Context) -> None:
    with pytest.raises(errors.NotFoundError, match="no tenant 'nobody'"):
        operations.destroy(context, "nobody")


def test_a_destroy_that_fails_can_be_repeated(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    backend.failures = {("destroy", "database"): ["it is in use"]}
    result = operations.destroy(context, "acme")
    assert result.error is not None
    assert result.error.exit_code == 9
    assert "it is in use" in result.error.message
    assert "`tenantry up acme` takes over before" in result.error.hint
    assert operations.destroy(context, "acme").error is None
    assert backend.stacks == {}


def test_transient_errors_are_tried_again(context: Context, backend: FakeBackend) -> None:
    context = limited(context, retry_delays=(0.01,))
    backend.failures = {("up", "database"): ["connection refused", "server closed the connection unexpectedly"]}
    result = run_up(context)
    assert result.error is None
    assert result.state.step("database").attempts == 3
    assert result.state.step("database").error is None
    with transaction(engine_for(context.settings), context.settings) as connection:
        lines = [line["message"] for line in logs(connection, uuid.UUID(result.deployment))]
    assert sum("next try in 0.01 s" in line for line in lines) == 2


def test_transient_errors_are_not_tried_for_ever(context: Context, backend: FakeBackend) -> None:
    context = limited(context, retry_delays=(0.01,), retries=1)
    backend.failures = {("up", "database"): ["connection refused"] * 9}
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 3
    assert backend.calls.count("up") == 2


def test_other_errors_are_not_tried_again(context: Context, backend: FakeBackend) -> None:
    backend.failures = {("up", "database"): ["permission denied to create database"]}
    run_up(context)
    assert backend.calls.count("up") == 1


def waiting(_operation: str, key: str, stop: threading.Event) -> None:
    if key == "schema":
        stop.wait(20)


def test_a_step_that_takes_too_long(context: Context, backend: FakeBackend) -> None:
    backend.hold = lambda op, key, stop: waiting(op, key, stop) if op == "up" else None
    result = run_up(limited(context, step_timeout=0.3))
    assert result.error is not None
    assert result.error.exit_code == 3
    assert "took longer than 0.3 s" in result.error.message
    assert backend.stacks == {}


def test_a_run_that_takes_too_long(context: Context, backend: FakeBackend) -> None:
    backend.hold = lambda op, key, stop: waiting(op, key, stop) if op == "up" else None
    result = run_up(limited(context, run_timeout=0.4))
    assert result.error is not None
    assert "TENANTRY_RUN_TIMEOUT" in result.error.message


def test_an_engine_that_does_not_stop(context: Context, backend: FakeBackend) -> None:
    backend.stubborn = True
    release = threading.Event()

    def hold(_operation: str, key: str, _stop: threading.Event) -> None:
        if key == "schema":
            release.wait(20)

    backend.hold = hold
    result = run_up(limited(context, run_timeout=0.3, cancel_grace=0.1))
    release.set()
    assert result.error is not None
    assert result.error.exit_code == 8
    assert "did not stop" in result.error.message
    assert backend.calls[-3:] == ["interrupt", "interrupt", "kill"]
    assert tenant(context)["deployment"]["status"] == "failed"


def test_a_cancelled_run_is_left_as_it_is(context: Context, backend: FakeBackend) -> None:
    def hold(_operation: str, key: str, stop: threading.Event) -> None:
        if key == "schema":
            context.cancel.request()
            stop.wait(20)

    backend.hold = hold
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 130
    assert result.status is DeploymentStatus.CANCELLED
    assert "destroy" not in backend.calls


def test_a_lost_lock_cancels_the_run(context: Context, backend: FakeBackend) -> None:
    def hold(_operation: str, key: str, stop: threading.Event) -> None:
        if key == "schema":
            with psycopg.connect(context_dsn(context), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'tenantry up acme%'"
                )
            stop.wait(20)

    backend.hold = hold
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 6
    assert "lock was lost" in result.error.message
    assert "destroy" not in backend.calls


def context_dsn(context: Context) -> str:
    server = context.settings.database
    login = f"host={server.host} port={server.port} user={server.user} password={server.password}"
    return f"{login} dbname={server.main_database}"


def test_one_run_per_tenant_and_many_tenants(context: Context, backend: FakeBackend) -> None:
    seen: list[errors.LockedError] = []

    def hold(_operation: str, key: str, _stop: threading.Event) -> None:
        if key == "schema" and not seen:
            backend.hold = None
            assert run_up(context, "other").error is None
            with pytest.raises(errors.LockedError) as caught:
                run_up(context)
            seen.append(caught.value)

    backend.hold = hold
    result = run_up(context)
    assert result.error is None
    assert f"`up` on {socket.gethostname()}, process" in seen[0].message
    assert result.correlation_id in seen[0].message
    assert seen[0].exit_code == 5


HOLDER = """
import sys, time
from automation.locks import tenant_lock
from automation.settings import load_settings
from automation.steps import StepStatus
with tenant_lock(load_settings(), "acme", "up"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_another_process_and_its_death(context: Context) -> None:
    ensure_ready(context.settings)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(errors.LockedError, match=rf"tenantry up acme {socket.gethostname()}:{holder.pid}"):
            run_up(context)
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    assert run_up(context).error is None


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def interrupted(context: Context) -> str:
    """A `running` row with steps, as a killed process leaves it."""
    ensure_ready(context.settings)
    state = operations._steps(LINES["cabinet"])
    new = history.NewDeployment(tenant="acme", name="Acme", operation="up", engine="fake", correlation_id="c0ffee")
    with transaction(engine_for(context.settings), context.settings) as connection:
        history.start(
            connection,
            new,
            [replace(step, status=StepStatus.RUNNING) for step in state.steps[:1]] + list(state.steps[1:]),
            {},
        )
    return str(new.id)


@pytest.mark.parametrize(
    "holder",
    [
        pytest.param({"pid": os.getpid()}, id="the run's own process"),
        pytest.param({"pid": 1, "startedBy": os.getpid()}, id="an engine that the run started"),
    ],
)
def test_a_dead_run_is_taken_over(context: Context, backend: FakeBackend, holder: dict[str, int]) -> None:
    dead = interrupted(context)
    backend.stacks["acme"] = {"record": "id-record"}
    backend.holders = [{"hostname": socket.gethostname(), **holder}]
    backend.pending = [{"type": "creating", "resource": {}}]
    result = run_up(context)
    assert result.error is None
    assert "break_lock" in backend.calls
    assert backend.pending == []
    with transaction(engine_for(context.settings), context.settings) as connection:
        saved = show_deployment(connection, uuid.UUID(dead))
    assert saved["status"] == "interrupted"
    assert [step["status"] for step in saved["steps"]] == ["failed", *["skipped"] * 5]


def test_a_pulumi_lock_of_someone_alive_is_respected(context: Context, backend: FakeBackend) -> None:
    backend.holders = [{"hostname": "elsewhere", "pid": 1}]
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 5
    assert "pulumi cancel -s acme" in result.error.hint
    assert "break_lock" not in backend.calls


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("error: incorrect passphrase", "passphrase does not fit"),
        ("error: the checkpoint of acme is corrupt: unexpected end of JSON input", "is damaged"),
        ("error: write .tenantry/state: no space left on device", "disk that holds the state of 'acme' is full"),
    ],
)
def test_engine_faults_change_nothing(context: Context, backend: FakeBackend, said: str, message: str) -> None:
    backend.command_errors = [said]
    result = run_up(context)
    assert result.error is not None
    assert result.error.exit_code == 8
    assert message in result.error.message
    assert result.error.hint
    assert "destroy" not in backend.calls


def test_a_taken_slug_is_refused_before_anything(context: Context, backend: FakeBackend, main_db: Any) -> None:
    ensure_ready(context.settings)
    columns = "slug, tenant_mark, name, street, city, postal_code, country, phone, email"
    with main_db.connect() as connection:
        connection.execute(
            f"INSERT INTO cabinets ({columns}) VALUES ('acme', 'x/acme', {', '.join(['%s'] * 7)})", ["x"] * 7
        )
    with pytest.raises(errors.InputError, match="taken"):
        run_up(context)
    assert backend.calls == []


def test_new_refuses_a_tenant_that_is_there(context: Context) -> None:
    run_up(context)
    with pytest.raises(errors.InputError, match="there is a tenant of that name already"):
        run_up(context, new=True)


def test_rollback_by_hand_of_a_change(context: Context) -> None:
    run_up(context)
    good = tenant(context)["last_good_manifest"]
    write_manifest(context.settings.project_root, name="Another name")
    second = run_up(context)
    assert tenant(context)["name"] == "Another name"
    result = operations.rollback(context, second.deployment[:8])
    assert result.error is None
    assert tenant(context)["last_good_manifest"] == good
    saved = rows(context, second)
    assert saved["status"] == "rolled_back"
    undone = sorted(
        (step for step in saved["steps"] if step["status"] == "rolled_back"), key=lambda step: step["rolled_back_at"]
    )
    assert [step["key"] for step in undone] == ["activation", "settings", "schema", "database", "record"]


def test_rollback_by_hand_of_a_first_create(context: Context, backend: FakeBackend) -> None:
    first = run_up(context)
    result = operations.rollback(context, first.deployment)
    assert result.error is None
    assert backend.stacks == {}
    assert tenant(context)["status"] == "removed"
    with pytest.raises(errors.InputError, match="already"):
        operations.rollback(context, first.deployment)


def test_rollback_by_hand_of_an_old_deployment(context: Context) -> None:
    first = run_up(context)
    write_manifest(context.settings.project_root, name="Another name")
    run_up(context)
    with pytest.raises(errors.InputError, match="not the newest"):
        operations.rollback(context, first.deployment)
    assert operations.rollback(context, first.deployment, force=True).error is None


def test_rollback_by_name_undoes_the_last_change_and_never_the_tenant(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    with pytest.raises(errors.NotFoundError, match="change to undo"):
        operations.rollback(context, "acme")
    write_manifest(context.settings.project_root, name="Another name")
    changed = run_up(context)
    run_up(context)  # finds nothing to do, and so is not what is undone
    assert operations.rollback(context, "acme").error is None
    assert rows(context, changed)["status"] == "rolled_back"
    with pytest.raises(errors.NotFoundError, match="change to undo"):
        operations.rollback(context, "acme")
    assert backend.stacks != {}


def test_rollback_of_what_is_no_deployment(context: Context) -> None:
    for wanted in ("nonsense", "ab", str(uuid.uuid4())):
        with pytest.raises(errors.NotFoundError):
            operations.rollback(context, wanted)


def test_refresh_reports_drift(context: Context, backend: FakeBackend) -> None:
    run_up(context)
    assert operations.refresh(context, "acme", expect_no_changes=True).error is None
    backend.drift = {"settings": "update"}
    result = operations.refresh(context, "acme", expect_no_changes=True)
    assert result.error is not None
    assert result.error.exit_code == 7
    assert list(result.drift.values()) == ["changed"]
    assert operations.refresh(context, "acme").error is None


def test_a_run_that_breaks_of_itself_is_not_left_running(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("automation.tracking.run_event", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        run_up(context)
    assert tenant(context)["deployment"]["status"] == "failed"


def test_secrets_are_masked_in_steps_and_logs(context: Context, backend: FakeBackend) -> None:
    password = context.settings.database.password
    backend.failures = {("up", "database"): [f"bad login {password} with {context.settings.secrets()[-1]}"]}
    result = run_up(context)
    assert result.error is not None
    with transaction(engine_for(context.settings), context.settings) as connection:
        lines = str(logs(connection, uuid.UUID(result.deployment)))
    for text in (str(result.to_dict()), str(rows(context, result)), lines):
        assert password not in text
        assert "correct horse" not in text
    assert "[secret]" in result.error.message
