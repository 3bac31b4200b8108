"""What the SDK's host does not do: many calls at once, bounded memory, time limits, cancel, an answer to every call."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from engine.dynamic_host.providers import PROVIDER_KEY, Providers
from engine.errors import PluginError, ProviderCallError
from engine.plugin_search import find_plugin
from engine.plugins import PluginProcess
from engine.provider_client import PluginProvider
from engine.resource import Secret
from tests.engine.dynamic_host.cases import Broken, Clumsy, Echo, Obliging, Patient, Slow, SlowToConfigure
from tests.engine.dynamic_host.hosts import ROOT, URN, Host, answer_of, pickled, request

HALF_A_SECOND = 0.5


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host("ours", tmp_path) as host:
        yield host


def create(provider: str, say: str = "", **more: Any) -> Any:
    return request("Create", properties={"say": say, "password": "hunter2", "__provider": provider}, **more)


def test_sixteen_calls_run_at_once(host: Host) -> None:
    patient = pickled(Patient())
    calls = [host.start("Create", create(patient, "together", timeout=0 if n % 2 else 90)) for n in range(16)]
    # Each of them waits in the provider until all sixteen are there.
    assert sorted(int(call.result().id) for call in calls) == list(range(16))


def test_a_slow_configure_holds_up_its_own_provider_only(host: Host) -> None:
    waiting = host.start("Create", create(pickled(SlowToConfigure())))
    assert host.ask("Create", create(pickled(Echo()))).code == "OK"
    assert not waiting.done()
    host.ask("Delete", request("Delete", id_="i", properties={"__provider": pickled(Patient())}))
    assert waiting.result().id == "released"


def _resident_megabytes(process: subprocess.Popen[str]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_provider_per_resource_does_not_fill_the_memory(host: Host) -> None:
    """5,000 providers of 20 KB each would take more than 100 MB."""

    def check(number: int) -> None:
        mark = f"{number:05}" + "x" * 20_000
        host.stub.Check(request("Check", news={"__provider": pickled(Echo(mark))}))

    for number in range(500):
        check(number)
    before = _resident_megabytes(host.process)
    for number in range(500, 5_000):
        check(number)
    assert _resident_megabytes(host.process) - before < 30


def test_the_providers_used_last_are_kept() -> None:
    providers = Providers(kept=3)
    props = [{PROVIDER_KEY: pickled(Echo(str(n)))} for n in range(5)]
    first = providers.get(props[0], {})
    for one in props[1:3]:
        providers.get(one, {})
    assert providers.get(props[0], {}) is first
    for one in props[3:]:
        providers.get(one, {})
    assert len(providers) == 3
    assert providers.get(props[0], {}) is first, "it was used after the others"
    assert len(providers) == 3


@pytest.mark.parametrize("method", ["Create", "Update", "Read", "Delete"])
def test_a_call_that_outlives_its_time_is_answered(method: str, host: Host) -> None:
    names = {"Create": ["properties"], "Update": ["olds", "news"], "Read": ["properties"], "Delete": ["properties"]}
    values = {"say": "wait", "password": "hunter2", "__provider": pickled(Slow())}
    fields = dict.fromkeys(names[method], values)
    answer = host.ask(method, request(method, id_="i", timeout=HALF_A_SECOND, **fields))
    assert answer.code == "DEADLINE_EXCEEDED"
    assert answer.text.startswith(f"{URN}: the {method.lower()} took longer than the 0.5 seconds")
    assert "hunter2" not in answer.text
    # The host goes on, and so does the call.
    assert host.ask("Create", create(pickled(Echo()))).code == "OK"


def test_a_provider_is_told_of_a_call_that_nobody_waits_for(host: Host) -> None:
    obliging = pickled(Obliging())
    host.stub.Create(create(obliging, "told"))  # it is loaded now
    assert host.ask("Create", create(obliging, timeout=HALF_A_SECOND)).code == "DEADLINE_EXCEEDED"
    host.stub.Create(create(obliging))  # returns when the hook has let all of them go
    told = host.stub.Create(create(obliging, "told")).properties["told"]
    assert [list(call) for call in told] == [[URN, "create"]]


def test_a_call_whose_time_is_over_before_its_provider_is_loaded_does_not_begin(host: Host) -> None:
    slow = pickled(SlowToConfigure())
    assert host.ask("Create", create(slow, timeout=HALF_A_SECOND)).code == "DEADLINE_EXCEEDED"
    host.ask("Delete", request("Delete", id_="i", properties={"__provider": pickled(Patient())}))  # lets it go on
    made = host.stub.Create(create(slow)).properties["made"]
    assert made == 1, "the first one has not been made"


@pytest.mark.parametrize("provider", [Obliging(), Clumsy()])
def test_cancel_tells_the_running_calls_of_providers_that_want_to_know(provider: Patient, host: Host) -> None:
    names = pickled(provider)
    running = host.start("Create", create(names))
    while not running.done():  # the call may not have reached the provider at the first of them
        assert host.stub.Cancel(empty_pb2.Empty(), timeout=60) is not None
        _wait_a_little(running)
    assert answer_of(running).code == "OK"


def _wait_a_little(future: Any) -> None:
    try:
        future.result(timeout=0.05)
    except grpc.FutureTimeoutError:
        return


def test_cancel_lets_the_calls_of_other_providers_finish(host: Host) -> None:
    patient = pickled(Patient())
    running = host.start("Create", create(patient))
    host.stub.Cancel(empty_pb2.Empty(), timeout=60)
    assert not running.done()
    host.ask("Delete", request("Delete", id_="i", properties={"__provider": patient}))
    assert answer_of(running).message["id"] == "released"


def test_a_call_that_leaves_the_program_is_answered(host: Host) -> None:
    for timeout in (0, 60):
        answer = host.ask("Create", create(pickled(Broken()), "exit", timeout=timeout))
        assert (answer.code, answer.last_line) == ("UNKNOWN", "SystemExit: enough")
    assert host.ask("Create", create(pickled(Echo()))).code == "OK"


def test_nothing_is_printed_but_what_providers_print(host: Host) -> None:
    host.configure(token="hunter2")
    for method in ("Handshake", "Attach", "CheckConfig"):
        with pytest.raises(grpc.RpcError):
            getattr(host.stub, method)(provider_pb2.CheckRequest() if method == "CheckConfig" else empty_pb2.Empty())
    host.ask("Create", create(pickled(Broken())))
    host.ask("Create", create(pickled(Patient()), timeout=0.01))
    stdout, stderr = host.close()
    assert (stdout, stderr) == ("", "")


def test_it_ends_with_its_standard_input(host: Host) -> None:
    running = host.start("Create", create(pickled(Patient())))
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(20) == 0
    assert answer_of(running).code == "UNAVAILABLE"


def test_the_sdk_is_not_needed_to_listen() -> None:
    look = (
        "import importlib.util, sys; "
        "import engine.dynamic_host.server; "
        "sys.exit(any(name.split('.')[0] in {'pulumi', 'dill'} for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", look], check=True, cwd=ROOT, timeout=60)


OWN_ENGINE = """
from pulumi.dynamic import CreateResult, ResourceProvider
class Mine(ResourceProvider):
    def create(self, props):
        import engine.dynamic_host
        return CreateResult(engine.dynamic_host.WHOSE)
