"""`tenantry dev` as a user starts it: a page and an API that answer, one service a folder, and an end that ends all."""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from automation.dev import Dev, DevError, free_port, wants_browser
from sandbox import authorization, caddy, postgres, region, supervisor
from sandbox.n8n import server as n8n
from tests.automation.dev_process import Running, running_in
from tests.automation.helpers import ROOT

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "stacks").mkdir(parents=True)
    shutil.copy(ROOT / "Pulumi.yaml", made / "Pulumi.yaml")
    return made


@pytest.fixture
def running(tmp_path: Path, project: Path) -> Iterator[Running]:
    with running_in(project, tmp_path / "dev") as made:
        yield made


def gone(pids: Iterator[int] | list[int], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    left = set(pids)
    while left and time.monotonic() < until:
        for pid in list(left):
            with contextlib.suppress(OSError):
                if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    continue
            left.discard(pid)
        time.sleep(0.1)
    return not left


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_it_starts_answers_and_stops_with_all_it_started(running: Running) -> None:
    children = running.children()
    assert sorted(children.values()) == ["serve", "worker"]
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as http:
        assert http.get("/api/v1/tenants").status_code == 401
        answer = http.get("/api/v1/tenants", headers={"Authorization": f"Bearer {running.token}"})
        assert (answer.status_code, answer.json()["total"]) == (200, 0)
        page = http.get("/", follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")

    code, said = running.again("--no-open")
    assert code == 1
    assert "another `tenantry dev` or demo uses" in said
    assert running.again("--remove")[0] == 1
    # Neither of the two has taken anything from the one that runs.
    headers = {"Authorization": f"Bearer {running.token}"}
    assert httpx.get(f"{running.url}/api/v1/tenants", headers=headers, trust_env=False, timeout=30).status_code == 200

    said = running.end(signal.SIGINT)
    assert running.process.returncode == 0, said
    assert "stopped; everything is kept in" in said
    assert gone(list(children))
    assert postgres.attach(running.folder / "postgres") is None
    assert supervisor.attach(running.folder / "region" / "supervisor") is None
    for name in ("passphrase", "jwt-key", "env"):
        assert (running.folder / name).stat().st_mode & 0o777 == 0o600

    code, said = running.again("--remove")
    assert (code, running.folder.exists()) == (0, False), said


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of a death on Linux only")
def test_when_it_is_killed_the_service_and_the_worker_end(running: Running) -> None:
    children = running.children()
    assert len(children) == 2
    running.end(signal.SIGKILL)
    assert gone(list(children), 60)
    # Its PostgreSQL is left. The next one takes it over, with all that is in it, and ends it.
    left = postgres.attach(running.folder / "postgres")
    assert left is not None
    again = Running(running.project, running.folder)
    try:
        url, _ = again.started()
        answer = httpx.get(
            f"{url}/api/v1/tenants",
            headers={"Authorization": f"Bearer {running.token}"},
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code == 200
        taken = postgres.attach(running.folder / "postgres")
        assert taken is not None
        assert taken.pid == left.pid
    finally:
        again.end(signal.SIGTERM)
    assert postgres.attach(running.folder / "postgres") is None


def test_it_can_be_stopped_while_it_starts(project: Path, tmp_path: Path) -> None:
    starting = Running(project, tmp_path / "dev")
    try:
        until = time.monotonic() + 100
        while not (starting.folder / "service.log").exists() and time.monotonic() < until:
            time.sleep(0.05)
        said = starting.end(signal.SIGINT)
        assert starting.process.returncode == 0, said
        assert "token" not in said
        assert "stopped; everything is kept in" in said
        assert postgres.attach(starting.folder / "postgres") is None
    finally:
        postgres.remove(starting.folder / "postgres")


def test_a_server_that_ran_before_runs_on(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    try:
        with Dev(folder, project) as demo:
            demo.prepare(lasting=True)
            assert not demo.stop(server=True)
        assert postgres.attach(folder / "postgres") is not None
        with Dev(folder, project) as dev:
            dev.prepare()
            assert not dev.stop(server=True)
        assert postgres.attach(folder / "postgres") is not None
        postgres.stop(folder / "postgres")
        with Dev(folder, project) as dev:
            dev.prepare()
            assert dev.stop(server=True)
        assert postgres.attach(folder / "postgres") is None
    finally:
        postgres.remove(folder / "postgres")


def servers_of(folder: Path) -> set[str]:
    """Which of the folder's servers run."""
    home = folder / "region"
    found = {
        "postgres": postgres.attach(folder / "postgres"),
        "authorization": authorization.attach(home / "authorization"),
        "n8n": n8n.attach(home / "n8n"),
        "gateway": caddy.attach(home / "gateway"),
        "supervisor": supervisor.attach(home / "supervisor"),
    }
    return {name for name, server in found.items() if server is not None}


def remove_servers(folder: Path) -> None:
    region.remove(folder / "region")
    postgres.remove(folder / "postgres")


def test_a_start_that_fails_leaves_nothing_running(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder with blanks"  # in which the supervisor, and it alone, refuses to be
    try:
        failed = Running(project, folder)
        failed.process.wait(timeout=120)
        said = failed.said.read_text()
        assert failed.process.returncode == 1, said
        assert "choose a folder without blanks" in said
        assert "unexpected fault" not in said
        assert (folder / "postgres").exists()
        assert servers_of(folder) == set()
    finally:
        remove_servers(folder)


def test_a_start_that_fails_stops_only_what_it_has_started(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder with blanks"
    try:
        postgres.start(folder / "postgres")
        authorization.start(folder / "region" / "authorization")
        with Dev(folder, project) as dev:
            with pytest.raises(DevError, match="choose a folder without blanks"):
                dev.prepare()
            assert not dev.stop(server=True)
        assert servers_of(folder) == {"postgres", "authorization"}
    finally:
        remove_servers(folder)


def test_a_region_that_is_lost_before_the_service_starts_is_told_and_the_others_end(
    project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dev"
    in_the_way = folder / "region" / "supervisor" / "supervisor"
    try:
        with Dev(folder, project) as dev:
            dev.prepare()
            assert servers_of(folder) == {"postgres", "authorization", "n8n", "gateway", "supervisor"}
            supervisor.remove(folder / "region" / "supervisor")
            in_the_way.parent.mkdir()
            in_the_way.touch()
            with pytest.raises(DevError, match=r"the supervisor in .* cannot use its folder"):
                dev.start()
            # Neither does it keep the others from being stopped.
            with pytest.raises(DevError, match=r"the supervisor in .* cannot use its folder"):
                dev.stop(server=True)
            assert servers_of(folder) == set()
    finally:
        if in_the_way.is_file():
            in_the_way.unlink()
        remove_servers(folder)


def test_a_port_that_was_named_and_is_taken_is_said_before_anything_starts(project: Path, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = Running(project, tmp_path / "dev", "--port", str(port))
        refused.process.wait(timeout=60)
    assert refused.process.returncode == 1
    assert f"port {port} is in use" in refused.said.read_text()
    assert not refused.folder.exists()


def test_a_port_that_is_taken_is_not_used() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) not in {0, port}
    assert free_port() > 0


def test_a_port_that_is_forbidden_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(DevError, match="port 80"):
        free_port(80)


def test_a_browser_is_opened_where_somebody_looks() -> None:
    assert wants_browser(True, {}, terminal=False)
    assert not wants_browser(False, {"DISPLAY": ":0"}, terminal=True)
    assert not wants_browser(None, {"DISPLAY": ":0"}, terminal=False)
    assert wants_browser(None, {"WAYLAND_DISPLAY": "w"}, terminal=True)
    assert wants_browser(None, {}, terminal=True) == (sys.platform == "darwin")
