"""The embedded supervisor: one per folder, found again, restarted after a crash, and its processes with it."""

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xmlrpc.client import ProtocolError, ServerProxy

import pytest

from sandbox import supervisor
from sandbox.errors import PortTakenError, SandboxError
from sandbox.supervisor import EmbeddedSupervisor


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "server"
    supervisor.remove(tmp_path / "server")


def rpc(server: EmbeddedSupervisor, password: str | None = None) -> "ServerProxy":
    login = f"{server.user}:{server.password if password is None else password}"
    return ServerProxy(f"{server.url.replace('http://', f'http://{login}@')}/RPC2")


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_start_find_stop(folder: Path) -> None:
    assert supervisor.attach(folder) is None
    first = supervisor.start(folder)
    assert supervisor.start(folder) == first
    assert supervisor.attach(folder) == first
    with rpc(first) as api:
        assert api.supervisor.getState()["statename"] == "RUNNING"
    assert supervisor.stop(folder)
    assert not supervisor.stop(folder)
    again = supervisor.start(folder)
    assert (again.port, again.password) == (first.port, first.password)


def test_it_is_closed_to_others(folder: Path) -> None:
    with supervisor.start(folder) as server:
        assert server.password not in repr(server)
        with rpc(server, "wrong") as api, pytest.raises(ProtocolError, match="401"):
            api.supervisor.getState()
        home = folder / "supervisor"
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        for path in home.rglob("*"):
            if path.is_file() and server.password in path.read_text():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        command = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert server.password not in command
    assert supervisor.attach(folder) is None


def test_its_programs_run_and_end_with_it(folder: Path) -> None:
    server = supervisor.start(folder)
    (server.programs / "one.conf").write_text(
        f'[program:one]\ncommand={sys.executable} -c "import time; time.sleep(600)"\nstopwaitsecs=5\n'
    )
    with rpc(server) as api:
        api.supervisor.reloadConfig()
        api.supervisor.addProcessGroup("one")
        eventually(lambda: api.supervisor.getProcessInfo("one")["statename"] == "RUNNING")
        pid = api.supervisor.getProcessInfo("one")["pid"]
    supervisor.stop(folder)
    assert not alive(pid)
    # Started again, it runs what it finds.
    with rpc(supervisor.start(folder)) as api:
        eventually(lambda: api.supervisor.getProcessInfo("one")["statename"] == "RUNNING")


def test_a_killed_supervisor_starts_again(folder: Path) -> None:
    first = supervisor.start(folder)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: not alive(first.pid))
    again = supervisor.start(folder)
    assert again.pid != first.pid
    with rpc(again) as api:
        assert api.supervisor.getState()["statename"] == "RUNNING"


def test_starters_at_once_get_one(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: supervisor.start(folder), range(4)))
    assert len({server.pid for server in servers}) == 1


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} .* taken .* choose another"):
            supervisor.start(folder, port)
    server = supervisor.start(folder)
    with pytest.raises(PortTakenError, match="already runs on port"):
        supervisor.start(folder, server.port + 1)


def test_a_folder_that_its_configuration_cannot_name(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="choose a folder without"):
        supervisor.start(tmp_path / "with blank")


def test_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert supervisor.main(["status", "--dir", str(folder)]) == 3
    assert supervisor.main(["start", "--dir", str(folder), "--json"]) == 0
    said = capsys.readouterr().out
    running = supervisor.attach(folder)
    assert running is not None
    assert f'"port": {running.port}' in said
    assert running.password not in said
    assert supervisor.main(["status", "--dir", str(folder)]) == 0
    assert supervisor.main(["remove", "--dir", str(folder)]) == 0
    assert not folder.exists()
