"""`/api/v1/tenants`: tenants, their manifests and history, and what can be done to them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from automation import costs
from automation.jobs import reading
from automation.jobs.database import looking_up
from automation.models import TenantStatus
from service import actions, answers
from service.api.bodies import RollbackBody, RunBody
from service.api.documents import (
    MANIFEST,
    CostDocument,
    DeploymentDetail,
    DeploymentRow,
    JobDocument,
    ManifestDetail,
    ManifestVersion,
    Page,
    TenantDetail,
    TenantInList,
)
from service.api.parameters import (
    Creator,
    DeploymentId,
    IfMatch,
    Key,
    LineKind,
    PageNumber,
    Reader,
    Search,
    SignedIn,
    Size,
    Slug,
    StepKey,
    Version,
)
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, document, documented
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["tenants"])

_READ = responses(404, 422) | NOT_CHANGED
_LIST = responses(422) | NOT_CHANGED
_ACT = responses(404, 409, 422)
_ACT_BODY = _ACT | responses(400, 408, 413, 415)

Manifest = Annotated[Any, Depends(document)]
Changer = Annotated[Principal, Depends(require(Permission.TENANT_UP))]


def _accepting(**more: Any) -> dict[str, Any]:
    """What routes that submit a job have in common."""
    return {"status_code": 202, "response_model": JobDocument, "response_description": "The job was accepted", **more}


@router.get("/tenants", response_model=Page[TenantInList], responses=_LIST)
async def list_tenants(
    request: Request,
    state: StateDep,
    who: SignedIn,
    search: Search = None,
    status: Annotated[TenantStatus | None, Query(description="only these; without it all but removed ones")] = None,
    line: LineKind = None,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """Tenants that the caller may see, by slug, each with its active job and its last run."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.tenants_page(
            connection, search=search, status=status, line=line, visible=who.visible(), page=page, size=size
        )
    return answers.page_of(request, rows, total, page, size)


@router.post(
    "/tenants",
    **_accepting(
        responses=responses(400, 408, 409, 413, 415, 422),
        openapi_extra=documented("Manifest", examples={"cabinet": MANIFEST}),
    ),
)
async def create_tenant(state: StateDep, who: Creator, manifest: Manifest, key: Key = None) -> Response:
    """Creates a tenant from its manifest. Whoever creates it owns it. Follow the job to see it come into being."""
    return answers.accepted(await actions.create_tenant(state, who, manifest, key=key))


@router.get("/tenants/{slug}", response_model=TenantDetail, responses=_READ)
async def get_tenant(request: Request, state: StateDep, who: Reader, slug: Slug) -> Response:  # noqa: ARG001
    """A tenant: its newest manifest, its record, its active job, and its last run with steps."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, await reading.tenant(connection, slug))


@router.put(
    "/tenants/{slug}",
    **_accepting(
        responses=_ACT_BODY | responses(412), openapi_extra=documented("Manifest", examples={"cabinet": MANIFEST})
    ),
)
async def change_tenant(
    request: Request,
    state: StateDep,
    who: Changer,
    slug: Slug,
    manifest: Manifest,
    key: Key = None,
    if_match: IfMatch = None,
) -> Response:
    """Brings a tenant to another manifest. With If-Match, only if nobody has changed it since it was read."""
    if if_match is not None:
        async with looking_up(state.engine, state.settings) as connection:
            answers.require_match(request, await reading.tenant(connection, slug), f"tenant '{slug}'")
    return answers.accepted(await actions.change_tenant(state, who, slug, manifest, key=key))


@router.delete("/tenants/{slug}", **_accepting(responses=_ACT))
async def destroy_tenant(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.TENANT_DESTROY))],
    slug: Slug,
    key: Key = None,
) -> Response:
    """Removes a tenant with all that belongs to it. Its history stays."""
    return answers.accepted(await actions.destroy(state, who, slug, key=key))


@router.post(
    "/tenants/{slug}/preview",
    **_accepting(
        responses=_ACT_BODY,
        openapi_extra=documented("Manifest", examples={"cabinet": MANIFEST}, optional=True),
    ),
)
async def preview_tenant(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.TENANT_PREVIEW, create=True))],
    slug: Slug,
    manifest: Manifest,
    key: Key = None,
) -> Response:
    """What would change: with the manifest in the body, without one with the newest. Changes nothing.

    The job's `result` has the planned changes. The tenant need not exist yet.
    """
    return answers.accepted(await actions.preview(state, who, slug, manifest, key=key))


@router.post(
    "/tenants/{slug}/up",
    **_accepting(responses=_ACT_BODY, openapi_extra=documented(RunBody, examples={"plain": {}}, optional=True)),
)
async def up_tenant(
    state: StateDep,
    who: Changer,
    slug: Slug,
    body: Annotated[RunBody, Depends(body_of(RunBody, optional=True))],
    key: Key = None,
) -> Response:
    """Brings a tenant to its newest manifest again: after a failure, or to repair drift."""
    return answers.accepted(await actions.up(state, who, slug, enable_rollback=body.enable_rollback, key=key))


@router.post("/tenants/{slug}/refresh", **_accepting(responses=_ACT))
async def refresh_tenant(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.TENANT_REFRESH))],
    slug: Slug,
    key: Key = None,
) -> Response:
    """Reads what is really there, and says what has drifted. Changes nothing of the tenant's."""
    return answers.accepted(await actions.refresh(state, who, slug, key=key))


