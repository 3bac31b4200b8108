"""A bench on another machine or in a container: how it is reached, what it is told, and that it stops when we do."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from providers.errors import ConfigurationError, UnreachableError
from providers.site import host_process
from providers.site.errors import SiteError, StoppedError, TimeLimitError
from providers.site.host import host_of
from providers.site.lifecycle import bring_up
from providers.site.region import operations_of
from providers.site.resource import SiteProvider
from tests.site.conftest import (
    ADMIN_PASSWORD,
    REGION,
    ROOT_PASSWORD,
    ROOT_VARIABLE,
    TestBench,
    alive,
    eventually,
    name_region,
)

# As sshd and docker do: the words go to a shell, or are run as they are; and what runs there sees the end of its input
# when the client has gone, and nothing else of it.
_SSH = """#!/bin/sh
printf '%s\\n' "$@" >> "$0.called"
for last; do :; done
exec setsid sh -c "$last"
"""
# A connection that is lost once a command hangs, and is away while it is known to. What runs there sees its input end.
_LOSES = """
import os, subprocess, sys, threading, time
def gone(words):
    print(words, file=sys.stderr, flush=True)
    os._exit(255)
def hangs():
    return os.path.exists(LOST) and len(open(LOST).read().split()) == 2
def takes(source, target):
    while chunk := os.read(source.fileno(), 65536):
        target.write(chunk)
        target.flush()
    target.close()
if hangs():
    gone("ssh: connect to host bench.invalid port 22: No route to host")
there = subprocess.Popen(sys.argv[-1], shell=True, stdin=-1, stdout=-1, start_new_session=True)
threading.Thread(target=takes, args=(sys.stdin, there.stdin), daemon=True).start()
out = threading.Thread(target=takes, args=(there.stdout, sys.stdout.buffer), daemon=True)
out.start()
while there.poll() is None:
    if hangs():
        gone("client_loop: send disconnect: Broken pipe")
    time.sleep(0.05)
