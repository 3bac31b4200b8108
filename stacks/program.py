"""The Pulumi program of one tenant: a resolved manifest becomes one Cabinet component and the stack's outputs.

Decides which outputs a stack has. It never talks to a database and never waits: providers do.
"""

from __future__ import annotations

from collections.abc import Callable

import pulumi

from components.cabinet import Cabinet, CabinetArgs
from providers.errors import ProviderError
from stacks.resolve import ResolvedManifest


def program_for(resolved: ResolvedManifest) -> Callable[[], None]:
    """The program to give to the Automation API. Raises pulumi.RunError, when run, on another tenant's stack
    and when the environment does not say where the database is.
    """

    def program() -> None:
        stack = pulumi.get_stack()
        if stack != resolved.slug:
            raise pulumi.RunError(
                f"slug: given {resolved.slug}; valid: the stack's name, {stack}. "
                "Select that stack, or correct the manifest."
            )
        try:
            args = cabinet_args(resolved, tenant_mark(pulumi.get_project(), stack))
        except ProviderError as error:
            raise pulumi.RunError(str(error)) from None
        cabinet = Cabinet(resolved.slug, args)
        for name, value in cabinet.outputs.items():
            pulumi.export(name, value)

    return program


def tenant_mark(project: str, stack: str) -> str:
    """What marks an object as belonging to one tenant."""
    return f"{project}/{stack}"


def cabinet_args(resolved: ResolvedManifest, mark: str) -> CabinetArgs:
    """The component's arguments: plain values, no Outputs. Raises ProviderError for a wrong environment."""
    manifest = resolved.manifest
    return CabinetArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        street=manifest.address.street,
        city=manifest.address.city,
        postal_code=manifest.address.postal_code,
        country=manifest.address.country,
        phone=manifest.phone,
        email=manifest.email,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
        settings=resolved.settings,
        own_database=not manifest.skip_database_creation,
    )
