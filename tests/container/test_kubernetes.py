"""The component on the platform `kubernetes`, as it is declared."""

from typing import Any

import pulumi
import pytest

from components.container import AppSpec, Container
from tests.cabinet.conftest import recorder, run
from tests.container.conftest import REGION, Regions

__all__ = ["recorder", "run"]

SECRET = "s3cret-of-the-tenant"
Props = dict[str, Any]


def declared(run: Any, **changes: Any) -> dict[str, tuple[Any, bool]]:
    def program() -> None:
        given: Props = {
            "app": AppSpec(image="registry.example/app:1", command=("serve",), port=9000, health_path="/up"),
            "environment": {"TENANT": "One", "WORD": pulumi.Output.secret(SECRET)},
            "cpu": 0.25,
            "memory_mb": 300,
            "region": REGION,
            "tenant_mark": "tests/one",
            "tenant": pulumi.ComponentResource("tests:Tenant", "acme"),
            "after": [],
        }
        made = Container("acme", **given | changes)
        pulumi.export("upstream", made.upstream)
        pulumi.export("url", made.url)

    found: dict[str, tuple[Any, bool]] = run(program)
    return found


def inputs(recorder: Any, ending: str) -> Props:
    found: Props = recorder.inputs[recorder.key(ending)]
    return found


@pytest.fixture
def cluster(regions: Regions) -> None:
    regions(**{REGION: {"platform": "kubernetes", "kubeconfig": "/etc/tenantry/kubeconfig", "context": "eu"}})


def test_where_it_is(cluster: None, recorder: Any, run: Any) -> None:
    outputs = declared(run)
    assert outputs["upstream"] == ("tenant-acme.tenant-acme.svc:9000", False)
    assert outputs["url"] == ("http://tenant-acme.tenant-acme.svc:9000", False)
    provider = inputs(recorder, "providers:kubernetes")
    assert (provider["kubeconfig"], provider["context"]) == ("/etc/tenantry/kubeconfig", "eu")
    for ending in ("v1:Secret", "v1:Deployment", "v1:Service"):
        metadata = inputs(recorder, ending)["metadata"]
        assert (metadata["name"], metadata["namespace"]) == ("tenant-acme", "tenant-acme")
        assert metadata["annotations"] == {"tenantry.dev/tenant": "tests/one"}


def test_a_shared_namespace(regions: Regions, recorder: Any, run: Any) -> None:
    regions(**{REGION: {"platform": "kubernetes", "namespace": "tenants"}})
    assert declared(run)["upstream"] == ("tenant-acme.tenants.svc:9000", False)
    assert not [key for key in recorder.order if "Namespace" in key]


def test_what_its_pod_may_do(cluster: None, recorder: Any, run: Any) -> None:
    declared(run)
    pod = inputs(recorder, "v1:Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65_534,
        "runAsGroup": 65_534,
        "fsGroup": 65_534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    [app] = pod["containers"]
    assert app["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    share = {"cpu": "250m", "memory": "300Mi"}
    assert app["resources"] == {"limits": share, "requests": share}
    assert app["args"] == ["serve"]
    assert app["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert app[probe]["httpGet"] == {"path": "/up", "port": "http"}
    assert app["ports"] == [{"name": "http", "containerPort": 9000}]
    assert {each["name"]: each["value"] for each in app["env"]}["PORT"] == "9000"
    service = inputs(recorder, "v1:Service")["spec"]
    selector = inputs(recorder, "v1:Deployment")["spec"]["selector"]["matchLabels"]
    assert service["selector"] == selector
    assert service["ports"] == [{"name": "http", "port": 9000, "targetPort": "http"}]


def test_its_environment_is_in_a_secret_alone(cluster: None, recorder: Any, run: Any) -> None:
    declared(run)
    holding = [key for key, values in recorder.inputs.items() if SECRET in repr(values)]
    assert holding == [recorder.key("v1:Secret")]
    wire = recorder.requests[recorder.key("v1:Secret")].object.fields["stringData"].struct_value
    assert "4dabf18193072939515e22adb298388d" in wire.fields
    [app] = inputs(recorder, "v1:Deployment")["spec"]["template"]["spec"]["containers"]
    assert app["envFrom"] == [{"secretRef": {"name": "tenant-acme"}}]


def test_one_waits_for_the_other(cluster: None, recorder: Any, run: Any) -> None:
    declared(run)

    def needed(ending: str) -> set[str]:
        urns = recorder.requests[recorder.key(ending)].dependencies
        return {urn.rpartition("$")[2].split("::")[0] for urn in urns}

    assert "kubernetes:core/v1:Namespace" in needed("v1:Secret")
    assert "kubernetes:core/v1:Secret" in needed("v1:Deployment")
    assert "kubernetes:apps/v1:Deployment" in needed("v1:Service")
