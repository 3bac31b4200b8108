"""The Python calls against a small program in place of `tenantry`: what they make of each way in which it ends."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automation import isp
from automation.errors import EngineError, InputError, NotFoundError
from automation.isp import (
    ISPConfig,
    ProvisioningError,
    ResourceRequirements,
    provision_isp_container,
    validate_container_health,
)
from tests.automation.conftest import project

__all__ = ["project"]
CONFIG = ISPConfig("Acme Fibre", "premium", ("billing",))
OUTPUTS = {
    "url": "https://acme-fibre.isp.example",
    "cpuCores": 0.5,
    "memoryGb": 1.0,
    "storageGb": 5.0,
    "maxConnections": 202,
    "password": "[secret]",
}
STEPS = ("validation", "record", "infrastructure", "container", "configuration", "health")
RESULT: dict[str, Any] = {
    "type": "result",
    "tenant": "acme-fibre",
    "deployment": "6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11",
    "correlation_id": "c0ffee",
    "status": "succeeded",
    "changed": True,
    "duration_ms": 12_345,
    "steps": [{"key": key, "status": "completed"} for key in STEPS],
    "leftovers": [],
    "outputs": OUTPUTS,
    "error": None,
}
HEALTH: dict[str, Any] = {
    "type": "health",
    "tenant": "acme-fibre",
    "healthy": False,
    "parts": [
        {"part": "workload", "ok": True, "detail": "it runs", "duration_ms": 3},
        {"part": "database", "ok": True, "detail": "", "duration_ms": 5},
        {"part": "api", "ok": False, "detail": "it answered 500", "duration_ms": 7},
        {"part": "tls", "ok": True, "detail": "until 2027-01-01", "duration_ms": 9},
    ],
    "checked_at": "2026-11-22T08:00:00+00:00",
}

Runs = Callable[[str], Path]


@pytest.fixture
def runs(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Makes `tenantry` a program; what it was asked is in the file whose path is given back, a line for each time."""
    asked = tmp_path / "asked"

    def made(code: str) -> Path:
        script = tmp_path / "tenantry.py"
        note = f"asked = open({str(asked)!r}, 'a'); print(json.dumps(sys.argv[1:]), file=asked, flush=True)"
        script.write_text(f"import json, os, signal, sys, time\n{note}\n{code}\n")
        monkeypatch.setattr(isp, "COMMAND", (sys.executable, str(script)))
        return asked

    return made


def says(document: Any, code: int = 0) -> str:
    return f"print({json.dumps(document)!r})\nsys.exit({code})"


def failed(code: int, *, status: str, **more: Any) -> str:
    error = {"kind": "failed", "message": "up of 'acme-fibre' failed: no room", "hint": "make room", "exit_code": code}
    return says(RESULT | {"status": status, "error": error, "outputs": {}} | more, code)


async def refused(*arguments: Any) -> ProvisioningError:
    with pytest.raises(ProvisioningError) as caught:
        await provision_isp_container(*arguments)
    return caught.value


