"""`/api/v1/templates` and `/api/v1/lines`: presets of settings, and the product lines with their manifests' schemas."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from service import answers, template_actions
from service.api.documents import LineDocuments, SchemaDocument, TemplateDocument, Templates
from service.api.parameters import Kind, LineKind, SignedIn, TemplateId, Word
from service.auth.deps import Permission, Principal, require
from service.bodies import document, documented
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["templates"])


@router.get("/templates", response_model=Templates, responses=responses(422) | NOT_CHANGED)
async def list_templates(
    request: Request,
    state: StateDep,
    who: SignedIn,  # noqa: ARG001
    line: LineKind = None,
) -> Response:
    """The newest version of each template, of all lines or of one."""
    return answers.ok(request, {"items": template_actions.templates(state, line)})


@router.get("/templates/{template_id}", response_model=TemplateDocument, responses=responses(404, 422) | NOT_CHANGED)
async def get_template(
    request: Request,
    state: StateDep,
    who: SignedIn,  # noqa: ARG001
    template_id: TemplateId,
    version: Word = None,
    line: LineKind = None,
) -> Response:
    """One version of a template, the newest without `version`, with its settings and the versions that there are.

    Where two lines have a template of this id, `line` says whose is meant.
    """
    return answers.ok(request, template_actions.template(state, template_id, version, line=line))


@router.post(
    "/templates",
    status_code=201,
    response_model=TemplateDocument,
    responses=responses(400, 408, 409, 413, 415, 422),
    openapi_extra=documented("Template", examples={"a version": template_actions.EXAMPLE}),
)
async def add_template(
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.TEMPLATES_WRITE))],
    template: Annotated[Any, Depends(document)],
) -> Response:
    """Adds a template or a new version of one. A published version never changes; adding the same again is no error."""
    added = await template_actions.add_template(state, who, template)
    return answers.created(added, f"/api/v1/templates/{added['id']}?version={added['version']}&line={added['line']}")


@router.get("/lines", response_model=LineDocuments, responses=NOT_CHANGED)
async def list_lines(request: Request, who: SignedIn) -> Response:  # noqa: ARG001
    """The product lines that there are, with the steps of their runs."""
    return answers.ok(request, {"items": template_actions.lines()})


@router.get("/lines/{kind}/schema", response_model=SchemaDocument, responses=responses(404, 422) | NOT_CHANGED)
async def get_line_schema(request: Request, who: SignedIn, kind: Kind) -> Response:  # noqa: ARG001
    """The JSON schema of a line's manifest."""
    return answers.ok(request, template_actions.schema(kind))
