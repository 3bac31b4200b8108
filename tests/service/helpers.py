"""Tokens of callers, and a manifest."""

from __future__ import annotations

import time
from typing import Any

import jwt

from tests.auth.helpers import LIFETIME

SECRET = "a secret for tests that is long enough for HS256"
MANIFEST: dict[str, Any] = {
    "kind": "cabinet",
    "name": "Cabinet « Chez Zoé » O'Neill 🦷",
    "slug": "acme",
    "address": {"street": "12, quai Gustave-Ador", "city": "Genève", "postalCode": "1207", "country": "CH"},
    "phone": "+41 22 555 01 42",
    "email": "contact@acme.example",
    "templateId": "default-dental",
}


def token(
    subject: str = "root",
    *,
    roles: tuple[str, ...] = (),
    tenants: dict[str, str] | None = None,
    seconds: int = LIFETIME,
) -> str:
    """A token that is valid for so long."""
    claims = {
        "sub": subject,
        "aud": "tenantry",
        "exp": int(time.time()) + seconds,
        "roles": list(roles),
        "tenants": tenants or {},
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


def as_(subject: str = "root", *roles: str, **tenants: str) -> dict[str, str]:
    """Headers of a caller; without roles, root is the platform's admin."""
    wanted = roles or (("admin",) if subject == "root" else ())
    return {"Authorization": f"Bearer {token(subject, roles=wanted, tenants=tenants)}"}


def manifest(slug: str = "acme", **changes: Any) -> dict[str, Any]:
    """The standard manifest with changes."""
    return MANIFEST | {"slug": slug} | changes
