"""What is told of a platform that is looked through for a tenant's objects. No server is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from providers import platform_leftovers
from providers.errors import UnreachableError
from providers.kubernetes.cluster import ApiCluster
from providers.kubernetes.discovery import Discovery, Kind
from providers.kubernetes.errors import ApiError, AwayError, MissingError
from providers.kubernetes.transport import Transport

PODS = {"kind": "Pod", "name": "pods", "namespaced": True, "verbs": ["list"]}
CLAIMS = {"kind": "Claim", "name": "claims", "namespaced": True, "verbs": ["list"]}


class Groups:
    """A transport that knows these groups; one whose kinds are an error says that."""

    host = "https://cluster.example"

    def __init__(self, kinds: Mapping[str, list[dict[str, Any]] | Exception]) -> None:
        self._kinds = kinds

    def request(self, _method: str, path: str, _doing: object, **_more: object) -> Any:
        if path == "/apis":
            names = [name for name in self._kinds if "/" in name]
            return {"groups": [{"preferredVersion": {"groupVersion": name}} for name in names]}
        found = self._kinds[path.removeprefix("/apis/").removeprefix("/api/")]
        if isinstance(found, Exception):
            raise found
        return {"resources": found}


def listable(**kinds: Any) -> list[str]:
    named = {name.replace("_", "/"): found for name, found in kinds.items()}
    return [kind.kind for kind in Discovery(cast("Transport", Groups(named))).listable()]


def test_a_group_whose_own_server_is_away_hides_no_other() -> None:
    assert listable(v1=[PODS], metrics_v1=AwayError("503"), shop_v1=[CLAIMS]) == ["Pod", "Claim"]


def test_a_server_that_is_away_as_a_whole_is_told() -> None:
    with pytest.raises(AwayError):
        listable(v1=AwayError("503"), shop_v1=[CLAIMS])
    with pytest.raises(ApiError, match="busy"):
        listable(v1=[PODS], shop_v1=ApiError("busy", status=429))


class Objects:
    """A cluster that has these kinds, and answers what is asked for each."""

    def __init__(self, **answers: Callable[[], list[dict[str, Any]]]) -> None:
        self._answers = answers

    def listable(self) -> tuple[Kind, ...]:
        return tuple(Kind(api_version="v1", kind=name, plural=name, namespaced=True) for name in self._answers)

    def list(self, _version: str, kind: str, _namespace: str, *, labels: str) -> list[dict[str, Any]]:
        assert labels == "tenantry.dev/tenant=acme"
        return self._answers[kind]()


def labelled(**answers: Callable[[], list[dict[str, Any]]]) -> list[str]:
    return platform_leftovers._labelled(cast("ApiCluster", Objects(**answers)), "acme", "")


def test_a_kind_that_has_gone_meanwhile_hides_no_other() -> None:
    def gone() -> list[dict[str, Any]]:
        raise MissingError("no such kind", status=404)

    claim = {"metadata": {"name": "acme", "namespace": "isp-acme"}}
    assert labelled(Old=gone, Claim=lambda: [claim]) == ["Claim isp-acme/acme"]


def test_a_cluster_that_is_too_slow_is_not_looked_through_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_leftovers, "_LOOK_SECONDS", -1.0)
    with pytest.raises(UnreachableError, match="too slow"):
        labelled(Pod=list)


class Engine:
    """A Docker engine with one container that is being removed."""

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": "0123456789abcdef", "Names": None}, {"Id": "1", "Names": ["/isp-acme"]}]

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return []

    def volumes(self, **_: object) -> dict[str, Any]:
        return {"Volumes": None}


def test_a_container_without_a_name_is_told_by_its_id() -> None:
    class Client:
        def call(self, _doing: str, ask: Callable[[Engine], Any]) -> Any:
            return ask(Engine())

    found = platform_leftovers._marked(cast("Any", Client()), "tenantry/acme")
    assert found == ["container 0123456789ab", "container isp-acme"]
