"""The routes of departments (DEP-4), in that product's own words: a department is provisioned, watched, deprovisioned.

Decides how the words of that API are those of tenants and jobs, and which state a department is in (DEP-1). The `id` of
a department is its tenant's slug.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.jobs.database import looking_up, transaction
from service import actions, answers, lookups
from service.api.documents import Document
from service.api.parameters import Creator, Key, PageNumber, Reader, SignedIn, Size
from service.auth.deps import Permission, require
from service.auth.principal import Principal
from service.bodies import document, documented
from service.examples import AT, ID
from service.lines.parts import PartHealth, shown_health
from service.lines.seam import LineRoutes
from service.lines.steps import shown_step
from service.lines.words import Words
from service.problem_documents import NOT_CHANGED, responses
from service.state import State, StateDep
from stacks.department.steps import STATES, states_of
from stacks.lines import DEPARTMENT
from stacks.problems import ManifestError

router = APIRouter(prefix="/api", tags=["departments"])
WORDS = Words(
    kind=DEPARTMENT.kind,
    own={
        "departmentId": "slug",
        "departmentName": "name",
        "adminEmail": "adminEmail",
        "region": "region",
        "workflows": "workflows",
        "dataRetention": "dataRetention",
        "templateId": "templateId",
        "templateVersion": "templateVersion",
        "customSettings": "customSettings",
        "enableRollback": "enableRollback",
    },
)

Id = Annotated[str, Path(alias="tenantId", description="the department's id", examples=["finance"])]
Wanted = Annotated[
    str,
    Path(alias="id", min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$", description="of a job or of a department"),
]
Remover = Annotated[Principal, Depends(require(Permission.TENANT_DESTROY))]
EXAMPLE = {
    "departmentId": "finance",
    "departmentName": "Finance",
    "workflows": ["email", "database"],
    "dataRetention": "90d",
    "region": "eu-central",
    "adminEmail": "head@finance.example",
}


class DepartmentStep(Document):
    """A step of a department's run."""

    key: str = Field(examples=["credential"])
    title: str = Field(examples=["OAuth credential"])
    status: str = Field(examples=["completed"])
    startedAt: str | None  # noqa: N815 - the word of that API
    endedAt: str | None  # noqa: N815
    durationMs: int | None  # noqa: N815
    message: str
    error: str | None


class DepartmentState(Document):
    """A state that a department was in, and since when."""

    state: str = Field(examples=["CREATING_DATABASE"], json_schema_extra={"enum": list(STATES)})
    at: str = Field(examples=[AT])


class ProvisionStatus(Document):
    """How the provisioning of a department is getting on."""

    id: str = Field(examples=[ID], description="of the job")
    departmentId: str = Field(examples=["finance"])  # noqa: N815
    operation: str = Field(examples=["up"])
    state: str = Field(examples=["COMPLETED"], json_schema_extra={"enum": list(STATES)})
    history: list[DepartmentState]
    progress: int
    message: str
    error: str | None
    steps: list[DepartmentStep]
    createdAt: str = Field(examples=[AT])  # noqa: N815
    endedAt: str | None  # noqa: N815
    statusUrl: str = Field(examples=[f"/api/provision-status/{ID}"])  # noqa: N815


class DepartmentInList(Document):
    """A department."""

    departmentId: str = Field(examples=["finance"])  # noqa: N815
    departmentName: str = Field(examples=["Finance"])  # noqa: N815
    status: str = Field(examples=["active"])
    healthUrl: str = Field(examples=["/api/departments/finance/health"])  # noqa: N815


class Departments(Document):
    """A page of departments."""

    departments: list[DepartmentInList]
    page: int
    size: int
    total: int


class DepartmentHealth(Document):
    """Whether each part of a department works now."""

    departmentId: str = Field(examples=["finance"])  # noqa: N815
    healthy: bool
    parts: list[PartHealth]
    checkedAt: str = Field(examples=[AT])  # noqa: N815


@router.post(
    "/provision-department",
    name="provision_department",
    status_code=202,
    response_model=ProvisionStatus,
    responses=responses(400, 408, 409, 413, 415, 422),
    openapi_extra=documented("DepartmentRequest", examples={"a department": EXAMPLE}),
)
async def provision_department(
    state: StateDep, who: Creator, body: Annotated[Any, Depends(document)], key: Key = None
) -> Response:
    """Provisions a department on the servers of its region. An id in use is refused with 409."""
    manifest = WORDS.manifest_of(body)
    try:
        submitted = await actions.create_tenant(state, who, manifest, key=key)
    except ManifestError as error:
        raise WORDS.in_own_words(error, body) from None
    return await _accepted(state, submitted)


