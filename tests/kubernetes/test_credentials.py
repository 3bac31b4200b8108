"""Commands that a kubeconfig has for credentials. No server is needed."""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.kubernetes import connection as module
from providers.kubernetes.connection import Connection
from providers.kubernetes.errors import Doing
from providers.kubernetes.kubeconfig import choose
from providers.plugin.errors import AccessError, UnreachableError

_GIVES = """
import json, sys
status = {"token": "t0ken", "expirationTimestamp": "2020-01-01T00:00:00Z"}
json.dump({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}, sys.stdout)
"""


def connection(code: str) -> Connection:
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", code],
        "interactiveMode": "Never",
    }
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": command}}],
    }
    return Connection(choose(json.dumps(config), context="", cluster="", env={}))


def send(connection: Connection) -> Any:
    doing = Doing(verb="read", subject="Pod shop/web", host=connection.host)
    return connection.send("GET", "/", doing, query={}, body=None, content_type="application/json", seconds=5)


def test_a_command_that_hangs_is_waited_for_once_for_all_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMMAND_SECONDS", 2.0)
    hanging = connection("import time; time.sleep(8)")

    def fails(_: int) -> None:
        with pytest.raises(AccessError, match="command for credentials did not end within 2 s"):
            send(hanging)

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fails, range(4)))
    # Two seconds for all four, and not two for each.
    assert time.monotonic() - began < 7
    for thread in threading.enumerate():
        if thread.name == "credentials":
            thread.join(10)


def test_a_renewal_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gave has expired at once, so that each request renews it."""
    found = connection(_GIVES)
    with pytest.raises(UnreachableError):
        send(found)
    monkeypatch.setattr(module, "_COMMAND_SECONDS", 0.2)
    released = threading.Event()
    monkeypatch.setattr(module, "_headers", lambda _: released.wait(10))
    with pytest.raises(AccessError, match=r"did not end within 0\.2 s"):
        send(found)
    released.set()


def test_what_could_not_be_read_is_read_again_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    found, make, tries = connection(_GIVES), Connection._make, []

    def made(self: Connection) -> Any:
        tries.append(None)
        if len(tries) == 1:
            raise AccessError("no such file")
        return make(self)

    monkeypatch.setattr(Connection, "_make", made)
    with pytest.raises(AccessError, match="no such file"):
        send(found)
    for _ in range(2):
        with pytest.raises(UnreachableError):
            send(found)
    assert len(tries) == 2
