"""The routes of dental cabinets (CAB-6), in that product's own words: a cabinet is provisioned by a deployment.

Decides how the words of that API are those of tenants and jobs: a `deploymentId` is the id of the job that was
accepted, or of the run in a cabinet's history.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.jobs.database import transaction
from automation.jobs.model import ConflictError
from automation.models_jobs import JobOperation
from service import actions, answers, lookups, template_actions
from service.api.documents import MANIFEST, Document, TemplateDocument
from service.api.parameters import Creator, Key, SignedIn, TemplateId
from service.auth.deps import Permission
from service.auth.principal import Principal
from service.bodies import document, documented
from service.examples import AT, ID
from service.lines.seam import LineRoutes
from service.lines.steps import shown_step
from service.problem_documents import NOT_CHANGED, responses
from service.state import State, StateDep
from stacks.lines import CABINET

router = APIRouter(prefix="/api", tags=["cabinets"])

Id = Annotated[uuid.UUID, Path(alias="deploymentId", description="as it was answered when it was asked for")]
EXAMPLE = {key: value for key, value in MANIFEST.items() if key != "kind"} | {"enableRollback": True}


class CabinetStep(Document):
    """A step of a deployment (CAB-2)."""

    key: str = Field(examples=["database"])
    title: str = Field(examples=["Cabinet database"])
    status: str = Field(examples=["completed"])
    startedAt: str | None  # noqa: N815 - the word of that API
    endedAt: str | None  # noqa: N815
    durationMs: int | None  # noqa: N815
    message: str = Field(examples=["created"])
    error: str | None


class CabinetDeployment(Document):
    """A deployment of a cabinet: waiting, running, or ended."""

    deploymentId: uuid.UUID  # noqa: N815
    runId: uuid.UUID | None = Field(description="in the cabinet's history; null before it has begun")  # noqa: N815
    cabinet: str = Field(examples=["cabinet-rive"])
    operation: str = Field(examples=["up"])
    status: str = Field(examples=["running"])
    progress: int
    message: str
    error: str | None
    steps: list[CabinetStep]
    createdAt: str = Field(examples=[AT])  # noqa: N815
    endedAt: str | None  # noqa: N815
    statusUrl: str = Field(examples=[f"/api/deployments/{ID}"])  # noqa: N815


class CabinetTemplates(Document):
    """The templates for cabinets."""

    templates: list[TemplateDocument]


@router.post(
    "/cabinets/provision",
    name="provision_cabinet",
    status_code=202,
    response_model=CabinetDeployment,
    responses=responses(400, 408, 409, 413, 415, 422),
    openapi_extra=documented("CabinetRequest", examples={"a cabinet": EXAMPLE}),
)
async def provision_cabinet(
    state: StateDep, who: Creator, body: Annotated[Any, Depends(document)], key: Key = None
) -> Response:
    """Provisions a cabinet from a template. A slug in use is refused with 409."""
    manifest = {**body, "kind": CABINET.kind} if isinstance(body, Mapping) else body
    submitted = await actions.create_tenant(state, who, manifest, key=key)
    return _accepted(submitted)


@router.get("/templates", name="list_cabinet_templates", response_model=CabinetTemplates, responses=NOT_CHANGED)
async def list_cabinet_templates(request: Request, state: StateDep, who: SignedIn) -> Response:  # noqa: ARG001
    """The templates for cabinets, built in and added."""
    return answers.ok(request, {"templates": template_actions.templates(state, CABINET.kind)})


@router.get(
    "/templates/{templateId}",
    name="get_cabinet_template",
    response_model=TemplateDocument,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def get_cabinet_template(
    request: Request,
    state: StateDep,
    who: SignedIn,  # noqa: ARG001
    template_id: Annotated[TemplateId, Path(alias="templateId")],
) -> Response:
    """The newest version of a template."""
    return answers.ok(request, template_actions.template(state, template_id, line=CABINET.kind))


@router.get(
    "/deployments/{deploymentId}",
    name="get_cabinet_deployment",
    response_model=CabinetDeployment,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def get_cabinet_deployment(request: Request, state: StateDep, who: SignedIn, wanted: Id) -> Response:
    """How a deployment is getting on, with its steps."""
    return answers.ok(request, await _deployment(state, who, wanted, Permission.TENANT_READ))


@router.delete(
    "/deployments/{deploymentId}",
    name="rollback_cabinet_deployment",
    status_code=202,
    response_model=CabinetDeployment,
    responses=responses(404, 409, 422),
)
async def rollback_cabinet_deployment(state: StateDep, who: SignedIn, wanted: Id, key: Key = None) -> Response:
    """Rolls a deployment back: a first one removes the cabinet, a change goes back to the settings before it."""
    found = await _deployment(state, who, wanted, Permission.TENANT_ROLLBACK)
    run = found["runId"]
    if found["status"] in {"pending", "running"}:
        raise ConflictError(
            f"deployment {wanted} is {found['status']}: only one that has ended can be rolled back",
            hint=f"cancel it with POST /api/v1/jobs/{wanted}/cancel, or wait for it to end",
            details={"job": str(wanted)},
        )
    if run is None or found["operation"] != "up":
        raise ConflictError(
            f"deployment {wanted} is a {found['operation']} that changed nothing that could be rolled back",
            hint=f"the history of the cabinet is at /api/v1/tenants/{found['cabinet']}/deployments",
        )
    submitted = await actions.rollback(state, who, found["cabinet"], deployment=uuid.UUID(run), key=key)
    return _accepted(submitted)


def _accepted(submitted: actions.Submitted) -> Response:
    headers = {"Location": f"/api/deployments/{submitted.job.id}"}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    return answers.queued(_shown(submitted.job.to_dict() | {"steps": []}), headers=headers)


async def _deployment(state: State, who: Principal, wanted: uuid.UUID, permission: Permission) -> dict[str, Any]:
    """The deployment of a job or of a run. Raises NotFoundError where neither is a cabinet's that may be seen."""
    unknown = NotFoundError(f"there is no deployment {wanted} that you may see", hint="check its id")
    async with transaction(state.engine, state.settings) as connection:
        try:
            found = await reading.job_detail(connection, wanted)
        except NotFoundError:
            found = {}
        if not found:
            try:
                found = await reading.deployment(connection, wanted)
            except NotFoundError:
                raise unknown from None
    own = found.get("operation") == JobOperation.PREVIEW and found["actor"] == who.subject
    if not own and found["tenant"] not in who.roles and not who.platform_admin:
        raise unknown
    if not own:
        who.demand(permission, found["tenant"])
    row = await lookups.tenant_or_none(state, found["tenant"])
    if found.get("line", row.line if row else None) != CABINET.kind:
        raise unknown
    return _shown(found)


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """A job with steps, or a run with steps, in the words of this API."""
    error = found["error"]
    return {
        "deploymentId": found["id"],
        "runId": found["deployment_id"] if "deployment_id" in found else found["id"],
        "cabinet": found["tenant"],
        "operation": found["operation"],
        "status": found["status"],
        "progress": found["progress"],
        "message": found.get("message", ""),
        "error": error.get("message", "") if isinstance(error, Mapping) else error,
        "steps": [shown_step(step) for step in found["steps"]],
        "createdAt": found.get("created_at") or found["started_at"],
        "endedAt": found["ended_at"],
        "statusUrl": f"/api/deployments/{found['id']}",
    }


def _schemas(known: Mapping[str, Any]) -> Mapping[str, Any]:
    request = copy.deepcopy(known["CabinetManifest"])
    request["title"] = "CabinetRequest"
    request["properties"].pop("kind")
    request["required"] = [name for name in request["required"] if name != "kind"]
    return {"CabinetRequest": request}


ROUTES = LineRoutes(kind=CABINET.kind, router=router, schemas=_schemas)
