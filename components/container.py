"""Step `container`: the tenant's application, on the platform that its region has.

Decides which platform places it. What a container is anywhere is decided in `placing`, how each platform has it in
`on_docker`, `on_kubernetes`, `on_process` and `on_railway`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pulumi

from components.placing import AppSpec, Placed, Placing
from components.step import StepComponent
from providers.backends import (
    ContainerBackend,
    DockerBackend,
    KubernetesBackend,
    ProcessBackend,
    RailwayBackend,
    container_of,
)

__all__ = ["AppSpec", "Container"]


class Container(StepComponent):
    """`upstream` is host:port as the gateway reaches it, `url` the same as a URL. `environment` is never shown.

    `cpu` is in cores, `memory_mb` in megabytes. Raises ConfigurationError for what cannot be run.
    """

    def __init__(
        self,
        name: str,
        *,
        app: AppSpec,
        environment: Mapping[str, pulumi.Input[str]],
        cpu: float,
        memory_mb: int,
        region: str,
        tenant_mark: str,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:department:Container", name, tenant=tenant, after=after)
        placing = Placing(
            name=name,
            app=app,
            environment=environment,
            cpu=cpu,
            memory_mb=memory_mb,
            region=region,
            tenant_mark=tenant_mark,
            options=self.child_options,
        )
        backend = container_of(region)
        placed = _platform(backend)(placing, backend)
        self.upstream, self.url = placed.upstream, placed.url
        self.anchor, self.ready = placed.anchor, placed.ready
        self.register_outputs({"upstream": self.upstream, "url": self.url})


def _platform(backend: ContainerBackend) -> Callable[[Placing, ContainerBackend], Placed]:
    # Imported where it is used: the SDKs of docker and kubernetes are half a million lines.
    match backend:
        case ProcessBackend():
            from components.on_process import place_process

            return place_process
        case DockerBackend():
            from components.on_docker import place_docker

            return place_docker
        case RailwayBackend():
            from components.on_railway import place_railway

            return place_railway
        case KubernetesBackend():
            from components.on_kubernetes import place_kubernetes

            return place_kubernetes
