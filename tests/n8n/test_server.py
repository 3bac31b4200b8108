"""The simulator as a server: one per folder, found again, restarted after a crash, closed to others."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox.errors import PortTakenError
from sandbox.n8n import server as simulator
from sandbox.n8n.__main__ import main
from sandbox.n8n.server import SimulatedN8n

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "n8n"
    simulator.remove(tmp_path / "n8n")


def tags(server: SimulatedN8n) -> list[str]:
    answer = httpx.get(f"{server.url}/api/v1/tags", headers={"X-N8N-API-KEY": server.key}, timeout=10)
    return [row["name"] for row in answer.raise_for_status().json()["data"]]


def keep_a_tag(server: SimulatedN8n) -> None:
    headers = {"X-N8N-API-KEY": server.key}
    httpx.post(f"{server.url}/api/v1/tags", json={"name": "kept"}, headers=headers, timeout=10).raise_for_status()


def test_start_find_stop_kill_and_keep_what_it_knows(folder: Path) -> None:
    assert simulator.attach(folder) is None
    first = simulator.start(folder)
    assert simulator.start(folder) == first == simulator.attach(folder)
    keep_a_tag(first)
    assert simulator.stop(folder)
    assert not simulator.stop(folder)
    assert simulator.attach(folder) is None
    again = simulator.start(folder)
    assert (again.port, again.key) == (first.port, first.key)
    os.kill(again.pid, signal.SIGKILL)
    third = simulator.start(folder)
    assert third.pid != again.pid
    assert tags(third) == ["kept"]
    with pytest.raises(PortTakenError, match="already runs on port"):
        simulator.start(folder, third.port + 1)
    simulator.remove(folder)
    assert not folder.exists()


def test_a_folder_is_the_same_however_it_is_called(folder: Path, tmp_path: Path) -> None:
    """Else a second server would begin on the same data, and the first could not be stopped."""
    first = simulator.start(folder)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for spelled in (tmp_path / "other" / ".." / "n8n", tmp_path / "link" / "n8n"):
        assert simulator.attach(spelled) == first == simulator.start(spelled)
    assert simulator.stop(tmp_path / "link" / "n8n")
    assert simulator.attach(folder) is None


def test_it_is_closed_to_others(folder: Path) -> None:
    with simulator.start(folder) as server:
        for name in ("key", "password", "n8n.db", "server.log"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert server.key not in repr(server)
        command = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert server.key not in command
        assert httpx.get(f"{server.url}/api/v1/tags", timeout=10).status_code == 401
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", server.port))  # one that listens everywhere would answer
    assert simulator.attach(folder) is None


def test_a_pid_that_now_belongs_to_another_program_is_not_the_server(folder: Path) -> None:
    simulator.start(folder).stop()
    (folder / "pid").write_text(f"{os.getpid()}\n")
    assert simulator.attach(folder) is None
    assert not simulator.stop(folder)
    assert simulator.start(folder).pid != os.getpid()


def test_starters_at_once_get_one_server(folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(lambda _: simulator.start(folder), range(3)))
    assert len({server.pid for server in servers}) == 1


def test_a_first_start_that_was_cut_off_before_its_key_is_finished(folder: Path) -> None:
    simulator.start(folder).stop()
    (folder / "key").unlink()
    assert tags(simulator.start(folder)) == []


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} .* taken .* choose another"):
            simulator.start(folder, port)


def test_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: str) -> tuple[int, dict[str, object]]:
        code = main([command, "--dir", str(folder), "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert run("status") == (3, {"state": "stopped", "directory": str(folder)})
    code, facts = run("start")
    assert (code, facts["state"]) == (0, "running")
    assert run("status") == (0, facts)
    assert main(["start", "--dir", str(folder), "--port", "1"]) == 1
    assert "already runs on port" in capsys.readouterr().err
    assert run("remove")[0] == 0
    assert run("status")[0] == 3


def test_a_broken_program_gives_its_own_words(folder: Path) -> None:
    folder.mkdir()
    (folder / "n8n.db").write_text("this is no database, but long enough to look like one to nobody" * 20)
    command = [sys.executable, "-m", "sandbox.n8n", "start", "--dir", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=90, check=False)
    assert result.returncode == 1
    assert "did not start" in result.stderr
    assert "not a database" in result.stderr
