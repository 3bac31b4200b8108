"""A container on Kubernetes: a namespace for the tenant, and in it a secret, a deployment and a service.

Decides what the pod may do: nothing that needs a privilege, no writing but in /tmp, no more CPU and memory than its
share, no token of the cluster's. Where the region names a namespace, all tenants share that one.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import apps, core, meta

from components.placing import Placed, Placing
from providers.backends import ContainerBackend, KubernetesBackend
from providers.names import WHERE_TO_LISTEN

_ANYWHERE = "0.0.0.0"  # noqa: S104 - inside its own pod
_PORT_NAME = "http"
_TMP = "tmp"
_TENANT = "tenantry.dev/tenant"


def place_kubernetes(placing: Placing, backend: ContainerBackend) -> Placed:
    assert isinstance(backend, KubernetesBackend)  # noqa: S101 - chosen by it
    name = placing.name
    cluster = kubernetes.Provider(
        name,
        kubeconfig=backend.kubeconfig,
        context=backend.context,
        # Else a changed secret would be deleted and made again.
        enable_secret_mutable=True,
        opts=placing.options(),
    )
    own: list[pulumi.Resource] = []
    namespace: pulumi.Input[str] = backend.namespace or placing.object_name
    if backend.namespace is None:
        space = core.v1.Namespace(name, metadata=_metadata(placing, None), opts=_on(cluster, placing.options()))
        own, namespace = [space], space.metadata.apply(lambda made: str(made.name))
    metadata = _metadata(placing, namespace)
    secret = core.v1.Secret(
        name,
        metadata=metadata,
        string_data=pulumi.Output.secret(dict(placing.environment)),
        opts=_on(cluster, placing.options(*own)),
    )
    deployment = apps.v1.Deployment(
        name,
        metadata=metadata,
        spec=_deployment(placing, secret),
        opts=_on(cluster, placing.options(secret)),
    )
    service = core.v1.Service(
        name, metadata=metadata, spec=_service(placing), opts=_on(cluster, placing.options(deployment))
    )
    upstream = pulumi.Output.from_input(namespace).apply(
        lambda space: f"{placing.object_name}.{space}.svc:{placing.app.port}"
    )
    url = upstream.apply(lambda address: f"http://{address}")
    # Deployment and service are both awaited by the provider, until the pod is ready and behind the service.
    return Placed(upstream=upstream, url=url, anchor=service, ready=service)


def _on(cluster: kubernetes.Provider, options: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    mine = pulumi.ResourceOptions(
        provider=cluster,
        # Their names are fixed.
        delete_before_replace=True,
        custom_timeouts=pulumi.CustomTimeouts(create="3m", update="3m", delete="2m"),
    )
    return pulumi.ResourceOptions.merge(options, mine)


def _labels(placing: Placing) -> dict[str, str]:
    return {"app.kubernetes.io/name": placing.object_name}


def _metadata(placing: Placing, namespace: pulumi.Input[str] | None) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(
        name=placing.object_name,
        namespace=namespace,
        labels={**_labels(placing), "app.kubernetes.io/managed-by": "tenantry"},
        # A mark has a slash in it, which a label's value may not.
        annotations={_TENANT: placing.tenant_mark},
    )


def _service(placing: Placing) -> core.v1.ServiceSpecArgs:
    port = core.v1.ServicePortArgs(name=_PORT_NAME, port=placing.app.port, target_port=_PORT_NAME)
    return core.v1.ServiceSpecArgs(type="ClusterIP", selector=_labels(placing), ports=[port])


def _deployment(placing: Placing, secret: core.v1.Secret) -> apps.v1.DeploymentSpecArgs:
    pod = core.v1.PodSpecArgs(
        containers=[_container(placing, secret)],
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=placing.app.user,
            run_as_group=placing.app.user,
            fs_group=placing.app.user,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        volumes=[core.v1.VolumeArgs(name=_TMP, empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        termination_grace_period_seconds=15,
    )
    # A pod does not see that its secret has changed: its version in the pod's own description makes another pod.
    version = secret.metadata.apply(lambda made: str(made.resource_version or ""))
    described = meta.v1.ObjectMetaArgs(labels=_labels(placing), annotations={"tenantry.dev/secret": version})
    return apps.v1.DeploymentSpecArgs(
        replicas=1,
        selector=meta.v1.LabelSelectorArgs(match_labels=_labels(placing)),
        strategy=apps.v1.DeploymentStrategyArgs(
            type="RollingUpdate",
            rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
        ),
        template=core.v1.PodTemplateSpecArgs(metadata=described, spec=pod),
    )


def _container(placing: Placing, secret: core.v1.Secret) -> core.v1.ContainerArgs:
    app = placing.app
    share = {"cpu": f"{round(placing.cpu * 1000)}m", "memory": f"{placing.memory_mb}Mi"}
    named = secret.metadata.apply(lambda made: str(made.name))
    return core.v1.ContainerArgs(
        name="app",
        image=app.image,
        args=list(app.command) or None,
        env=[
            core.v1.EnvVarArgs(name=variable, value=value)
            for variable, value in zip(WHERE_TO_LISTEN, (_ANYWHERE, str(app.port)), strict=True)
        ],
        env_from=[core.v1.EnvFromSourceArgs(secret_ref=core.v1.SecretEnvSourceArgs(name=named))],
        ports=[core.v1.ContainerPortArgs(name=_PORT_NAME, container_port=app.port)],
        resources=core.v1.ResourceRequirementsArgs(limits=share, requests=share),
        startup_probe=_probe(app.health_path, period_seconds=2, failure_threshold=60),
        readiness_probe=_probe(app.health_path, period_seconds=5, failure_threshold=3),
        liveness_probe=_probe(app.health_path, period_seconds=10, failure_threshold=3),
        security_context=core.v1.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
        ),
        volume_mounts=[core.v1.VolumeMountArgs(name=_TMP, mount_path="/tmp")],  # noqa: S108 - the pod's own
    )


def _probe(path: str, **more: Any) -> core.v1.ProbeArgs:
    return core.v1.ProbeArgs(http_get=core.v1.HTTPGetActionArgs(path=path, port=_PORT_NAME), timeout_seconds=4, **more)
