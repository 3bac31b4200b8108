"""What the actions must know of a tenant before they accept something. Reads only; lists for people are `reading`'s."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import desc, select
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.errors import NotFoundError
from automation.jobs.database import looking_up
from automation.jobs.model import ConflictError
from automation.jobs.rows import json_safe
from automation.models import DeploymentStatus, deployment_steps, deployments, tenants
from automation.models_jobs import manifests
from automation.steps import StepStatus
from service.state import State

_COLUMNS = (
    "slug",
    "line",
    "name",
    "status",
    "template_id",
    "template_version",
    "last_good_manifest",
    "manifest_version",
    "url",
    "objects",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRow:
    """A tenant as it is in its table."""

    slug: str
    line: str
    name: str
    status: str
    template_id: str | None
    template_version: str | None
    last_good_manifest: Mapping[str, Any] | None
    manifest_version: int
    url: str | None = None
    objects: Sequence[Mapping[str, Any]] | None = None

    @property
    def lacking(self) -> frozenset[str]:
        """The steps of which something optional is not there."""
        return frozenset(str(one["step"]) for one in self.objects or () if not one["ready"])


async def tenant_or_none(state: State, slug: str) -> TenantRow | None:
    """The tenant, None where there is none."""
    statement = select(*(tenants.c[name] for name in _COLUMNS)).where(tenants.c.slug == slug)
    async with looking_up(state.engine, state.settings) as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    return TenantRow(**{name: row[name] for name in _COLUMNS}) if row is not None else None


async def tenant(state: State, slug: str) -> TenantRow:
    """The tenant. Raises NotFoundError."""
    if (row := await tenant_or_none(state, slug)) is None:
        raise NotFoundError(f"there is no tenant '{slug}'", hint="the list of tenants shows those there are")
    return row


async def newest_manifest(state: State, row: TenantRow) -> dict[str, Any]:
    """The tenant's newest manifest, as it was sent. Raises ConflictError where none is on record."""
    statement = select(manifests.c.manifest).where(
        manifests.c.tenant == row.slug, manifests.c.version == row.manifest_version
    )
    async with looking_up(state.engine, state.settings) as connection:
        found = (await connection.execute(statement)).scalar_one_or_none()
    if found is None and row.last_good_manifest is not None:
        found = row.last_good_manifest.get("manifest")
    if not isinstance(found, Mapping):
        raise ConflictError(f"tenant '{row.slug}' has no manifest on record", hint="send the manifest to bring it to")
    return dict(found)


async def step_is_done(state: State, slug: str, step: str) -> bool:
    """Whether the step's objects exist, as far as the last deployment that changed something knows."""
    last = (
        select(deployments.c.id)
        .where(deployments.c.tenant == slug, deployments.c.operation.in_(("up", "destroy", "rollback")))
        .order_by(desc(deployments.c.number))
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(deployment_steps.c.status)
        .join(deployments, deployments.c.id == deployment_steps.c.deployment_id)
        .where(deployment_steps.c.deployment_id == last, deployment_steps.c.key == step)
        .where(deployments.c.operation == "up")
    )
    async with looking_up(state.engine, state.settings) as connection:
        status = (await connection.execute(statement)).scalar_one_or_none()
    return status in {StepStatus.COMPLETED, StepStatus.RUNNING}


async def deployment_to_undo(state: State, slug: str, wanted: uuid.UUID | None) -> uuid.UUID:
    """The deployment of `slug` with that id; None: its last change. Raises NotFoundError, ConflictError."""
    statement = select(deployments.c.id).where(deployments.c.tenant == slug)
    if wanted is not None:
        statement = statement.where(deployments.c.id == wanted)
    else:
        statement = (
            statement.where(deployments.c.operation == "up", deployments.c.status == DeploymentStatus.SUCCEEDED)
            # Undoing a first create removes the tenant: that has to be asked for by its id.
            .where(~deployments.c.first_create)
            .where(deployments.c.manifest.is_distinct_from(deployments.c.previous_manifest))
            .order_by(desc(deployments.c.number))
            .limit(1)
        )
    async with looking_up(state.engine, state.settings) as connection:
        found = (await connection.execute(statement)).scalar_one_or_none()
    if found is None and wanted is None:
        raise ConflictError(f"tenant '{slug}' has no change that could be undone", hint="name a deployment by its id")
    if found is None:
        raise NotFoundError(f"tenant '{slug}' has no deployment {wanted}", hint="its history lists its deployments")
    return uuid.UUID(str(found))


async def taken(state: State, slugs: Sequence[str]) -> frozenset[str]:
    """Those of `slugs` that a tenant has. By their index: as many tenants as there are, few are looked at."""
    statement = select(tenants.c.slug).where(tenants.c.slug.in_(slugs))
    async with looking_up(state.engine, state.settings) as connection:
        return frozenset((await connection.execute(statement)).scalars())


async def standing(connection: AsyncConnection, slug: str) -> dict[str, Any]:
    """What a tenant is now: slug, name, status, objects, updated_at (ISO 8601). Raises NotFoundError."""
    columns = (tenants.c[name] for name in ("slug", "name", "status", "objects", "updated_at"))
    row = (await connection.execute(select(*columns).where(tenants.c.slug == slug))).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no tenant '{slug}'", hint="the list of tenants shows those there are")
    return json_safe(row)


RECENT_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that changed a tenant, or meant to. `steps` as `reading` shows them; `done`: it succeeded."""

    id: uuid.UUID
    operation: str
    done: bool
    steps: Sequence[Mapping[str, Any]]


async def recent_runs(connection: AsyncConnection, slug: str) -> list[Run]:
    """The tenant's last runs but those that only looked, newest first, at most RECENT_RUNS."""
    of_runs = select(deployments.c.id, deployments.c.operation, deployments.c.status)
    of_runs = of_runs.where(deployments.c.tenant == slug, deployments.c.operation != "refresh")
    runs = (await connection.execute(of_runs.order_by(desc(deployments.c.number)).limit(RECENT_RUNS))).all()
    of_steps = select(deployment_steps).where(deployment_steps.c.deployment_id.in_([run.id for run in runs]))
    steps: dict[uuid.UUID, list[Mapping[str, Any]]] = {run.id: [] for run in runs}
    for row in (await connection.execute(of_steps.order_by(deployment_steps.c.position))).mappings():
        steps[row["deployment_id"]].append(json_safe(row))
    done = DeploymentStatus.SUCCEEDED
    return [Run(id=run.id, operation=run.operation, done=run.status == done, steps=steps[run.id]) for run in runs]
