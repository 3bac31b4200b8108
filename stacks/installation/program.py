"""The Pulumi program of an installation: each document becomes a resource of its own type, and waits for those before.

Decides what waits for what. On which cluster: the provider `kubernetes`' own settings, KUBECONFIG and its context.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import (
    admissionregistration,
    apiextensions,
    apps,
    autoscaling,
    core,
    networking,
    policy,
    rbac,
)

from stacks.installation.names import Document
from stacks.installation.objects import documents, key
from stacks.installation.pods import service_grace, worker_grace
from stacks.installation.settings import Platform

_TYPES: dict[tuple[str, str], Callable[..., pulumi.CustomResource]] = {
    ("v1", "ConfigMap"): core.v1.ConfigMap,
    ("v1", "Service"): core.v1.Service,
    ("v1", "ServiceAccount"): core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): apps.v1.Deployment,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.v2.HorizontalPodAutoscaler,
    ("networking.k8s.io/v1", "Ingress"): networking.v1.Ingress,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.v1.NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): rbac.v1.ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): rbac.v1.RoleBinding,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
    ): admissionregistration.v1.ValidatingAdmissionPolicy,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
    ): admissionregistration.v1.ValidatingAdmissionPolicyBinding,
}
_FIELDS = {"automountServiceAccountToken": "automount_service_account_token", "roleRef": "role_ref"}
"""Python's names of what stands beside `spec`."""
_DELETE_SLACK_SECONDS = 300


def program_for(platform: Platform) -> Callable[[], None]:
    """The program to give to the Automation API, or to run under the stock CLI."""

    def program() -> None:
        # Names are fixed and settings are seen by new pods only, so what cannot be changed is deleted before.
        cluster = kubernetes.Provider(
            "cluster", context=platform.context, enable_config_map_mutable=True, enable_server_side_apply=True
        )
        made: list[pulumi.Resource] = []
        running: list[pulumi.Resource] = []
        for document in documents(platform):
            # Deployments come up beside each other; what is after them waits for both.
            waits_for = list(made) if document["kind"] == "Deployment" else [*made, *running]
            resource = _resource(document, cluster, waits_for, platform)
            (running if document["kind"] == "Deployment" else made).append(resource)
        pulumi.export("namespace", platform.namespace)
        pulumi.export("image", platform.image)
        if platform.ingress is not None:
            scheme = "https" if platform.ingress.tls else "http"
            pulumi.export("url", f"{scheme}://{platform.ingress.host}")

    return program


def delete_seconds(platform: Platform) -> int:
    """For how long an object may take to go: a Deployment goes after its pods, and those end as late as they may."""
    return max(service_grace(platform), worker_grace(platform)) + _DELETE_SLACK_SECONDS


def _resource(
    document: Document, cluster: kubernetes.Provider, waits_for: list[pulumi.Resource], platform: Platform
) -> pulumi.CustomResource:
    ready = f"{platform.ready_seconds}s"
    limits = pulumi.CustomTimeouts(create=ready, update=ready, delete=f"{delete_seconds(platform)}s")
    options = pulumi.ResourceOptions(
        provider=cluster, depends_on=waits_for, delete_before_replace=True, custom_timeouts=limits
    )
    body = copy.deepcopy(document)
    version, kind = body.pop("apiVersion"), body.pop("kind")
    make = _TYPES.get((version, kind))
    if make is None:
        make = functools.partial(apiextensions.CustomResource, api_version=version, kind=kind)
    made: pulumi.CustomResource = make(
        key(document), **{_FIELDS.get(name, name): value for name, value in body.items()}, opts=options
    )
    return made
