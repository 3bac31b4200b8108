"""Bodies of requests: how they are read, and how OpenAPI documents them.

Decides content type and shape. It never decides what a manifest may hold; size and time are `service.incoming`'s.
"""

from __future__ import annotations

import email.message
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from providers.masking import MASK
from service import encoding
from service.problems import Problem
from stacks.problems import MISSING, problems_of

_Model = TypeVar("_Model", bound=BaseModel)
JSON = "application/json"


async def read_json(request: Request) -> Any:
    """The JSON value of the body, None where there is no body. Raises Problem 400, 408, 413, 415 or 422."""
    data = await request.body()
    if not data:
        return None
    _require_json(request)
    try:
        return encoding.loads(data)
    except encoding.MalformedError as error:
        raise Problem(400, f"The body is no JSON that can be used: {error}.", hint="nothing was touched") from None
    except encoding.UnusableError as error:
        row = {"field": error.field, "given": error.given, "valid": error.valid}
        raise Problem(422, "The body cannot be used; nothing was touched.", errors=[row]) from None


def _require_json(request: Request) -> None:
    given = request.headers.get("content-type", "")
    message = email.message.Message()
    message["content-type"] = given or "application/octet-stream"
    kind = message.get_content_type()
    charset = str(message.get_param("charset", "utf-8")).lower()
    if kind != JSON or charset not in {"utf-8", "utf8", "us-ascii"}:
        shown = given.encode("ascii", "replace").decode()[:100] or "nothing"
        raise Problem(415, f"The body is sent as {shown}.", hint=f"send {JSON} in UTF-8", headers={"Accept": JSON})


def body_of(
    model: type[_Model], *, optional: bool = False, secret: bool = False
) -> Callable[[Request], Awaitable[_Model]]:
    """A dependency: the body as `model`; with `optional`, the model's defaults where there is none.

    With `secret` nothing of it is told back where it is wrong: a password may stand under a misspelt key.
    """

    async def read(request: Request) -> _Model:
        value = await read_json(request)
        if value is None and optional:
            value = {}
        try:
            return model.model_validate(value)
        except ValidationError as error:
            problems = problems_of(error, model)
            if secret:
                problems = tuple(replace(one, given=MASK) if one.given != MISSING else one for one in problems)
            rows = [one.to_dict() for one in problems]
            raise Problem(422, "The body is not valid; nothing was touched.", errors=rows) from None

    return read


async def document(request: Request) -> Any:
    """A dependency: the body as it is, where the action itself says what is valid: manifests, templates."""
    return await read_json(request)


def documented(
    reference: type[BaseModel] | str, *, examples: Mapping[str, Any] | None = None, optional: bool = False
) -> dict[str, Any]:
    """`openapi_extra` of a route that reads such a body. A string names a schema of `service.openapi`."""
    name = reference if isinstance(reference, str) else reference.__name__
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    if examples:
        content["examples"] = {key: {"summary": key, "value": value} for key, value in examples.items()}
    return {"requestBody": {"required": not optional, "content": {JSON: content}}}