@router.post(
    "/tenants/{slug}/rollback",
    **_accepting(
        responses=_ACT_BODY,
        openapi_extra=documented(
            RollbackBody,
            examples={"the last change": {}, "one deployment": {"deployment": "6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11"}},
            optional=True,
        ),
    ),
)
async def rollback_tenant(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.TENANT_ROLLBACK))],
    slug: Slug,
    body: Annotated[RollbackBody, Depends(body_of(RollbackBody, optional=True))],
    key: Key = None,
) -> Response:
    """Undoes a deployment: a change goes back to the settings before it, a first create is removed."""
    submitted = await actions.rollback(state, who, slug, deployment=body.deployment, force=body.force, key=key)
    return answers.accepted(submitted)


@router.post("/tenants/{slug}/steps/{step}/retry", **_accepting(responses=_ACT))
async def retry_step(state: StateDep, who: Changer, slug: Slug, step: StepKey, key: Key = None) -> Response:
    """Tries one step again, with what depends on it."""
    return answers.accepted(await actions.retry_step(state, who, slug, step, key=key))


@router.post("/tenants/{slug}/steps/{step}/skip", **_accepting(responses=_ACT))
async def skip_step(state: StateDep, who: Changer, slug: Slug, step: StepKey, key: Key = None) -> Response:
    """Goes on without an optional step."""
    return answers.accepted(await actions.skip_step(state, who, slug, step, key=key))


@router.get("/tenants/{slug}/cost", response_model=CostDocument, responses=_READ)
async def get_cost(request: Request, state: StateDep, who: Reader, slug: Slug) -> Response:  # noqa: ARG001
    """What a tenant costs in a month, and what it has cost since it was created."""
    async with looking_up(state.engine, state.settings) as connection:
        known = await connection.run_sync(costs.facts, slug)
    return answers.ok(request, await asyncio.to_thread(costs.cost, known))


@router.get("/tenants/{slug}/deployments", response_model=Page[DeploymentRow], responses=_READ)
async def list_deployments(
    request: Request,
    state: StateDep,
    who: Reader,  # noqa: ARG001
    slug: Slug,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """A tenant's history, newest first."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.deployments_page(connection, slug, page=page, size=size)
    return answers.page_of(request, rows, total, page, size)


@router.get("/deployments/{deployment_id}", response_model=DeploymentDetail, responses=_READ)
async def get_deployment(
    request: Request,
    state: StateDep,
    who: Reader,  # noqa: ARG001
    deployment_id: DeploymentId,
) -> Response:
    """A run with its steps, the manifest that it applied and the one before."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, await reading.deployment(connection, deployment_id))


@router.get("/tenants/{slug}/manifests", response_model=Page[ManifestVersion], responses=_READ)
async def list_manifests(
    request: Request,
    state: StateDep,
    who: Reader,  # noqa: ARG001
    slug: Slug,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """The versions of a tenant's manifest, newest first."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.manifests(connection, slug, page=page, size=size)
    return answers.page_of(request, rows, total, page, size)


@router.get("/tenants/{slug}/manifests/{version}", response_model=ManifestDetail, responses=_READ)
async def get_manifest(
    request: Request,
    state: StateDep,
    who: Reader,  # noqa: ARG001
    slug: Slug,
    version: Version,
) -> Response:
    """One version of a tenant's manifest."""
    async with looking_up(state.engine, state.settings) as connection:
        return answers.ok(request, await reading.manifest(connection, slug, version))
