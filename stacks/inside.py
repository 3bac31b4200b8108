"""What a tenant's container runs, and that what it is told of can be reached from inside. Pure.

Decides which addresses are not told to a container: those of our own machine would be itself to it, and no check of
ours would notice.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping

from components.placing import AppSpec
from providers.backends import VARIABLE
from providers.errors import ConfigurationError
from stacks.application import Application


def app_spec(application: Application, *, image: str, command: tuple[str, ...] | None = None) -> AppSpec:
    """As components have it; with `command`, that one in place of the manifest's."""
    return AppSpec(
        image=image,
        command=application.command if command is None else command,
        port=application.port,
        health_path=application.health_path,
        health_command=application.health_command,
        user=application.user,
    )


def demand_reachable(region: str, platform: str, told: Mapping[str, str]) -> None:
    """`told` are hosts by their keys in the region. Raises ConfigurationError."""
    ours = [f"{key} ({host})" for key, host in told.items() if _is_of_this_machine(host)]
    if ours:
        raise ConfigurationError(
            f"region {region!r}: from inside a container on {platform}, {' and '.join(ours)} cannot "
            f"be reached. Give an address that works from there and from here, in {os.environ.get(VARIABLE, VARIABLE)}."
        )


def _is_of_this_machine(host: str) -> bool:
    """A name or an address of the loopback, or the folder of a socket."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.startswith("/") or host == "localhost" or host.endswith(".localhost")
