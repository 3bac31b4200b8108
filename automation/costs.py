"""What a tenant costs: in a month, before it is there and after; and since it was created, from its history.

Decides when a tenant had which size: from the end of each run that succeeded to the end of the next. What failed is not
charged. Prices and arithmetic are `stacks.pricing`'s, what a tenant uses is its line's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Connection, cast, func, insert, select

from automation import history, manifests, queries
from automation.errors import InputError, NotFoundError, TenantryError
from automation.models import DeploymentStatus, deployments, tenants
from automation.models_jobs import purges
from automation.settings import PROJECT_NAME
from providers import retention
from providers.errors import MissingTableError, ProviderError
from providers.retention import Retained
from stacks.pricing import VARIABLE, Period, PriceError, Prices, Sizing, accrued, estimate, load_prices

if TYPE_CHECKING:
    from stacks.lines import Manifest

SizeOf = Callable[[Mapping[str, Any]], Sizing | None]
_RUNS = "workflow_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a tenant that has ended, as its cost needs it. `manifest` is what was in force after it."""

    id: Any
    operation: str
    status: str
    error: str | None
    manifest: Mapping[str, Any] | None
    rollback_of: Any
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the main database says. `purged_runs` are workflow runs that were counted before they were deleted."""

    tenant: str
    line: str
    manifest: Mapping[str, Any] | None
    runs: tuple[Run, ...]
    purged_runs: int
    now: datetime


class PricesError(TenantryError):
    """The price table of this installation cannot be used: nobody's input, but its operator's to correct."""

    exit_code = 2
    kind = "prices"


def prices() -> Prices:
    """The price table in force. Raises PricesError."""
    try:
        return load_prices()
    except PriceError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        hint = f"correct it, or the variable {VARIABLE}, which names it"
        raise PricesError(f"the price table {error.source} cannot be used: {problems}", hint=hint) from None


def before_creation(manifest: Manifest) -> dict[str, Any]:
    """What a tenant of this manifest would cost. Raises InputError, PricesError."""
    resolved = manifests.resolved(manifest, None)
    sizing = manifests.line_named(manifest.kind).sizing(resolved)
    return _document(manifest.slug, manifest.kind, prices(), sizing)


def facts(connection: Connection, slug: str) -> Facts:
    """What the main database knows of a tenant. Raises NotFoundError."""
    statement = select(tenants.c.line, tenants.c.last_good_manifest, func.now().label("now"))
    row = connection.execute(statement.where(tenants.c.slug == slug)).one_or_none()
    if row is None:
        raise queries.unknown_tenant(slug, connection.execute(select(tenants.c.slug)).scalars().all())
    columns = ("id", "operation", "status", "error", "manifest", "rollback_of", "ended_at")
    ended = (
        select(*(deployments.c[name] for name in columns))
        .where(deployments.c.tenant == slug, deployments.c.ended_at.is_not(None))
        .order_by(deployments.c.number)
    )
    purged = select(func.coalesce(func.sum(cast(purges.c.rows[_RUNS].astext, BigInteger)), 0))
    return Facts(
        tenant=slug,
        line=row.line,
        manifest=row.last_good_manifest,
        runs=tuple(Run(**one) for one in connection.execute(ended).mappings()),
        purged_runs=int(connection.execute(purged.where(purges.c.tenant == slug)).scalar_one()),
        now=row.now,
    )


def cost(of: Facts) -> dict[str, Any]:
    """A tenant's cost in a month and since its creation. Asks its database, briefly, for its workflow runs.

    Raises PricesError.
    """
    table, warnings = prices(), []
    sizing = _sizing(of.line, of.manifest) if of.manifest is not None else None
    counted, why = (0, None) if of.manifest is None else counted_runs(of.tenant, of.line, of.manifest)
    runs = None if counted is None else of.purged_runs + counted
    if why:
        warnings.append(f"{why}: of them, the amount has only the {of.purged_runs} that were deleted before")
    counts = _counts(of)
    if uncounted := sorted(name for name, one in counts.items() if not one):
        warnings.append(
            f"runs of {', '.join(uncounted)} are not counted, at least of a version in its history, and not in the "
            "amount: such a template has no credential `runs`"
        )
        # A number that nobody has counted is none.
        runs = None if not runs and not any(counts.values()) else runs
    spans = periods(of.runs, lambda manifest: _sizing(of.line, manifest), of.now)
    if any(span.sizing is None for span in spans):
        warnings.append("a time in its history has a manifest that this version cannot read: it is not in the amount")
    since = accrued(spans, of.purged_runs if runs is None else runs, table).to_dict()
    begin = spans[0].start.isoformat() if spans else None
    document = _document(of.tenant, of.line, table, sizing)
    return {**document, "since": {"from": begin, "workflow_runs": runs, **since}, "warnings": warnings}


def periods(runs: Sequence[Run], size_of: SizeOf, now: datetime) -> list[Period]:
    """When the tenant had which size, up to `now`. Pure. `runs` are in the order in which they were made."""
    undone = {run.rollback_of for run in runs if run.rollback_of is not None and run.status == _SUCCEEDED}
    found: list[Period] = []
    since: datetime | None = None
    manifest: Mapping[str, Any] | None = None
    for run in runs:
        if not _took_effect(run, undone):
            continue
        if since is not None and manifest is not None:
            found.append(Period(start=since, end=run.ended_at, sizing=size_of(manifest)))
        since, manifest = run.ended_at, None if run.operation == "destroy" else run.manifest
    if since is not None and manifest is not None:
        found.append(Period(start=since, end=now, sizing=size_of(manifest)))
    return found


_SUCCEEDED = DeploymentStatus.SUCCEEDED


def _took_effect(run: Run, undone: set[Any]) -> bool:
    if run.operation not in {"up", "destroy", "rollback"}:
        return False
    # One that worked, and was taken back by a later run, was in force until then.
    return run.status == _SUCCEEDED or (run.id in undone and run.error is None)


def _sizing(line: str, manifest: Mapping[str, Any]) -> Sizing | None:
    try:
        return manifests.line_named(line).sizing(manifests.restored(manifest))
    except InputError:
        return None


def _counts(of: Facts) -> dict[str, bool]:
    """Of each workflow that the tenant has, or had, whether all of its runs were counted."""
    undone = {run.rollback_of for run in of.runs if run.rollback_of is not None and run.status == _SUCCEEDED}
    found: dict[str, bool] = {}
    for manifest in (of.manifest, *(run.manifest for run in of.runs if _took_effect(run, undone))):
        if manifest is None:
            continue
        try:
            one = manifests.line_named(of.line).counted_runs(manifests.restored(manifest))
        except InputError:
            continue  # a warning of its own tells that its time is not in the amount
        for name, counted in one.items():
            found[name] = found.get(name, True) and counted
    return found


def counted_runs(tenant: str, line: str, manifest: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """The workflow runs that the tenant's database has now; None, and why, where they are not known."""
    try:
        where = _retained(tenant, line, manifest)
        return (retention.count_runs(where), None) if where is not None else (0, None)
    except InputError as error:
        return None, f"workflow runs are not known: {error.message}"
    except ProviderError as error:
        return None, f"workflow runs are not known: {error}"


