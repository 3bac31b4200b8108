"""An ISP on a Docker engine, for development: network, volume and port; its container; and its route at the gateway.

Decides what stands for what Kubernetes has: the container's own limits for quota and limits, a network of its own for
the policies, the region's gateway, if it has one, for ingress and certificate. A volume's size is not limited here: no
engine does that with its usual driver. An image needs the folder of the volume, writable by its account, as the engine
makes it the image's way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from components import on_docker
from components.isp_args import DATA, IspArgs, Opened, Options
from components.placing import Placed
from providers.backends import DockerBackend
from providers.caddy.route import GatewayRoute
from providers.published_port import PublishedPort


class IspOnDocker:
    """The three steps of an ISP on an engine. Each needs those before it."""

    def __init__(self, args: IspArgs, backend: DockerBackend) -> None:
        self._args, self._backend = args, backend
        self._engine: docker.Provider
        self._laid: tuple[docker.Network, PublishedPort, docker.Volume]

    def lay(self, options: Options) -> Sequence[pulumi.Resource]:
        placing = self._args.placing(options)
        self._engine = on_docker.engine_of(placing, self._backend)
        volume = docker.Volume(
            placing.name,
            name=placing.object_name,
            labels=[
                docker.VolumeLabelArgs(label=label, value=value) for label, value in on_docker.labels(placing).items()
            ],
            opts=on_docker.alone(self._engine, placing.options()),
        )
        published = on_docker.published_port(placing)
        self._laid = on_docker.own_network(placing, self._engine), published, volume
        return self._laid

    def run(self, environment: Mapping[str, pulumi.Input[str]], options: Options) -> Placed:
        placing = self._args.placing(options, environment)
        network, published, volume = self._laid
        return on_docker.run_container(
            placing, self._backend, self._engine, network, published, {DATA: volume.name}, self._args.ready_seconds
        )

    def open(self, placed: Placed, options: Options) -> Opened:
        if not self._args.entrance.host:
            return Opened(url=placed.url)
        placing = self._args.placing(options)
        route = GatewayRoute(
            placing.name,
            {
                "region": placing.region,
                "label": self._args.slug,
                "tenant_mark": placing.tenant_mark,
                "upstream": placed.upstream,
                "auth": "none",
                "requests_per_minute": None,
            },
            placing.options(),
        )
        return Opened(url=route.url, ready=[route])

    def outputs(self) -> dict[str, Any]:
        return {"container": self._args.object_name}
