"""A tenant's process through its life: made, adopted, drifted, changed, removed; and what of it can be seen."""

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers import container_ready, http
from providers.container_ready import ContainerReadyProvider
from providers.errors import ConfigurationError, NotReadyError, OwnershipError, ProviderError, RefusedError
from providers.supervisor.files import Folder
from providers.supervisor.process import ProcessProvider
from providers.supervisor.rpc import Supervisor
from sandbox.supervisor import EmbeddedSupervisor
from tests.container.conftest import REGION, Regions, process_backend
from tests.department.faulty import Fault, FaultyApi

SECRET = "wEbQ-a secret with 'quotes', $dollars, 100%s\nand a line; # break"
Props = dict[str, Any]
provider = ProcessProvider()


@pytest.fixture
def props(supervisor: EmbeddedSupervisor, name: str) -> Iterator[Props]:
    given = {
        "region": REGION,
        "name": name,
        "tenant_mark": "tests/one",
        "command": ["python", "-m", "sandbox.sample_app"],
        "environment": {"TENANT": "One", "SECRET": SECRET},
        "memory_mb": 512,
        "running": True,
    }
    yield given
    provider.delete(name, given)


def url(outs: Props, path: str = "/health") -> str:
    return f"http://127.0.0.1:{outs['port']}{path}"


def serving(outs: Props) -> Props:
    made = ContainerReadyProvider().create({**_ready(outs), "name": outs["name"]})
    assert made.outs["ready"] is True
    return outs


def _ready(outs: Props) -> Props:
    return {"region": REGION, "name": outs["name"], "url": url(outs), "revision": outs["revision"], "ready": True}


def rpc(name: str, server: EmbeddedSupervisor) -> Supervisor:
    from providers.backends import ProcessBackend

    return Supervisor.of(ProcessBackend.model_validate(process_backend(server)), name)


def pid_of(name: str, server: EmbeddedSupervisor) -> int:
    return int(rpc(name, server)._call("getProcessInfo", name)["pid"])


