"""Step `gateway`: the tenant's route, from a host of its own to its container.

Decides what a policy may ask for. Who checks it is the service that the gateway asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components.step import StepComponent
from providers.caddy.route import GatewayRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPolicy:
    """Who may pass, and how often each of them.

    `jwt`: whoever has a role on the tenant, by a token that our service takes. `requests_per_minute` is each caller's:
    each subject's, or without tokens each address's; None is no limit.
    """

    auth: Literal["none", "jwt"] = "none"
    requests_per_minute: int | None = None


class Gateway(StepComponent):
    """`url` is where the tenant is reached. The route is one object, which is live once it is made."""

    def __init__(
        self,
        name: str,
        *,
        label: str,
        upstream: pulumi.Input[str],
        region: str,
        tenant_mark: str,
        policy: GatewayPolicy,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:department:Gateway", name, tenant=tenant, after=after)
        self.route = GatewayRoute(
            name,
            {
                "region": region,
                "label": label,
                "tenant_mark": tenant_mark,
                "upstream": upstream,
                "auth": policy.auth,
                "requests_per_minute": policy.requests_per_minute,
            },
            self.child_options(),
        )
        self.url = self.route.url
        self.anchor: pulumi.Resource = self.route
        self.ready: pulumi.Resource = self.route
        self.register_outputs({"url": self.url})
