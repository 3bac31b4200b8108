"""How the lines' own APIs tell whether each part of a tenant works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from service.api.documents import Document


class PartHealth(Document):
    """Whether one part works, as its users use it."""

    part: str = Field(examples=["database"])
    ok: bool
    detail: str = Field(description="what was seen where it does not work")
    durationMs: int  # noqa: N815 - the word of these APIs


def shown_health(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `tenantry health` found, without the tenant's name."""
    return {
        "healthy": found["healthy"],
        "parts": [
            {"part": one["part"], "ok": one["ok"], "detail": one["detail"], "durationMs": one["duration_ms"]}
            for one in found["parts"]
        ],
        "checkedAt": found["checked_at"],
    }
