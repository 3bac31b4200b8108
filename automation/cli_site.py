"""`tenantry backup`, `restore` and `backups`: a site's copies, made and put back by hand.

Decides what is asked before something is overwritten. What is done is `backing_up`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from automation.cli_support import Output, confirm, context_for, finish_run, print_table, settings_for

Tenant = Annotated[str, typer.Argument(help="The tenant's slug.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the outcome.")]


def backup(tenant: Tenant, as_json: Json = False, quiet: Quiet = False) -> None:
    """Back a tenant's site up, and delete the backups that are not to be kept any more."""
    from automation import backing_up

    output = Output(as_json=as_json, quiet=quiet)
    context = context_for(output)
    with output.running(f"backup {tenant}"):
        result = backing_up.backup(context, tenant)
    finish_run(output, result)


def restore(
    tenant: Tenant,
    backup_id: Annotated[str, typer.Argument(metavar="BACKUP", help="Its id, as `tenantry backups` lists it.")],
    first: Annotated[
        bool, typer.Option("--backup-first/--no-backup-first", help="Back up what is there now, before.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a tenant's site back to what a backup holds."""
    from automation import backing_up

    output = Output(as_json=as_json, quiet=quiet)
    confirm(f"Put the site of '{tenant}' back to {backup_id}? What was done there since is overwritten.", yes=yes)
    context = context_for(output)
    with output.running(f"restore {tenant}"):
        result = backing_up.restore(context, tenant, backup_id, first=first)
    finish_run(output, result)


def backups(tenant: Tenant, as_json: Json = False) -> None:
    """List the backups of a tenant's site that are in its region's store, oldest first. Of removed tenants, too."""
    from automation import kept_backups

    output = Output(as_json=as_json)
    rows = kept_backups.listed_of(settings_for(), tenant)
    if output.as_json:
        output.document({"type": "backups", "tenant": tenant, "backups": rows})
        return
    lines = ((row["id"], row["made_at"], _state(row)) for row in rows)
    print_table(output, ("BACKUP", "BEGUN", "STATE"), lines)


def _state(row: Mapping[str, Any]) -> str:
    return ("whole" if row["whole"] else "cut off") + (", of a removed tenant" if row["earlier_tenant"] else "")
