"""Pages of jobs: the list, and one job as it goes on, with what can be done about it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.jobs.model import ConflictError, Job
from automation.jobs.reading_jobs import LOG_LINES
from automation.models import TenantStatus
from automation.models_jobs import JobOperation, JobStatus
from service import actions, lookups
from service.auth.deps import Permission, Principal, require
from service.lookups import TenantRow
from service.state import State, StateDep
from service.web import views
from service.web.pages import PageRoute, Paging, asked, page_number, reader, remember, render, to, wants_part
from stacks.lines import LINES, Line

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]
Reader = Annotated[Principal, Depends(require(Permission.TENANT_READ))]
SECTION = "/jobs"
STATUSES = [("", "All"), *((one.value, views.status_word(one)) for one in JobStatus)]
OPERATIONS = [("", "All"), *((one.value, views.operation_word(one)) for one in JobOperation)]
_FAILED = frozenset({JobStatus.FAILED, JobStatus.ROLLED_BACK, JobStatus.ROLLBACK_FAILED})
_HEADLINES = {
    JobStatus.FAILED: "It failed",
    JobStatus.ROLLED_BACK: "It failed, and was rolled back",
    JobStatus.ROLLBACK_FAILED: "It failed, and so did its rollback",
    JobStatus.CANCELLED: "Cancelled",
}
_DONE = {
    JobOperation.UP: "Done: the tenant is as its manifest says",
    JobOperation.REFRESH: "Looked",
    JobOperation.DESTROY: "Done: nothing of the tenant is left",
    JobOperation.ROLLBACK: "Done: it is as it was before",
    JobOperation.BACKUP: "Done: its site is backed up",
    JobOperation.RESTORE: "Done: its site is as it was then",
}

_CHANGING = frozenset({JobOperation.UP, JobOperation.DESTROY, JobOperation.ROLLBACK})


@router.get("/jobs")
async def jobs_page(request: Request, state: StateDep, who: SignedIn) -> Response:
    """The jobs of the tenants that the reader may see."""
    filters: dict[str, Any] = {name: asked(request, name) for name in ("tenant", "status", "operation")}
    page = page_number(request)
    async with reader(state) as connection:
        rows, total = await reading.jobs_page(
            connection,
            tenant=filters["tenant"] or None,
            status=filters["status"] or None,
            operation=filters["operation"] or None,
            visible=who.visible(Permission.TENANT_READ),
            page=page,
        )
    return render(
        request,
        "_jobs.html" if wants_part(request) else "jobs.html",
        who,
        section=SECTION,
        rows=rows,
        paging=Paging(page=page, total=total, path="/jobs", query=filters),
        statuses=STATUSES,
        operations=OPERATIONS,
        filtered=any(filters.values()),
        **filters,
    )


@router.get("/jobs/{job_id}")
async def job_page(request: Request, state: StateDep, who: Reader, job_id: uuid.UUID) -> Response:
    """A job: its progress, steps, log and result, and what can be done about it."""
    job = await state.store.get(job_id)
    async with reader(state) as connection:
        detail = await reading.job_detail(connection, job_id)
        lines = (
            await reading.job_logs(connection, job_id, newest=True) if job.operation is not JobOperation.PREVIEW else []
        )
    row = await lookups.tenant_or_none(state, job.tenant)
    line = LINES[job.line]
    template = "_job_parts.html" if wants_part(request) else "job.html"
    values = {**_about(job, row, line, who), **_result(job, line, detail["error"])}
    return render(
        request,
        template,
        who,
        section=SECTION,
        job=detail,
        lines=lines,
        log_limit=LOG_LINES,
        log_open=job.ended and job.status in _FAILED,
        still="still" in request.query_params,
        steps=_steps(job, row, line, who, detail["steps"]),
        **values,
    )


def _about(job: Job, row: TenantRow | None, line: Line, who: Principal) -> dict[str, Any]:
    own = job.operation is JobOperation.PREVIEW and job.actor == who.subject
    known = row is not None and who.may(Permission.TENANT_READ, job.tenant)
    manifest = job.options.get("manifest")
    edit = f"/tenants/{job.tenant}/edit" if row is not None else "/tenants/new"
    allowed = who.may(Permission.TENANT_UP, job.tenant) or (row is None and who.may(Permission.TENANT_CREATE))
    return {
        "ended": job.ended,
        "known": known,
        "titles": {step.key: step.title for step in line.steps},
        "may": {
            "cancel": own or who.may(Permission.JOB_CANCEL, job.tenant),
            "retry": own or (who.may(Permission.JOB_RETRY, job.tenant) and job.status is not JobStatus.SUCCEEDED),
            "apply": allowed,
        },
        "editable": f"{edit}?from={job.id}" if manifest and allowed else "",
        "saying": _saying(job, line),
    }


def _saying(job: Job, line: Line) -> str:
    """What a screen reader is told when it changes."""
    words = f"{views.operation_word(job.operation)} of {job.tenant}: {views.status_word(job.status)}."
    if job.status is JobStatus.RUNNING and job.current_step:
        titles = {step.key: step.title for step in line.steps}
        words += f" {titles.get(job.current_step, job.current_step)}."
    return words


def _result(job: Job, line: Line, error: Mapping[str, Any] | None) -> dict[str, Any]:
    result = job.result or {}
    details = (error or {}).get("details") or {}
    steps = [(step.key, step.title) for step in line.steps]
    groups = views.plan(result.get("changes", ()), steps) if job.operation is JobOperation.PREVIEW else ()
    drift = [
        {"name": one["urn"].rsplit("::", 1)[-1], "title": views.type_title(one["urn"]), "what": one["what"]}
        for one in result.get("drift", ())
    ]
    failed = job.status in _FAILED or (job.status is JobStatus.CANCELLED and bool(error))
    shown = {"message": job.message, **error, "hint": _hint(error)} if failed and error else None
    return {
        "error": shown or ({"message": job.message, "hint": ""} if job.status in _FAILED else None),
        "headline": _HEADLINES.get(job.status) or _DONE.get(job.operation, ""),
        "problems": details.get("problems", []),
        "leftovers": details.get("leftovers") or result.get("leftovers") or [],
        "done": views.done_words(result.get("changes") or {}) if job.operation in _CHANGING else "",
        "groups": groups,
        "counts": views.counted(groups),
        "drift": drift,
    }


def _hint(error: Mapping[str, Any]) -> str:
    """What to do. Hints that name a command are for a terminal: on the page there is a button."""
    hint = str(error.get("hint") or "")
    return "Correct the cause, then try again." if "`" in hint or "--" in hint else hint


def _steps(
    job: Job, row: TenantRow | None, line: Line, who: Principal, steps: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The steps with what can be done about each; before the run has begun, those that it will have."""
    if not steps:
        state = {"status": "skipped", "message": "not begun"} if job.ended else {"status": "pending", "message": ""}
        empty = {**state, "error": None, "attempts": 0, "duration_ms": None, "started_at": None}
        return [{"key": one.key, "title": one.title, **empty} for one in line.steps]
    open_to = (
        job.ended
        and job.operation is JobOperation.UP
        and row is not None
        and row.manifest_version == job.manifest_version
        and who.may(Permission.TENANT_UP, job.tenant)
    )
    own = {one.key for one in line.steps if one.component_type is not None}
    shown = []
    for step in steps:
        wrong = bool(step["error"]) and step["key"] in own and open_to
        retry = wrong and row is not None and row.status != TenantStatus.REMOVED
        skip = wrong and step["key"] in line.skips and row is not None and row.last_good_manifest is None
        shown.append({**step, "may_retry": retry, "may_skip": skip})
    return shown