async def test_an_isp_that_works(runs: Runs) -> None:
    asked = runs("manifest = open(sys.argv[4]).read(); print(manifest, file=asked, flush=True)\n" + says(RESULT))
    resources = ResourceRequirements(cpu_cores=0.5, memory_gb=1, storage_gb=5, max_connections=202)
    found = await provision_isp_container("acme-fibre", 2500, CONFIG, resources)
    assert (found.success, found.error_message, found.changed) == (True, None, True)
    assert (found.endpoint_url, found.deployment_duration) == ("https://acme-fibre.isp.example", 12.345)
    assert (found.container_id, found.correlation_id) == ("acme-fibre", "c0ffee")
    assert found.resources == resources
    words, sent = (json.loads(line) for line in asked.read_text().splitlines())
    assert words[:3] == ["up", "acme-fibre", "--file"]
    assert gone(words[3])
    assert sent["customSettings"] == {
        "resources": {"cpuCores": 0.5, "memoryGb": 1, "storageGb": 5, "maxConnections": 202}
    }
    assert "adminEmail" not in sent


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("A B", 2500, CONFIG), "slug"),
        (("acme-fibre", 49, CONFIG), "customerCount"),
        (("acme-fibre", 2500, ISPConfig("Acme", "gold")), "planType"),
        (("acme-fibre", 2500, ISPConfig("Acme", "premium", ("sms",))), "features[0]"),
        (("acme-fibre", 2500, ISPConfig("", "premium")), "name"),
        (("acme-fibre", 2500, ISPConfig("A", "premium", custom_settings={"replica": 2})), "customSettings.replica"),
        (
            (
                *("acme-fibre", 2500, CONFIG),
                ResourceRequirements(cpu_cores=0, memory_gb=1, storage_gb=1, max_connections=1),
            ),
            "customSettings.resources.cpuCores",
        ),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_runs(
    runs: Runs, arguments: tuple[Any, ...], field: str
) -> None:
    asked = runs(says(RESULT))
    error = await refused(*arguments)
    assert [one for one, _, _ in error.problems] == [field]
    assert error.rollback_completed
    assert not asked.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PULUMI_CONFIG_PASSPHRASE", None, "no passphrase"),
        ("DB_PORT", "many", "DB_PORT"),
        ("PROVISIONING_TIMEOUT", "soon", "PROVISIONING_TIMEOUT"),
    ],
)
async def test_what_is_not_configured_is_refused_before_anything_runs(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, said: str
) -> None:
    asked = runs(says(RESULT))
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    error = await refused("acme-fibre", 2500, CONFIG)
    assert said in error.message
    assert error.rollback_completed
    assert not asked.exists()


BEGUN = [{"key": key, "status": "completed"} for key in STEPS[:2]] + [{"key": "container", "status": "failed"}]
NOT_BEGUN = [{"key": "validation", "status": "completed"}] + [{"key": key, "status": "pending"} for key in STEPS[1:]]


@pytest.mark.parametrize(
    ("code", "completed", "leftovers"),
    [
        (failed(3, status="rolled_back"), True, ()),
        (
            failed(4, status="rollback_failed", leftovers=["Namespace isp-acme-fibre"]),
            False,
            ("Namespace isp-acme-fibre",),
        ),
        (failed(9, status="failed", steps=BEGUN), False, ()),
        (failed(9, status="failed", steps=NOT_BEGUN), True, ()),
    ],
    ids=["rolled back", "not rolled back", "left", "not begun"],
)
async def test_a_failed_run_says_whether_it_is_undone(
    runs: Runs, code: str, completed: bool, leftovers: tuple[str, ...]
) -> None:
    runs(code)
    error = await refused("acme-fibre", 2500, CONFIG)
    assert (error.rollback_completed, error.leftovers) == (completed, leftovers)
    assert (error.message, error.hint) == ("up of 'acme-fibre' failed: no room", "make room")
    assert error.correlation_id == "c0ffee"
    assert error.to_dict()["details"]["rollback_completed"] is completed


@pytest.mark.parametrize(("exit_code", "completed"), [(2, True), (5, True), (6, True), (8, False), (1, False)])
async def test_a_command_without_a_run_has_left_nothing_where_that_is_known(
    runs: Runs, exit_code: int, completed: bool
) -> None:
    problems = [{"field": "region", "given": "x", "message": "given x; valid: here"}]
    error = {"kind": "x", "message": "it may not be", "hint": "", "exit_code": exit_code}
    runs(says({"type": "error", "error": error | {"details": {"problems": problems}}}, exit_code))
    found = await refused("acme-fibre", 2500, CONFIG)
    assert found.rollback_completed is completed
    assert found.problems == (("region", "x", "given x; valid: here"),)
    assert len(found.correlation_id) == 16