@router.get(
    "/provision-status/{id}",
    name="get_provision_status",
    response_model=ProvisionStatus,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def get_provision_status(request: Request, state: StateDep, who: SignedIn, wanted: Wanted) -> Response:
    """How a provisioning is getting on: by the id that it was answered with, or the department's for its newest."""
    return answers.ok(request, await _status(state, who, wanted))


@router.delete(
    "/deprovision/{tenantId}",
    name="deprovision_department",
    status_code=202,
    response_model=ProvisionStatus,
    responses=responses(404, 409, 422),
)
async def deprovision_department(state: StateDep, who: Remover, slug: Id, key: Key = None) -> Response:
    """Removes a department with all that belongs to it: route, workflows, container, credential, schema."""
    await _department(state, slug)
    return await _accepted(state, await actions.destroy(state, who, slug, key=key))


@router.get("/departments", name="list_departments", response_model=Departments, responses=responses(422) | NOT_CHANGED)
async def list_departments(
    request: Request, state: StateDep, who: SignedIn, page: PageNumber = 1, size: Size = 50
) -> Response:
    """The departments that the caller may see, by id."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.tenants_page(
            connection, line=DEPARTMENT.kind, visible=who.visible(), page=page, size=size
        )
    return answers.ok(
        request, {"departments": [_listed(row) for row in rows], "page": page, "size": size, "total": total}
    )


@router.get(
    "/departments/{tenantId}/health",
    name="get_department_health",
    response_model=DepartmentHealth,
    responses=responses(404, 409, 422, 503),
)
async def get_department_health(request: Request, state: StateDep, who: Reader, slug: Id) -> Response:  # noqa: ARG001
    """Whether each part works now: its role, its token, its container, its webhooks, its route. Takes seconds."""
    await _department(state, slug)
    return answers.ok(request, {"departmentId": slug, **shown_health(await state.health.of(slug))})


async def _accepted(state: State, submitted: actions.Submitted) -> Response:
    headers = {"Location": f"/api/provision-status/{submitted.job.id}"}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    # As a question for its status is answered: one that was asked for before may have steps by now.
    async with looking_up(state.engine, state.settings) as connection:
        shown = await reading.job_detail(connection, submitted.job.id)
        course = await reading.job_course(connection, submitted.job.id)
    return answers.queued(_shown(shown, course), headers=headers)


async def _department(state: State, slug: str) -> None:
    row = await lookups.tenant(state, slug)
    if row.line != DEPARTMENT.kind:
        raise NotFoundError(f"there is no department '{slug}'", hint="GET /api/departments lists those there are")


async def _status(state: State, who: Principal, wanted: str) -> dict[str, Any]:
    """The job with that id, or the newest one of that department, as far as the caller may see it."""
    unknown = NotFoundError(f"there is no provisioning '{wanted}' that you may see", hint="check its id")
    async with transaction(state.engine, state.settings) as connection:
        try:
            job = uuid.UUID(wanted)
        except ValueError:
            found = (
                await reading.newest_change(connection, wanted) if wanted in who.roles or who.platform_admin else None
            )
            if found is None:
                raise unknown from None
            job = found
        try:
            shown = await reading.job_detail(connection, job)
            course = await reading.job_course(connection, job)
        except NotFoundError:
            raise unknown from None
    if shown["line"] != DEPARTMENT.kind or (shown["tenant"] not in who.roles and not who.platform_admin):
        raise unknown
    who.demand(Permission.TENANT_READ, shown["tenant"])
    return _shown(shown, course)


def _shown(job: Mapping[str, Any], course: reading.Course) -> dict[str, Any]:
    """A job with its steps, in the words of this API."""
    error = job["error"]
    history = states_of(
        str(job["status"]),
        job["steps"],
        asked_at=job["created_at"],
        ended_at=job["ended_at"],
        removal=course.removal,
        rolling_back=course.rolling_back,
    )
    return {
        "id": job["id"],
        "departmentId": job["tenant"],
        "operation": job["operation"],
        "state": history[-1].state,
        "history": [{"state": one.state, "at": one.at} for one in history],
        "progress": job["progress"],
        "message": job.get("message", ""),
        "error": error.get("message", "") if isinstance(error, Mapping) else error,
        "steps": [shown_step(step) for step in job["steps"]],
        "createdAt": job["created_at"],
        "endedAt": job["ended_at"],
        "statusUrl": f"/api/provision-status/{job['id']}",
    }


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "departmentId": row["slug"],
        "departmentName": row["name"],
        "status": row["status"],
        "healthUrl": f"/api/departments/{row['slug']}/health",
    }


def _schemas(known: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"DepartmentRequest": WORDS.schema(known["DepartmentManifest"], "DepartmentRequest")}


ROUTES = LineRoutes(kind=DEPARTMENT.kind, router=router, schemas=_schemas)
