"""The embedded gateway: one per folder, found again, with its routes after a stop or a kill, closed to others."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox import caddy, process
from sandbox.caddy import EmbeddedCaddy
from sandbox.errors import PortTakenError, SandboxError, StartError

ROUTES = "/config/apps/http/servers/tenants/routes"
ROUTE = {
    "@id": "one",
    "match": [{"host": ["one.tenants.localhost"]}],
    "handle": [{"handler": "static_response", "body": "one {env.WORD}"}],
    "terminal": True,
}


@pytest.fixture
def folder() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="tenantry-test-caddy-"))
    yield base / "server"
    caddy.remove(base / "server")
    base.rmdir()


def visit(server: EmbeddedCaddy, label: str = "one") -> httpx.Response:
    host = f"{label}.{server.domain}"
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        return client.get(server.url, headers={"Host": host}, extensions={"sni_hostname": host})


def listening(pid: int) -> set[tuple[str, int]]:
    """(address as the kernel writes it, port) of each socket of the process that listens."""
    mine = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [
        line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    ]
    found = [line[1].split(":") for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in mine]
    return {(address, int(port, 16)) for address, port in found}


def kill(server: EmbeddedCaddy) -> None:
    """As a power cut would; until it is gone it still looks alive."""
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while process.command_of(server.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def add_route(server: EmbeddedCaddy) -> None:
    httpx.put(f"{server.admin}{ROUTES}/0", json=ROUTE, timeout=30).raise_for_status()


def test_start_find_stop_and_keep_the_routes(folder: Path) -> None:
    assert caddy.attach(folder) is None
    assert not caddy.stop(folder)
    first = caddy.start(folder, environment={"WORD": "hello"})
    assert caddy.start(folder) == first
    assert caddy.attach(folder) == first
    assert visit(first).status_code == 404
    add_route(first)
    assert visit(first).text == "one hello"
    authority = first.ca_file.read_bytes()
    assert caddy.stop(folder)
    assert not caddy.stop(folder)
    assert caddy.attach(folder) is None
    with caddy.start(folder) as again:
        assert (again.port, again.admin_port) == (first.port, first.admin_port)
        assert visit(again).text == "one "
        assert again.ca_file.read_bytes() == authority
    assert caddy.attach(folder) is None


def test_a_killed_one_has_its_routes_again(folder: Path) -> None:
    first = caddy.start(folder)
    add_route(first)
    kill(first)
    again = caddy.start(folder)
    assert again.pid != first.pid
    assert visit(again).status_code == 200


def test_ports_that_others_took_meanwhile_are_given_up(folder: Path) -> None:
    first = caddy.start(folder)
    add_route(first)
    first.stop()
    with socket.socket() as port, socket.socket() as admin:
        for taker, number in ((port, first.port), (admin, first.admin_port)):
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taker.bind(("127.0.0.1", number))
            taker.listen()
        again = caddy.start(folder)
        assert {again.port, again.admin_port}.isdisjoint({first.port, first.admin_port})
        assert visit(again).status_code == 200


@pytest.mark.parametrize("broken", ["", '{"apps": {"http"', "[]", "{}", "null"])
def test_a_configuration_that_was_cut_off_is_set_aside(folder: Path, broken: str) -> None:
    first = caddy.start(folder)
    first.stop()
    saved = folder / "caddy" / "config" / "caddy" / "autosave.json"
    saved.write_text(broken)
    again = caddy.start(folder)
    assert visit(again).status_code == 404
    assert saved.with_name("autosave.broken.json").read_text() == broken


def test_it_is_closed_to_others(folder: Path) -> None:
    server = caddy.start(folder, environment={"WORD": "s3cret-w0rd"})
    add_route(server)
    assert visit(server).text == "one s3cret-w0rd"
    command = process.command_of(server.pid)
    assert "s3cret-w0rd" not in command
    assert stat.S_IMODE((folder / "caddy").stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"s3cret-w0rd" not in path.read_bytes(), path
    assert listening(server.pid) == {("0100007F", server.port), ("0100007F", server.admin_port)}


def test_starters_at_once_get_one_server(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: caddy.start(folder), range(4)))
    assert len({server.pid for server in servers}) == 1


def test_a_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTakenError, match=r"port \d+ .* taken .* choose another"):
            caddy.start(folder, other.getsockname()[1])
    server = caddy.start(folder)
    with pytest.raises(PortTakenError, match="already runs on port"):
        caddy.start(folder, server.port + 1)


def test_why_it_does_not_start_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**ports: int) -> dict[str, object]:
        return {"apps": {"nonsense": {}}}

    monkeypatch.setattr(caddy, "base_configuration", lambda **ports: {"admin": {}, **broken(**ports)})
    with pytest.raises(StartError, match=r"did not start: .*nonsense.*server\.log"):
        caddy.start(folder)


def test_it_says_when_it_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise caddy.PackageNotFoundError(name)

    monkeypatch.setattr(caddy, "distribution", missing)
    with pytest.raises(SandboxError, match="not installed: run `make setup`"):
        caddy.start(folder)


def test_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dir", str(folder), "--json"]
    assert caddy.main(["status", *arguments]) == 3
    assert caddy.main(["start", *arguments]) == 0
    assert caddy.main(["status", *arguments]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["state"] == "running"
    assert told["url"] == f"https://127.0.0.1:{told['port']}"
    assert Path(told["ca_file"]).is_file()
    assert httpx.get(f"{told['admin']}/config/").status_code == 200
    assert caddy.main(["stop", *arguments]) == 0
    assert caddy.main(["remove", *arguments]) == 0
    assert not folder.exists()


def test_what_operators_are_shown_is_what_is_tested_here(tmp_path: Path) -> None:
    """deploy/caddy.json differs from the embedded gateway's configuration in addresses and names only."""
    path = Path(caddy.__file__).parent.parent / "deploy" / "caddy.json"
    shown = json.loads(path.read_text().replace("tenants.example", caddy.DOMAIN))
    mine = caddy.base_configuration(port=1, admin_port=2)
    for config in (shown, mine):
        config.pop("logging", None)
        config["admin"] = config["apps"]["http"]["servers"]["tenants"]["listen"] = None
        config["apps"]["http"]["servers"]["tenants"].pop("protocols", None)
    assert shown == mine
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [str(caddy._program()), "validate", "--config", str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
