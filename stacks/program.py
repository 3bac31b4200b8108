"""The Pulumi program of one tenant: a resolved manifest becomes one component and the stack's outputs.

Decides on which stack it may run. It never talks to a server and never waits: providers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi

from components.tenant import Tenant
from providers.errors import ProviderError
from stacks.resolve import ResolvedManifest


def program_for(
    resolved: ResolvedManifest[Any], build: Callable[[ResolvedManifest[Any], str], Tenant]
) -> Callable[[], None]:
    """The program to give to the Automation API. Raises pulumi.RunError, when run, on another tenant's stack
    and when the environment does not say where the backends are.
    """

    def program() -> None:
        stack = pulumi.get_stack()
        if stack != resolved.slug:
            raise pulumi.RunError(
                f"slug: given {resolved.slug}; valid: the stack's name, {stack}. "
                "Select that stack, or correct the manifest."
            )
        try:
            tenant = build(resolved, tenant_mark(pulumi.get_project(), stack))
        except ProviderError as error:
            raise pulumi.RunError(str(error)) from None
        for name, value in tenant.outputs.items():
            pulumi.export(name, value)

    return program


def tenant_mark(project: str, stack: str) -> str:
    """What marks an object as belonging to one tenant."""
    return f"{project}/{stack}"
