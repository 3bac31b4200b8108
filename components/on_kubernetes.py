"""A container on Kubernetes: a namespace for the tenant, and in it a secret, a deployment and a service.

Decides which objects there are; what the pod may do is decided in `pods`. Where the region names a namespace, all
tenants share that one.
"""

from __future__ import annotations

import pulumi
from pulumi_kubernetes import apps, core

from components import pods
from components.placing import Placed, Placing
from providers.backends import ContainerBackend, KubernetesBackend


def place_kubernetes(placing: Placing, backend: ContainerBackend) -> Placed:
    assert isinstance(backend, KubernetesBackend)  # noqa: S101 - chosen by it
    name = placing.name
    cluster = pods.provider(placing, backend)
    own: list[pulumi.Resource] = []
    namespace: pulumi.Input[str] = backend.namespace or placing.object_name
    if backend.namespace is None:
        space = core.v1.Namespace(name, metadata=pods.metadata(placing, None), opts=pods.on(cluster, placing.options()))
        own, namespace = [space], space.metadata.apply(lambda made: str(made.name))
    metadata = pods.metadata(placing, namespace)
    secret = pods.secret(placing, namespace, cluster, placing.options(*own))
    deployment = apps.v1.Deployment(
        name,
        metadata=metadata,
        spec=pods.deployment_spec(placing, backend, secret),
        opts=pods.on(cluster, placing.options(secret)),
    )
    service = core.v1.Service(
        name, metadata=metadata, spec=pods.service_spec(placing), opts=pods.on(cluster, placing.options(deployment))
    )
    upstream = pulumi.Output.from_input(namespace).apply(
        lambda space: f"{placing.object_name}.{space}.svc:{placing.app.port}"
    )
    url = upstream.apply(lambda address: f"http://{address}")
    # Deployment and service are both awaited by the provider, until the pod is ready and behind the service.
    return Placed(upstream=upstream, url=url, anchor=service, ready=service)
