"""What a region's platform still has of a tenant after its removal, by the marks that each of its objects bears.

Looks on the platform itself, at every kind of object there is. What only goes after its owner (a pod whose end takes
its time, what a controller has made) is looked at again for a while. Removes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from providers.backends import DockerBackend, KubernetesBackend, parts_of
from providers.errors import UnreachableError
from providers.names import KUBERNETES_TENANT

if TYPE_CHECKING:
    from providers.docker.client import Client
    from providers.kubernetes.cluster import ApiCluster

SETTLING_SECONDS = 15.0
_PAUSE_SECONDS = 0.5
_CALL_SECONDS = 10.0
_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 30.0
_SHARED = frozenset({"Event"})
"""Kinds that tell of others, and bear no mark of their own."""


def left_on(region: str, *, slug: str, tenant_mark: str) -> list[str]:
    """In words. Empty, too, where the region's platform is none that bears marks. Raises ProviderError."""
    backend = parts_of(region).container
    if isinstance(backend, KubernetesBackend):
        return _settled(lambda: _on_cluster(region, backend, slug))
    if isinstance(backend, DockerBackend):
        return _settled(lambda: _on_engine(region, tenant_mark))
    return []


def _settled(look: Callable[[], list[str]]) -> list[str]:
    until = time.monotonic() + SETTLING_SECONDS
    while (found := look()) and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
    return found


def _on_cluster(region: str, backend: KubernetesBackend, slug: str) -> list[str]:
    from providers.region_cluster import looking

    with looking(backend, call_seconds=_CALL_SECONDS, patience=_PATIENCE_SECONDS) as cluster:
        return [f"{what} in region {region}" for what in _labelled(cluster, slug, backend.namespace or "")]


def _labelled(cluster: ApiCluster, slug: str, namespace: str) -> list[str]:
    """Of a namespace that all tenants share, only what is in it."""
    from providers.kubernetes.errors import MissingError
    from providers.plugin.errors import AccessError

    found, until = [], time.monotonic() + _LOOK_SECONDS
    for kind in cluster.listable():
        if time.monotonic() > until:
            raise UnreachableError(f"the API server is too slow to be looked through within {_LOOK_SECONDS:g} s")
        if kind.kind in _SHARED or (namespace and not kind.namespaced):
            continue
        try:
            listed = cluster.list(kind.api_version, kind.kind, namespace, labels=f"{KUBERNETES_TENANT}={slug}")
        except (AccessError, MissingError):
            # Whoever may not see a kind could not make one of it; and one that is no kind any more has no objects.
            continue
        for each in listed:
            at = each["metadata"]
            found.append(
                f"{kind.kind} {at['namespace']}/{at['name']}" if at.get("namespace") else f"{kind.kind} {at['name']}"
            )
    return found


def _on_engine(region: str, tenant_mark: str) -> list[str]:
    from providers.plugin.errors import ProviderError
    from providers.published_port import engine_of

    try:
        with engine_of(region, tenant_mark) as (_, client):
            return [f"{what} in region {region}" for what in client.retrying(lambda: _marked(client, tenant_mark))]
    except ProviderError as error:
        raise UnreachableError(str(error)) from None


def _marked(client: Client, tenant_mark: str) -> list[str]:
    from providers.published_port import TENANT_LABEL

    filters = {"label": f"{TENANT_LABEL}={tenant_mark}"}
    containers = client.call("list containers", lambda api: list(api.containers(all=True, filters=filters)))
    networks = client.call("list networks", lambda api: list(api.networks(filters=filters)))
    volumes = client.call("list volumes", lambda api: dict(api.volumes(filters=filters))).get("Volumes") or []
    return [
        *(f"container {_called(each)}" for each in containers),
        *(f"network {each['Name']}" for each in networks),
        *(f"volume {each['Name']}" for each in volumes),
    ]


def _called(container: dict[str, Any]) -> str:
    # One that is just being removed may have no name any more.
    return str((container.get("Names") or [container["Id"][:12]])[0]).lstrip("/")
