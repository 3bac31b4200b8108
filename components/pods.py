"""What the tenants of every line have in common on Kubernetes: how objects are marked, and what their pods may do.

Decides that a pod may do nothing that needs a privilege: no writing but in /tmp and its own volumes, no more CPU and
memory than its share, no token of the cluster's. Which objects a tenant has is decided by its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes import apps, core, meta

from components.placing import Placing, image_name
from providers.backends import KubernetesBackend
from providers.names import KUBERNETES_TENANT, WHERE_TO_LISTEN

ANYWHERE = "0.0.0.0"  # noqa: S104 - inside its own pod
PORT_NAME = "http"
_TMP = "tmp"
_SECRET_VERSION = "tenantry.dev/secret"  # noqa: S105 - an annotation's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A claim, and where the application finds it."""

    claim: pulumi.Input[str]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How many pods there are, and what each has beside its share.

    `recreate` ends the old pod before the new one begins; else a new one is ready before an old one goes. `spread` asks
    for pods on different nodes and in different zones, as far as there are any. A pod that does not serve
    `start_seconds` after it was started is started anew.
    """

    replicas: int = 1
    recreate: bool = False
    spread: bool = False
    start_seconds: int = 120
    service_account: pulumi.Input[str] | None = None
    volumes: Sequence[Volume] = field(default=())


def provider(placing: Placing, backend: KubernetesBackend) -> kubernetes.Provider:
    """The cluster of the tenant's region."""
    return kubernetes.Provider(
        placing.name,
        kubeconfig=backend.kubeconfig,
        context=backend.context,
        # Else a changed secret would be deleted and made again.
        enable_secret_mutable=True,
        opts=placing.options(),
    )


def on(
    cluster: kubernetes.Provider, options: pulumi.ResourceOptions, *, create: str = "3m", delete: str = "2m"
) -> pulumi.ResourceOptions:
    """The options of an object on the cluster, with its time limits."""
    mine = pulumi.ResourceOptions(
        provider=cluster,
        # Their names are fixed.
        delete_before_replace=True,
        custom_timeouts=pulumi.CustomTimeouts(create=create, update=create, delete=delete),
    )
    return pulumi.ResourceOptions.merge(options, mine)


def selector(placing: Placing) -> dict[str, str]:
    """By what the tenant's pods are known."""
    return {"app.kubernetes.io/name": placing.object_name}


def metadata(
    placing: Placing,
    namespace: pulumi.Input[str] | None,
    *,
    suffix: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> meta.v1.ObjectMetaArgs:
    """Name and marks of an object of the tenant."""
    return meta.v1.ObjectMetaArgs(
        name=f"{placing.object_name}{suffix}",
        namespace=namespace,
        labels={
            **selector(placing),
            "app.kubernetes.io/managed-by": "tenantry",
            KUBERNETES_TENANT: placing.name,
            **(labels or {}),
        },
        # A mark has a slash in it, which a label's value may not.
        annotations={KUBERNETES_TENANT: placing.tenant_mark, **(annotations or {})},
    )


def secret(
    placing: Placing, namespace: pulumi.Input[str], cluster: kubernetes.Provider, options: pulumi.ResourceOptions
) -> core.v1.Secret:
    """The application's variables."""
    return core.v1.Secret(
        placing.name,
        metadata=metadata(placing, namespace),
        string_data=pulumi.Output.secret(dict(placing.environment)),
        opts=on(cluster, options),
    )


def service_spec(placing: Placing) -> core.v1.ServiceSpecArgs:
    port = core.v1.ServicePortArgs(name=PORT_NAME, port=placing.app.port, target_port=PORT_NAME)
    return core.v1.ServiceSpecArgs(type="ClusterIP", selector=selector(placing), ports=[port])


def deployment_spec(
    placing: Placing, backend: KubernetesBackend, settings: core.v1.Secret, workload: Workload | None = None
) -> apps.v1.DeploymentSpecArgs:
    """The pods, whose variables are those of the secret `settings`."""
    workload = workload or Workload()
    # A pod does not see that its secret has changed: its version in the pod's own description makes another pod.
    version = settings.metadata.apply(lambda made: str(made.resource_version or ""))
    labels = {**selector(placing), KUBERNETES_TENANT: placing.name}
    described = meta.v1.ObjectMetaArgs(labels=labels, annotations={_SECRET_VERSION: version})
    return apps.v1.DeploymentSpecArgs(
        replicas=workload.replicas,
        selector=meta.v1.LabelSelectorArgs(match_labels=selector(placing)),
        strategy=_strategy(workload),
        template=core.v1.PodTemplateSpecArgs(metadata=described, spec=_pod(placing, backend, settings, workload)),
    )


def _strategy(workload: Workload) -> apps.v1.DeploymentStrategyArgs:
    if workload.recreate:
        return apps.v1.DeploymentStrategyArgs(type="Recreate")
    rolling = apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0)
    return apps.v1.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=rolling)


