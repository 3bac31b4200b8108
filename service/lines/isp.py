"""The routes of ISPs, in that product's own words: an ISP is sized, provisioned, looked at and removed.

Decides how the words of that API are those of tenants and jobs. The `ispId` is the tenant's slug; `customResources`
are the manifest's `customSettings.resources`. How its job gets on is told by the jobs' own routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.jobs.database import looking_up
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
from service.lines.words import RequestError, Words, mapping
from service.problem_documents import NOT_CHANGED, responses
from service.state import State, StateDep
from stacks.isp.line import size as isp_size
from stacks.isp.sized import SizeRequest, sized
from stacks.isp.sizing import ResourceRequirements
from stacks.lines import ISP
from stacks.problems import FieldProblem, ManifestError

router = APIRouter(prefix="/api/isps", tags=["isps"])
WORDS = Words(
    kind=ISP.kind,
    own={
        "ispId": "slug",
        "tenantName": "name",
        "planType": "planType",
        "features": "features",
        "customerCount": "customerCount",
        "region": "region",
        "adminEmail": "adminEmail",
        "templateId": "templateId",
        "templateVersion": "templateVersion",
        "customSettings": "customSettings",
        "enableRollback": "enableRollback",
    },
)
RESOURCES = "customResources"
_IN_SETTINGS = "customSettings.resources"

Id = Annotated[str, Path(alias="tenantId", description="the ISP's id", examples=["acme-fibre"])]
Remover = Annotated[Principal, Depends(require(Permission.TENANT_DESTROY))]
EXAMPLE = {
    "ispId": "acme-fibre",
    "tenantName": "Acme Fibre",
    "planType": "premium",
    "features": ["billing", "customer_portal"],
    "customerCount": 2500,
    "customResources": {"memoryGb": 2},
    "customSettings": {"application": {"image": "registry.example/isp:1.4"}},
}
ASKED = {"customerCount": 2500, "planType": "premium", "features": ["billing", "customer_portal"]}


class IspStep(Document):
    """A step of an ISP's run."""

    key: str = Field(examples=["infrastructure"])
    title: str = Field(examples=["Namespace, volumes and network"])
    status: str = Field(examples=["completed"])
    startedAt: str | None  # noqa: N815 - the word of that API
    endedAt: str | None  # noqa: N815
    durationMs: int | None  # noqa: N815
    message: str
    error: str | None


class IspProvisioning(Document):
    """What was asked for an ISP, and how it is getting on."""

    id: str = Field(examples=[ID], description="of the job")
    ispId: str = Field(examples=["acme-fibre"])  # noqa: N815
    operation: str = Field(examples=["up"])
    status: str = Field(examples=["running"])
    progress: int
    message: str
    error: str | None
    steps: list[IspStep]
    createdAt: str = Field(examples=[AT])  # noqa: N815
    endedAt: str | None  # noqa: N815
    statusUrl: str = Field(examples=[f"/api/v1/jobs/{ID}"])  # noqa: N815


class IspResources(Document):
    """A size: cores, GB of 1024 MiB, and connections to the database."""

    cpuCores: float = Field(examples=[0.5])  # noqa: N815
    memoryGb: float = Field(examples=[2.0])  # noqa: N815
    storageGb: float = Field(examples=[5.0])  # noqa: N815
    maxConnections: int = Field(examples=[204])  # noqa: N815


class IspAmount(Document):
    """Why one amount is what it is: `rules` came to it, a `cap` of this installation cut it, or it was `given`."""

    key: str = Field(examples=["cpuCores"])
    unit: str = Field(examples=["cores"])
    computed: float
    given: float
    why: str = Field(examples=["rules"], json_schema_extra={"enum": ["rules", "cap", "given"]})
    cap: float | None = Field(description="the most that one ISP may have here")
    variable: str | None = Field(description="the environment variable that says so")


class IspSize(Document):
    """What an ISP would be given."""

    resources: IspResources
    amounts: list[IspAmount]
    templateId: str = Field(examples=["default-isp"])  # noqa: N815
    templateVersion: str = Field(examples=["1.0.0"])  # noqa: N815


