"""The simulator as a server: one per folder, found again after a crash, closed to others, with a door of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox.erpnext import local
from sandbox.erpnext import server as simulator
from sandbox.erpnext.__main__ import main
from sandbox.erpnext.faults import Fault, Kind
from sandbox.erpnext.server import SimulatedErpNext
from sandbox.errors import PortTakenError, SandboxError


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "site"
    simulator.remove(tmp_path / "site")


def ask(server: SimulatedErpNext, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"token {server.key}:{server.secret}", "Accept": "application/json"}
    return httpx.request(method, server.url + path, json=body, headers=headers, timeout=10)


def test_start_find_stop_kill_and_keep_what_it_knows(folder: Path) -> None:
    assert simulator.attach(folder) is None
    first = simulator.start(folder, newer=False)
    assert simulator.start(folder) == first == simulator.attach(folder)
    assert ask(first, "POST", "/api/resource/UOM", {"uom_name": "Crate"}).status_code == 200
    assert simulator.stop(folder)
    assert not simulator.stop(folder)
    again = simulator.start(folder)
    assert (again.port, again.key, again.secret) == (first.port, first.key, first.secret)
    os.kill(again.pid, signal.SIGKILL)
    third = simulator.start(folder)
    assert third.pid != again.pid
    # It is as old as it was told to be.
    assert ask(third, "DELETE", "/api/resource/UOM/Crate").json() == {"message": "ok"}
    with pytest.raises(PortTakenError, match="already runs on port"):
        simulator.start(folder, third.port + 1)
    simulator.remove(folder)
    assert not folder.exists()


def test_it_is_closed_to_others(folder: Path) -> None:
    with simulator.start(folder) as server:
        for name in ("credentials.json", "erpnext.db", "server.log"):
            assert stat.S_IMODE((folder / "erpnext" / name).stat().st_mode) == 0o600, name
        assert server.secret not in repr(server)
        assert server.key not in repr(server)
        command = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert server.key not in command
        assert server.secret not in command
        other, _ = server.add_user("reader@duka.invalid", {"*": "read"})
        assert ask(server, "GET", "/api/resource/Company").status_code == 200
        headers = {"Authorization": f"token {other}:wrong"}
        assert httpx.get(f"{server.url}/sandbox/requests", headers=headers, timeout=10).status_code == 401
        assert httpx.get(f"{server.url}/sandbox/requests", timeout=10).status_code == 403
    assert simulator.attach(folder) is None


def test_its_door_sets_faults_counts_and_finishes_the_wizard(folder: Path) -> None:
    with simulator.start(folder, wizard=False) as server:
        company = {"company_name": "Duka", "default_currency": "KES", "country": "Kenya"}
        assert ask(server, "POST", "/api/resource/Company", company).status_code == 417
        server.finish_setup()
        server.add(Fault(kind=Kind.DROP, method="POST", where="Company", times=1, after=True))
        with pytest.raises(httpx.RemoteProtocolError):
            ask(server, "POST", "/api/resource/Company", company)
        assert ask(server, "POST", "/api/resource/Company", company).status_code == 409
        assert [each["status"] for each in server.requests()] == [200, 417, 0, 409]  # the first was its starter's ping
        server.forget()
        server.add(Fault(kind=Kind.MAINTENANCE))
        server.heal()
        assert ask(server, "GET", "/api/method/ping").status_code == 200
        assert len(server.requests()) == 1
        with pytest.raises(SandboxError, match="no such switch: colour"):
            server.switch(colour="red")


def test_one_of_this_process_is_new_each_time() -> None:
    for _ in range(2):
        with local.served() as server:
            headers = {"Authorization": f"token {server.key}:{server.secret}", "Accept": "application/json"}
            sent = {"uom_name": "Crate"}
            answer = httpx.post(f"{server.url}/api/resource/UOM", json=sent, headers=headers, timeout=10)
            assert answer.status_code == 200
            assert [row.status for row in server.site.log.rows()] == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/api/method/ping", timeout=10)


def test_many_at_once_are_all_answered(folder: Path) -> None:
    with simulator.start(folder) as server, ThreadPoolExecutor(8) as pool:

        def make(number: int) -> int:
            company = {
                "company_name": f"Duka {number}",
                "abbr": f"D{number}",
                "default_currency": "KES",
                "country": "Kenya",
            }
            return ask(server, "POST", "/api/resource/Company", company).status_code

        assert list(pool.map(make, range(8))) == [200] * 8
        rows = ask(server, "GET", "/api/resource/Mode of Payment/Cash").json()["data"]["accounts"]
        assert sorted(each["company"] for each in rows) == [f"Duka {number}" for number in range(8)]


def test_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*command: str) -> tuple[int, dict[str, object]]:
        code = main([*command, "--dir", str(folder), "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert run("status") == (3, {"state": "stopped", "directory": str(folder)})
    code, facts = run("start", "--older", "--unfinished")
    assert (code, facts["state"]) == (0, "running")
    assert run("status") == (0, facts)
    server = simulator.attach(folder)
    assert server is not None
    assert ask(server, "GET", "/api/resource/UOM").json() == {"data": []}
    assert main(["start", "--dir", str(folder), "--port", "1"]) == 1
    assert "already runs on port" in capsys.readouterr().err
    assert run("remove")[0] == 0
    assert run("status")[0] == 3
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--older" in capsys.readouterr().out