"""


def test_a_programs_own_modules_come_first(tmp_path: Path) -> None:
    package = tmp_path / "engine"
    (package / "dynamic_host").mkdir(parents=True)
    (package / "__init__.py").write_text(OWN_ENGINE)
    (package / "dynamic_host" / "__init__.py").write_text("WHOSE = 'the program'")
    script = "import base64, dill, engine; print(base64.b64encode(dill.dumps(engine.Mine())).decode())"  # by reference
    printed = subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=tmp_path, capture_output=True, text=True, timeout=60
    ).stdout.strip()
    with Host("ours", tmp_path, env={"PYTHONPATH": ""}) as host:
        assert host.ask("Create", create(printed)).message["id"] == "the program"


# ---------------------------------------------------------------- as the engine speaks to it


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[PluginProvider]:
    command = find_plugin("pulumi-python", "", {}, sys.executable)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = PluginProcess("pulumi-python", command, env=env, cwd=tmp_path, on_line=lambda *_: None)
    provider = PluginProvider(process, provider_pb2.ProviderHandshakeRequest())
    provider.configure("urn:pulumi:test::project::pulumi:providers:pulumi-python::default", "id", {})
    yield provider
    provider.close()


def _news(kind: Any, say: str) -> dict[str, Any]:
    return {"say": say, "password": Secret("hunter2"), "__provider": Secret(pickled(kind))}


def test_the_engine_is_told_of_a_timeout_and_of_no_secret(provider: PluginProvider) -> None:
    with pytest.raises(ProviderCallError, match=r"the create took longer than the 0\.5 seconds") as raised:
        provider.create(URN, _news(Patient(), "wait"), HALF_A_SECOND, preview=False)
    assert "hunter2" not in str(raised.value)


def test_a_long_error_arrives_whole(provider: PluginProvider) -> None:
    with pytest.raises(ProviderCallError) as raised:
        provider.create(URN, _news(Broken(), "long"), 0, preview=False)
    assert "x" * 100_000 in str(raised.value)


def test_a_host_that_dies_in_a_call(provider: PluginProvider) -> None:
    with pytest.raises(PluginError, match="'pulumi-python' ended during Create"):
        provider.create(URN, _news(Broken(), "die"), 0, preview=False)