class IspInList(Document):
    """An ISP."""

    ispId: str = Field(examples=["acme-fibre"])  # noqa: N815
    tenantName: str = Field(examples=["Acme Fibre"])  # noqa: N815
    status: str = Field(examples=["active"])
    healthUrl: str = Field(examples=["/api/isps/acme-fibre/health"])  # noqa: N815


class Isps(Document):
    """A page of ISPs."""

    isps: list[IspInList]
    page: int
    size: int
    total: int


class IspDetail(IspInList):
    """An ISP as it was asked for last, and what it was given when that last succeeded."""

    planType: str | None = Field(examples=["premium"])  # noqa: N815
    features: list[str]
    customerCount: int | None = Field(examples=[2500])  # noqa: N815
    region: str | None = Field(examples=["default"])
    templateId: str | None = Field(examples=["default-isp"])  # noqa: N815
    templateVersion: str | None = Field(examples=["1.0.0"])  # noqa: N815
    resources: IspResources | None
    endpointUrl: str | None = Field(examples=["https://acme-fibre.isp.example"])  # noqa: N815


class IspHealth(Document):
    """Whether each part of an ISP works now."""

    ispId: str = Field(examples=["acme-fibre"])  # noqa: N815
    healthy: bool
    parts: list[PartHealth]
    checkedAt: str = Field(examples=[AT])  # noqa: N815


@router.post(
    "/provision",
    name="provision_isp",
    status_code=202,
    response_model=IspProvisioning,
    responses=responses(400, 408, 409, 413, 415, 422),
    openapi_extra=documented("IspRequest", examples={"an ISP": EXAMPLE}),
)
async def provision_isp(
    state: StateDep, who: Creator, body: Annotated[Any, Depends(document)], key: Key = None
) -> Response:
    """Provisions an ISP, sized by its customers. An id in use is refused with 409."""
    given = _settings_of(mapping(body))
    try:
        submitted = await actions.create_tenant(state, who, WORDS.manifest_of(given), key=key)
    except ManifestError as error:
        raise _in_own_words(error, body) from None
    return await _accepted(state, submitted)


@router.post(
    "/size",
    name="size_isp",
    response_model=IspSize,
    responses=responses(400, 408, 413, 415, 422),
    openapi_extra=documented("IspSizeRequest", examples={"a size": ASKED}),
)
async def size_isp(
    request: Request,
    who: SignedIn,  # noqa: ARG001
    body: Annotated[Any, Depends(document)],
) -> Response:
    """What an ISP would be given, and what counted: rules, cap or a value of your own. Makes nothing."""
    found = await asyncio.to_thread(sized, body)
    template, version = found.template
    answer = {"resources": _resources(found.size), "amounts": [one.to_dict() for one in found.amounts]}
    return answers.ok(request, {**answer, "templateId": template, "templateVersion": version})


