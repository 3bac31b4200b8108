"""Which changes need another object in place of the old one. Pure.

What the server lets nobody change, it says itself when it is asked to (`ImmutableError`); the table here tells the same
where it cannot be asked yet, since a value is unknown, and names the paths. Beyond that, a ConfigMap or a Secret with
other contents is another object, as in the stock provider: what reads it is changed with it.
"""

from collections.abc import Collection, Iterable

from providers.kubernetes.trees import Steps, lies_under, steps_of

_WORKLOAD = ("spec.selector",)
_VOLUME_SOURCES = ("csi", "hostPath", "local", "nfs", "fc", "iscsi", "rbd", "cephfs", "azureFile", "flexVolume")
_FIXED: dict[str, tuple[str, ...]] = {
    "DaemonSet": _WORKLOAD,
    "Deployment": _WORKLOAD,
    "ReplicaSet": _WORKLOAD,
    "StatefulSet": (*_WORKLOAD, "spec.podManagementPolicy", "spec.serviceName", "spec.volumeClaimTemplates"),
    "Job": (*_WORKLOAD, "spec.completionMode", "spec.completions", "spec.template"),
    "Pod": ("spec",),
    "PersistentVolume": tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    "PersistentVolumeClaim": ("spec",),
    "ResourceQuota": ("spec.scopes",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.clusterIPs"),
    "StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    "ClusterRoleBinding": ("roleRef",),
    "RoleBinding": ("roleRef",),
    "IngressClass": ("spec.controller",),
    "CSIDriver": ("spec.attachRequired",),
    "CustomResourceDefinition": ("spec.group", "spec.names.kind", "spec.names.plural", "spec.scope"),
    "PriorityClass": ("value", "preemptionPolicy"),
    "RuntimeClass": ("handler",),
}
_MUTABLE = {"Pod": ("spec.activeDeadlineSeconds",), "PersistentVolumeClaim": ("spec.volumeAttributesClassName",)}
_CONTENTS = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}


def replaced_contents(kind: str, changed: Iterable[Steps], mutable: Collection[str]) -> frozenset[Steps]:
    """Those of the changed paths that the server would let change, and that need another object all the same."""
    if kind in mutable:
        return frozenset()
    return _under(changed, _CONTENTS.get(kind, ()))


def replaced_blindly(kind: str, changed: Iterable[Steps], mutable: Collection[str]) -> frozenset[Steps]:
    """Those of the changed paths that need another object, as far as is known without asking the server."""
    paths = [steps for steps in changed if not any(lies_under(steps, steps_of(p)) for p in _MUTABLE.get(kind, ()))]
    return _under(paths, _FIXED.get(kind, ())) | replaced_contents(kind, paths, mutable)


def replaced_by_refusal(kind: str, changed: Collection[Steps], fields: Iterable[str]) -> frozenset[Steps]:
    """Those of the changed paths that the server refuses to change; `fields` are as it names them, often too widely."""
    known = replaced_blindly(kind, changed, ())
    exact = [field for field in fields if "." in field or field not in {"", "spec"}]
    found = _under(changed, exact) | known
    return found or frozenset(changed)


def _under(changed: Iterable[Steps], prefixes: Iterable[str]) -> frozenset[Steps]:
    roots = [steps_of(prefix) for prefix in prefixes]
    return frozenset(steps for steps in changed if any(lies_under(steps, root) for root in roots))
