"""An ISP's health: made once all of its parts work, and made anew when one of them has changed.

Decides that an ISP is not done before each part works. Whether it works later is asked by `automation.health`, by the
same checks on the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required

if TYPE_CHECKING:
    from providers.backends import RegionParts
    from providers.health.checks import Check
    from providers.health.isp import Door

IDENTITY = ("tenant_mark",)
_NEEDED = ("region", "tenant", "container", "database_url", "url", "health_path", "certificate", "replicas")
OWNED = (*_NEEDED, "namespace", "revision", "healthy")
SECRETS = ("database_url",)


class IspHealthProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, *_NEEDED))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["tenant_mark"]), _checked(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        # A refresh looks once, and says what it sees: the next `up` will check again until all is well.
        from providers.health.run import check, failures

        return ReadResult(id_, {**props, "healthy": not failures(check(checks_of(props)))})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_checked(_news))


class IspHealth(Resource, module="tenantry", name="IspHealth"):
    """`healthy` is true: it does not come into being before. It waits for at most `seconds` of its inputs."""

    healthy: pulumi.Output[bool]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(SECRETS))
        super().__init__(
            IspHealthProvider(), name, {**props, "healthy": True}, pulumi.ResourceOptions.merge(opts, secret)
        )


def checks_of(props: Mapping[str, Any]) -> Mapping[str, Check]:
    """The checks, from the resource's inputs and the region's own settings. Raises ConfigurationError."""
    from providers.backends import container_of, parts_of
    from providers.health.isp import IspParts
    from providers.health.isp import checks_of as checks_of_parts
    from providers.health.workload import workload

    region = str(props["region"])
    parts = IspParts(
        tenant=str(props["tenant"]),
        workload=workload(
            region,
            container_of(region),
            name=str(props["container"]),
            namespace=str(props.get("namespace") or ""),
            replicas=int(props["replicas"]),
        ),
        database_url=str(props["database_url"]),
        door=_door(props, parts_of(region)),
    )
    return checks_of_parts(parts)


def _door(props: Mapping[str, Any], parts: RegionParts) -> Door:
    from providers.backends import KubernetesBackend
    from providers.health.isp import Door

    url, path = str(props["url"]), str(props["health_path"])
    if isinstance(parts.container, KubernetesBackend):
        ingress = parts.container.ingress
        where = {"address": ingress.address, "http_address": ingress.http_address, "ca": ingress.ca_file}
        return Door(url=url, health_path=path, redirects=props["certificate"] != "none", **where)
    if parts.gateway is None or not url.startswith("https:"):
        return Door(url=url, health_path=path, http_address=_netloc(parts, url))
    return Door(url=url, health_path=path, address=_netloc(parts, url), ca=parts.gateway.ca_file)


def _netloc(parts: RegionParts, url: str) -> str | None:
    """Where the gateway answers, for a host that is the gateway's; a published port is where it is."""
    from urllib.parse import urlsplit

    if parts.gateway is None or not (urlsplit(url).hostname or "").endswith(f".{parts.gateway.domain}"):
        return None
    at = urlsplit(parts.gateway.url)
    return at.netloc if at.port else f"{at.netloc}:{443 if at.scheme == 'https' else 80}"


def _checked(props: Mapping[str, Any]) -> dict[str, Any]:
    from providers.health.run import READY_SECONDS, await_healthy

    await_healthy(f"isp {props['tenant_mark']}", checks_of(props), float(props.get("seconds") or READY_SECONDS))
    return {**props, "healthy": True}
