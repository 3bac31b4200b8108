"""Whether an ISP's pods or its container run, by what its platform says of them.

Decides which of a platform's words mean that they do. Looks once, changes nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from providers.errors import NoTokenError, ProviderError
from providers.health.checks import SECONDS, Check, CheckError
from providers.plugin.errors import ProviderError as PluginError

if TYPE_CHECKING:
    from providers.backends import ContainerBackend, KubernetesBackend

_REASONS_SHOWN = 3


def workload(region: str, backend: ContainerBackend, *, name: str, namespace: str, replicas: int) -> Check:
    """The check of the container `name` where it is."""
    from providers.backends import KubernetesBackend

    if isinstance(backend, KubernetesBackend):
        # What takes seconds to load where there is much to do, and is no part of what a check measures.
        importlib.import_module("providers.kubernetes.cluster")
        importlib.import_module("providers.kubernetes.sdk")
        return lambda: on_cluster(backend, name=name, namespace=namespace, replicas=replicas)
    return lambda: on_engine(region, name)


def on_cluster(backend: KubernetesBackend, *, name: str, namespace: str, replicas: int) -> str:
    """All replicas are available; or the cluster cannot be asked from here, which is told."""
    from providers.kubernetes.awaiting.pods import troubles
    from providers.region_cluster import looking

    pods = []
    try:
        with looking(backend, call_seconds=SECONDS) as cluster:
            found = cluster.get("apps/v1", "Deployment", namespace, name)
            available = int(((found or {}).get("status") or {}).get("availableReplicas") or 0)
            if found is not None and available >= replicas:
                return f"{available} of {replicas} replicas available"
            pods = cluster.list("v1", "Pod", namespace, labels=f"app.kubernetes.io/name={name}") if found else []
    except NoTokenError as error:
        # Tenantry's own service is given none on purpose: what it cannot see is no fault of the ISP's.
        return f"not asked: {error}"
    except ProviderError as error:
        raise CheckError(str(error)) from None
    if found is None:
        raise CheckError(f"there is no Deployment {name} in the namespace {namespace}")
    why = "; ".join(troubles(pods, {})[:_REASONS_SHOWN]) or "no pod says why"
    raise CheckError(f"{available} of {replicas} replicas available: {why}")


def on_engine(region: str, name: str) -> str:
    """It runs, and its own health check, if it has one, says that it is well."""
    from providers.published_port import engine_of

    try:
        with engine_of(region, name) as (_, client):
            found = client.find(f"look for container {name!r}", lambda api: dict(api.inspect_container(name)))
    except PluginError as error:
        raise CheckError(str(error)) from None
    if found is None:
        raise CheckError(f"there is no container {name}")
    state: dict[str, Any] = found.get("State") or {}
    if state.get("Status") != "running":
        raise CheckError(f"it is {state.get('Status')}, its last exit code is {state.get('ExitCode')}")
    health = (state.get("Health") or {}).get("Status")
    if health not in {None, "healthy"}:
        raise CheckError(f"it runs, and its health check says {health}")
    return f"it runs{', and is healthy' if health else ''}"
