"""What is refused before a run touches anything: a slug in use, an unknown tenant or step, an undo of too much.

Decides what is refused, and in which words. Never changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping

from automation import queries
from automation.errors import InputError
from automation.history import TenantFacts
from automation.models import DeploymentStatus
from automation.settings import PROJECT_NAME

if TYPE_CHECKING:
    from automation.run import Context, Held
    from stacks.lines import Line


def slug_free(slug: str, facts: TenantFacts, *, kind: str, new: bool) -> None:
    """Raises InputError where somebody else has the slug, or where a `new` tenant was asked for and there is one."""
    mark = f"{PROJECT_NAME}/{slug}"
    if facts.record is not None and (facts.record.mark, facts.record.line) != (mark, kind):
        raise InputError(
            f"the slug '{slug}' is taken: a {facts.record.line} that belongs to {facts.record.mark} has it",
            hint="choose another slug in the manifest; nothing was touched",
            problems=[("slug", slug, f"taken by another {facts.record.line}; choose another one")],
        )
    if facts.line not in {None, kind} and not facts.removed:
        raise InputError(
            f"the slug '{slug}' is taken: it is a tenant of the line '{facts.line}', and a tenant never changes lines",
            hint="choose another slug in the manifest; nothing was touched",
            problems=[("slug", slug, f"taken by a tenant of the line {facts.line}; choose another one")],
        )
    if new and (facts.record is not None or facts.last_good is not None):
        raise InputError(
            f"the slug '{slug}' is taken: there is a tenant of that name already",
            hint="choose another slug in the manifest, or leave out --new to change the tenant that is there",
            problems=[("slug", slug, "taken by a tenant that exists; choose another one")],
        )


def known(held: Held, tenant: str) -> None:
    """Raises NotFoundError for a tenant that we have no row of."""
    if not held.facts.exists:
        raise queries.unknown_tenant(tenant, ())


def has_stack(context: Context, held: Held, tenant: str) -> None:
    """A tenant we have no row of may have been made by `pulumi up` by hand: its stack says so."""
    with context.stacks(context.settings, tenant, context.choice) as stack:
        if not stack.exists() and held.facts.record is None:
            raise queries.unknown_tenant(tenant, ())


def steps_known(line: Line, steps: Sequence[str], *, left_out: Sequence[str]) -> None:
    """Raises InputError for steps that cannot be run on their own."""
    own = [step.key for step in line.steps if step.component_type is not None and step.key not in left_out]
    for key in steps:
        if key not in own:
            why = "the manifest skips it" if key in left_out else "there is no such step with objects of its own"
            raise InputError(
                f"step '{key}' of a {line.noun} cannot be retried: {why}",
                hint=f"name one of {', '.join(own)}",
                problems=[("steps", key, f"one of {', '.join(own)}")],
            )


def may_skip(context: Context, held: Held, line: Line, tenant: str, steps: Sequence[str]) -> None:
    """Raises InputError where a step to be skipped has objects, which skipping would remove, or where it has worked."""
    if not steps:
        return
    hint = "`up` without the skip continues; `destroy` removes the tenant"
    if held.facts.was_active or held.facts.last_good is not None:
        raise InputError(
            f"'{tenant}' has worked with the step '{steps[0]}': skipping it now would remove what it made",
            hint="nothing was touched. A step can be skipped only before the tenant has worked",
        )
    with context.stacks(context.settings, tenant, context.choice) as stack:
        resources: list[dict[str, Any]] = stack.export().get("resources", []) if stack.exists() else []
    for resource in resources:
        key = line.step_of(str(resource.get("urn", "")))
        kind = str(resource.get("type", ""))
        if resource.get("custom") and key in steps and not kind.startswith("pulumi:providers:"):
            name = str(resource["urn"]).rsplit("::", 1)[-1]
            raise InputError(
                f"step '{key}' of '{tenant}' cannot be skipped: it has made {kind} {name} already",
                hint=f"nothing was touched. {hint}",
            )


def undoable(row: RowMapping, newer: Sequence[RowMapping], *, force: bool) -> None:
    """Raises InputError for a deployment that cannot be rolled back by hand."""
    name = f"deployment {str(row['id'])[:8]} of '{row['tenant']}'"
    if row["operation"] != "up":
        raise InputError(
            f"{name} is a {row['operation']}, which cannot be undone", hint="name a deployment made by `up`"
        )
    if row["status"] == DeploymentStatus.ROLLED_BACK:
        raise InputError(f"{name} has been rolled back already", hint=f"see `tenantry history {row['tenant']}`")
    if row["previous_manifest"] is None and not row["first_create"]:
        raise InputError(
            f"{name} changed a tenant that worked before, but no earlier settings are on record",
            hint="write the settings you want into the manifest and run `up`",
        )
    if newer and not force:
        listed = ", ".join(f"{str(one['id'])[:8]} ({one['operation']})" for one in newer)
        raise InputError(
            f"{name} is not the newest: rolling it back would undo {listed} too",
            hint="roll back the newest first, or add --force",
        )
