"""The pods of service and workers, as strict as a tenant's: no privilege, a root that cannot be written, limits.

Decides probes, how long a pod is given to end, what is mounted, and who gets a token of the cluster's.
"""

from __future__ import annotations

from typing import Any

from stacks.installation.names import (
    PORT,
    PORT_NAME,
    PROBE_NAME,
    PROBE_PORT,
    REGIONS,
    SERVICE,
    USER,
    WORKER,
    Document,
    labels,
    metadata,
)
from stacks.installation.settings import Platform, Resources
from stacks.installation.variables import (
    DATABASE_FOLDER,
    REGIONS_FOLDER,
    STACKS,
    VERIFYING,
    fingerprint,
    for_database,
    for_service,
    for_workers,
    plain_source,
    sources,
)

LEAVING_SECONDS = 5
"""How long a pod of the service still answers after it was told to end: so long do load balancers send it requests."""
_SLACK_SECONDS = 10
_LAST_SECONDS = 5
"""What a worker gives its last heartbeat, its farewell, and twice its killed attempts: `automation.worker.service`."""
_TMP = "/tmp"  # noqa: S108 - the pod's own


def service_grace(platform: Platform) -> int:
    """Seconds that a pod of the service has to end: requests may still take `shutdownSeconds`."""
    return LEAVING_SECONDS + platform.service.shutdown_seconds + _SLACK_SECONDS


def worker_grace(platform: Platform) -> int:
    """Seconds that a worker has to end.

    It lets what runs go on for `drainSeconds`, then stops it, for which it waits five times `cancelGraceSeconds`, then
    kills it. Shorter, and a run would be cut off in the midst of writing, to be found by its expired lease.
    """
    workers = platform.workers
    return workers.drain_seconds + 5 * workers.cancel_grace_seconds + 4 * _LAST_SECONDS + _SLACK_SECONDS


def service_deployment(platform: Platform) -> Document:
    """`tenantry serve`, as many as `replicas`."""
    container = _container(platform, "service", ["serve"], platform.service.resources)
    container |= {
        "env": for_service(platform),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        **_probes(PORT_NAME),
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVING_SECONDS}}},
    }
    pod = _pod(platform, SERVICE, container, token=False, grace=service_grace(platform))
    return _deployment(platform, SERVICE, "service", pod, replicas=platform.service.replicas)


def worker_deployment(platform: Platform) -> Document:
    """`tenantry worker`; how many is the autoscaler's to say, where there is one."""
    workers = platform.workers
    container = _container(platform, "worker", ["worker"], workers.resources)
    container |= {
        "env": for_workers(platform),
        "ports": [{"name": PROBE_NAME, "containerPort": PROBE_PORT, "protocol": "TCP"}],
        **_probes(PROBE_NAME),
    }
    pod = _pod(platform, WORKER, container, token=platform.tenants.on_this_cluster, grace=worker_grace(platform))
    replicas = workers.min if workers.autoscaling == "none" else None
    return _deployment(platform, WORKER, "worker", pod, replicas=replicas)


def service_account(platform: Platform, name: str, component: str) -> Document:
    """An account; its token is mounted where a pod asks for it, and only there."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(platform, name, component),
        "automountServiceAccountToken": False,
    }


def _deployment(platform: Platform, name: str, component: str, pod: Document, *, replicas: int | None) -> Document:
    template = {
        "metadata": {"labels": labels(component), "annotations": {"tenantry.dev/settings": fingerprint(platform)}},
        "spec": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(platform, name, component),
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": labels(component)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        },
    }


def _pod(platform: Platform, account: str, container: Document, *, token: bool, grace: int) -> Document:
    component = container["name"]
    pod: Document = {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        # Else the worker would be the first process, to which goes whatever outlives a killed attempt: it waits for its
        # own children only, so those would stay as dead processes until the pod ends, and be counted.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [_spread(component, key) for key in _WHERE],
        "initContainers": [_tables(platform)],
        "containers": [container],
        "volumes": _volumes(platform),
    }
    return pod | ({"imagePullSecrets": [{"name": platform.secrets.image}]} if platform.secrets.image else {})


_WHERE = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")


def _spread(component: str, key: str) -> Document:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        # A cluster of one node, or with a node full, still runs it.
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(component)},
    }


def _tables(platform: Platform) -> Document:
    """Makes the main database or brings its tables up to date, before what needs them: any number may at once."""
    container = _container(platform, "tables", ["db", "upgrade"], Resources(cpu="500m", memory="256Mi"))
    return container | {"env": for_database(platform), "envFrom": [plain_source()]}


def _container(platform: Platform, name: str, words: list[str], resources: Resources) -> Document:
    share = {"cpu": resources.cpu, "memory": resources.memory}
    return {
        "name": name,
        "image": platform.image,
        "args": words,
        "envFrom": sources(platform),
        "resources": {"requests": share, "limits": share},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(platform),
        # The end of a log says why a container ended where it did not say so itself.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _volumes(platform: Platform) -> list[Document]:
    found: list[Document] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        # Settings of stacks are written beside each run; what is needed of them again is in the state.
        {"name": "stacks", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if platform.database.sslmode in VERIFYING:
        items = [{"key": "ca.crt", "path": "ca.crt"}]
        found.append({"name": "database", "secret": {"secretName": platform.secrets.database, "items": items}})
    if platform.regions_text is not None:
        found.append({"name": "regions", "configMap": {"name": REGIONS}})
    return found


def _mounts(platform: Platform) -> list[Document]:
    where = {"tmp": _TMP, "stacks": STACKS, "database": DATABASE_FOLDER, "regions": REGIONS_FOLDER}
    found = []
    for volume in _volumes(platform):
        name = volume["name"]
        found.append({"name": name, "mountPath": where[name]} | ({} if "emptyDir" in volume else {"readOnly": True}))
    return found


def _probes(port: str) -> Document:
    """Two minutes to start, one to hang; a pod that cannot work is left alone for that, and asked for nothing."""
    return {
        "startupProbe": _probe("/healthz", port, period=2, failures=60),
        "readinessProbe": _probe("/readyz", port, period=5, failures=3),
        "livenessProbe": _probe("/healthz", port, period=10, failures=6),
    }


def _probe(path: str, port: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
