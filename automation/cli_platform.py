"""`tenantry platform up|preview|destroy|manifests`: Tenantry itself on Kubernetes, by the settings in platform.yaml.

Decides words on the command line only: `installing` runs the stack, `stacks.installation` says what it is made of.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automation.cli_support import Output, confirm, settings_for
from automation.errors import ChangesFoundError, InputError

if TYPE_CHECKING:
    from automation.engines import EngineChoice
    from automation.installing import Installed
    from automation.settings import Settings
    from stacks.installation.settings import Platform

app = typer.Typer(help="Tenantry itself on Kubernetes, by platform.yaml.", no_args_is_help=True)

File = Annotated[Path, typer.Option("--file", "-f", help="The settings of the installation.")]
Stack = Annotated[
    str | None, typer.Option("--stack", help="The installation's name; else its namespace.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the outcome.")]
Unchanged = Annotated[bool, typer.Option("--expect-no-changes", help="Exit with 7 when there are changes.")]
_SETTINGS = Path("platform.yaml")
_STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@app.command()
def preview(
    file: File = _SETTINGS, stack: Stack = None, expect_no_changes: Unchanged = False, as_json: Json = False
) -> None:
    """Show what `up` would do. Changes nothing."""
    from automation import installing

    output = Output(as_json=as_json)
    platform = installing.load(file)
    name = _named(stack) or platform.namespace
    settings, choice = _engine(output)
    _cluster(output, platform)
    _tell(output, installing.preview(settings, choice, name, platform), expect_no_changes)


@app.command()
def up(
    file: File = _SETTINGS,
    stack: Stack = None,
    expect_no_changes: Unchanged = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Install, or bring what is there to the settings. Ends when all pods are ready."""
    from automation import installing

    output = Output(as_json=as_json, quiet=quiet)
    platform = installing.load(file)
    name = _named(stack) or platform.namespace
    settings, choice = _engine(output)
    _cluster(output, platform)
    result = installing.up(settings, choice, name, platform, output.note)
    _tell(output, result, expect_no_changes)


@app.command()
def destroy(
    file: File = _SETTINGS,
    stack: Stack = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove the installation. The namespace, its Secrets, the database and all tenants stay."""
    from automation import installing

    output = Output(as_json=as_json, quiet=quiet)
    name, where = _named(stack), ""
    if name is None:
        platform = installing.load(file)
        name, cluster = platform.namespace, installing.cluster_of(platform)
        where = f" from {cluster}" if cluster else ""
    confirm(f"Remove the installation '{name}'{where}? Its tenants stay, and nothing manages them.", yes=yes)
    settings, choice = _engine(output)
    _tell(output, installing.destroy(settings, choice, name, output.note), expect_no_changes=False)


@app.command()
def manifests(file: File = _SETTINGS, as_json: Json = False) -> None:
    """Print the same objects as YAML, for `kubectl apply` and GitOps. Asks no cluster."""
    from automation import installing
    from stacks.installation.objects import documents
    from stacks.installation.rendering import rendered

    output = Output(as_json=as_json)
    found = documents(installing.load(file))
    if as_json:
        output.document({"apiVersion": "v1", "kind": "List", "items": list(found)})
    else:
        output.say(rendered(found).rstrip())


def _named(stack: str | None) -> str | None:
    if stack is not None and not _STACK.fullmatch(stack):
        raise InputError(
            f"--stack {stack!r} names no installation",
            hint="it has letters, digits, dots, hyphens and underscores, and begins with a letter or digit",
        )
    return stack


def _cluster(output: Output, platform: Platform) -> None:
    from automation import installing

    # Without a context in the file it is whichever the kubeconfig has just now.
    if cluster := installing.cluster_of(platform):
        output.note(f"cluster: {cluster}")


def _engine(output: Output) -> tuple[Settings, EngineChoice]:
    from automation.engines import choose

    settings = settings_for()
    choice = choose(settings.engine)
    output.note(f"engine: {choice.name} ({choice.reason})")
    return settings, choice


def _tell(output: Output, result: Installed, expect_no_changes: bool) -> None:
    if output.as_json:
        output.document(result.to_dict())
    else:
        for change in result.changes if result.operation == "preview" else ():
            output.say(f"{change.op:10} {change.type.rsplit(':', 1)[-1]} {change.name}")
            for row in change.properties if change.op == "update" else ():
                output.say(f"{'':10}   {row.path}: {row.before} -> {row.after}")
        count = f"{len(result.changes)} change{'' if len(result.changes) == 1 else 's'}"
        output.say(
            f"{result.operation} of the installation '{result.stack}': {count if result.changes else 'no change'}"
        )
    if expect_no_changes and result.changes:
        raise ChangesFoundError(
            f"{result.operation} of the installation '{result.stack}': changes where none were expected",
            hint="`tenantry platform preview` shows them",
        )
