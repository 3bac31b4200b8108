"""What the read-only commands show: JSON-safe dictionaries from the control tables. Never writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnClause, Connection, RowMapping, desc, func, select
from sqlalchemy import column as db_column
from sqlalchemy import table as db_table

from automation import records
from automation.errors import NotFoundError
from automation.models import deployment_logs, deployment_steps, deployments, tenants

_DEPLOYMENT = (
    "id",
    "tenant",
    "operation",
    "status",
    "phase",
    "correlation_id",
    "actor",
    "host",
    "pid",
    "engine",
    "progress",
    "changes",
    "requests",
    "error",
    "leftovers",
    "rollback_of",
    "started_at",
    "ended_at",
    "duration_ms",
)


def list_tenants(connection: Connection, *, removed: bool) -> list[dict[str, Any]]:
    """All tenants with their last deployment; those that were removed only if asked for."""
    last = (
        select(
            deployments.c.tenant,
            deployments.c.id,
            deployments.c.operation,
            deployments.c.status,
            deployments.c.progress,
            deployments.c.started_at,
            func.row_number()
            .over(partition_by=deployments.c.tenant, order_by=desc(deployments.c.number))
            .label("rank"),
        )
    ).subquery()
    statement = (
        select(
            tenants.c.slug,
            tenants.c.name,
            tenants.c.status,
            tenants.c.template_id,
            tenants.c.template_version,
            tenants.c.updated_at,
            last.c.id.label("deployment"),
            last.c.operation,
            last.c.status.label("deployment_status"),
            last.c.progress,
        )
        .join(last, (last.c.tenant == tenants.c.slug) & (last.c.rank == 1), isouter=True)
        .order_by(tenants.c.slug)
    )
    if not removed:
        statement = statement.where(tenants.c.status != "removed")
    return [safe(row) for row in connection.execute(statement).mappings()]


def show_tenant(connection: Connection, slug: str) -> dict[str, Any]:
    """A tenant, its record and its last deployment with steps. Raises NotFoundError."""
    tenant = connection.execute(select(tenants).where(tenants.c.slug == slug)).mappings().one_or_none()
    if tenant is None:
        known = connection.execute(select(tenants.c.slug).order_by(tenants.c.slug)).scalars().all()
        raise unknown_tenant(slug, known)
    table = records.TABLES.get(tenant["line"])
    own = select(table).where(table.c.slug == slug) if table is not None else None
    record = connection.execute(own).mappings().one_or_none() if own is not None else None
    last = connection.execute(
        select(deployments.c.id).where(deployments.c.tenant == slug).order_by(desc(deployments.c.number)).limit(1)
    ).scalar_one_or_none()
    answer = safe(tenant)
    answer["record"] = safe(record) if record is not None else None
    answer["deployment"] = show_deployment(connection, last) if last is not None else None
    return answer


def unknown_tenant(slug: str, known: Iterable[str]) -> NotFoundError:
    """The error for a tenant that is not there, with the closest name that is."""
    import difflib

    close = difflib.get_close_matches(slug, list(known), n=1)
    suggestion = f"did you mean '{close[0]}'? " if close else ""
    return NotFoundError(f"there is no tenant '{slug}'", hint=f"{suggestion}`tenantry list` shows all tenants")


def show_deployment(connection: Connection, deployment: uuid.UUID) -> dict[str, Any]:
    """A deployment with its steps."""
    columns = [deployments.c[name] for name in _DEPLOYMENT]
    row = connection.execute(select(*columns).where(deployments.c.id == deployment)).mappings().one()
    steps = connection.execute(
        select(deployment_steps)
        .where(deployment_steps.c.deployment_id == deployment)
        .order_by(deployment_steps.c.position)
    ).mappings()
    answer = safe(row)
    answer["steps"] = [
        {key: value for key, value in safe(step).items() if key not in {"deployment_id", "position"}} for step in steps
    ]
    return answer


def history(connection: Connection, slug: str, limit: int) -> list[dict[str, Any]]:
    """The tenant's deployments, newest first. Raises NotFoundError for an unknown tenant."""
    if connection.execute(select(tenants.c.slug).where(tenants.c.slug == slug)).one_or_none() is None:
        known = connection.execute(select(tenants.c.slug)).scalars().all()
        raise unknown_tenant(slug, known)
    columns = [deployments.c[name] for name in _DEPLOYMENT]
    statement = select(*columns).where(deployments.c.tenant == slug).order_by(desc(deployments.c.number)).limit(limit)
    return [safe(row) for row in connection.execute(statement).mappings()]


def logs(connection: Connection, deployment: uuid.UUID, after: int = 0) -> list[dict[str, Any]]:
    """A deployment's log lines with an id above `after`, oldest first."""
    statement = (
        select(deployment_logs)
        .where(deployment_logs.c.deployment_id == deployment, deployment_logs.c.id > after)
        .order_by(deployment_logs.c.id)
    )
    return [safe(row) for row in connection.execute(statement).mappings()]


def last_deployment(connection: Connection, slug: str) -> uuid.UUID:
    """The id of the tenant's newest deployment. Raises NotFoundError."""
    found = history(connection, slug, 1)
    if not found:
        raise NotFoundError(f"tenant '{slug}' has no deployments", hint=f"`tenantry up {slug}` makes the first one")
    return uuid.UUID(found[0]["id"])


def leftovers(connection: Connection, databases: Iterable[str], roles: Iterable[str]) -> list[str]:
    """Which of these databases and roles are still on the server, as readers would name them."""
    left: list[str] = []
    for kind, catalog, column, names in (
        ("database", "pg_database", "datname", databases),
        ("role", "pg_roles", "rolname", roles),
    ):
        name: ColumnClause[str] = db_column(column)
        found = connection.execute(select(name).select_from(db_table(catalog)).where(name.in_(list(names))))
        left.extend(f"{kind} {row[0]}" for row in found)
    return left


def safe(row: RowMapping) -> dict[str, Any]:
    """A row as JSON knows it: times and ids are text."""
    return {key: _value(value) for key, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value
