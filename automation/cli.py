"""The command `tenantry`: words on a command line become operations, answers become text or JSON, errors exit codes.

Decides what the user types and sees. It never decides what a run does. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Annotated

import typer

from automation import cli_serve, cli_site
from automation.cli_ci import app as ci_app
from automation.cli_dev import dev
from automation.cli_isp import app as isp_app
from automation.cli_platform import app as platform_app
from automation.cli_queue import app as queue_app
from automation.cli_support import Output, Shared, confirm, context_for, finish_run, main_with_errors
from automation.errors import EXIT_CODES, InputError

_EPILOG = "Exit codes: " + "; ".join(f"{code} {text}" for code, text in EXIT_CODES) + "."

app = typer.Typer(
    name="tenantry",
    help="Provisions, changes and removes tenants as Pulumi stacks, with previews, steps, history and rollback.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
templates_app = typer.Typer(help="Templates: presets of settings.", no_args_is_help=True)
database_app = typer.Typer(help="The main database.", no_args_is_help=True)
app.add_typer(templates_app, name="templates")
app.add_typer(database_app, name="db")
app.add_typer(ci_app, name="ci")
app.add_typer(queue_app, name="queue")
app.add_typer(platform_app, name="platform")
app.add_typer(isp_app, name="isp")
app.command()(dev)
for _command in (cli_site.backup, cli_site.restore, cli_site.backups):
    app.command()(_command)


def _complete_tenant(incomplete: str) -> list[str]:
    from automation.manifests import tenants_with_manifest
    from automation.settings import load_settings

    try:
        known = tenants_with_manifest(load_settings())
    except InputError:
        return []
    return [name for name in known if name.startswith(incomplete)]


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print progress as JSON lines; the last line is the result.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the outcome.")]
Tenant = Annotated[str, typer.Argument(help="The tenant's slug.", autocompletion=_complete_tenant)]
MaybeTenant = Annotated[
    str | None, typer.Argument(help="The tenant's slug: stacks/SLUG.yaml.", autocompletion=_complete_tenant)
]
File = Annotated[Path | None, typer.Option("--file", "-f", help="The manifest, where it is not stacks/SLUG.yaml.")]
Correlation = Annotated[
    str | None, typer.Option("--correlation-id", help="An id of yours that the record of the run carries.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from automation import version

        typer.echo(f"tenantry {version()}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show a stack trace with an error.")] = False,
    version: Annotated[  # noqa: ARG001 - typer calls _version
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    Shared.debug = debug or os.environ.get("TENANTRY_DEBUG", "") not in {"", "0", "false"}


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Manifests to check.")], as_json: Json = False) -> None:
    """Check manifests, with every problem of every field. Touches nothing."""
    from automation.cli_manifests import validate_files

    validate_files(Output(as_json=as_json), files)


@app.command()
def preview(
    tenant: MaybeTenant = None,
    file: File = None,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 7 when there are changes.")
    ] = False,
    as_json: Json = False,
    as_lines: JsonLines = False,
) -> None:
    """Show what `up` would do. Changes nothing."""
    from automation import manifests, operations
    from automation.errors import ChangesFoundError

    output = Output(as_json=as_json, as_lines=as_lines)
    context = context_for(output)
    result = operations.preview(context, manifests.load(context.settings, tenant, file))
    output.preview(result)
    if expect_no_changes and result.changed:
        raise ChangesFoundError(
            f"preview of '{result.tenant}': {len(result.changes)} changes where none were expected",
            hint=f"`tenantry up {result.tenant}` applies them",
        )


@app.command()
def up(
    tenants: Annotated[
        list[str] | None, typer.Argument(help="Slugs of tenants.", autocompletion=_complete_tenant)
    ] = None,
    file: File = None,
    every: Annotated[bool, typer.Option("--all", help="Every tenant with a manifest in stacks/.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=64, help="How many tenants at once, each in its own process.")
    ] = 2,
    rollback_on_failure: Annotated[
        bool | None,
        typer.Option("--rollback/--no-rollback", help="Overrides the manifest's enableRollback.", show_default=False),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Refuse a slug that is in use.")] = False,
    step: Annotated[
        list[str] | None,
        typer.Option("--step", help="Only this step, and what depends on it. May be given again.", show_default=False),
    ] = None,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 7 when anything had to be changed.")
    ] = False,
    correlation: Correlation = None,
    as_json: Json = False,
    as_lines: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Create tenants, or bring them to their manifests. A run that fails is rolled back."""
    output = Output(as_json=as_json, as_lines=as_lines, quiet=quiet)
    names = list(tenants or [])
    if every or len(names) > 1:
        from automation.cli_fleet import up_many

        if file is not None:
            raise InputError("--file goes with one tenant only", hint="leave out --file, or name one tenant")
        if step:
            raise InputError("--step goes with one tenant only", hint="leave out --step, or name one tenant")
        if every and names:
            raise InputError("--all and names of tenants were given", hint="give one of the two")
        up_many(output, names, workers=workers, rollback=rollback_on_failure, new=new, expect=expect_no_changes)
        return
    context = context_for(output, correlation)
    from automation import manifests, operations

    manifest = manifests.load(context.settings, names[0] if names else None, file)
    options = operations.UpOptions(
        enable_rollback=rollback_on_failure, new=new, expect_no_changes=expect_no_changes, steps=tuple(step or ())
    )
    with output.running(f"up {manifest.slug}"):
        result = operations.up(context, manifest, options, correlation=correlation)
    finish_run(output, result)


