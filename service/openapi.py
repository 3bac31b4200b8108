"""The OpenAPI document: what FastAPI cannot know of it by itself.

Decides how the manifests of all lines, templates, problems and the bodies that routes read themselves are documented.
"""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import examples, lines
from service.api.bodies import (
    MemberBody,
    NewWebhookBody,
    PasswordBody,
    PasswordChangeBody,
    RollbackBody,
    RunBody,
    WebhookBody,
)
from service.problem_documents import ProblemDocument
from stacks.lines import LINES

DESCRIPTION = """
Every tenant is a Pulumi stack, made from a *manifest*. What changes a tenant is a *job*: it is accepted with 202 and a
`Location`, runs in the background, one at a time for each tenant, and can be followed live.

* **Sign in**: `Authorization: Bearer <JWT>`. What a caller may do follows from its roles: owner, admin or member of a
  tenant, admin or creator of the platform. What it may not know of is 404.
* **Errors** are `application/problem+json` (RFC 9457), with `errors` for each wrong field. A tenant that is busy is 409
  with the id of its job.
* **Idempotency**: a POST, PUT or DELETE that makes a job takes an `Idempotency-Key`. The same key with the same request
  answers with the same job (`Idempotency-Replayed: true`), with another request it is 409.
* **Pages**: `page` and `size` (up to 200), the neighbours in `Link` (RFC 8288). `total` stops counting at 10000.
* **ETags**: answers to GET have one; `If-None-Match` gives 304, and `If-Match` on `PUT /tenants/{slug}` gives 412 where
  the tenant has changed since.
* **Live**: server-sent events at `/jobs/{job_id}/events` (`Last-Event-ID` takes up where it was), and the same as a
  WebSocket at `/jobs/{job_id}/ws?after=0`, which OpenAPI cannot describe.
* **Limits**: bodies of 256 KiB, 40 levels, 20000 values; numbers of requests and provisionings are told in
  `RateLimit-*` headers and refused with 429 and `Retry-After`.
"""

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (
    RunBody,
    RollbackBody,
    MemberBody,
    PasswordBody,
    PasswordChangeBody,
    NewWebhookBody,
    WebhookBody,
)


def install(app: FastAPI) -> None:
    """Makes `app` serve the whole document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way


def build(app: FastAPI) -> dict[str, Any]:
    """The document of `app`."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _schemas()
    for path in found["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    examples.add_to(found)
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: one that is left out is not there, and none can be null."""
    options = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **options[0]}


def _schemas() -> dict[str, Any]:
    models = [(model, "validation") for model in (*_BODIES, ProblemDocument)]
    _, top = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type] # pydantic's own literal
    found: dict[str, Any] = top["$defs"]
    found["Problem"] = found.pop("ProblemDocument")
    manifests = []
    for line in LINES.values():
        name = f"{line.kind.capitalize()}Manifest"
        found |= _moved(line.schema(), name)
        manifests.append({"$ref": _REF.format(model=name)})
    found["Manifest"] = {"title": "Manifest", "description": "What a tenant is to be", "oneOf": manifests}
    found["Template"] = _TEMPLATE
    for one in lines.served():
        found |= one.schemas(found)
    return found


def _moved(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """A schema with definitions of its own as components, which are called after it."""
    schema = copy.deepcopy(schema)
    definitions = schema.pop("$defs", {})
    renamed = {key: f"{name}{key}" for key in definitions}

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/$defs/"):
                node["$ref"] = _REF.format(model=renamed[reference.removeprefix("#/$defs/")])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)
        return node

    return {name: walk(schema), **{renamed[key]: walk(value) for key, value in definitions.items()}}


_TEMPLATE: dict[str, Any] = {
    "title": "Template",
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "version", "line", "title", "description", "settings"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,48}[a-z0-9]$"},
        "version": {"type": "string", "maxLength": 64, "description": "a semantic version such as 1.0.0"},
        "line": {"type": "string", "enum": sorted(LINES)},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 2000},
        "settings": {"type": "object"},
    },
}