out.join()
sys.exit(there.returncode)
"""
_DOCKER = """#!/bin/sh
printf '%s\\n' "$@" >> "$0.called"
while [ "$1" != backend-1 ]; do shift; done
shift
exec setsid "$@"
"""


def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.parametrize("kind", ["ssh", "docker"])
def test_all_of_a_site_on_another_machine(
    real: TestBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    program = place(tmp_path, monkeypatch, kind, _SSH if kind == "ssh" else _DOCKER)
    there = {
        "ssh": {"host": "frappe@bench.invalid", "port": 2222, "identityFile": "/etc/key"},
        "docker": {"container": "backend-1", "host": "tcp://engine.invalid:2376", "user": "frappe"},
    }
    more = {"command": str(real.home / "bench"), "dbRootPasswordFrom": ROOT_VARIABLE}
    name_region(monkeypatch, real.home, "bench", **{kind: there[kind]}, **more)
    outs = SiteProvider().create(real.props).outs or {}
    assert real.data()["apps"] == ["frappe", "erpnext"]
    where = "on frappe@bench.invalid" if kind == "ssh" else "in container backend-1"
    assert outs["server"] == f"the bench {real.home} {where}"
    SiteProvider().delete(real.site, outs)
    assert real.left() == []
    said = Path(f"{program}.called").read_text()
    assert ROOT_PASSWORD not in said
    assert ADMIN_PASSWORD not in said
    words = said.splitlines()
    if kind == "ssh":
        assert words[:6] == ["-T", "-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=15", *words[4:6]]
        assert words[words.index("frappe@bench.invalid") - 5 :][:5] == [
            "-p",
            "2222",
            "-i",
            "/etc/key",
            "-oIdentitiesOnly=yes",
        ]
    else:
        assert words[:7] == ["-H", "tcp://engine.invalid:2376", "exec", "-i", "-u", "frappe", "backend-1"]


def test_what_runs_on_another_machine_ends_when_its_client_is_cancelled(
    real: TestBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path, monkeypatch, "ssh", _SSH)
    more = {"command": str(real.home / "bench"), "dbRootPasswordFrom": ROOT_VARIABLE}
    name_region(monkeypatch, real.home, "bench", ssh={"host": "bench.invalid"}, **more)
    real.fails("new-site", after="database", sleep=600)
    wanted, hanging = threading.Event(), real.home / "hanging"

    def cancel() -> None:
        eventually(lambda: hanging.exists() and len(hanging.read_text().split()) == 2)
        wanted.set()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    with pytest.raises(StoppedError):
        bring_up(operations_of(REGION, going=lambda: not wanted.is_set()), real.new, [], real.hear)
    cancelling.join()
    for pid in map(int, hanging.read_text().split()):
        eventually(lambda pid=pid: not alive(pid))  # type: ignore[misc]
    assert real.left() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'Permission denied (publickey).' >&2; exit 255", "exit code 255: no connection: Permission denied"),
        (
            "echo 'sh: python3: not found' >&2; exit 127",
            "exit code 127: a command is not there: sh: python3: not found",
        ),
        ("exit 126", "exit code 126: a command may not be run: it says nothing more"),
        ("echo 'Welcome to Debian'; exit 0", "exit code 0: Welcome to Debian"),
        ("echo 42; exit 0", "exit code 0: 42"),
    ],
)
def test_a_machine_that_cannot_be_used_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    place(tmp_path, monkeypatch, "ssh", f"#!/bin/sh\n{text}\n")
    there = host_of("/bench", ssh=("bench.invalid",))
    with pytest.raises(UnreachableError) as caught:
        there.ask("look", "site 'a'", seconds=20, site="a", key="k")
    assert f"the bench /bench on bench.invalid cannot be used ({words}" in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "Error response from daemon: No such container: backend-1",
        "Error response from daemon: container 1f3a is not running",
        "Cannot connect to the Docker daemon at tcp://engine.invalid:2376. Is the docker daemon running?",
    ],
)
def test_a_container_that_cannot_be_used_is_said_in_dockers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    place(tmp_path, monkeypatch, "docker", f"#!/bin/sh\necho '{words}' >&2; exit 1\n")
    there = host_of("/bench", docker=("exec", "-i", "backend-1"))
    with pytest.raises(UnreachableError) as caught:
        there.ask("look", "site 'a'", seconds=20, site="a", key="k")
    assert f"the bench /bench in container backend-1 cannot be used (exit code 1: {words})" in str(caught.value)


def test_a_connection_that_is_lost_in_the_midst_is_said_and_the_next_run_begins_anew(
    real: TestBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine ends its command, as nobody listens; what that has made is there until somebody comes again."""
    lost = real.home / "hanging"
    place(tmp_path, monkeypatch, "ssh", f"#!{sys.executable} -S\n{_LOSES.replace('LOST', repr(str(lost)))}")
    more = {"command": str(real.home / "bench"), "dbRootPasswordFrom": ROOT_VARIABLE}
    name_region(monkeypatch, real.home, "bench", ssh={"host": "bench.invalid"}, **more)
    real.fails("new-site", after="database", sleep=600)
    with pytest.raises(SiteError, match=r"no connection: .*And what it has left could not be removed: .*No route to"):
        bring_up(real.ops, real.new, ["erpnext"], real.hear)
    for pid in map(int, lost.read_text().split()):
        eventually(lambda pid=pid: not alive(pid))  # type: ignore[misc]
    assert real.database.exists()
    lost.unlink()
    real.works()
    bring_up(real.ops, real.new, ["erpnext"], real.hear)
    assert (real.data()["apps"], real.left()) == (["frappe", "erpnext"], [real.site, real.database.name])


@pytest.mark.parametrize("greeting", ["Welcome", "42", '["said"]', '{"motd": 1}', "\\0377"])
def test_a_greeting_before_the_answer_is_no_answer(
    real: TestBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: str
) -> None:
    place(tmp_path, monkeypatch, "ssh", _SSH.replace("for last", f"printf '%b\\n' '{greeting}'; for last"))
    there = host_of(str(real.home), ssh=("bench.invalid",))
    assert there.ask("look", "site 'a'", seconds=20, site="a", key="k")["made"] is False


def test_a_machine_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_process, "_MARGIN_SECONDS", 0.5)
    monkeypatch.setattr(host_process, "GRACE_SECONDS", 0.2)
    place(tmp_path, monkeypatch, "ssh", "#!/bin/sh\nexec sleep 600\n")
    there = host_of("/bench", ssh=("bench.invalid",))
    with pytest.raises(TimeLimitError, match=r"did not answer within 0\.5 s\. Check that it can be reached"):
        there.ask("look", "site 'a'", seconds=0.5, site="a", key="k")


def test_a_program_that_is_not_installed_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    there = host_of("/bench", docker=("exec", "-i", "backend-1"))
    with pytest.raises(ConfigurationError, match=r"docker cannot be started here.*Install it, or correct the region's"):
        there.ask("look", "site 'a'", seconds=5, site="a", key="k")


def test_what_is_done_there_needs_nothing_of_ours(real: TestBench) -> None:
    """The text is sent as it is, to a Python that may be an old one: its own library is all that it imports."""
    import ast

    texts = json.loads(host_process._program())
    for name, text in texts.items():
        tree = ast.parse(text, feature_version=(3, 8))
        imported = {
            node.module if isinstance(node, ast.ImportFrom) else alias.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert {each for each in imported if each not in texts} <= sys.stdlib_module_names, name
