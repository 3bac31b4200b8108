"""The routes of sites (SITE-2), in that product's own words: jobs that make, back up, restore and remove a site.

Decides how the words of that API are those of tenants and jobs. A `tenant_id` is the tenant's slug; a job of this API
is a job like any other, and `/api/v1/jobs` tells more of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from automation.errors import NotFoundError
from automation.jobs import reading, reading_backups
from automation.jobs.database import looking_up
from automation.models import TenantStatus
from service import actions, answers, lookups
from service.api.documents import Page
from service.api.parameters import JobId, Key, PageNumber, Reader, SignedIn, Size, Word
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, documented
from service.lines.seam import LineRoutes
from service.lines.site_documents import (
    EXAMPLES,
    OPERATIONS,
    STATUSES,
    JobStatusWord,
    JobType,
    SiteBackups,
    SiteJob,
    SiteJobBody,
    demand_fitting,
    shown_job,
)
from service.problem_documents import NOT_CHANGED, responses
from service.state import State, StateDep
from stacks.lines import SITE

router = APIRouter(prefix="/api/v1/provisioning", tags=["sites"])

Tenant = Annotated[
    str,
    Path(description="the tenant's id", pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$", examples=["acme-shop"]),
]
Canceller = Annotated[Principal, Depends(require(Permission.JOB_CANCEL))]
Retrier = Annotated[Principal, Depends(require(Permission.JOB_RETRY))]


@router.post(
    "/jobs",
    name="create_site_job",
    status_code=202,
    response_model=SiteJob,
    responses=responses(400, 404, 408, 409, 413, 415, 422),
    openapi_extra=documented("SiteJobBody", examples=EXAMPLES),
)
async def create_site_job(
    state: StateDep, who: SignedIn, body: Annotated[SiteJobBody, Depends(body_of(SiteJobBody))], key: Key = None
) -> Response:
    """Makes, backs up, restores or removes a site. For owners and admins of the tenant; a new one, for creators too."""
    demand_fitting(body)
    slug = body.tenant_id
    if body.job_type != JobType.CREATE:
        await _site_of(state, who, slug)
    match body.job_type:
        case JobType.CREATE:
            submitted = await actions.create_tenant(state, who, await _manifest(state, body), key=key)
        case JobType.DELETE:
            submitted = await actions.destroy(state, who, slug, key=key)
        case JobType.BACKUP:
            submitted = await actions.backup(state, who, slug, key=key)
        case JobType.RESTORE:
            first = True if body.backup_first is None else body.backup_first
            submitted = await actions.restore(state, who, slug, str(body.backup), first=first, key=key)
    return _accepted(submitted)


@router.get("/jobs", name="list_site_jobs", response_model=Page[SiteJob], responses=responses(422) | NOT_CHANGED)
async def list_site_jobs(
    request: Request,
    state: StateDep,
    who: SignedIn,
    tenant_id: Word = None,
    job_type: Annotated[JobType | None, Query(description="only these")] = None,
    status: Annotated[JobStatusWord | None, Query(description="only these")] = None,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """The jobs of sites that the caller may see, newest first."""
    operations = {OPERATIONS[job_type]} if job_type else set(OPERATIONS.values())
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.jobs_page(
            connection,
            line=SITE.kind,
            tenant=tenant_id,
            operations=operations,
            statuses=STATUSES[status] if status else None,
            visible=who.visible(),
            page=page,
            size=size,
        )
    return answers.page_of(request, [shown_job(row) for row in rows], total, page, size)


@router.get("/jobs/{job_id}", name="get_site_job", response_model=SiteJob, responses=responses(404, 422) | NOT_CHANGED)
async def get_site_job(request: Request, state: StateDep, who: Reader, job_id: JobId) -> Response:  # noqa: ARG001
    """A job: how far it is, and what became of it."""
    return answers.ok(request, shown_job(await _job(state, job_id)))


@router.post(
    "/jobs/{job_id}/retry",
    name="retry_site_job",
    status_code=202,
    response_model=SiteJob,
    responses=responses(404, 409, 422),
)
async def retry_site_job(state: StateDep, who: Retrier, job_id: JobId, key: Key = None) -> Response:
    """The same once more, as a job of its own. Only of one that is failed or completed."""
    await _job(state, job_id)
    return _accepted(await actions.retry_job(state, who, job_id, key=key))


@router.post(
    "/jobs/{job_id}/cancel",
    name="cancel_site_job",
    status_code=202,
    response_model=SiteJob,
    responses=responses(404, 409, 422),
)
async def cancel_site_job(state: StateDep, who: Canceller, job_id: JobId) -> Response:
    """Cancels a job that is pending, and stops one that runs: what bench is at is ended. It ends as failed."""
    await _job(state, job_id)
    return _accepted(actions.Submitted(job=await actions.cancel(state, who, job_id), created=True))


@router.get(
    "/tenants/{tenant_id}/backups",
    name="list_site_backups",
    response_model=SiteBackups,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def list_site_backups(request: Request, state: StateDep, who: Reader, tenant_id: Tenant) -> Response:
    """The backups that jobs have made and none has cleared away, newest first: what a restore may name.

    Also those that were made before a restore, and before the removal. Those of a tenant that had this name before are
    for admins of the platform.
    """
    removed = (await _site_of(state, who, tenant_id)).status == TenantStatus.REMOVED
    async with looking_up(state.engine, state.settings) as connection:
        since = await reading_backups.earlier_until(connection, tenant_id, removed=removed)
        rows = await reading_backups.made_by_jobs(connection, tenant_id, since=since, earlier=who.platform_admin)
        return answers.ok(request, {"items": rows})


async def _manifest(state: State, body: SiteJobBody) -> dict[str, Any]:
    """What was sent; of a tenant that could not be made before, nothing sent means the same again."""
    given = dict(body.manifest)
    if not given:
        row = await lookups.tenant_or_none(state, body.tenant_id)
        if row is not None and row.line == SITE.kind and row.status != TenantStatus.REMOVED and row.manifest_version:
            given = await lookups.newest_manifest(state, row)
    return {"name": body.tenant_id, **given, "kind": SITE.kind, "slug": body.tenant_id}


async def _site_of(state: State, who: Principal, slug: str) -> lookups.TenantRow:
    """The tenant. Raises NotFoundError where the caller may see no such tenant, or it is no site."""
    who.demand(Permission.TENANT_READ, slug)
    row = await lookups.tenant(state, slug)
    if row.line != SITE.kind:
        raise NotFoundError(f"tenant '{slug}' has no site", hint="GET /api/v1/tenants?line=site lists those that have")
    return row


async def _job(state: State, job_id: uuid.UUID) -> dict[str, Any]:
    async with looking_up(state.engine, state.settings) as connection:
        found = await reading.job_detail(connection, job_id)
    if found["line"] != SITE.kind or found["operation"] not in OPERATIONS.values():
        raise NotFoundError(f"there is no job {job_id} of a site", hint="GET /api/v1/provisioning/jobs lists them")
    return found


def _accepted(submitted: actions.Submitted) -> Response:
    job = submitted.job
    headers = {"Location": f"/api/v1/provisioning/jobs/{job.id}"}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    return answers.queued(shown_job(job.to_dict()), headers=headers)


def _schemas(_known: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = SiteJobBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"]["job_type"] = {"enum": [one.value for one in JobType], "type": "string"}
    schema.pop("$defs", None)
    return {"SiteJobBody": schema}


ROUTES = LineRoutes(kind=SITE.kind, router=router, schemas=_schemas)
