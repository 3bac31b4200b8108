"""How many workers there are, and how many pods may be missing at once.

Decides by the age of the oldest job that waits, which the service's /metrics has: more than `queueAgeSeconds`, and
workers are added; none waiting for ten minutes, and they go again, as slowly as their runs end. Somebody else has to
carry the figure to the cluster: an adapter of Prometheus' for a HorizontalPodAutoscaler, or KEDA.
"""

from __future__ import annotations

from stacks.installation.names import SERVICE, WORKER, Document, labels, metadata
from stacks.installation.settings import Platform

METRIC = "tenantry_jobs_oldest_pending_seconds"
"""Of `automation.jobs.gauges`; deploy/prometheus/adapter.yml hands it on under the same name."""
_CALM_SECONDS = 600
_BEHAVIOUR: Document = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        # A worker needs some seconds to start and to shorten the queue: adding more before that would overshoot.
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 60},
            {"type": "Pods", "value": 2, "periodSeconds": 60},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": _CALM_SECONDS,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    },
}


def autoscaler(platform: Platform) -> Document | None:
    """What sets the number of workers; None where it is fixed."""
    match platform.workers.autoscaling:
        case "hpa":
            return _hpa(platform)
        case "keda":
            return _keda(platform)
        case _:
            return None


def budgets(platform: Platform) -> list[Document]:
    """A drained node takes one pod of each kind at a time."""
    return [_budget(platform, SERVICE, "service"), _budget(platform, WORKER, "worker")]


def _budget(platform: Platform, name: str, component: str) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(platform, name, component),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": labels(component)},
            # One that is not ready anyway must not keep a node from being emptied.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _hpa(platform: Platform) -> Document:
    workers = platform.workers
    external = {
        "metric": {"name": METRIC},
        "target": {"type": "Value", "value": str(workers.queue_age_seconds)},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(platform, WORKER, "worker"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKER},
            "minReplicas": workers.min,
            "maxReplicas": workers.max,
            "metrics": [{"type": "External", "external": external}],
            "behavior": _BEHAVIOUR,
        },
    }


def _keda(platform: Platform) -> Document:
    workers = platform.workers
    trigger = {
        "type": "prometheus",
        "metricType": "Value",
        "metadata": {
            "serverAddress": workers.prometheus,
            "query": f'max({METRIC}{{namespace="{platform.namespace}"}}) or vector(0)',
            "threshold": str(workers.queue_age_seconds),
        },
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(platform, WORKER, "worker"),
        "spec": {
            "scaleTargetRef": {"name": WORKER},
            "minReplicaCount": workers.min,
            "maxReplicaCount": workers.max,
            "triggers": [trigger],
            # No `fallback`: KEDA has none for a trigger of metricType Value and refuses the whole object. Without one,
            # as many workers stay as there are while Prometheus is away.
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _BEHAVIOUR}},
        },
    }
