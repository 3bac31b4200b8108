"""What workers may do on this cluster: what making, watching and removing a tenant needs, and nothing else.

Decides the verbs of each kind. The service has no right at all. Where every tenant has a namespace of its own, these
rights hold in all namespaces, as nobody knows yet how the next one is called; a policy of the API server then lets
workers write only where a namespace says that it is a tenant's. Where tenants share a namespace that exists, the rights
are of that one and there is no policy to need.
"""

from __future__ import annotations

from stacks.installation.names import (
    MANAGED_BY,
    OF_TENANTS,
    WORKER,
    Document,
    cluster_wide,
    metadata,
)
from stacks.installation.pods import service_account
from stacks.installation.settings import Platform

# Server-side apply asks for both, create and patch, where there is nothing yet. By list is found what a tenant left.
_MADE = ["create", "delete", "get", "list", "patch", "watch"]
_SECRETS = "secrets"
_READ = ["list", "watch"]
_COMPONENT = "worker"

MADE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("limitranges", "persistentvolumeclaims", "resourcequotas", "secrets", "serviceaccounts", "services")),
    ("apps", ("deployments",)),
    ("networking.k8s.io", ("ingresses", "networkpolicies")),
    ("policy", ("poddisruptionbudgets",)),
)
"""By API group: what a tenant is made of (`components/`)."""
WATCHED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("events", "pods")),
    ("apps", ("replicasets",)),
    ("discovery.k8s.io", ("endpointslices",)),
)
"""By API group: what is looked at until that is ready, and to say why it is not (`providers/kubernetes/awaiting`).

Nodes are looked at too where they may be: what is told without is less by the node that went, and no worker needs it.
"""


def everywhere() -> list[Document]:
    """Rights in all namespaces, and over those of tenants.

    Secrets are not listed: who reads one has to know its name. None is left where its namespace is gone.
    """
    unlisted = [verb for verb in _MADE if verb != "list"]
    spaces = {"apiGroups": [""], "resources": ["namespaces"], "verbs": _MADE}
    return [spaces, *_rules(_SECRETS), {"apiGroups": [""], "resources": [_SECRETS], "verbs": unlisted}]


def within() -> list[Document]:
    """Rights within a namespace."""
    return _rules()


def _rules(*left_out: str) -> list[Document]:
    made = [
        {"apiGroups": [group], "resources": [kind for kind in kinds if kind not in left_out], "verbs": _MADE}
        for group, kinds in MADE
    ]
    return made + [{"apiGroups": [group], "resources": list(kinds), "verbs": _READ} for group, kinds in WATCHED]


def documents(platform: Platform) -> list[Document]:
    """The account of workers, with its rights where tenants are made on this cluster."""
    account = service_account(platform, WORKER, _COMPONENT)
    if not platform.tenants.on_this_cluster:
        return [account]
    if platform.tenants.namespace is not None:
        return [account, *_within(platform, platform.tenants.namespace)]
    return [account, *_everywhere(platform), *_policy(platform)]


def _within(platform: Platform, namespace: str) -> list[Document]:
    name = cluster_wide(platform, WORKER)
    own = metadata(platform, name, _COMPONENT, namespaced=False) | {"namespace": namespace}
    role = {"apiVersion": _RBAC, "kind": "Role", "metadata": own, "rules": within()}
    return [role, _binding(platform, "RoleBinding", "Role", own)]


def _everywhere(platform: Platform) -> list[Document]:
    name = cluster_wide(platform, WORKER)
    own = metadata(platform, name, _COMPONENT, namespaced=False)
    role = {"apiVersion": _RBAC, "kind": "ClusterRole", "metadata": own, "rules": everywhere()}
    return [role, _binding(platform, "ClusterRoleBinding", "ClusterRole", own)]


_RBAC = "rbac.authorization.k8s.io/v1"
_ADMISSION = "admissionregistration.k8s.io/v1"


def _binding(platform: Platform, kind: str, role: str, own: Document) -> Document:
    return {
        "apiVersion": _RBAC,
        "kind": kind,
        "metadata": own,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": own["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": WORKER, "namespace": platform.namespace}],
    }


def _policy(platform: Platform) -> list[Document]:
    name = cluster_wide(platform, WORKER)
    own = metadata(platform, name, _COMPONENT, namespaced=False)
    worker = f"system:serviceaccount:{platform.namespace}:{WORKER}"
    written = {
        "apiGroups": [group for group, _ in MADE],
        "apiVersions": ["*"],
        "resources": ["*"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
    }
    policy = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": own,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [written]},
            "matchConditions": [{"name": "by-a-worker", "expression": f"request.userInfo.username == '{worker}'"}],
            "validations": [
                {"expression": _ALLOWED, "message": f"workers write only where {OF_TENANTS} is {MANAGED_BY}"}
            ],
        },
    }
    binding = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": own,
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def _is_a_tenants(what: str) -> str:
    return f"({what}.metadata.?labels[?'{OF_TENANTS}'].orValue('') == '{MANAGED_BY}')"


# A namespace must be a tenant's before and after: one of somebody else's is not taken by labelling it.
_ALLOWED = (
    "request.resource.group == '' && request.resource.resource == 'namespaces'"
    f" ? (object == null || {_is_a_tenants('object')}) && (oldObject == null || {_is_a_tenants('oldObject')})"
    f" : namespaceObject != null && {_is_a_tenants('namespaceObject')}"
)
