"""What the API and the pages show: JSON-safe dictionaries. Never writes. Jobs and audit are `reading_jobs`', passed on.

Decides what is shown, in which order, and how much at once. Whoever calls says which tenants its reader may see.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from automation import records
from automation.errors import InputError, NotFoundError
from automation.jobs.audit import masked
from automation.jobs.reading_jobs import (
    Course,
    audit_page,
    job_course,
    job_detail,
    job_logs,
    job_steps,
    jobs_page,
    newest_change,
)
from automation.jobs.reading_pages import COUNT_LIMIT, bounded, page_of
from automation.jobs.rows import ACTIVE_SQL, json_safe, storable
from automation.models import TenantStatus, deployment_steps, deployments, tenants
from automation.models_jobs import jobs
from automation.models_jobs import manifests as manifest_versions

__all__ = [
    "COUNT_LIMIT",
    "Course",
    "audit_page",
    "deployment",
    "deployments_page",
    "job_course",
    "job_detail",
    "job_logs",
    "job_steps",
    "jobs_page",
    "manifest",
    "manifests",
    "newest_change",
    "tenant",
    "tenants_page",
]

_DEPLOYMENT = tuple(
    deployments.c[name]
    for name in (
        *("id", "tenant", "operation", "status", "phase", "correlation_id", "actor", "engine", "progress", "changes"),
        *(
            "requests",
            "error",
            "leftovers",
            "rollback_of",
            "job_id",
            "first_create",
            "started_at",
            "ended_at",
            "duration_ms",
        ),
    )
)
_TENANT = tuple(
    tenants.c[name]
    for name in (
        *("slug", "line", "name", "status", "template_id", "template_version", "manifest_version"),
        *("url", "created_at", "updated_at"),
    )
)
_STEP = tuple(one for one in deployment_steps.c if one.name not in {"deployment_id", "position"})


async def tenants_page(
    connection: AsyncConnection,
    *,
    search: str | None = None,
    status: str | None = None,
    line: str | None = None,
    visible: AbstractSet[str] | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[dict[str, Any]], int]:
    """Tenants by slug, each with its active `job` and its `last` deployment, or None; and how many there are in all.

    `search` is looked for in slug and name. `status` None leaves out removed tenants; "all" leaves out none. `visible`
    None means all tenants. Raises InputError for a page or size that is out of bounds.
    """
    statement = select(*_TENANT).where(*_tenant_filters(search, status, line, visible)).order_by(tenants.c.slug)
    return await page_of(connection, statement, page, size, shown=_with_job_and_last)


def _tenant_filters(
    search: str | None, status: str | None, line: str | None, visible: AbstractSet[str] | None
) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if search:
        wanted = storable(search)
        filters.append(or_(*(column.icontains(wanted, autoescape=True) for column in (tenants.c.slug, tenants.c.name))))
    if status is None:
        filters.append(tenants.c.status != TenantStatus.REMOVED)
    elif status != "all":
        filters.append(tenants.c.status == storable(status))
    if line is not None:
        filters.append(tenants.c.line == storable(line))
    if visible is not None:
        filters.append(tenants.c.slug == func.any(sorted(visible)))
    return filters


def _with_job_and_last(rows: Subquery) -> Select[Any]:
    # Around the page and not in it: what is skipped to get to the page is not looked up.
    return select(rows, _active_job(rows.c.slug), _last_deployment(rows.c.slug)).order_by(rows.c.slug)


def _active_job(slug: ColumnElement[str]) -> ColumnElement[Any]:
    """The tenant's active job as JSON, NULL without one."""
    columns = {name: jobs.c[name] for name in ("id", "operation", "status", "progress", "current_step", "created_at")}
    statement = select(_object(columns)).where(jobs.c.tenant == slug, text(ACTIVE_SQL))
    return statement.limit(1).scalar_subquery().label("job")


def _last_deployment(slug: ColumnElement[str]) -> ColumnElement[Any]:
    """The tenant's newest deployment as JSON, NULL without one."""
    names = ("id", "operation", "status", "progress", "error", "started_at", "ended_at")
    statement = select(_object({name: deployments.c[name] for name in names}))
    newest = statement.where(deployments.c.tenant == slug).order_by(deployments.c.number.desc())
    return newest.limit(1).scalar_subquery().label("last")


