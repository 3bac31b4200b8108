"""The routes of points of sale (POS-1, POS-6): a workspace is created, provisioned, watched, tried again.

Decides nothing but words: what is done is `service.workspaces`'. The `tenantId` of a workspace is its tenant's slug.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from service import actions, answers, provisioning, workspaces
from service.api.parameters import Creator, Key, Reader
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, document, documented
from service.lines.pos_documents import (
    REQUEST,
    ProvisioningLogs,
    ProvisioningStatus,
    RetryBody,
    SkipBody,
    StartBody,
    WorkspaceDocument,
)
from service.lines.seam import LineRoutes
from service.problem_documents import NOT_CHANGED, responses
from service.state import State, StateDep
from service.workspace_requests import STARTING, request_schema
from stacks.lines import POS

router = APIRouter(tags=["workspaces"])
PREFIX = "/api/provisioning/tenants/{tenantId}"

Id = Annotated[
    str,
    Path(
        alias="tenantId",
        description="the workspace's id: its tenant's slug",
        pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$",
        examples=["mama-njeri-s-shop"],
    ),
]
Changer = Annotated[Principal, Depends(require(Permission.TENANT_UP))]
_ACT: dict[str, Any] = {
    "status_code": 202,
    "response_model": ProvisioningStatus,
    "responses": responses(400, 404, 408, 409, 413, 415, 422),
}


@router.post(
    "/iam/tenants",
    name="create_workspace",
    status_code=202,
    response_model=WorkspaceDocument,
    responses=responses(400, 408, 409, 413, 415, 422),
    openapi_extra=documented("WorkspaceRequest", examples={"a shop": REQUEST}),
)
async def create_workspace(
    state: StateDep, who: Creator, body: Annotated[Any, Depends(document)], key: Key = None
) -> Response:
    """Creates a workspace, and begins to provision it by itself: at once, or as soon as its engine is back.

    Its id follows from its name. Its admin owns it, beside the caller. With the engine offline or degraded it is
    created all the same: its provisioning waits, says for what, and begins when the engine answers.
    """
    made = await workspaces.create(state, who, body, key=key)
    url = _status_url(made.slug)
    shown = {
        "id": made.slug,
        "name": made.wanted.manifest["name"],
        "engine": {"name": made.engine.engine, "status": made.engine.status, "message": made.engine.words},
        "admin": {
            "email": made.wanted.email,
            "name": made.wanted.person,
            "role": "owner",
            "signs_in_by": made.signs_in_by,
            "known_before": made.known,
        },
        "provisioning": await _status(state, made.slug),
        "status_url": url,
    }
    return answers.queued(shown, headers=_headers(made.submitted))


@router.post(
    f"{PREFIX}/start",
    name="start_provisioning",
    openapi_extra=documented(StartBody, examples={"with items": {"include_demo_data": True}}, optional=True),
    **_ACT,
)
async def start_provisioning(
    state: StateDep,
    who: Changer,
    slug: Id,
    body: Annotated[StartBody, Depends(body_of(StartBody, optional=True))],
    key: Key = None,
) -> Response:
    """Provisions a workspace: for the first time, again, or with other wishes. Waits for an engine that is away."""
    given = body.model_dump(exclude_none=True)
    changes = {STARTING[word]: value for word, value in given.items()}
    return await _accepted(state, await workspaces.start(state, who, slug, changes, key=key))


@router.get(
    f"{PREFIX}/status",
    name="get_provisioning_status",
    response_model=ProvisioningStatus,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def get_provisioning_status(request: Request, state: StateDep, who: Reader, slug: Id) -> Response:
    """How the provisioning of a workspace stands: its status, its steps, what went wrong, and every object of it."""
    await workspaces.workspace(state, who, slug, Permission.TENANT_READ)
    return answers.ok(request, await _status(state, slug))


@router.post(
    f"{PREFIX}/retry",
    name="retry_provisioning",
    openapi_extra=documented(
        RetryBody, examples={"all that failed": {}, "one step": {"step": "step_6_items"}}, optional=True
    ),
    **_ACT,
)
async def retry_provisioning(
    state: StateDep,
    who: Changer,
    slug: Id,
    body: Annotated[RetryBody, Depends(body_of(RetryBody, optional=True))],
    key: Key = None,
) -> Response:
    """Tries one step again, with what depends on it, or all that failed. What is in place already is left as it is."""
    return await _accepted(state, await workspaces.retry(state, who, slug, body.step, key=key))


@router.post(
    f"{PREFIX}/skip-step",
    name="skip_provisioning_step",
    openapi_extra=documented(SkipBody, examples={"the demo items": {"step": "step_6_items"}}),
    **_ACT,
)
async def skip_provisioning_step(
    state: StateDep, who: Changer, slug: Id, body: Annotated[SkipBody, Depends(body_of(SkipBody))], key: Key = None
) -> Response:
    """Goes on without an optional step, from now on: it becomes a value of the manifest."""
    return await _accepted(state, await workspaces.skip(state, who, slug, body.step, key=key))


@router.get(
    f"{PREFIX}/logs",
    name="get_provisioning_logs",
    response_model=ProvisioningLogs,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def get_provisioning_logs(request: Request, state: StateDep, who: Reader, slug: Id) -> Response:
    """What each step of the last 20 runs came to, oldest first."""
    await workspaces.workspace(state, who, slug, Permission.TENANT_READ)
    return answers.ok(request, {"items": await workspaces.logs(state, slug)})


async def _accepted(state: State, submitted: actions.Submitted) -> Response:
    return answers.queued(await _status(state, submitted.job.tenant), headers=_headers(submitted))


async def _status(state: State, slug: str) -> dict[str, Any]:
    return provisioning.document(await workspaces.known(state, slug))


def _headers(submitted: actions.Submitted) -> dict[str, str]:
    replayed = {} if submitted.created else {"Idempotency-Replayed": "true"}
    return {"Location": _status_url(submitted.job.tenant), **replayed}


def _status_url(slug: str) -> str:
    return f"/api/provisioning/tenants/{slug}/status"


def _schemas(known: Mapping[str, Any]) -> Mapping[str, Any]:
    bodies = {one.__name__: one.model_json_schema() for one in (StartBody, RetryBody, SkipBody)}
    return {"WorkspaceRequest": request_schema(known["PosManifest"]), **bodies}


ROUTES = LineRoutes(kind=POS.kind, router=router, schemas=_schemas)