@pytest.mark.parametrize("code", ["os.kill(os.getpid(), signal.SIGKILL)", "print('[]')", "print('what')", ""])
async def test_a_process_that_says_nothing_may_have_left_something(runs: Runs, code: str) -> None:
    runs(code)
    error = await refused("acme-fibre", 2500, CONFIG)
    assert "without an answer" in error.message
    assert not error.rollback_completed


async def test_several_at_once_are_told_apart(runs: Runs) -> None:
    runs(f"document = {RESULT!r}\nprint(json.dumps(document | {{'correlation_id': sys.argv[2]}}))")
    names = [f"isp-{number}" for number in range(4)]
    found = await asyncio.gather(*(provision_isp_container(name, 500, CONFIG) for name in names))
    assert [(one.container_id, one.correlation_id) for one in found] == [(name, name) for name in names]


WAITS = """
def stop(*_):
    print('"interrupted"', file=asked, flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print('"ready"', file=asked, flush=True)
time.sleep(60)
"""
STUBBORN = WAITS.replace("    sys.exit(130)\n", "").replace("time.sleep(60)", "while True: time.sleep(1)")


def gone(path: str) -> bool:
    return not Path(path).exists()


def written(asked: Path, word: str) -> None:
    while not (asked.exists() and f'"{word}"' in asked.read_text()):
        time.sleep(0.05)


async def test_a_cancel_interrupts_the_run_and_waits_for_its_end(runs: Runs) -> None:
    asked = runs(WAITS)
    waiting = asyncio.create_task(provision_isp_container("acme-fibre", 2500, CONFIG))
    await asyncio.to_thread(written, asked, "ready")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asked.read_text().splitlines()[2:] == ['"interrupted"']


async def test_a_run_that_does_not_heed_a_cancel_is_ended(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_CANCEL_GRACE", "0.3")
    asked = runs(STUBBORN + "\n")
    waiting = asyncio.create_task(provision_isp_container("acme-fibre", 2500, CONFIG))
    await asyncio.to_thread(written, asked, "ready")
    waiting.cancel()
    await asyncio.to_thread(written, asked, "interrupted")
    # Another one interrupts it again, as a second Ctrl-C does.
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asked.read_text().splitlines()[2:] == ['"interrupted"'] * 2


async def test_health_tells_each_part(runs: Runs) -> None:
    asked = runs(says(HEALTH, 10))
    found = await validate_container_health("acme-fibre")
    assert json.loads(asked.read_text()) == ["health", "acme-fibre", "--json"]
    assert found.overall is False
    assert found.api is not None
    assert (found.api.ok, found.api.detail) == (False, "it answered 500")
    assert found.database is not None
    assert found.database.ok
    assert found.tls is not None
    assert found.tls.detail == "until 2027-01-01"
    assert found.ingress is None


@pytest.mark.parametrize(
    ("kind", "code", "raised"),
    [("not_found", 2, NotFoundError), ("invalid_input", 2, InputError), ("engine", 8, EngineError)],
)
async def test_health_that_cannot_be_asked_for(runs: Runs, kind: str, code: int, raised: type[Exception]) -> None:
    error = {"kind": kind, "message": "there is no stack", "hint": "make it", "exit_code": code}
    runs(says({"type": "error", "error": error}, code))
    with pytest.raises(raised, match="there is no stack"):
        await validate_container_health("acme-fibre")


async def test_health_is_of_isps(runs: Runs) -> None:
    asked = runs(says(HEALTH | {"parts": HEALTH["parts"][1:3]}))
    with pytest.raises(NotFoundError, match="--help"):
        await validate_container_health("--help")
    assert not asked.exists()
    with pytest.raises(InputError, match="is no ISP"):
        await validate_container_health("finance")
    runs("")
    with pytest.raises(EngineError, match="said nothing"):
        await validate_container_health("acme-fibre")


async def test_health_has_a_limit(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_CHECK_TIMEOUT", "0.3")
    runs(WAITS)
    with pytest.raises(EngineError, match=r"within 0\.3 s \(HEALTH_CHECK_TIMEOUT\)"):
        await validate_container_health("acme-fibre")
