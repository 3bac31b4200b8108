"""A container as a process of this machine, under supervisor: for development, without isolation.

Decides what a process is given. An image means nothing to it, and a share of CPU cannot be had without a container.
"""

from __future__ import annotations

import pulumi

from components.placing import Placed, Placing
from providers.backends import ContainerBackend
from providers.container_ready import ContainerReady
from providers.errors import ConfigurationError
from providers.supervisor.files import HOST
from providers.supervisor.process import Process


def place_process(placing: Placing, _backend: ContainerBackend) -> Placed:
    """Raises ConfigurationError without a command."""
    app, name = placing.app, placing.object_name
    if not app.command:
        raise ConfigurationError(
            f"container {name!r}: on the platform process, an application needs a command: give app.command."
        )
    process = Process(
        placing.name,
        {
            "region": placing.region,
            "name": name,
            "tenant_mark": placing.tenant_mark,
            "command": list(app.command),
            "environment": pulumi.Output.secret(dict(placing.environment)),
            "memory_mb": placing.memory_mb,
        },
        placing.options(),
    )
    upstream = process.port.apply(lambda port: f"{HOST}:{port}")
    url = upstream.apply(lambda address: f"http://{address}")
    ready = ContainerReady(
        placing.name,
        container=name,
        region=placing.region,
        url=url.apply(lambda base: f"{base}{app.health_path}"),
        revision=process.revision,
        opts=placing.options(process),
    )
    return Placed(upstream=upstream, url=url, anchor=process, ready=ready)