@router.get("", name="list_isps", response_model=Isps, responses=responses(422) | NOT_CHANGED)
async def list_isps(
    request: Request, state: StateDep, who: SignedIn, page: PageNumber = 1, size: Size = 50
) -> Response:
    """The ISPs that the caller may see, by id."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.tenants_page(connection, line=ISP.kind, visible=who.visible(), page=page, size=size)
    listed = [_listed(row["slug"], row["name"], row["status"]) for row in rows]
    return answers.ok(request, {"isps": listed, "page": page, "size": size, "total": total})


@router.get("/{tenantId}", name="get_isp", response_model=IspDetail, responses=responses(404, 422) | NOT_CHANGED)
async def get_isp(request: Request, state: StateDep, who: Reader, slug: Id) -> Response:  # noqa: ARG001
    """An ISP: what it was asked to be, and what it was given."""
    row = await _isp(state, slug)
    manifest = await lookups.newest_manifest(state, row)
    good = ISP.restore(row.last_good_manifest) if row.last_good_manifest else None
    return answers.ok(
        request,
        {
            **_listed(row.slug, row.name, row.status),
            **{key: manifest.get(key) for key in ("planType", "customerCount", "region", "templateId")},
            "features": list(manifest.get("features") or ()),
            "templateVersion": row.template_version,
            "resources": _resources(isp_size(good)) if good is not None else None,
            "endpointUrl": row.url,
        },
    )


@router.get(
    "/{tenantId}/health",
    name="get_isp_health",
    response_model=IspHealth,
    responses=responses(404, 409, 422, 503),
)
async def get_isp_health(request: Request, state: StateDep, who: Reader, slug: Id) -> Response:  # noqa: ARG001
    """Whether each part works now: its database, its application, its certificate and ingress. Takes seconds."""
    await _isp(state, slug)
    return answers.ok(request, {"ispId": slug, **shown_health(await state.health.of(slug))})


@router.delete(
    "/{tenantId}",
    name="delete_isp",
    status_code=202,
    response_model=IspProvisioning,
    responses=responses(404, 409, 422),
)
async def delete_isp(state: StateDep, who: Remover, slug: Id, key: Key = None) -> Response:
    """Removes an ISP with all that belongs to it."""
    await _isp(state, slug)
    return await _accepted(state, await actions.destroy(state, who, slug, key=key))


def _settings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with `customResources` where the manifest has them."""
    given = dict(body)
    if RESOURCES not in given:
        return given
    resources = given.pop(RESOURCES)
    settings = given.get("customSettings", {})
    if not isinstance(settings, Mapping):
        return given  # the manifest's own model says what is wrong
    if "resources" in settings:
        problem = FieldProblem(field=_IN_SETTINGS, given="both", valid=f"either this or {RESOURCES}")
        raise RequestError("request", [problem])
    return {**given, "customSettings": {**settings, "resources": {} if resources is None else resources}}


def _in_own_words(error: ManifestError, body: Mapping[str, Any]) -> RequestError:
    told = WORDS.in_own_words(error, {key: value for key, value in body.items() if key != RESOURCES})
    if RESOURCES not in body:
        return told
    return RequestError(
        told.source, [replace(one, field=one.field.replace(_IN_SETTINGS, RESOURCES)) for one in told.problems]
    )


async def _accepted(state: State, submitted: actions.Submitted) -> Response:
    headers = {"Location": f"/api/v1/jobs/{submitted.job.id}"}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    # As a question for its status is answered: one that was asked for before may have steps by now.
    async with looking_up(state.engine, state.settings) as connection:
        shown = await reading.job_detail(connection, submitted.job.id)
    return answers.queued(_shown(shown), headers=headers)


async def _isp(state: State, slug: str) -> lookups.TenantRow:
    row = await lookups.tenant(state, slug)
    if row.line != ISP.kind:
        raise NotFoundError(f"there is no ISP '{slug}'", hint="GET /api/isps lists those there are")
    return row


def _shown(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job with its steps, in the words of this API."""
    error = job["error"]
    return {
        **{key: job[key] for key in ("id", "operation", "status", "progress")},
        "ispId": job["tenant"],
        "message": job.get("message", ""),
        "error": error.get("message", "") if isinstance(error, Mapping) else error,
        "steps": [shown_step(step) for step in job["steps"]],
        "createdAt": job["created_at"],
        "endedAt": job["ended_at"],
        "statusUrl": f"/api/v1/jobs/{job['id']}",
    }


def _listed(slug: str, name: str, status: str) -> dict[str, Any]:
    return {"ispId": slug, "tenantName": name, "status": status, "healthUrl": f"/api/isps/{slug}/health"}


def _resources(size: ResourceRequirements) -> dict[str, Any]:
    return {
        "cpuCores": size.cpu_cores,
        "memoryGb": size.memory_gb,
        "storageGb": size.storage_gb,
        "maxConnections": size.max_connections,
    }


def _schemas(known: Mapping[str, Any]) -> Mapping[str, Any]:
    request = WORDS.schema(known["IspManifest"], "IspRequest")
    request["properties"][RESOURCES] = {"$ref": "#/components/schemas/IspManifestResources"}
    return {"IspRequest": request, "IspSizeRequest": _size_schema()}


def _size_schema() -> dict[str, Any]:
    schema = SizeRequest.model_json_schema(by_alias=True)
    known = schema.pop("$defs")
    # Its only part of its own is one of the manifest's, too.
    schema["properties"]["customResources"] = known["Resources"]
    return schema


ROUTES = LineRoutes(kind=ISP.kind, router=router, schemas=_schemas)