def _object(columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    pairs = [part for name, column in columns.items() for part in (literal(name, Text()), column)]
    return type_coerce(func.jsonb_build_object(*pairs), JSONB)


def _record(table: Table) -> ColumnElement[Any]:
    own = select(_object({one.name: one for one in table.c})).where(table.c.slug == tenants.c.slug)
    return own.scalar_subquery()


async def tenant(connection: AsyncConnection, slug: str) -> dict[str, Any]:
    """A tenant with its newest `manifest`, its `record`, its active `job`, and its last `deployment` with steps.

    Raises NotFoundError.
    """
    slug = storable(slug)
    newest = select(manifest_versions.c.manifest).where(
        manifest_versions.c.tenant == tenants.c.slug, manifest_versions.c.version == tenants.c.manifest_version
    )
    of_line = {kind: _record(table) for kind, table in records.TABLES.items()}
    statement = select(
        *_TENANT,
        newest.scalar_subquery().label("manifest"),
        case(of_line, value=tenants.c.line).label("record"),
        _active_job(tenants.c.slug),
    ).where(tenants.c.slug == slug)
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise _no_tenant(slug)
    answer = json_safe(row)
    answer["manifest"] = masked(answer["manifest"])
    last = select(*_DEPLOYMENT).where(deployments.c.tenant == slug).order_by(deployments.c.number.desc()).limit(1)
    found = (await connection.execute(last)).mappings().one_or_none()
    answer["deployment"] = await _with_steps(connection, json_safe(found)) if found is not None else None
    return answer


async def deployments_page(
    connection: AsyncConnection, slug: str, *, page: int = 1, size: int = 50
) -> tuple[list[dict[str, Any]], int]:
    """A tenant's deployments, newest first, without steps. Raises NotFoundError for a tenant that is not there."""
    statement = select(*_DEPLOYMENT).where(deployments.c.tenant == storable(slug)).order_by(deployments.c.number.desc())
    rows, total = await page_of(connection, statement, page, size)
    if not total:
        await _require(connection, slug)
    return rows, total


async def deployment(connection: AsyncConnection, wanted: uuid.UUID) -> dict[str, Any]:
    """A deployment with its `steps`, and the `manifest` it was of. Raises NotFoundError."""
    statement = select(*_DEPLOYMENT, deployments.c.manifest, deployments.c.previous_manifest)
    row = (await connection.execute(statement.where(deployments.c.id == wanted))).mappings().one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no deployment {wanted}", hint="a tenant's page and its list of deployments show those there are"
        )
    answer = json_safe(row)
    for key in ("manifest", "previous_manifest"):
        answer[key] = masked(_asked_for(row[key]))
    return await _with_steps(connection, answer)


def _asked_for(resolved: Mapping[str, Any] | None) -> Any:
    """The manifest inside a resolved one."""
    return resolved.get("manifest", resolved) if resolved else None


async def _with_steps(connection: AsyncConnection, row: dict[str, Any]) -> dict[str, Any]:
    statement = (
        select(*_STEP)
        .where(deployment_steps.c.deployment_id == uuid.UUID(row["id"]))
        .order_by(deployment_steps.c.position)
    )
    steps = (await connection.execute(statement)).mappings()
    return row | {"steps": [json_safe(step) for step in steps]}


async def manifests(
    connection: AsyncConnection, slug: str, *, page: int = 1, size: int = 50
) -> tuple[list[dict[str, Any]], int]:
    """The versions of a tenant's manifest, newest first: version, actor, created_at. Raises NotFoundError."""
    columns = (manifest_versions.c.version, manifest_versions.c.actor, manifest_versions.c.created_at)
    statement = (
        select(*columns)
        .where(manifest_versions.c.tenant == storable(slug))
        .order_by(manifest_versions.c.version.desc())
    )
    rows, total = await page_of(connection, statement, page, size)
    if not total:
        await _require(connection, slug)
    return rows, total


async def manifest(connection: AsyncConnection, slug: str, version: int) -> dict[str, Any]:
    """One version of a tenant's manifest: version, manifest, actor, created_at. Raises NotFoundError."""
    bounded("version", version, 1, 2**31 - 1)
    one = and_(manifest_versions.c.tenant == storable(slug), manifest_versions.c.version == version)
    row = (await connection.execute(select(manifest_versions).where(one))).mappings().one_or_none()
    if row is None:
        await _require(connection, slug)
        raise NotFoundError(
            f"tenant '{slug}' has no version {version} of its manifest", hint="its list of manifests shows those it has"
        )
    return {key: value for key, value in masked(json_safe(row)).items() if key != "tenant"}


async def _require(connection: AsyncConnection, slug: str) -> None:
    statement = select(tenants.c.slug).where(tenants.c.slug == storable(slug))
    if (await connection.execute(statement)).one_or_none() is None:
        raise _no_tenant(slug)


def _no_tenant(slug: str) -> InputError:
    return NotFoundError(f"there is no tenant '{slug}'", hint="the list of tenants shows those there are")
