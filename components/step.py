"""What the steps' components share: a component whose resources all wait for the step before it.

Decides nothing about what a step holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi


class StepComponent(pulumi.ComponentResource):
    """One step of a tenant (CAB-2), as a component.

    `inside` is the database that this step's resources live in, if it is the tenant's own: they go when it goes.
    """

    def __init__(
        self,
        type_token: str,
        name: str,
        *,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
        inside: pulumi.Resource | None = None,
    ) -> None:
        super().__init__(type_token, name, None, pulumi.ResourceOptions(parent=tenant))
        self._after = tuple(after)
        self._inside = inside

    def child_options(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        """For this step's own resources. A component's dependsOn does not reach its children: each says it."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *more], deleted_with=self._inside)
