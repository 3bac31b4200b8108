"""A department's health: made once all of its parts work, and made anew when one of them has changed.

Decides that a department is not done before each part works. Whether it works later is asked by `automation.health`,
by the same checks on the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required

if TYPE_CHECKING:
    from providers.health.checks import Check

IDENTITY = ("tenant_mark",)
PARTS = ("database_url", "token_endpoint", "client_id", "client_secret", "scopes", "container_url", "webhooks", "route")
OWNED = ("region", "route_expects", *PARTS, "healthy")
SECRETS = ("database_url", "client_secret")


class DepartmentHealthProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "region"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["tenant_mark"]), _checked(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        # A refresh looks once, and says what it sees: the next `up` will check again until all is well.
        from providers.health.run import check, failures

        broken = failures(check(checks_of(props)))
        return ReadResult(id_, {**props, "healthy": not broken})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_checked(_news))


class DepartmentHealth(Resource, module="tenantry", name="DepartmentHealth"):
    """`healthy` is true: it does not come into being before."""

    healthy: pulumi.Output[bool]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(SECRETS))
        super().__init__(
            DepartmentHealthProvider(), name, {**props, "healthy": True}, pulumi.ResourceOptions.merge(opts, secret)
        )


def checks_of(props: Mapping[str, Any]) -> Mapping[str, Check]:
    """The checks, from the resource's inputs and the region's own settings. Raises ConfigurationError."""
    from providers.backends import backends_of
    from providers.health.checks import Parts
    from providers.health.checks import checks_of as checks_of_parts

    backends = backends_of(str(props["region"]))
    given = {name: props[name] for name in PARTS if props.get(name)}
    parts = Parts(
        **given,
        route_expects=tuple(int(status) for status in props.get("route_expects") or (200,)),
        gateway=backends.gateway.url,
        ca=backends.gateway.ca_file,
        oauth_ca=backends.oauth.ca_file,
    )
    return checks_of_parts(parts)


def _checked(props: Mapping[str, Any]) -> dict[str, Any]:
    from providers.health.run import READY_SECONDS, await_healthy

    await_healthy(f"department {props['tenant_mark']}", checks_of(props), READY_SECONDS)
    return {**props, "healthy": True}
