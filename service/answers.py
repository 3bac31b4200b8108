"""Answers of the API: JSON with an ETag, pages with links, accepted jobs.

Decides headers and the shape of a page. What is in an answer is decided by `reading` and by the routes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response

from service import encoding
from service.actions import Submitted
from service.problems import Problem

_NO_STORE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}


def etag_of(data: Any) -> str:
    """The strong validator of an answer: the same while not a byte of it has changed."""
    return _etag(encoding.dumps(data))


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def ok(request: Request, data: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """200 with an ETag, or 304 where the caller has it already."""
    body = encoding.dumps(data)
    etag = _etag(body)
    known = {**_NO_STORE, **(headers or {}), "ETag": etag}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=known)
    return Response(body, media_type="application/json", headers=known)


def page_of(request: Request, rows: Sequence[Any], total: int, page: int, size: int) -> Response:
    """200 with a page: items, page, size, total; and the Link header (RFC 8288) with its neighbours."""
    data = {"items": rows, "page": page, "size": size, "total": total}
    last = max(1, -(-total // size))
    pages = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    wanted = {rel: number for rel, number in pages.items() if 1 <= number <= last}
    links = ", ".join(f'<{_link(request, number, size)}>; rel="{rel}"' for rel, number in wanted.items())
    return ok(request, data, headers={"Link": links})


def _link(request: Request, page: int, size: int) -> str:
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in {"page", "size"}]
    return f"{request.url.path}?{urlencode([*others, ('page', page), ('size', size)])}"


def accepted(submitted: Submitted) -> Response:
    """202 with the job, where it can be read, and whether it was accepted before under the same idempotency key."""
    job = submitted.job.to_dict()
    headers = {"Location": f"/api/v1/jobs/{job['id']}"}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    return queued(job, headers=headers)


def created(data: Any, location: str) -> Response:
    """201 with what was made and where it can be read."""
    return Response(
        encoding.dumps(data), status_code=201, media_type="application/json", headers={"Location": location}
    )


def changed(data: Any) -> Response:
    """200 with what it is now, for requests that change something."""
    return Response(encoding.dumps(data), media_type="application/json", headers={"Cache-Control": "no-store"})


def gone() -> Response:
    """204: it is not there any more."""
    return Response(status_code=204)


def require_match(request: Request, current: Any, what: str) -> None:
    """Raises Problem 412 when If-Match names another state of `what` than `current`."""
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted.strip() != "*" and not _matches(wanted, etag_of(current), weak=False):
        raise Problem(
            412, f"{what} has changed since you read it; nothing was touched.", hint="read it again, then decide again"
        )


def _matches(header: str | None, etag: str, *, weak: bool = True) -> bool:
    if header is None:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    # If-None-Match compares weakly, If-Match strongly (RFC 9110, 13.1).
    known = [tag.removeprefix("W/") for tag in tags] if weak else tags
    return etag in known or "*" in tags


def queued(data: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """202 with what was accepted."""
    known = {"Cache-Control": "no-store", **(headers or {})}
    return Response(encoding.dumps(data), status_code=202, media_type="application/json", headers=known)
