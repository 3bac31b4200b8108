"""A tenant's health as the service asks for it: of a real process, within its limit, once for many who ask."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from automation.errors import EngineError
from automation.jobs.model import ConflictError
from service import fresh, health_checks
from service.health_checks import AT_ONCE, HealthChecks, HealthUnknownError
from service.state import State
from tests.conftest import MainDatabase
from tests.service.helpers import as_

LIMIT = 3.0
SLACK = 3.0
"""What a machine with much to do may need on top."""
WELL = {"type": "health", "tenant": "x", "healthy": True, "parts": [], "checked_at": "2026-11-21T10:00:00+00:00"}

Command = Callable[[str], HealthChecks]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A file that gets a line for each process that was asked: its id and the department's."""
    return tmp_path / "asked"


@pytest.fixture
def command(tmp_path: Path, asked: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Checks by a small program in place of `tenantry`, within LIMIT."""
    monkeypatch.setattr(health_checks, "SECONDS", LIMIT)

    def made(code: str) -> HealthChecks:
        script = tmp_path / "tenantry.py"
        note = f"open({str(asked)!r}, 'a').write(f'{{os.getpid()}} {{sys.argv[2]}}\\n')"
        script.write_text(f"import json, os, subprocess, sys, time\n{note}\n{code}\n")
        return HealthChecks((sys.executable, str(script)))

    return made


def says(document: Any, code: int = 0) -> str:
    return f"print({json.dumps(document)!r})\nsys.exit({code})"


def error(message: str, code: int) -> str:
    return says({"type": "error", "error": {"message": message, "hint": "do this", "exit_code": code}}, code)


def pids(asked: Path) -> list[int]:
    return [int(line.split()[0]) for line in asked.read_text().splitlines()]


async def until(so: Callable[[], bool]) -> bool:
    """Whether it becomes so within a few seconds."""
    return await asyncio.to_thread(_until, so)


def _until(so: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not so() and time.monotonic() < end:
        time.sleep(0.02)
    return so()


async def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has, too."""
    return await until(lambda: _state(pid) in {None, "Z"})


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


async def test_what_its_process_says(command: Command) -> None:
    assert await command(says(WELL)).of("finance") == WELL


async def test_unhealthy_is_an_answer(command: Command) -> None:
    assert (await command(says(WELL | {"healthy": False}, 10)).of("finance"))["healthy"] is False


async def test_what_the_department_is_not_ready_for_is_a_conflict(command: Command) -> None:
    with pytest.raises(ConflictError, match="not that far") as raised:
        await command(error("it is not that far yet", 2)).of("finance")
    assert raised.value.hint == "do this"


async def test_callers_read_what_the_engine_says_and_nothing_of_faults(command: Command) -> None:
    with pytest.raises(HealthUnknownError, match="could not be asked for: its state is encrypted"):
        await command(error("its state is encrypted otherwise", EngineError.exit_code)).of("finance")
    for code in (error("TypeError in /srv/private", 1), error("10.0.0.1 refuses", 6), "print('no JSON')", ""):
        with pytest.raises(HealthUnknownError) as raised:
            await command(code).of("finance")
        assert raised.value.message == "the health of 'finance' could not be asked for"


async def test_ten_who_ask_for_one_that_hangs_wait_as_long_as_one(command: Command, asked: Path) -> None:
    checks = command("time.sleep(60)")
    began = time.monotonic()
    found = await asyncio.gather(*(checks.of("finance") for _ in range(10)), return_exceptions=True)
    assert time.monotonic() - began < LIMIT + SLACK
    assert {str(one) for one in found} == {f"the health of 'finance' was not known within {LIMIT:g} s"}
    assert all(isinstance(one, HealthUnknownError) for one in found)
    (pid,) = pids(asked)
    assert await gone(pid)


async def test_whoever_comes_after_a_failure_asks_anew(command: Command, asked: Path) -> None:
    checks = command(f"open({str(asked)!r}).read().count(chr(10)) > 1 or sys.exit(1)\n{says(WELL)}")
    with pytest.raises(HealthUnknownError):
        await checks.of("finance")
    assert await checks.of("finance") == WELL


async def test_the_wait_for_a_place_counts(command: Command, asked: Path) -> None:
    checks = command("time.sleep(60)")
    began = time.monotonic()
    slugs = [f"d{number}" for number in range(3 * AT_ONCE)]
    found = await asyncio.gather(*(checks.of(slug) for slug in slugs), return_exceptions=True)
    assert time.monotonic() - began < LIMIT + SLACK
    assert [str(one) for one in found] == [f"the health of '{slug}' was not known within {LIMIT:g} s" for slug in slugs]
    assert len(pids(asked)) >= AT_ONCE
    for pid in pids(asked):
        assert await gone(pid)


async def test_places_are_free_again(command: Command) -> None:
    checks = command(f"sys.argv[2] == 'well' or time.sleep(60)\n{says(WELL)}")
    slow = [asyncio.create_task(checks.of(f"d{number}")) for number in range(AT_ONCE)]
    await asyncio.wait(slow)
    assert all(isinstance(one.exception(), HealthUnknownError) for one in slow)
    assert await checks.of("well") == WELL


@pytest.mark.parametrize("leader", ["time.sleep(60)", "os._exit(0)"], ids=["hangs", "has ended"])
async def test_what_it_started_ends_with_it(command: Command, tmp_path: Path, leader: str) -> None:
    note = tmp_path / "child"
    checks = command(
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n{leader}"
    )
    with pytest.raises(HealthUnknownError, match="not known within"):
        await checks.of("finance")
    assert await gone(int(note.read_text()))


async def test_whoever_leaves_ends_the_question_and_not_that_of_others(command: Command, asked: Path) -> None:
    checks = command(f"open({str(asked)!r}).read().count(chr(10)) > 1 or time.sleep(60)\n{says(WELL)}")
    leaving = asyncio.create_task(checks.of("finance"))
    staying = asyncio.create_task(checks.of("finance"))
    assert await until(lambda: asked.exists() and asked.read_text().endswith("\n"))
    leaving.cancel()
    assert await staying == WELL
    assert await gone(pids(asked)[0])


async def test_over_http_it_is_503_with_the_reason(
    app: FastAPI, client: httpx.AsyncClient, state: State, main_db: MainDatabase, command: Command
) -> None:
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO tenants (slug, line, name, status) VALUES ('finance', 'department', 'Finance', 'active')"
        )
    url = "/api/departments/finance/health"
    app.state.tenantry = replace(state, health=command("time.sleep(60)"))
    began = time.monotonic()
    answers = await asyncio.gather(*(client.get(url, headers=as_()) for _ in range(10)))
    assert time.monotonic() - began < LIMIT + SLACK
    assert {one.status_code for one in answers} == {503}
    assert {one.json()["detail"] for one in answers} == {"the health of 'finance' was not known within 3 s"}
    assert answers[0].headers["retry-after"]
    page = await client.get("/tenants/finance/health", headers=as_() | {"accept": "text/html"})
    assert (page.status_code, "was not known within 3 s" in page.text) == (503, True)
    app.state.tenantry = replace(state, health=command(says(WELL | {"healthy": False}, 10)))
    answer = await client.get(url, headers=as_())
    assert (answer.status_code, answer.json()["healthy"]) == (200, False)
    app.state.tenantry = replace(state, health=command(error("it is not that far yet", 2)))
    assert (await client.get(url, headers=as_())).status_code == 409


async def test_many_who_ask_while_it_is_fresh_get_one_answer(
    command: Command, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "FRESH_SECONDS", 60.0)
    checks = command(says(WELL))
    assert await asyncio.gather(*(checks.of("finance") for _ in range(10))) == [WELL] * 10
    assert len(pids(asked)) == 1
