"""What a container is, on whichever platform: the application, its settings, and what placing it gives. Pure.

Decides which applications, names and settings can be run anywhere at all, and what the container is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pulumi

from providers.errors import ConfigurationError
from providers.names import HEALTH_PATH, WHERE_TO_LISTEN

_NAME = re.compile(r"[a-z][a-z0-9-]{0,54}[a-z0-9]|[a-z]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """What a tenant's container runs. It listens where HOST and PORT say, and answers `health_path` with 2xx.

    `command` is the image's own where it is empty; the platform `process` knows no image, and needs one. `port` is the
    container's; a process is given one of the machine's. `health_command` is run in the container instead of asking
    `health_path` there by wget, curl or Python, one of which an image must otherwise have; `docker` alone needs it.
    `user` is the number of the account in the container, `nobody` unless told otherwise; it may write in /tmp alone.
    """

    image: str
    command: tuple[str, ...] = ()
    port: int = 8080
    health_path: str = "/health"
    health_command: tuple[str, ...] = ()
    user: int = 65_534

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_535:
            raise ConfigurationError(f"app.port: given {self.port}; valid: a number from 1 to 65535.")
        if not re.fullmatch(HEALTH_PATH, self.health_path):
            raise ConfigurationError(f"app.healthPath: given {self.health_path!r}; valid: a path such as /health.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """One container to be placed. `options` are those of a child, which may depend on more resources.

    `prefix` is put before the name of what is made of it: another one for each line.
    """

    name: str
    app: AppSpec
    environment: Mapping[str, pulumi.Input[str]] = field(repr=False)
    cpu: float
    memory_mb: int
    region: str
    tenant_mark: str
    options: Callable[..., pulumi.ResourceOptions] = field(repr=False)
    prefix: str = "tenant"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"container: given {self.name!r}; valid: at most 56 letters a-z, digits and hyphens, a letter first."
            )
        if self.cpu <= 0 or self.memory_mb < 1:
            raise ConfigurationError(
                f"container {self.name!r}: given {self.cpu} CPU and {self.memory_mb} MB; valid: more than nothing."
            )
        for variable in self.environment:
            if variable in WHERE_TO_LISTEN or not _VARIABLE.fullmatch(variable):
                raise ConfigurationError(
                    f"container {self.name!r}: the variable {variable!r} cannot be given; valid: letters, digits and "
                    f"underscores, and not {' or '.join(WHERE_TO_LISTEN)}, which say where it listens."
                )

    @property
    def object_name(self) -> str:
        """What it is called on the platform, where names such as `default` may have another meaning."""
        return f"{self.prefix}-{self.name}"


def image_name(image: str, registry: str | None, tag: str | None) -> str:
    """As a platform fetches it: `registry` before the name, and `tag` after it where it has neither tag nor digest."""
    last = image.rpartition("/")[2]
    if tag and ":" not in last and "@" not in last:
        image = f"{image}:{tag}"
    return f"{registry.rstrip('/')}/{image}" if registry else image


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """`upstream` is host:port. `anchor` is deleted after whatever depends on it, `ready` is there when it serves.

    Another `revision` is another container.
    """

    upstream: pulumi.Output[str]
    url: pulumi.Output[str]
    anchor: pulumi.Resource
    ready: pulumi.Resource
    revision: pulumi.Output[str] | None = None
