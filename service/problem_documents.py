"""How problems are documented: the schema of an error's body, and which errors a route may answer, with examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One wrong field of what was sent."""

    model_config = ConfigDict(json_schema_extra={"title": "FieldError"})

    field: str = Field(description="a dotted path, such as address.postalCode")
    given: str = Field(description="what was given, cut short")
    valid: str = Field(description="what is valid there")
    suggestion: str | None = Field(None, description="the valid word that was probably meant")


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"title": "Problem"})

    type: str = Field(description="urn:tenantry:problem: and the kind of problem")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="which object, and why")
    instance: str = Field(description="the path of the request")
    correlation_id: str = Field(description="under which the service's logs have it")
    hint: str | None = Field(None, description="what to do")
    errors: list[FieldError] | None = Field(None, description="each wrong field, where the input was wrong")
    job: str | None = Field(None, description="the job that is in the way")
    operation: str | None = Field(None, description="what that job does")
    actor: str | None = Field(None, description="who asked for that job")
    since: str | None = Field(None, description="since when that job waits or runs")
    retry_after: int | None = Field(None, description="seconds to wait")


_JOB = "6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11"
_DETAILS: dict[int, tuple[str, str, str, dict[str, Any]]] = {
    400: ("Malformed", "malformed", "The body is no JSON: line 1, column 2: Expecting property name.", {}),
    401: (
        "No token, or one that is not valid",
        "unauthenticated",
        "no token was given",
        {"hint": "send a bearer token"},
    ),
    403: ("Not allowed to this caller", "forbidden", "'ann' may not do this: it needs the permission tenant.up", {}),
    404: ("There is no such thing, or none that the caller may see", "not_found", "there is no tenant 'acme'", {}),
    408: ("The body did not come to its end", "timed_out", "The body was not there after 30 s.", {}),
    409: (
        "Not possible now; `job` is the one in the way where the tenant is busy",
        "busy",
        "tenant 'acme' has a running up already",
        {"job": _JOB, "operation": "up", "actor": "ann", "since": "2026-01-05T09:30:00+00:00"},
    ),
    412: ("Changed since it was read", "precondition_failed", "tenant 'acme' has changed since you read it", {}),
    413: ("Too large", "too_large", "The body is larger than 262144 bytes.", {}),
    415: ("Not JSON", "unsupported_media_type", "The body is sent as text/plain.", {"hint": "send application/json"}),
    422: (
        "Input that is not valid; nothing was touched",
        "invalid_input",
        "The manifest has 1 problem; nothing was touched.",
        {"errors": [{"field": "address.country", "given": '"Suisse"', "valid": "a country code such as CH"}]},
    ),
    429: ("Too many requests", "rate_limited", "10 provisionings an hour are used up", {"retry_after": 240}),
    500: ("A fault of the service", "fault", "Something went wrong in the service itself.", {}),
    503: ("The database or the queue cannot be used now", "unavailable", "The database cannot be used now.", {}),
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these errors, for a route's or a router's `responses`."""
    import http

    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        description, kind, detail, more = _DETAILS[status]
        example = {
            "type": f"urn:tenantry:problem:{kind}",
            "title": http.HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": "/api/v1/tenants",
            "correlation_id": "5d0f6b0c9c1e4a7d",
            **more,
        }
        found[status] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
        }
    return found


NOT_CHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Not changed since the ETag of If-None-Match"}}
"""What routes that read may answer beside."""

EVERYWHERE = responses(401, 403, 429, 500, 503)
"""What every route of the API may answer."""