@router.post("/jobs/{job_id}/apply")
async def apply_preview(state: StateDep, who: Reader, job_id: uuid.UUID) -> Response:
    """Applies what a preview has shown."""
    job = await state.store.get(job_id)
    if job.operation is not JobOperation.PREVIEW or job.status is not JobStatus.SUCCEEDED:
        raise ConflictError("only a preview that has succeeded can be applied", hint="preview again")
    manifest = job.options.get("manifest")
    row = await lookups.tenant_or_none(state, job.tenant)
    if row is not None:
        await _refuse_outdated(state, job)
    if not isinstance(manifest, Mapping):
        submitted = await actions.up(state, who, job.tenant)
    elif row is None:
        submitted = await actions.create_tenant(state, who, dict(manifest))
    else:
        submitted = await actions.change_tenant(state, who, job.tenant, dict(manifest))
    return to(f"/jobs/{submitted.job.id}")


async def _refuse_outdated(state: State, job: Job) -> None:
    async with reader(state) as connection:
        versions, _ = await reading.manifests(connection, job.tenant, size=1)
    newest = views.parsed(versions[0]["created_at"]) if versions else None
    if newest is not None and newest > job.created_at:
        raise ConflictError(
            f"the manifest of '{job.tenant}' has changed since this preview: applying it would undo that",
            hint="preview again, and apply what that shows",
        )


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(
    state: StateDep,
    job_id: uuid.UUID,
    who: Annotated[Principal, Depends(require(Permission.JOB_CANCEL))],
) -> Response:
    """Cancels a job, or asks its worker to stop."""
    await actions.cancel(state, who, job_id)
    return to(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/retry")
async def retry_job(state: StateDep, who: Reader, job_id: uuid.UUID) -> Response:
    """The same once more."""
    return to(f"/jobs/{(await actions.retry_job(state, who, job_id)).job.id}")


@router.post("/jobs/{job_id}/steps/{step}/{what}")
async def step_again(state: StateDep, who: Reader, job_id: uuid.UUID, step: str, what: str) -> Response:
    """Tries the step of the job's tenant again, or goes on without it."""
    job = await state.store.get(job_id)
    if what not in {"retry", "skip"}:
        raise NotFoundError("a step can be tried again or left out", hint="use the buttons of the job's page")
    act = actions.retry_step if what == "retry" else actions.skip_step
    return to(f"/jobs/{(await act(state, who, job.tenant, step)).job.id}")
