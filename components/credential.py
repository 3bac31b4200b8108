"""Step `credential`: the department's OAuth client, with which its application gets tokens for itself.

Decides nothing about the client: `providers.oauth` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.step import StepComponent
from providers.oauth.resource import OAuthClient


class Credential(StepComponent):
    """`client_secret` is a secret. Another `rotation` exchanges it; the one before lives `grace_seconds` longer."""

    def __init__(
        self,
        name: str,
        *,
        client_name: str,
        region: str,
        scopes: Sequence[str],
        tenant_mark: str,
        rotation: int = 0,
        grace_seconds: int = 0,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:department:Credential", name, tenant=tenant, after=after)
        client = OAuthClient(
            name,
            client_name=client_name,
            region=region,
            scopes=scopes,
            tenant_mark=tenant_mark,
            rotation=rotation,
            grace_seconds=grace_seconds,
            opts=self.child_options(),
        )
        self.anchor: pulumi.Resource = client
        self.ready: pulumi.Resource = client
        self.client_id = client.client_id
        self.client_secret = client.client_secret
        self.token_endpoint = client.token_endpoint
        self.issuer = client.issuer
        self.register_outputs({"client_id": self.client_id, "issuer": self.issuer})
