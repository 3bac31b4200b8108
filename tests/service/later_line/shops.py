"""A stand-in for the module of a line that comes later: routes like those of sites, in words of its own.

It lies here and not in `service/lines`: a test drops it there, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from automation.jobs import reading
from automation.jobs.database import transaction
from service import actions, answers
from service.api.bodies import Body
from service.api.documents import JobDetail, JobDocument, JobRow, Page
from service.api.parameters import JobId, Key, PageNumber, Reader, SignedIn, Size
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of
from service.lines.seam import LineRoutes
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

KIND = "shop"
_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["tenant_id", "job_type"],
    "properties": {"tenant_id": {"type": "string"}, "job_type": {"enum": ["create_shop", "delete_shop"]}},
}
router = APIRouter(prefix="/api/v1/shops", tags=["shops"])


class ShopJob(Body):
    """What is asked for."""

    tenant_id: str = Field(max_length=40)
    job_type: Literal["create_shop", "delete_shop"]


@router.post(
    "/jobs",
    name="create_shop_job",
    status_code=202,
    response_model=JobDocument,
    responses=responses(400, 404, 408, 409, 413, 415, 422),
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ShopJob"}}}}
    },
)
async def create_shop_job(
    state: StateDep, who: SignedIn, body: Annotated[ShopJob, Depends(body_of(ShopJob))], key: Key = None
) -> Response:
    """Makes or removes a shop. Owner or admin of the tenant."""
    if body.job_type == "delete_shop":
        return answers.accepted(await actions.destroy(state, who, body.tenant_id, key=key))
    manifest = {"kind": KIND, "slug": body.tenant_id, "name": body.tenant_id}
    return answers.accepted(await actions.create_tenant(state, who, manifest, key=key))


@router.get("/jobs", name="list_shop_jobs", response_model=Page[JobRow], responses=responses(422) | NOT_CHANGED)
async def list_shop_jobs(
    request: Request, state: StateDep, who: SignedIn, page: PageNumber = 1, size: Size = 50
) -> Response:
    """Jobs of shops that the caller may see."""
    async with transaction(state.engine, state.settings) as connection:
        rows, total = await reading.jobs_page(connection, line=KIND, visible=who.visible(), page=page, size=size)
    return answers.page_of(request, rows, total, page, size)


@router.get(
    "/jobs/{job_id}", name="get_shop_job", response_model=JobDetail, responses=responses(404, 422) | NOT_CHANGED
)
async def get_shop_job(request: Request, state: StateDep, who: Reader, job_id: JobId) -> Response:
    """A job. Any user of the tenant."""
    async with transaction(state.engine, state.settings) as connection:
        return answers.ok(request, await reading.job_detail(connection, job_id))


@router.post(
    "/jobs/{job_id}/cancel",
    name="cancel_shop_job",
    status_code=202,
    response_model=JobDocument,
    responses=responses(404, 409, 422),
)
async def cancel_shop_job(
    state: StateDep, who: Annotated[Principal, Depends(require(Permission.JOB_CANCEL))], job_id: JobId
) -> Response:
    """Cancels a job. Owner or admin of the tenant."""
    return answers.accepted(actions.Submitted(job=await actions.cancel(state, who, job_id), created=True))


def _schemas(known: Mapping[str, Any]) -> Mapping[str, Any]:
    assert "ShopManifest" in known
    return {"ShopJob": _BODY}


ROUTES = LineRoutes(kind=KIND, router=router, schemas=_schemas)
