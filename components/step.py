"""What the steps' components share: a component whose resources all wait for the step before it.

Decides nothing about what a step holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi


class StepComponent(pulumi.ComponentResource):
    """One step of a tenant (CAB-2), as a component."""

    def __init__(
        self, type_token: str, name: str, *, tenant: pulumi.Resource, after: Sequence[pulumi.Resource]
    ) -> None:
        super().__init__(type_token, name, None, pulumi.ResourceOptions(parent=tenant))
        self._after = tuple(after)

    def child_options(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        """For this step's own resources. A component's dependsOn does not reach its children: each says it."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *more])
