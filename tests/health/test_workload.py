"""What is told of an ISP's pods where they cannot be asked for."""

from pathlib import Path

import pytest

from providers.backends import KubernetesBackend
from providers.health.checks import CheckError
from providers.health.workload import workload
from providers.kubernetes import kubeconfig


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the service account of a pod that this process would run in."""
    monkeypatch.setattr(kubeconfig, "_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def _look() -> str | None:
    backend = KubernetesBackend(platform="kubernetes")
    return workload("here", backend, name="isp-a", namespace="isp-a", replicas=1)()


def test_a_pod_without_a_token_tells_that_it_did_not_ask(account: Path) -> None:
    assert _look() == "not asked: this process has no token of the cluster that it runs in"


def test_a_pod_with_a_token_that_is_of_no_use_tells_a_fault(account: Path) -> None:
    (account / "token").write_text("")
    with pytest.raises(CheckError):
        _look()
