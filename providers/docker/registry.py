"""The types served, by token, and the package that they make. What is not here is refused by name."""

from providers.docker import config
from providers.docker.client import Client
from providers.docker.container import Container
from providers.docker.image import Image
from providers.docker.network import Network
from providers.docker.remote_image import RemoteImage
from providers.docker.volume import Volume
from providers.plugin.package import Package
from providers.plugin.resource import ResourceType

TYPES: dict[str, ResourceType[Client]] = {
    each.token: each for each in (Network(), Volume(), RemoteImage(), Image(), Container())
}

PACKAGE = Package(
    name="docker",
    distribution="pulumi-docker",
    types=TYPES,
    config=config.SPEC,
    check_config=config.check,
    connect=lambda args: Client(config=config.resolve(args)),
    preload="providers.docker.sdk",
    stable_names=True,
)
