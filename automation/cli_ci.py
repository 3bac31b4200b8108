"""`tenantry ci preview|apply`: for a workflow, or by hand before pushing.

Decides which commits are compared and where the report goes. What a run does is `ci.run`'s.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automation.cli_support import Output, context_for, print_table, settings_for
from automation.errors import InputError

if TYPE_CHECKING:
    from automation.ci.changes import Changes
    from automation.ci.git import Repository
    from automation.ci.record import Applied
    from automation.ci.run import Options, Report
    from automation.settings import Settings

app = typer.Typer(help="Previews what a branch changes in stacks/, and applies what was merged.", no_args_is_help=True)

Every = Annotated[bool, typer.Option("--all", help="Every tenant with a manifest, whatever has changed.")]
AllowDestroy = Annotated[
    bool, typer.Option("--allow-destroy", help="Destroy tenants whose manifests are gone; else they are kept.")
]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="How many tenants at once.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the report there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_NOBODY = "0" * 40


@app.command()
def preview(
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="COMMIT",
            show_default=False,
            help="What to merge into; else origin/$GITHUB_BASE_REF.",
        ),
    ] = None,
    every: Every = False,
    allow_destroy: AllowDestroy = False,
    workers: Workers = 2,
    markdown: Markdown = None,
    as_json: Json = False,
) -> None:
    """What merging HEAD would change, tenant by tenant. Changes nothing."""
    from automation.ci import changes, run

    output = Output(as_json=as_json)
    settings = settings_for()
    repository = _repository(settings)
    head = repository.commit("HEAD")
    start = None if every else repository.fork_point(_base(base), head)
    found = _between(settings, repository, start, head) if start else changes.every(_tenants(settings))
    context = context_for(output)
    from automation.cli_fleet import forwarding

    rows = run.preview(context, found, _options(settings, workers, allow_destroy=allow_destroy), forward=forwarding)
    _end(output, run.Report(applying=False, base=start, head=head, rows=rows, others=found.others), markdown)


@app.command()
def apply(
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="COMMIT",
            show_default=False,
            help="What is in force; else what was applied last.",
        ),
    ] = None,
    every: Every = False,
    allow_destroy: AllowDestroy = False,
    workers: Workers = 2,
    markdown: Markdown = None,
    as_json: Json = False,
) -> None:
    """Bring tenants to their manifests at HEAD: those that have changed since the commit that was applied last."""
    from automation.ci import changes, record, run
    from automation.operations import correlation_id

    output = Output(as_json=as_json)
    settings = settings_for()
    repository = _repository(settings)
    head = repository.commit("HEAD")
    before = record.last_applied(settings)
    start = _start(repository, base, before, head, every=every)
    found = _between(settings, repository, start, head) if start else changes.every(_tenants(settings))
    if before is not None:
        gone = tuple(name for name in before.kept if name not in _tenants(settings))
        found = changes.with_removed(found, record.living(settings, gone))
    context = context_for(output)
    from automation.cli_fleet import forwarding

    correlation = correlation_id()
    options = _options(settings, workers, allow_destroy=allow_destroy)
    rows = run.apply(context, found, options, correlation=correlation, forward=forwarding)
    report = run.Report(applying=True, base=start, head=head, rows=rows, others=found.others)
    if not report.failed:
        kept = tuple(row.tenant for row in rows if row.outcome is run.Outcome.KEPT)
        outcomes = {row.tenant: row.outcome.value for row in rows}
        record.remember(settings, record.Applied(commit=head, kept=kept), outcomes, correlation)
    _end(output, report, markdown)


def _repository(settings: Settings) -> Repository:
    from automation.ci.git import Repository

    repository = Repository.around(settings.stacks_dir)
    if changed := repository.uncommitted():
        raise InputError(
            f"manifests are not as in HEAD: {', '.join(changed)}",
            hint="commit them first: what is shown and applied is a commit",
        )
    return repository


def _base(given: str | None) -> str:
    if given:
        return given
    if branch := os.environ.get("GITHUB_BASE_REF"):
        return f"origin/{branch}"
    raise InputError(
        "nothing says what HEAD is to be compared with",
        hint="add --base origin/main (or the branch that is merged into), or --all",
    )


def _start(repository: Repository, base: str | None, before: Applied | None, head: str, *, every: bool) -> str | None:
    """The commit whose state is in force; None for all manifests."""
    if every or base == _NOBODY:
        return None
    if base is not None:
        return repository.commit(base)
    if before is None:
        return None
    if not repository.has(before.commit):
        raise InputError(
            f"the commit that was applied last, {before.commit[:12]}, is not in this clone",
            hint="fetch the whole history (fetch-depth: 0); where history was rewritten, use --all or --base COMMIT",
        )
    if before.commit != head and repository.is_ancestor(head, before.commit):
        raise InputError(
            f"HEAD ({head[:12]}) is older than {before.commit[:12]}, which has been applied",
            hint="run this on the newest commit; to go back on purpose, commit the older manifests, or name --base",
        )
    return before.commit


def _between(settings: Settings, repository: Repository, start: str, head: str) -> Changes:
    from automation.ci.changes import changes_of

    return changes_of(repository.changed(start, head), repository.folder, _tenants(settings))


def _tenants(settings: Settings) -> list[str]:
    from automation.manifests import tenants_with_manifest

    return tenants_with_manifest(settings)


def _options(settings: Settings, workers: int, *, allow_destroy: bool) -> Options:
    from automation.ci.run import Options
    from stacks.lines import LINES

    # A run limits itself; this is for a process that hangs before or after it.
    limit = max(settings.run_limit(line).seconds + settings.rollback_limit(line).seconds for line in LINES) + 120
    return Options(workers=workers, allow_destroy=allow_destroy, limit=limit)


def _end(output: Output, report: Report, markdown: Path | None) -> None:
    from automation.ci.report import markdown as rendered

    text = rendered(report)
    if markdown is not None:
        _write(markdown, text, "w")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _write(Path(summary), text, "a")
    if output.as_json:
        output.document(report.to_dict())
    elif not report.rows:
        output.say(f"no tenant is concerned between {(report.base or 'the beginning')[:12]} and {report.head[:12]}")
    else:
        rows = ((row.tenant, row.kind.value, row.outcome.value, row.note) for row in report.rows)
        print_table(output, ("TENANT", "MANIFEST", "OUTCOME", ""), rows)
    error = report.error()
    if error is not None:
        raise error


def _write(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {path}: {error.strerror}", hint="name another file"
        ) from None