@app.command()
def refresh(
    tenant: Tenant,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 7 when something has drifted.")
    ] = False,
    correlation: Correlation = None,
    as_json: Json = False,
    as_lines: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Find drift: read what is really there into the state. `up` then repairs it."""
    output = Output(as_json=as_json, as_lines=as_lines, quiet=quiet)
    context = context_for(output, correlation)
    from automation import operations

    with output.running(f"refresh {tenant}"):
        result = operations.refresh(context, tenant, expect_no_changes=expect_no_changes, correlation=correlation)
    finish_run(output, result)


@app.command()
def destroy(
    tenant: Tenant,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    correlation: Correlation = None,
    as_json: Json = False,
    as_lines: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Remove a tenant with all its data, and verify that nothing is left."""
    output = Output(as_json=as_json, as_lines=as_lines, quiet=quiet)
    context = context_for(output, correlation)
    from automation import operations

    confirm(f"Remove '{tenant}' with its database and all data in it?", yes=yes)
    with output.running(f"destroy {tenant}"):
        result = operations.destroy(context, tenant, correlation=correlation)
    finish_run(output, result)


@app.command()
def rollback(
    deployment: Annotated[
        str, typer.Argument(help="A deployment's id or its first characters, or a tenant for its last change.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also undo what was deployed after it.")] = False,
    correlation: Correlation = None,
    as_json: Json = False,
    as_lines: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Undo a deployment: a first create is removed, a change goes back to the settings before it."""
    output = Output(as_json=as_json, as_lines=as_lines, quiet=quiet)
    context = context_for(output, correlation)
    from automation import operations

    confirm(f"Roll back deployment {deployment}?", yes=yes)
    with output.running(f"rollback {deployment}"):
        result = operations.rollback(context, deployment, force=force, correlation=correlation)
    finish_run(output, result)


@app.command()
def worker(
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", "-c", min=1, max=64, help="How many jobs at once; TENANTRY_WORKER_CONCURRENCY."),
    ] = None,
) -> None:
    """Run jobs of the queue until stopped: SIGTERM lets those that run end, a second one gives them back."""
    from automation.cli_worker import work

    work(concurrency=concurrency)


app.command()(cli_serve.serve)
app.command()(cli_serve.token)


@app.command("list")
def list_tenants(
    removed: Annotated[bool, typer.Option("--removed", help="Also those that were removed.")] = False,
    as_json: Json = False,
) -> None:
    """All tenants, with their last deployment."""
    from automation.cli_read import list_all

    list_all(Output(as_json=as_json), removed=removed)


@app.command()
def show(tenant: Tenant, as_json: Json = False) -> None:
    """One tenant: its record, its last deployment and its steps."""
    from automation.cli_read import show_one

    show_one(Output(as_json=as_json), tenant)


@app.command()
def health(tenant: Tenant, as_json: Json = False) -> None:
    """Whether each part of a tenant works now, used as its users use it."""
    from automation.cli_health import show_health

    show_health(Output(as_json=as_json), tenant)


@app.command()
def history(
    tenant: Tenant,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """A tenant's deployments, newest first."""
    from automation.cli_read import show_history

    show_history(Output(as_json=as_json), tenant, limit)


@app.command()
def logs(
    target: Annotated[
        str, typer.Argument(help="A deployment's id or its first characters, or a tenant for its last deployment.")
    ],
    as_json: Json = False,
) -> None:
    """The log of a deployment."""
    from automation.cli_read import show_logs

    show_logs(Output(as_json=as_json), target)


@app.command()
def cost(tenant: MaybeTenant = None, file: File = None, as_json: Json = False) -> None:
    """What a tenant costs in a month, and what it has cost so far. With --file, before it is created."""
    from automation.cli_costs import show_cost

    show_cost(Output(as_json=as_json), tenant, file)


@app.command()
def purge(
    tenant: MaybeTenant = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is too old.")] = False,
    past: Annotated[bool, typer.Option("--list", help="Purge nothing: show what was purged, newest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many, with --list.")] = 20,
    as_json: Json = False,
) -> None:
    """Delete data that is older than tenants keep it, as workers do by themselves. Without a tenant: of all."""
    from automation import cli_costs

    if past:
        cli_costs.show_purges(Output(as_json=as_json), tenant, limit)
    else:
        cli_costs.purge(Output(as_json=as_json), tenant, dry_run=dry_run)


@app.command()
def engine(as_json: Json = False) -> None:
    """Which Pulumi engine is used, and why."""
    from automation.cli_manifests import show_engine

    show_engine(Output(as_json=as_json))


@templates_app.command("list")
def templates_list(as_json: Json = False) -> None:
    """All templates, with their versions."""
    from automation.cli_manifests import list_templates

    list_templates(Output(as_json=as_json))


@templates_app.command("show")
def templates_show(
    template: Annotated[str, typer.Argument(help="A template's id.")],
    version: Annotated[str | None, typer.Option("--version", help="A version; else the latest.")] = None,
    as_json: Json = False,
) -> None:
    """A template's settings."""
    from automation.cli_manifests import show_template

    show_template(Output(as_json=as_json), template, version)


@templates_app.command("add")
def templates_add(file: Annotated[Path, typer.Argument(help="A template as YAML.")], as_json: Json = False) -> None:
    """Add a template, or a new version of one, to the folder TENANTRY_TEMPLATES."""
    from automation.cli_manifests import add_template

    add_template(Output(as_json=as_json), file)


@database_app.command("upgrade")
def database_upgrade(as_json: Json = False) -> None:
    """Make the main database, or bring its tables up to date. Operations do this by themselves."""
    from automation.cli_read import upgrade_database

    upgrade_database(Output(as_json=as_json))


def main() -> int:
    """The entry point. Returns the exit code."""
    # A short life that makes few cycles: collecting garbage would only go through what has been loaded, again and
    # again, and once more at the end. It is a third of a run's time.
    gc.disable()
    try:
        return main_with_errors(app)
    finally:
        gc.freeze()
