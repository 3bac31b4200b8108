"""`tenantry platform` on a real API server: up until all is ready, a second that changes nothing, and nothing left."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.installation.names import Document
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.clusters import Cluster

INGRESS = {"host": "tenantry.example.com", "class": "nginx", "tls": {"issuer": "letsencrypt"}}
pytestmark = pytest.mark.timeout(600)


class Operator:
    """Somebody with a project, a kubeconfig and a platform.yaml."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str, cluster: Cluster) -> None:
        self.folder, self.namespace, self._cluster = folder, namespace, cluster
        (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "TENANTRY_ENGINE": "embedded",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }

    def write(self, **more: Any) -> None:
        content = {
            "image": "registry.example/tenantry:1",
            "namespace": self.namespace,
            "database": {"host": "db"},
            **more,
        }
        (self.folder / "platform.yaml").write_text(yaml.safe_dump(content))

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = self._done("-m", "automation", "platform", *words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def pulumi(self, *words: str) -> str:
        """The words of the stock CLI, in the project of `stacks/platform`."""
        project = self.folder / "stacks" / "platform"
        if not (project / "Pulumi.yaml").exists():
            shutil.copytree(ROOT / "stacks" / "platform", project, dirs_exist_ok=True)
            (self.folder / ".venv").symlink_to(sys.prefix)
        done = self._done("-m", "engine", "-C", str(project), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _done(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def manifests(self) -> list[Document]:
        found: list[Document] = self.run("manifests")["items"]
        return found

    def there(self) -> set[str]:
        """Which of the manifests' objects are on the cluster."""
        return {_key(each) for each in self.manifests() if self._cluster.get(_path(each)) is not None}


_PLURALS = {
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}


def _path(document: Document) -> str:
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{space}/{_PLURALS.get(kind, f'{kind.lower()}s')}/{metadata['name']}"


def _key(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


@pytest.fixture
def operator(tmp_path: Path, kubeconfig: Path, namespace: str, cluster: Cluster) -> Iterator[Operator]:
    made = Operator(tmp_path, kubeconfig, namespace, cluster)
    made.write(ingress=INGRESS)
    yield made
    if made.there():
        made.run("destroy", "--yes")


def test_the_life_of_an_installation(operator: Operator, cluster: Cluster) -> None:
    every = {_key(each) for each in operator.manifests()}
    plan = operator.run("preview")
    assert len(plan["changes"]) == len(every)
    assert operator.there() == set()

    assert len(operator.run("up")["changes"]) == len(every)
    assert operator.there() == every
    space = f"/namespaces/{operator.namespace}"
    service = cluster.get(f"/apis/apps/v1{space}/deployments/tenantry")
    assert service is not None
    assert service["status"]["availableReplicas"] == 2
    # Nobody gives the cluster the figure, and there are the least all the same.
    cluster.until(
        f"/apis/apps/v1{space}/deployments/tenantry-worker",
        lambda found: found["status"].get("availableReplicas") == 2 and found["spec"]["replicas"] == 2,
    )
    # How many there are is the autoscaler's, so it is no change.
    assert operator.run("up", "--expect-no-changes")["changed"] is False

    operator.write(ingress=INGRESS, workers={"queueAgeSeconds": 60, "concurrency": 4})
    changed = {change["name"] for change in operator.run("up")["changes"]}
    assert changed == {
        "configmap-tenantry-settings",
        "deployment-tenantry",
        "deployment-tenantry-worker",
        "horizontalpodautoscaler-tenantry-worker",
    }
    pods = cluster.items(f"/api/v1{space}/pods")
    settings = {
        pod["metadata"]["annotations"]["tenantry.dev/settings"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    }
    assert len(settings) == 1

    operator.run("destroy", "--yes")
    assert operator.there() == set()
    assert cluster.get(f"/api/v1{space}") is not None
    assert operator.run("destroy", "--yes", code=2)["error"]["message"].startswith("there is no installation")


def test_an_image_that_cannot_be_had_ends_with_the_pods_reason_and_the_old_pods_stay(
    operator: Operator, cluster: Cluster
) -> None:
    operator.write(workers={"autoscaling": "none"})
    operator.run("up")
    operator.write(image="registry.invalid/tenantry:2", workers={"autoscaling": "none"}, readySeconds=8)
    error = operator.run("up", code=9)["error"]
    assert "registry.invalid/tenantry:2" in error["message"]
    for name in ("tenantry", "tenantry-worker"):
        found = cluster.get(f"/apis/apps/v1/namespaces/{operator.namespace}/deployments/{name}")
        assert found is not None
        assert found["status"]["availableReplicas"] == 2
    operator.write(workers={"autoscaling": "none"})
    operator.run("up")


def test_the_project_of_the_stock_cli_makes_the_same(operator: Operator) -> None:
    operator.run("up")
    stack = operator.namespace
    assert "tenantry-platform" in operator.pulumi("stack", "-s", stack)
    operator.pulumi("preview", "-s", stack, "--expect-no-changes")


def test_what_kubectl_made_is_not_taken_over(operator: Operator, cluster: Cluster) -> None:
    settings = next(each for each in operator.manifests() if each["kind"] == "ConfigMap")
    path = f"{_path(settings)}?fieldManager=kubectl-client-side-apply"
    answer = cluster.call(
        "PATCH", path, {**settings, "data": {"DB_HOST": "another"}}, kind="application/apply-patch+yaml"
    )
    assert answer.is_success
    error = operator.run("up", code=9)["error"]
    assert "tenantry-settings" in error["message"]
    assert "kubectl" in error["message"]
    cluster.delete(_path(settings))


def test_wrong_settings_touch_nothing(operator: Operator) -> None:
    operator.write(workers={"min": 5, "max": 2}, databse={})
    error = operator.run("up", code=2)["error"]
    assert {problem["field"] for problem in error["details"]["problems"]} == {"databse", "workers"}
    operator.write()
    assert operator.there() == set()
