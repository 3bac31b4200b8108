"""What a tenant's objects are called, where more than one part must know. Pure."""

from __future__ import annotations


def department_identifier(slug: str) -> str:
    """A department's slug as a PostgreSQL identifier: at most 51 characters, and no two slugs give the same."""
    return f"department_{slug.replace('-', '_')}"
