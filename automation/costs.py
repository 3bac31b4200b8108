"""What a tenant costs: in a month, before it is there and after; and since it was created, from its history.

Decides when a tenant had which size: from the end of each run that succeeded to the end of the next. What failed is not
charged. Prices and arithmetic are `stacks.pricing`'s, what a tenant uses is its line's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Connection, cast, func, select

from automation import manifests, queries
from automation.errors import InputError, NotFoundError, TenantryError
from automation.models import DeploymentStatus, deployments, tenants
from automation.models_jobs import purges
from automation.settings import PROJECT_NAME
from providers import retention
from providers.errors import ProviderError
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
    counted, warning = _counted_runs(of)
    if warning:
        warnings.append(warning)
    spans = periods(of.runs, lambda manifest: _sizing(of.line, manifest), of.now)
    if any(span.sizing is None for span in spans):
        warnings.append("a time in its history has a manifest that this version cannot read: it is not in the amount")
    runs = of.purged_runs + counted
    since = accrued(spans, runs, table).to_dict()
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


def _counted_runs(of: Facts) -> tuple[int, str | None]:
    """The workflow runs that the tenant's database has now; and why they are not known."""
    if of.manifest is None:
        return 0, None
    try:
        where: Retained | None = manifests.line_named(of.line).retained(
            manifests.restored(of.manifest), f"{PROJECT_NAME}/{of.tenant}"
        )
        return (retention.count_runs(where), None) if where is not None else (0, None)
    except InputError as error:
        return 0, f"workflow runs are not known: {error.message}"
    except ProviderError as error:
        return 0, f"workflow runs are not known: {error}"


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
