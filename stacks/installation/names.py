"""Names, labels and ports of the platform's objects: one place, since selectors, probes and rules must agree."""

from __future__ import annotations

from typing import Any

from stacks.installation.settings import Platform

Document = dict[str, Any]

SERVICE = "tenantry"
WORKER = "tenantry-worker"
SETTINGS = "tenantry-settings"
REGIONS = "tenantry-regions"
PORT = 8000
PROBE_PORT = 8001
PORT_NAME = "http"
PROBE_NAME = "probes"
USER = 65_532
"""The account in the image; it owns nothing but what is mounted for it."""

OF_TENANTS = "app.kubernetes.io/managed-by"
MANAGED_BY = "tenantry"
"""What a namespace of a tenant bears, and none of the platform's own objects."""


def labels(component: str) -> dict[str, str]:
    """By these a pod is found; they never change, as a Deployment's selector cannot."""
    return {"app.kubernetes.io/name": "tenantry", "app.kubernetes.io/component": component}


def metadata(platform: Platform, name: str, component: str, *, namespaced: bool = True, **more: Any) -> Document:
    """An object's metadata."""
    own = {**labels(component), "app.kubernetes.io/part-of": "tenantry", OF_TENANTS: "tenantry-platform"}
    space = {"namespace": platform.namespace} if namespaced else {}
    return {"name": name, **space, "labels": own, **more}


def cluster_wide(platform: Platform, name: str) -> str:
    """A name for what has no namespace: two installations on one cluster do not meet."""
    return f"{name}-{platform.namespace}"
