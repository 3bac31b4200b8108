"""Parameters that routes share, with their limits and words for OpenAPI."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Depends, Header, Path, Query
from pydantic import AfterValidator

from service.auth.deps import Permission, Principal, require
from service.encoding import unstorable
from stacks.lines import LINES

SIZE_LIMIT = 200
PAGE_LIMIT = 100_000
BIGGEST = 2**63 - 1


def _storable(value: str | None) -> str | None:
    if value is not None and (problem := unstorable(value)):
        raise ValueError(f"text that can be stored, not {problem}")
    return value


def _line(value: str | None) -> str | None:
    # A list that is empty because of a mistyped filter would read as if there were nothing.
    if value is not None and value not in LINES:
        raise ValueError(f"one of {', '.join(sorted(LINES))}")
    return value


Slug = Annotated[
    str,
    Path(
        description="the tenant's slug",
        pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$",
        examples=["cabinet-rive"],
    ),
]
JobId = Annotated[uuid.UUID, Path(description="the job's id")]
DeploymentId = Annotated[uuid.UUID, Path(description="the deployment's id")]
WebhookId = Annotated[uuid.UUID, Path(description="the webhook's id")]
DeliveryId = Annotated[uuid.UUID, Path(description="the delivery's id")]
StepKey = Annotated[str, Path(description="the step's key", pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["database"])]
TemplateId = Annotated[
    str, Path(description="the template's id", pattern=r"^[a-z][a-z0-9-]{0,48}[a-z0-9]$", examples=["default-dental"])
]
Kind = Annotated[str, Path(description="the line's kind", pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["cabinet"])]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="the manifest's version", examples=[1])]
Subject = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="who: the `sub` of its tokens",
        examples=["ann"],
        pattern=r"^[^\x00-\x1f\x7f]+$",
    ),
    AfterValidator(_storable),
]

PageNumber = Annotated[int, Query(alias="page", ge=1, le=PAGE_LIMIT, description="the first is 1")]
Size = Annotated[int, Query(ge=1, le=SIZE_LIMIT, description="items of a page")]
After = Annotated[int, Query(ge=0, le=BIGGEST, description="only what has a greater number")]
Before = Annotated[
    int | None,
    Query(ge=1, le=BIGGEST, description="only what has a smaller number: pages that cost the same however far"),
]
Search = Annotated[
    str | None,
    Query(max_length=100, description="looked for in slug and name"),
    AfterValidator(_storable),
]
Word = Annotated[str | None, Query(max_length=200, description="exactly this one"), AfterValidator(_storable)]
LineKind = Annotated[
    str | None,
    Query(description="only of this product line", json_schema_extra={"enum": sorted(LINES)}),
    AfterValidator(_line),
]

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key with the same request makes one job, however often it is sent",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=1000, description="the ETag that you have read: 412 where it has changed"),
]

SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]
Creator = Annotated[Principal, Depends(require(Permission.TENANT_CREATE))]
Reader = Annotated[Principal, Depends(require(Permission.TENANT_READ))]
