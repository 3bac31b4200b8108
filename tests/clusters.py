"""The Kubernetes cluster that CI has started, as somebody sees it who is not Tenantry, and how a test breaks it.

`.ci/kubernetes.d/fakekubelet.go` says which annotations have a Pod, a claim or a node fail.
"""

import json
import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.automation.helpers import ROOT

KUBECONFIG = os.environ.get("TENANTRY_TEST_KUBECONFIG", "")
HOME = os.environ.get("TENANTRY_TEST_KUBERNETES_HOME", "")
_HOW = ".ci/kubernetes start FOLDER; FOLDER/kubeconfig is it, FOLDER is TENANTRY_TEST_KUBERNETES_HOME"


def kubeconfig_or_skip() -> Path:
    if not KUBECONFIG:
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail(f"TENANTRY_TEST_KUBECONFIG is not set: {_HOW}")
        pytest.skip(f"no Kubernetes cluster: set TENANTRY_TEST_KUBECONFIG ({_HOW})")
    return Path(KUBECONFIG)


class Cluster:
    """Calls of the API by path, such as `/api/v1/namespaces/x/pods/y`; documents are plain dicts."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        config = json.loads(kubeconfig.read_text())
        where = config["clusters"][0]["cluster"]
        self.host, self.port = httpx.URL(where["server"]).host, httpx.URL(where["server"]).port
        self._client = httpx.Client(
            base_url=where["server"],
            verify=ssl.create_default_context(cafile=where["certificate-authority"]),
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            timeout=30,
        )

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> httpx.Response:
        content = None if body is None else json.dumps(body)
        answer = self._client.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.is_success or answer.status_code == 404, f"{method} {path}: {answer.text}"
        return answer

    def get(self, path: str) -> dict[str, Any] | None:
        answer = self.call("GET", path)
        return None if answer.status_code == 404 else answer.json()

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"{path}?{httpx.QueryParams(query)}").json()["items"]
        return found

    def create(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        return _found(self.call("POST", path, document))

    def merge(self, path: str, changes: dict[str, Any]) -> dict[str, Any]:
        """A merge patch; None removes a field."""
        return _found(self.call("PATCH", path, changes, kind="application/merge-patch+json"))

    def annotate(self, path: str, **annotations: str | None) -> None:
        """`fail="no such image"` is the annotation fake-kubelet/fail; underscores become hyphens."""
        named = {f"fake-kubelet/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.merge(path, {"metadata": {"annotations": named}})

    def delete(self, path: str) -> None:
        self.call("DELETE", path)

    def until(self, path: str, holds: Callable[[dict[str, Any]], object], *, seconds: float = 60) -> dict[str, Any]:
        """The object, once that holds of it."""
        end = time.monotonic() + seconds
        while True:
            found = self.get(path)
            if found is not None and holds(found):
                return found
            assert time.monotonic() < end, f"{path} never came to it: {json.dumps(found)}"
            time.sleep(0.05)

    def until_gone(self, path: str, *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while (found := self.get(path)) is not None:
            assert time.monotonic() < end, f"{path} is still there: {json.dumps(found)}"
            time.sleep(0.05)


def _found(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    document: dict[str, Any] = answer.json()
    return document


@contextmanager
def own_namespace(cluster: Cluster, **labels: str) -> Iterator[str]:
    """A namespace with a name of its own. It is gone some seconds after the end, which nobody waits for."""
    name = f"t-{secrets.token_hex(5)}"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    # Before this its Pods are refused.
    cluster.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    try:
        yield name
    finally:
        cluster.delete(f"/api/v1/namespaces/{name}")


@contextmanager
def lost_node(cluster: Cluster, node: str = "fake-1") -> Iterator[str]:
    """A node that is cut off from the cluster until the end."""
    path = f"/api/v1/nodes/{node}"
    cluster.annotate(path, lost="true")
    try:
        cluster.until(path, lambda found: "Unknown" in _ready(found) and found["spec"].get("taints"))
        yield node
    finally:
        cluster.annotate(path, lost=None)
        cluster.until(path, lambda found: "True" in _ready(found) and not found["spec"].get("taints"))


def _ready(node: dict[str, Any]) -> list[str]:
    return [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]


class Power:
    """Over the processes of the cluster: as `.ci/kubernetes` has it."""

    def __init__(self, home: str) -> None:
        self._home = home

    def __call__(self, command: str) -> None:
        """kill, away, pause or resume; start."""
        script = str(ROOT / ".ci" / "kubernetes")
        subprocess.run([script, command, self._home], check=True, timeout=150, stdin=subprocess.DEVNULL)


@contextmanager
def power() -> Iterator[Power]:
    """Whatever a test has done with it, the cluster is there afterwards."""
    if not HOME:
        pytest.skip(f"the cluster is not this test's to stop: set TENANTRY_TEST_KUBERNETES_HOME ({_HOW})")
    switch = Power(HOME)
    try:
        yield switch
    finally:
        switch("resume")
        switch("start")
