"""What a worker may do, asked of a real kube-apiserver: by its access reviews, and as the worker with its own token."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import ConflictError, ForbiddenError, UnprocessibleEntityError

from stacks.installation.names import WORKER
from tests import clusters
from tests.clusters import Cluster
from tests.platform.conftest import settings
from tests.platform.worker import as_worker, rights_on

OURS = {"app.kubernetes.io/managed-by": "tenantry"}
MADE = {"create", "delete", "get", "list", "patch", "watch"}
READ = {"list", "watch"}
VERBS = (*sorted(MADE | READ), "update", "deletecollection", "impersonate", "bind", "escalate", "approve")
# By resource: the verbs that a worker has in the namespace of a tenant.
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("", "namespaces"): MADE,
    ("", "limitranges"): MADE,
    ("", "persistentvolumeclaims"): MADE,
    ("", "resourcequotas"): MADE,
    ("", "secrets"): MADE - {"list"},
    ("", "serviceaccounts"): MADE,
    ("", "services"): MADE,
    ("apps", "deployments"): MADE,
    ("networking.k8s.io", "ingresses"): MADE,
    ("networking.k8s.io", "networkpolicies"): MADE,
    ("policy", "poddisruptionbudgets"): MADE,
    ("", "pods"): READ,
    ("", "events"): READ,
    ("apps", "replicasets"): READ,
    ("discovery.k8s.io", "endpointslices"): READ,
}
REFUSED = (
    ("", "nodes"),
    ("", "persistentvolumes"),
    ("", "configmaps"),
    ("", "pods/exec"),
    ("", "pods/log"),
    ("", "serviceaccounts/token"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("storage.k8s.io", "storageclasses"),
)


@pytest.fixture
def installed(objects: dynamic.DynamicClient, namespace: str) -> Iterator[Callable[..., None]]:
    """Puts the rights of settings onto the cluster, as the installation does."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(rights_on(objects, settings(namespace=namespace, **more)))


@pytest.fixture
def tenant_space(cluster: Cluster) -> Iterator[str]:
    """A namespace that is a tenant's."""
    with clusters.own_namespace(cluster, **OURS) as name:
        yield name


def _verbs(api: client.ApiClient, account: tuple[str, str], group: str, resource: str, space: str) -> set[str]:
    reviews = client.AuthorizationV1Api(api)
    kind, _, sub = resource.partition("/")

    def allowed(verb: str) -> bool:
        asked = client.V1ResourceAttributes(
            group=group, resource=kind, subresource=sub or None, verb=verb, namespace=space
        )
        spec = client.V1SubjectAccessReviewSpec(
            user=f"system:serviceaccount:{account[0]}:{account[1]}", resource_attributes=asked
        )
        answer = reviews.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
        return bool(answer.status.allowed)

    return {verb for verb in VERBS if allowed(verb)}