def _retained(tenant: str, line: str, manifest: Mapping[str, Any]) -> Retained | None:
    return manifests.line_named(line).retained(manifests.restored(manifest), f"{PROJECT_NAME}/{tenant}")


def table_is_gone(tenant: str, line: str, manifest: Mapping[str, Any]) -> bool:
    """Whether the tenant's table of workflow runs is removed. Not known is no."""
    try:
        where = _retained(tenant, line, manifest)
        if where is not None:
            retention.count_runs(where)
    except MissingTableError:
        return True
    except (InputError, ProviderError):
        return False
    return False


def keep_runs(connection: Connection, tenant: str, line: str, manifest: Mapping[str, Any], runs: int) -> None:
    """Records the runs whose table was removed with the tenant, as if a purge had deleted them."""
    where = _retained(tenant, line, manifest)
    if where is None or not runs:
        return
    row = {"tenant": tenant, "retention": str(where.retention), "rows": {_RUNS: runs}, "total": runs}
    times = dict.fromkeys(("cutoff", "started_at"), func.now())
    connection.execute(insert(purges).values(**row, **times, complete=True, actor=history.actor()))


def _document(tenant: str, line: str, table: Prices, sizing: Sizing | None) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "line": line,
        "currency": table.currency,
        "sizing": sizing.to_dict() if sizing is not None else None,
        "month": estimate(sizing, table).to_dict() if sizing is not None else None,
        "since": None,
        "warnings": [],
    }


def planned(load: Callable[[], Manifest], unknown: NotFoundError) -> dict[str, Any]:
    """The cost of a tenant that is not there yet, from its manifest. Raises `unknown` where it has none either."""
    try:
        manifest = load()
    except NotFoundError:
        raise unknown from None
    return before_creation(manifest)
