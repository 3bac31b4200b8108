"""How long an API server that does not answer is tried, and what is made of it. No server is needed."""

import socket
from dataclasses import replace

import pytest

from automation.messages import is_transient
from providers.kubernetes import cluster as module
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.config import Config
from providers.kubernetes.errors import Doing, from_answer
from providers.kubernetes.kubeconfig import Chosen
from providers.plugin.errors import ProviderError, UnreachableError


@pytest.fixture
def nobody() -> Config:
    """A cluster at a port at which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{found.getsockname()[1]}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "none"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "me"}}],
    }
    return Config(chosen=Chosen(document=document, server=server), patience=0.4)


def test_who_looks_again_is_told_sooner(nobody: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IMPATIENCE_SECONDS", 0.1)
    cluster = ApiCluster(nobody)
    with pytest.raises(UnreachableError, match="It was tried for 0 s") as caught:
        cluster.impatient().get("v1", "Pod", "shop", "web")
    assert caught.value.retry


def test_what_the_impatient_found_takes_no_time_from_the_others(
    nobody: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IMPATIENCE_SECONDS", 0.1)
    cluster = ApiCluster(replace(nobody, patience=6))
    with pytest.raises(UnreachableError):
        cluster.impatient().get("v1", "Pod", "shop", "web")
    with pytest.raises(ProviderError, match="It was tried for 6 s"):
        cluster.get("v1", "Pod", "shop", "web")
    with pytest.raises(ProviderError, match="It was tried for 5 s"):
        cluster.get("v1", "Pod", "shop", "web")


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("failed to convert new object (shop/db; /v1, Kind=Secret) to proper version: illegal base64 data", False),
        ("failed to create typed patch object (shop/web): .spec.replicas: expected numeric", False),
        ("etcdserver: request timed out", True),
    ],
)
def test_what_the_server_cannot_read_is_not_tried_again(said: str, passes: bool) -> None:
    """It answers 500, as if that were trouble of its own."""
    error = from_answer(Doing(verb="create", subject="Secret shop/db"), 500, {"kind": "Status", "message": said})
    assert error.retry is passes


def test_what_may_pass_is_tried_again_by_the_step(nobody: Config) -> None:
    """Which knows only the words."""
    with pytest.raises(UnreachableError) as caught:
        ApiCluster(nobody).get("v1", "Pod", "shop", "web")
    words = str(caught.value).replace("Connection refused", "Protocol")
    assert is_transient(words)
