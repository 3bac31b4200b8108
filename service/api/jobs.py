"""`/api/v1/jobs`: what was asked for, and what became of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from automation.jobs import reading
from automation.jobs.database import looking_up
from automation.models_jobs import JobOperation, JobStatus
from service import actions, answers
from service.api.documents import JobDetail, JobDocument, JobRow, Lines, Page, Steps
from service.api.parameters import After, Before, JobId, Key, LineKind, PageNumber, Reader, SignedIn, Size, Word
from service.auth.deps import Permission, Principal, require
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["jobs"])

_READ = responses(404, 422) | NOT_CHANGED


@router.get("/jobs", response_model=Page[JobRow], responses=responses(422) | NOT_CHANGED)
async def list_jobs(
    request: Request,
    state: StateDep,
    who: SignedIn,
    tenant: Word = None,
    status: Annotated[JobStatus | None, Query(description="only these")] = None,
    operation: Annotated[JobOperation | None, Query(description="only these")] = None,
    line: LineKind = None,
    actor: Word = None,
    before: Before = None,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """Jobs of the tenants that the caller may see, newest first."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.jobs_page(
            connection,
            tenant=tenant,
            status=status,
            operation=operation,
            line=line,
            actor=actor,
            visible=who.visible(),
            before=before,
            page=page,
            size=size,
        )
    return answers.page_of(request, rows, total, page, size)


@router.get("/jobs/{job_id}", response_model=JobDetail, responses=_READ)
async def get_job(request: Request, state: StateDep, who: Reader, job_id: JobId) -> Response:  # noqa: ARG001
    """A job with the steps of its run."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, await reading.job_detail(connection, job_id))


@router.get("/jobs/{job_id}/steps", response_model=Steps, responses=_READ)
async def get_job_steps(request: Request, state: StateDep, who: Reader, job_id: JobId) -> Response:  # noqa: ARG001
    """The steps of a job's run, in order; none while it waits."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, {"items": await reading.job_steps(connection, job_id)})


@router.get("/jobs/{job_id}/logs", response_model=Lines, responses=_READ)
async def get_job_logs(
    request: Request,
    state: StateDep,
    who: Reader,  # noqa: ARG001
    job_id: JobId,
    after: After = 0,
) -> Response:
    """The log of a job, at most 1000 lines at once; `after` is the last line's id of the answer before."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, {"items": await reading.job_logs(connection, job_id, after=after)})


@router.post("/jobs/{job_id}/cancel", response_model=JobDocument, status_code=202, responses=responses(404, 409, 422))
async def cancel_job(
    state: StateDep, who: Annotated[Principal, Depends(require(Permission.JOB_CANCEL))], job_id: JobId
) -> Response:
    """Cancels a job that waits, and stops one that runs. The job's end says in what state the tenant was left."""
    job = await actions.cancel(state, who, job_id)
    return answers.accepted(actions.Submitted(job=job, created=True))


@router.post("/jobs/{job_id}/retry", response_model=JobDocument, status_code=202, responses=responses(404, 409, 422))
async def retry_job(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.JOB_RETRY))],
    job_id: JobId,
    key: Key = None,
) -> Response:
    """The same request once more, as a job of its own. Only of a job that has ended."""
    return answers.accepted(await actions.retry_job(state, who, job_id, key=key))
