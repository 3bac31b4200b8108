"""The port of a Docker host that a tenant's container is published on: chosen once, the same at every restart.

Docker would choose another one at each start. A port is reserved by an empty volume of its name on the host: making one
is atomic for all who provision there, and its labels say whose the port is.
"""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

from providers.backends import DockerBackend, container_of
from providers.errors import ConfigurationError, OwnershipError, ProviderError
from providers.props import diff_of, required

if TYPE_CHECKING:
    from providers.docker.client import Client

IDENTITY = ("region", "name", "tenant_mark")
# Below what Linux gives to outgoing connections, so that a port is still there when its container starts again.
PORTS = range(21_000, 30_000)
PORT_LABEL, NAME_LABEL, TENANT_LABEL = "tenantry.port", "tenantry.container", "tenantry.tenant"


class PublishedPortProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        with engine_of(str(props["region"]), str(props["name"])) as (backend, client):
            port = client.retrying(lambda: _kept(client, props) or _reserved(client, backend.published_on, props))
        return CreateResult(_volume(port), {**props, "port": port})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        with engine_of(str(props["region"]), str(props["name"])) as (_, client):
            found = client.retrying(lambda: _found(client, id_))
        if found is None or not _is_ours(found, props):
            return ReadResult("", {})
        return ReadResult(id_, {**props, "port": int(found["Labels"][PORT_LABEL])})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        with engine_of(str(_props["region"]), str(_props["name"])) as (_, client):
            client.retrying(lambda: _remove(client, _id, _props))


class PublishedPort(Resource, module="tenantry", name="PublishedPort"):
    port: pulumi.Output[int]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(PublishedPortProvider(), name, {**props, "port": None}, opts)


@contextlib.contextmanager
def engine_of(region: str, name: str) -> Iterator[tuple[DockerBackend, Client]]:
    """The region's Docker engine, for as long as it is used. Raises ConfigurationError where it has none now."""
    from providers.docker.client import Client
    from providers.docker.config import resolve

    backend = container_of(region)
    if not isinstance(backend, DockerBackend):
        raise ConfigurationError(
            f"container {name!r}: region {region!r} now runs containers on {backend.platform}. "
            "Give the region back its platform, remove the tenant, then change it."
        )
    client = Client(config=resolve({"host": backend.host} if backend.host else {}))
    with contextlib.closing(client):
        yield backend, client


def _found(client: Client, volume: str) -> dict[str, Any] | None:
    return client.find(f"look for volume {volume!r}", lambda api: dict(api.inspect_volume(volume)))


def _remove(client: Client, volume: str, props: dict[str, Any]) -> None:
    found = _found(client, volume)
    if found is not None and _is_ours(found, props):
        client.find(f"remove volume {volume!r}", lambda api: api.remove_volume(volume))


def _kept(client: Client, props: dict[str, Any]) -> int | None:
    """The container's port from a run that was cut off. Raises OwnershipError where another tenant has the name."""
    for volume in _reservations(client):
        if volume["Labels"].get(NAME_LABEL) != props["name"]:
            continue
        if not _is_ours(volume, props):
            owner = volume["Labels"].get(TENANT_LABEL) or "somebody else"
            raise OwnershipError(f"container {props['name']!r}: it belongs to {owner}. Choose another name.")
        return int(volume["Labels"][PORT_LABEL])
    return None


def _reserved(client: Client, address: str, props: dict[str, Any]) -> int:
    taken = {int(volume["Labels"][PORT_LABEL]) for volume in _reservations(client)}
    taken |= _published(client)
    first = random.choice(PORTS)  # noqa: S311 - no secret
    for offset in range(len(PORTS)):
        port = PORTS[(first - PORTS.start + offset) % len(PORTS)]
        if port not in taken and _may_be_free(address, port) and _take(client, port, props):
            return port
    raise ProviderError(
        f"container {props['name']!r}: no port from {PORTS.start} to {PORTS.stop - 1} is free. Remove some tenants."
    )


def _take(client: Client, port: int, props: dict[str, Any]) -> bool:
    volume = _volume(port)
    labels = {PORT_LABEL: str(port), NAME_LABEL: str(props["name"]), TENANT_LABEL: str(props["tenant_mark"])}
    client.call(f"create volume {volume!r}", lambda api: api.create_volume(volume, labels=labels))
    # Where it was there before, its labels are another's.
    found = client.call(f"look for volume {volume!r}", lambda api: dict(api.inspect_volume(volume)))
    return (found.get("Labels") or {}) == labels


def _reservations(client: Client) -> list[dict[str, Any]]:
    found = client.call("list volumes", lambda api: dict(api.volumes(filters={"label": PORT_LABEL})))
    return list(found.get("Volumes") or [])


def _published(client: Client) -> set[int]:
    containers = client.call("list containers", lambda api: list(api.containers(all=True)))
    return {int(port["PublicPort"]) for each in containers for port in each.get("Ports") or [] if "PublicPort" in port}


def _may_be_free(address: str, port: int) -> bool:
    # Only where the engine is on this machine can another program be seen; elsewhere the engine's answer decides.
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _is_ours(volume: dict[str, Any], props: dict[str, Any]) -> bool:
    labels = volume.get("Labels") or {}
    return bool(labels.get(TENANT_LABEL) == props["tenant_mark"] and labels.get(NAME_LABEL) == props["name"])


def _volume(port: int) -> str:
    return f"tenantry-port-{port}"