def _eventually(there: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_in_tenants_namespaces_a_worker_has_these_verbs_and_no_other(
    api: client.ApiClient, installed: Callable[..., None], namespace: str, tenant_space: str
) -> None:
    installed()
    worker = (namespace, WORKER)
    _eventually(lambda: bool(_verbs(api, worker, "", "secrets", tenant_space)))
    found = {key: _verbs(api, worker, *key, tenant_space) for key in (*ALLOWED, *REFUSED)}
    assert found == {**ALLOWED, **{key: set() for key in REFUSED}}


def test_the_service_has_no_right_at_all(api: client.ApiClient, installed: Callable[..., None], namespace: str) -> None:
    installed()
    _eventually(lambda: bool(_verbs(api, (namespace, WORKER), "", "secrets", namespace)))
    for key in (*ALLOWED, *REFUSED):
        assert _verbs(api, (namespace, "tenantry"), *key, namespace) == set(), key


def test_where_tenants_share_a_namespace_all_rights_end_there(
    api: client.ApiClient, installed: Callable[..., None], namespace: str, tenant_space: str
) -> None:
    installed(tenants={"namespace": tenant_space})
    worker = (namespace, WORKER)
    _eventually(lambda: _verbs(api, worker, "", "secrets", tenant_space) == MADE)
    here = {**ALLOWED, ("", "namespaces"): set(), ("", "secrets"): MADE}
    assert {key: _verbs(api, worker, *key, tenant_space) for key in ALLOWED} == here
    for space in ("kube-system", namespace):
        assert {key: _verbs(api, worker, *key, space) for key in ALLOWED} == {key: set() for key in ALLOWED}


def test_without_tenants_here_a_worker_has_no_right(
    api: client.ApiClient, installed: Callable[..., None], namespace: str
) -> None:
    installed(tenants={"onThisCluster": False})
    for key in ALLOWED:
        assert _verbs(api, (namespace, WORKER), *key, namespace) == set(), key


class _AsWorker:
    """The cluster, as a worker whose pod has the token of its account."""

    def __init__(self, own: dynamic.DynamicClient) -> None:
        self._dynamic = own

    def apply(self, version: str, kind: str, name: str, space: str | None = None, **body: Any) -> None:
        labels = body.pop("labels", None)
        document = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": space}, **body}
        if labels is not None:
            document["metadata"]["labels"] = labels
        resource = self._dynamic.resources.get(api_version=version, kind=kind)
        resource.server_side_apply(
            body=document, name=name, namespace=space, field_manager="worker", force_conflicts=True
        )

    def delete(self, version: str, kind: str, name: str, space: str | None = None) -> None:
        self._dynamic.resources.get(api_version=version, kind=kind).delete(name=name, namespace=space)


def _refused(work: Callable[[], None]) -> str | None:
    """What the API server's policy says; None where it lets it pass."""
    try:
        work()
    except (ForbiddenError, UnprocessibleEntityError, ConflictError) as error:
        return str(error.body)
    return None


@pytest.fixture
def worker(api: client.ApiClient, installed: Callable[..., None], namespace: str) -> Iterator[_AsWorker]:
    installed()
    with as_worker(api, namespace) as own:
        made = _AsWorker(own)
        # A policy is in force some moments after it was made, as are rights.
        _eventually(lambda: "workers write only" in (_refused(lambda: _write(made, namespace)) or ""))
        yield made


def _write(worker: _AsWorker, space: str) -> None:
    worker.apply("v1", "Secret", "written-by-a-worker", space, stringData={"a": "b"})


def test_a_worker_makes_and_removes_a_tenants_namespace(worker: _AsWorker) -> None:
    name = f"isp-{secrets.token_hex(4)}"
    worker.apply("v1", "Namespace", name, labels=OURS)
    _write(worker, name)
    worker.apply("v1", "Secret", "written-by-a-worker", name, stringData={"a": "c"})
    worker.delete("v1", "Secret", "written-by-a-worker", name)
    worker.delete("v1", "Namespace", name)


def test_a_worker_writes_nowhere_else(worker: _AsWorker, namespace: str) -> None:
    for space in ("kube-system", "default", namespace):
        removing = partial(worker.delete, "v1", "ServiceAccount", "default", space)
        for work in (partial(_write, worker, space), removing):
            assert "workers write only" in (_refused(work) or ""), space
    assert "workers write only" in (_refused(partial(worker.delete, "v1", "Namespace", namespace)) or "")


def test_a_worker_takes_no_namespace_by_labelling_it(worker: _AsWorker, namespace: str) -> None:
    for space in ("kube-system", namespace):
        taking = partial(worker.apply, "v1", "Namespace", space, labels=OURS)
        assert "workers write only" in (_refused(taking) or ""), space


def test_a_worker_makes_no_namespace_that_is_no_tenants(worker: _AsWorker) -> None:
    making = partial(worker.apply, "v1", "Namespace", f"other-{secrets.token_hex(4)}")
    assert "workers write only" in (_refused(making) or "")


def test_a_worker_gives_itself_no_rights(worker: _AsWorker, tenant_space: str) -> None:
    with pytest.raises(ForbiddenError):
        worker.apply(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "more",
            tenant_space,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        )