def _pod(
    placing: Placing, backend: KubernetesBackend, settings: core.v1.Secret, workload: Workload
) -> core.v1.PodSpecArgs:
    volumes = [core.v1.VolumeArgs(name=_TMP, empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))]
    mounts = [core.v1.VolumeMountArgs(name=_TMP, mount_path="/tmp")]  # noqa: S108 - the pod's own
    for index, volume in enumerate(workload.volumes):
        claim = core.v1.PersistentVolumeClaimVolumeSourceArgs(claim_name=volume.claim)
        volumes.append(core.v1.VolumeArgs(name=f"data{index or ''}", persistent_volume_claim=claim))
        mounts.append(core.v1.VolumeMountArgs(name=f"data{index or ''}", mount_path=volume.path))
    return core.v1.PodSpecArgs(
        containers=[_container(placing, backend, settings, mounts, workload.start_seconds)],
        service_account_name=workload.service_account,
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=placing.app.user,
            run_as_group=placing.app.user,
            fs_group=placing.app.user,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        topology_spread_constraints=_spread(placing) if workload.spread else None,
        volumes=volumes,
        termination_grace_period_seconds=15,
    )


def _spread(placing: Placing) -> list[core.v1.TopologySpreadConstraintArgs]:
    return [
        core.v1.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=key,
            # A cluster of one node, or of one zone, still has to run them all.
            when_unsatisfiable="ScheduleAnyway",
            label_selector=meta.v1.LabelSelectorArgs(match_labels=selector(placing)),
        )
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _container(
    placing: Placing,
    backend: KubernetesBackend,
    settings: core.v1.Secret,
    mounts: Sequence[core.v1.VolumeMountArgs],
    start_seconds: int,
) -> core.v1.ContainerArgs:
    app = placing.app
    share = {"cpu": f"{round(placing.cpu * 1000)}m", "memory": f"{placing.memory_mb}Mi"}
    named = settings.metadata.apply(lambda made: str(made.name))
    return core.v1.ContainerArgs(
        name="app",
        image=image_name(app.image, backend.registry, backend.tag),
        args=list(app.command) or None,
        env=[
            core.v1.EnvVarArgs(name=variable, value=value)
            for variable, value in zip(WHERE_TO_LISTEN, (ANYWHERE, str(app.port)), strict=True)
        ],
        env_from=[core.v1.EnvFromSourceArgs(secret_ref=core.v1.SecretEnvSourceArgs(name=named))],
        ports=[core.v1.ContainerPortArgs(name=PORT_NAME, container_port=app.port)],
        resources=core.v1.ResourceRequirementsArgs(limits=share, requests=share),
        startup_probe=_probe(app.health_path, period_seconds=2, failure_threshold=start_seconds // 2),
        readiness_probe=_probe(app.health_path, period_seconds=5, failure_threshold=3),
        liveness_probe=_probe(app.health_path, period_seconds=10, failure_threshold=3),
        security_context=core.v1.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
        ),
        volume_mounts=list(mounts),
    )


def _probe(path: str, **more: Any) -> core.v1.ProbeArgs:
    return core.v1.ProbeArgs(http_get=core.v1.HTTPGetActionArgs(path=path, port=PORT_NAME), timeout_seconds=4, **more)
