"""What an ISP is made from, as plain values, and what its platform makes of it. Pure.

Decides nothing: `stacks.isp.arguments` fills this in, `isp_on_kubernetes` and `isp_on_docker` read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi

from components.placing import AppSpec, Placed, Placing
from providers.names import isp_identifier

PREFIX = "isp"
DATA = "/data"
"""Where the application finds its volume."""
ASKING = 2
"""Sessions of those who ask whether an ISP works: a run of its own, and whoever looks meanwhile."""
Options = Callable[..., pulumi.ResourceOptions]


@dataclass(frozen=True, slots=True, kw_only=True)
class IspSize:
    """Of the whole tenant: cores, MiB, MiB, connections."""

    cpu_cores: float
    memory_mib: int
    storage_mib: int
    max_connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IspEntrance:
    """How it is reached. An empty `host` and `url`: at its published port.

    `certificate` is whose it is: issuer, own, gateway or none. `certificate_from` and `key_from` are the names of
    variables.
    """

    host: str = ""
    certificate: str = "none"
    url: str = ""
    certificate_from: str | None = None
    key_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IspArgs:
    """`share_cpu` and `share_memory_mib` are what each of `replicas` is given.

    `laid_seconds` is how long each object around its container may take, `ready_seconds` the container to come up,
    `health_seconds` until all parts work.
    """

    slug: str
    tenant_mark: str
    name: str
    admin_email: str | None
    region: str
    plan: str
    customers: int
    features: Sequence[str]
    template_id: str
    template_version: str
    app: AppSpec
    environment: Mapping[str, str]
    size: IspSize
    replicas: int
    share_cpu: float
    share_memory_mib: int
    entrance: IspEntrance
    laid_seconds: float
    ready_seconds: float
    health_seconds: float

    @property
    def identifier(self) -> str:
        """What its database is called."""
        return isp_identifier(self.slug)

    @property
    def object_name(self) -> str:
        """What its objects are called on the platform."""
        return f"{PREFIX}-{self.slug}"

    @property
    def pod_connections(self) -> int:
        """How many connections to the database each replica is told that it may have."""
        return max(1, self.size.max_connections // self.replicas)

    @property
    def granted_connections(self) -> int:
        """How many the server lets it have: enough for all replicas, and for whoever asks whether it works.

        An application may hold all that it is told. Of several replicas, the next one comes before the last one goes.
        """
        pods = self.replicas + (1 if self.replicas > 1 else 0)
        return max(self.size.max_connections, pods * self.pod_connections) + ASKING

    def placing(self, options: Options, environment: Mapping[str, pulumi.Input[str]] | None = None) -> Placing:
        """Its container, with the options of a step's children."""
        return Placing(
            name=self.slug,
            app=self.app,
            environment=environment or {},
            cpu=self.share_cpu,
            memory_mb=self.share_memory_mib,
            region=self.region,
            tenant_mark=self.tenant_mark,
            options=options,
            prefix=PREFIX,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where it is reached; `ready` is there when requests come in."""

    url: pulumi.Output[str]
    ready: Sequence[pulumi.Resource] = field(default=())


class Platform(Protocol):
    """The three steps that differ by platform. Each is given the options of its component's children."""

    def lay(self, options: Options) -> Sequence[pulumi.Resource]:
        """Makes the infrastructure: what the container waits for."""
        ...

    def run(self, environment: Mapping[str, pulumi.Input[str]], options: Options) -> Placed:
        """Runs the application in it."""
        ...

    def open(self, placed: Placed, options: Options) -> Opened:
        """Lets requests in."""
        ...

    def outputs(self) -> dict[str, Any]:
        """What of the stack's outputs is the platform's: where the container is."""
        ...
