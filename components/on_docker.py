"""A container on a Docker engine: a network of its own, and a port of the host that stays the same.

Decides what the container may do: nothing that needs a capability, no writing but in /tmp, no more CPU and memory than
its share; and who can reach it: whoever reaches the host's port, but no other tenant's container.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.placing import AppSpec, Placed, Placing, image_name
from providers.backends import ContainerBackend, DockerBackend
from providers.container_ready import ContainerReady
from providers.published_port import NAME_LABEL, TENANT_LABEL, PublishedPort

_ANYWHERE = "0.0.0.0"  # noqa: S104 - inside its own network
_TMP = {"/tmp": "rw,noexec,nosuid,nodev,size=64m"}  # noqa: S108 - the container's own
READY_SECONDS = 60.0


def place_docker(placing: Placing, backend: ContainerBackend) -> Placed:
    assert isinstance(backend, DockerBackend)  # noqa: S101 - chosen by it
    engine = engine_of(placing, backend)
    published = published_port(placing)
    network = own_network(placing, engine)
    return run_container(placing, backend, engine, network, published)


def engine_of(placing: Placing, backend: DockerBackend) -> docker.Provider:
    """The engine of the tenant's region."""
    return docker.Provider(placing.name, host=backend.host, opts=placing.options())


def published_port(placing: Placing) -> PublishedPort:
    return PublishedPort(
        placing.name,
        {"region": placing.region, "name": placing.object_name, "tenant_mark": placing.tenant_mark},
        placing.options(),
    )


def own_network(placing: Placing, engine: docker.Provider) -> docker.Network:
    return docker.Network(
        placing.name,
        name=placing.object_name,
        driver="bridge",
        labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in labels(placing).items()],
        opts=alone(engine, placing.options()),
    )


def run_container(
    placing: Placing,
    backend: DockerBackend,
    engine: docker.Provider,
    network: docker.Network,
    published: PublishedPort,
    volumes: Mapping[str, pulumi.Input[str]] | None = None,
    seconds: float = READY_SECONDS,
) -> Placed:
    """The container with its image. `volumes` are the names of volumes by the folders that they are mounted at.

    It has `seconds` to become ready.
    """
    name = placing.name
    image = docker.RemoteImage(
        name,
        name=image_name(placing.app.image, backend.registry, backend.tag),
        keep_locally=True,
        # The new one is fetched while the old container serves: if it cannot be, nothing has been touched.
        opts=pulumi.ResourceOptions.merge(placing.options(), pulumi.ResourceOptions(provider=engine)),
    )
    options = alone(engine, placing.options(network))
    container = _container(placing, backend, image, network, published, volumes or {}, options)
    upstream = published.port.apply(lambda port: f"{_host(backend)}:{port}")
    url = upstream.apply(lambda address: f"http://{address}")
    ready = ContainerReady(
        name,
        container=placing.object_name,
        region=placing.region,
        url=url.apply(lambda base: f"{base}{placing.app.health_path}"),
        revision=container.id,
        seconds=seconds,
        opts=placing.options(container),
    )
    return Placed(upstream=upstream, url=url, anchor=container, ready=ready, revision=container.id)


def _container(
    placing: Placing,
    backend: DockerBackend,
    image: docker.RemoteImage,
    network: docker.Network,
    published: PublishedPort,
    volumes: Mapping[str, pulumi.Input[str]],
    options: pulumi.ResourceOptions,
) -> docker.Container:
    app = placing.app
    port = docker.ContainerPortArgs(internal=app.port, external=published.port, ip=backend.published_on)
    return docker.Container(
        placing.name,
        name=placing.object_name,
        image=image.image_id,
        command=list(app.command) or None,
        envs=_variables(placing),
        cpus=f"{placing.cpu:g}",
        memory=placing.memory_mb,
        memory_swap=placing.memory_mb,  # both together: none
        healthcheck=_healthcheck(app),
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        user=f"{app.user}:{app.user}",
        read_only=True,
        tmpfs=_TMP,
        volumes=[
            docker.ContainerVolumeArgs(container_path=folder, volume_name=volume) for folder, volume in volumes.items()
        ]
        or None,
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name)],
        ports=[port],
        labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in labels(placing).items()],
        log_driver="json-file",
        log_opts={"max-size": "10m", "max-file": "2"},
        restart="unless-stopped",
        destroy_grace_seconds=10,
        must_run=True,
        # Beside it, so that what does not need it to serve need not wait: see ContainerReady.
        wait=False,
        opts=options,
    )


def alone(engine: docker.Provider, options: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """The options of what is one of its name on the engine."""
    # Its name and its port cannot be had twice.
    mine = pulumi.ResourceOptions(provider=engine, delete_before_replace=True)
    return pulumi.ResourceOptions.merge(options, mine)


def labels(placing: Placing) -> dict[str, str]:
    """By what the tenant's objects are known."""
    return {NAME_LABEL: placing.object_name, TENANT_LABEL: placing.tenant_mark}


def _host(backend: DockerBackend) -> str:
    return f"[{backend.published_on}]" if ":" in backend.published_on else backend.published_on


def _variables(placing: Placing) -> pulumi.Output[list[str]]:
    given = {**placing.environment, "HOST": _ANYWHERE, "PORT": str(placing.app.port)}
    joined = pulumi.Output.all(**given).apply(lambda values: sorted(f"{key}={value}" for key, value in values.items()))
    secret: pulumi.Output[list[str]] = pulumi.Output.secret(joined)
    return secret


def _healthcheck(app: AppSpec) -> docker.ContainerHealthcheckArgs:
    """In the container's own words, as nobody else may reach it."""
    url = shlex.quote(f"http://127.0.0.1:{app.port}{app.health_path}")
    python = shlex.quote(f"import urllib.request as r; r.urlopen({url.strip(chr(39))!r}, timeout=4)")
    tries = (f"wget -q -T 4 -O /dev/null {url}", f"curl -fsS -m 4 -o /dev/null {url}", f"python3 -c {python}")
    tests = ["CMD", *app.health_command] if app.health_command else ["CMD-SHELL", " || ".join(tries)]
    return docker.ContainerHealthcheckArgs(
        tests=tests, interval="2s", timeout="5s", retries=3, start_period=f"{READY_SECONDS:.0f}s"
    )
