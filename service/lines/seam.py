"""What the module of a product line in this folder defines as `ROUTES`, so that the service has the line's own routes.

A line plugs in by being there: an entry in `stacks.lines.LINES`, its templates, and where its requirements write routes
of their own, one module here. Nothing else changes: jobs, API, page, OpenAPI document, metrics and limits go by LINES.

    router = APIRouter(prefix="/api", tags=["sites"])

    @router.post("/sites", name="create_site", status_code=202, openapi_extra=documented("SiteManifest"), ...)
    async def create_site(state: StateDep, who: SignedIn, body: Annotated[Any, Depends(document)]) -> Response:
        return answers.accepted(await actions.create_tenant(state, who, {**body, "kind": "site"}))

    ROUTES = LineRoutes(kind="site", router=router)

- Routes only translate words: what is done, who may, and how often is decided by `service.actions`, as for the API.
- `require(permission)` finds the tenant by the path's parameter: slug, tenant, job, deployment or webhook, also with
  _id or Id. A route whose tenant is in its body asks for SIGNED_IN, and its action checks the rest.
- Each route has a `name` that no other has, and a row in tests/auth/routes_table.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

Schemas = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _no_schemas(_known: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRoutes:
    """The routes of the line `kind`. They are served as soon as there is such a line.

    `schemas` makes what its bodies are called in the OpenAPI document from what is known there already: among it the
    manifests of all lines, as `<Kind>Manifest`.
    """

    kind: str
    router: APIRouter
    schemas: Schemas = _no_schemas