def eventually(holds: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_it_serves_as_told(props: Props, supervisor: EmbeddedSupervisor) -> None:
    made = provider.create(props)
    outs = serving(made.outs)
    assert made.id == props["name"]
    assert httpx.get(url(outs)).json() == {"status": "ok", "tenant": "One"}
    environment = Path(f"/proc/{pid_of(made.id, supervisor)}/environ").read_bytes().decode().split("\0")
    assert f"SECRET={SECRET}" in environment
    # None of supervisor's own, which may hold what is not for tenants.
    assert not [entry for entry in environment if entry.startswith("SUPERVISOR_")]
    assert provider.diff(made.id, outs, props).changes is False


def test_no_secret_where_others_can_read_it(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    serving(provider.create(props).outs)
    for path in supervisor.programs.glob(f"{name}*"):
        if SECRET[:6] in path.read_text():
            assert path.suffix == ".json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET[:6] in (supervisor.programs / f"{name}.json").read_text()
    command = Path(f"/proc/{pid_of(name, supervisor)}/cmdline").read_bytes().decode()
    assert SECRET[:6] not in command
    assert SECRET[:6] not in json.dumps(rpc(name, supervisor)._call("getAllConfigInfo"), default=str)
    folder = Folder.at(str(supervisor.programs))
    assert SECRET[:6] not in repr(folder.document(name))


def test_a_change_restarts_it_on_its_port(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    outs = serving(provider.create(props).outs)
    before = pid_of(name, supervisor)
    changed = {**props, "environment": {"TENANT": "Two"}, "memory_mb": 600}
    assert provider.diff(name, outs, changed).changes is True
    assert provider.diff(name, outs, changed).replaces == []
    new = serving(provider.update(name, outs, changed).outs)
    assert (new["port"], new["revision"]) == (outs["port"], outs["revision"] + 1)
    assert pid_of(name, supervisor) != before
    assert httpx.get(url(new)).json()["tenant"] == "Two"
    environment = Path(f"/proc/{pid_of(name, supervisor)}/environ").read_bytes().decode()
    assert "SECRET" not in environment
    limits = Path(f"/proc/{pid_of(name, supervisor)}/limits").read_text()
    assert str(600 * 1024 * 1024) in limits


def test_a_create_after_a_kill_adopts(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    first = serving(provider.create(props).outs)
    again = serving(provider.create({**props, "environment": {"TENANT": "Again"}}).outs)
    assert again["port"] == first["port"]
    assert httpx.get(url(again)).json()["tenant"] == "Again"
    assert len(list(supervisor.programs.glob(f"{name}*.conf"))) == 1


_POINTS = {
    "document": (Folder, "program_is_ours"),
    "program": (Supervisor, "run_anew"),
    "add": (Supervisor, "_accept"),
    "start": (Supervisor, "_start"),
}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", _POINTS)
def test_killed_at_any_point_it_is_one_process(
    props: Props, supervisor: EmbeddedSupervisor, name: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: Any, **_more: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*_POINTS[point], die)
        with pytest.raises(Killed):
            provider.create(props)
    outs = serving(provider.create(props).outs)
    programs = [info for info in rpc(name, supervisor)._call("getAllProcessInfo") if info["name"] == name]
    assert [info["statename"] for info in programs] in (["RUNNING"], ["STARTING"])
    assert httpx.get(url(outs)).status_code == 200


def test_read_reports_what_was_done_to_it(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    outs = serving(provider.create(props).outs)
    assert provider.read(name, outs).outs == outs
    rpc(name, supervisor).stop()
    found = provider.read(name, outs).outs
    assert found["running"] is False
    assert provider.diff(name, found, props).changes is True
    serving(provider.update(name, found, props).outs)

    (supervisor.programs / f"{name}.conf").write_text("[program:other]\ncommand=/bin/true\n")
    found = provider.read(name, outs).outs
    assert found["running"] is False
    repaired = serving(provider.update(name, found, props).outs)
    assert repaired["port"] == outs["port"]

    (supervisor.programs / f"{name}.json").unlink()
    gone = provider.read(name, outs)
    assert gone.id == ""
    (supervisor.programs / f"{name}.conf").unlink()
    rpc(name, supervisor).forget()
    rpc(name, supervisor).reread()


def test_a_killed_process_is_started_again(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    outs = serving(provider.create(props).outs)
    eventually(lambda: rpc(name, supervisor).state() == "RUNNING")
    before = pid_of(name, supervisor)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pid_of(name, supervisor) not in {0, before})
    serving(outs)


def test_somebody_elses_is_left_alone(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    serving(provider.create(props).outs)
    other = {**props, "tenant_mark": "tests/two"}
    with pytest.raises(OwnershipError, match=r"belongs to tests/one. Choose another name"):
        provider.create(other)
    assert provider.read(name, other).id == ""
    provider.delete(name, other)
    assert rpc(name, supervisor).state() in {"RUNNING", "STARTING"}


def test_a_program_that_is_not_ours_is_named(supervisor: EmbeddedSupervisor, props: Props, name: str) -> None:
    program = supervisor.programs / f"{name}.conf"
    program.write_text(f"[program:{name}]\ncommand=/bin/sleep 100\n")
    with pytest.raises(OwnershipError, match="not Tenantry's"):
        provider.create(props)
    program.unlink()


def test_delete_leaves_nothing(props: Props, supervisor: EmbeddedSupervisor, name: str) -> None:
    outs = serving(provider.create(props).outs)
    pid = pid_of(name, supervisor)
    provider.delete(name, outs)
    assert not Path(f"/proc/{pid}").exists()
    assert not list(supervisor.programs.glob(f"*{name}*"))
    assert rpc(name, supervisor).state() is None
    assert name not in [info["name"] for info in rpc(name, supervisor)._call("getAllConfigInfo")]
    provider.delete(name, outs)
    assert provider.read(name, outs).id == ""


def test_each_has_a_port_of_its_own(supervisor: EmbeddedSupervisor, props: Props, name: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    many = [{**props, "name": f"{name}-{number}", "environment": {"TENANT": str(number)}} for number in range(5)]
    try:
        with ThreadPoolExecutor(5) as pool:
            made = list(pool.map(lambda given: serving(provider.create(given).outs), many))
        assert len({outs["port"] for outs in made}) == 5
        assert [httpx.get(url(outs)).json()["tenant"] for outs in made] == list("01234")
    finally:
        for given in many:
            provider.delete(given["name"], given)


def test_what_cannot_run_is_said(props: Props, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = provider.create({**props, "command": ["no-such-program"]}).outs
    with pytest.raises(NotReadyError, match=r"it does not run: it is FATAL"):
        ContainerReadyProvider().create(_ready(outs))
    # A change to something that runs repairs it.
    serving(provider.update(name, outs, props).outs)


def test_what_never_answers_is_waited_for_no_longer_than_its_time(
    props: Props, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_ready, "READY_SECONDS", 2.0)
    outs = provider.create({**props, "command": ["sleep", "600"]}).outs
    with pytest.raises(NotReadyError, match=r"does not answer .* after 2 s"):
        ContainerReadyProvider().create(_ready(outs))
    assert ContainerReadyProvider().read("x", _ready(outs)).outs["ready"] is False


def test_a_broken_document_is_said_and_not_overwritten(supervisor: EmbeddedSupervisor, props: Props, name: str) -> None:
    document = supervisor.programs / f"{name}.json"
    document.write_text('{"tenant_mark": "tests/one", "secret": "s3cr3t"')
    with pytest.raises(ProviderError, match=r"cannot be read .* Restore it, or delete it") as caught:
        provider.create(props)
    assert "s3cr3t" not in str(caught.value)
    document.unlink()


def test_a_broken_file_of_somebody_else_is_told(supervisor: EmbeddedSupervisor, props: Props, name: str) -> None:
    other = supervisor.programs / "zz-broken.conf"
    other.write_text("[program:zz-broken]\n")
    try:
        with pytest.raises(ProviderError, match=r"refused reloadConfig: CANT_REREAD: .*zz-broken"):
            provider.create(props)
        # Such a create is in no state: nobody would remove its files, which hold secrets and would be started.
        assert not list(supervisor.programs.glob(f"*{name}*"))
    finally:
        other.unlink()
    outs = serving(provider.create(props).outs)
    before = Folder.at(str(supervisor.programs)).document(name)
    other.write_text("[program:zz-broken]\n")
    try:
        with pytest.raises(ProviderError, match="CANT_REREAD"):
            provider.update(name, outs, {**props, "environment": {"TENANT": "Two"}})
    finally:
        other.unlink()
    # As the state has it, which was not changed either.
    assert Folder.at(str(supervisor.programs)).document(name) == before
    assert provider.read(name, outs).outs == outs


@pytest.fixture
def faulty(supervisor: EmbeddedSupervisor, regions: Regions, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyApi]:
    """What stands before the region's supervisor."""
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    with FaultyApi(supervisor.url).serving() as api:
        regions(**{REGION: process_backend(supervisor, url=api.url)})
        yield api
    regions(**{REGION: process_backend(supervisor)})


_CALLS = {"reloadConfig": 1, "addProcessGroup": 2, "startProcess": 3}
"""How many calls get through before this one."""


@pytest.mark.parametrize(
    ("call", "fault", "times"),
    [
        *((call, Fault.REFUSE, 1) for call in _CALLS),
        # A call whose answer is lost is made three times.
        *((call, Fault.LOSE, 3) for call in _CALLS),
        ("reloadConfig", Fault.REFUSE, 10_000),
    ],
)
def test_a_create_that_fails_leaves_nothing(
    props: Props, supervisor: EmbeddedSupervisor, faulty: FaultyApi, name: str, call: str, fault: Fault, times: int
) -> None:
    faulty.breaks("POST /", fault, spared=_CALLS[call], times=times)
    with pytest.raises(ProviderError):
        provider.create(props)
    faulty.heal()
    assert not list(supervisor.programs.glob(f"*{name}*"))
    assert rpc(name, supervisor).state() is None
    serving(provider.create(props).outs)


def test_what_cannot_be_taken_back_is_known_by_the_next_create(
    props: Props, supervisor: EmbeddedSupervisor, faulty: FaultyApi, name: str
) -> None:
    faulty.breaks("POST /", spared=3)
    with pytest.raises(ProviderError):
        provider.create(props)
    assert rpc(name, supervisor).state() in {"STARTING", "RUNNING"}
    faulty.heal()
    serving(provider.create(props).outs)


def test_a_change_that_fails_leaves_it_running_as_it_was(
    props: Props, supervisor: EmbeddedSupervisor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = serving(provider.create(props).outs)
    folder = Folder.at(str(supervisor.programs))
    before = folder.document(name)
    left = [RefusedError("supervisor says no", status=500)]
    start = Supervisor._start

    def fail_once(self: Supervisor) -> None:
        if left:
            assert folder.document(name) != before
            raise left.pop()
        start(self)

    monkeypatch.setattr(Supervisor, "_start", fail_once)
    with pytest.raises(RefusedError, match="supervisor says no"):
        provider.update(name, outs, {**props, "environment": {"TENANT": "Two"}})
    assert folder.document(name) == before
    assert httpx.get(url(serving(outs))).json()["tenant"] == "One"


def test_a_region_that_changed_its_platform(supervisor: EmbeddedSupervisor, props: Props, regions: Regions) -> None:
    regions(**{REGION: {"platform": "docker"}})
    with pytest.raises(ConfigurationError, match="now runs containers on docker"):
        provider.read(props["name"], props)
    regions(**{REGION: process_backend(supervisor)})


def test_a_region_that_changed_its_folder(
    supervisor: EmbeddedSupervisor, props: Props, regions: Regions, name: str, tmp_path: Path
) -> None:
    outs = serving(provider.create(props).outs)
    other = tmp_path / "others"
    other.mkdir()
    regions(**{REGION: process_backend(supervisor, folder=str(other))})
    for work in (
        lambda: provider.read(name, outs),
        lambda: provider.update(name, outs, props),
        lambda: provider.delete(name, outs),
    ):
        with pytest.raises(ConfigurationError, match=r"Set the region's container\.folder back") as caught:
            work()
        assert f"process {name!r}: it is at {supervisor.programs}, but the region now has {other}" in str(caught.value)
    assert list(other.iterdir()) == []
    regions(**{REGION: process_backend(supervisor)})
    assert provider.read(name, outs).outs == outs
    # Of a state of before it is not known where it is.
    older = {key: value for key, value in outs.items() if key != "folder"}
    assert provider.read(name, older).outs == older
    regions(**{REGION: process_backend(supervisor, folder=str(other))})
    assert provider.read(name, older).id == ""
    regions(**{REGION: process_backend(supervisor)})


def test_a_folder_that_was_moved_has_what_was_in_it(
    supervisor: EmbeddedSupervisor, props: Props, regions: Regions, name: str, tmp_path: Path
) -> None:
    outs = serving(provider.create(props).outs)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in supervisor.programs.glob(f"{name}.*"):
        shutil.copy(path, moved)
    regions(**{REGION: process_backend(supervisor, folder=str(moved))})
    assert provider.read(name, outs).id == name
    regions(**{REGION: process_backend(supervisor)})


def test_the_folder_must_be_on_this_machine(supervisor: EmbeddedSupervisor, props: Props, regions: Regions) -> None:
    regions(**{REGION: process_backend(supervisor, folder="/nowhere/at/all")})
    with pytest.raises(ConfigurationError, match="is no folder on this machine"):
        provider.create(props)
    regions(**{REGION: process_backend(supervisor)})


def test_a_killed_supervisor_takes_its_processes_along(
    tmp_path: Path, regions: Regions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox import supervisor as sandbox

    server = sandbox.start(tmp_path / "s")
    try:
        monkeypatch.setenv("TENANTRY_BACKEND_SUPERVISOR", server.password)
        regions(**{REGION: process_backend(server)})
        given: Props = {
            "region": REGION,
            "name": name,
            "tenant_mark": "t/o",
            "command": ["python", "-m", "sandbox.sample_app"],
            "environment": {},
            "memory_mb": 512,
        }
        outs = serving(provider.create(given).outs)
        pid = pid_of(name, server)
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        sandbox.start(tmp_path / "s")
        # It comes back with what it had, on the same port.
        serving(outs)
    finally:
        sandbox.remove(tmp_path / "s")
