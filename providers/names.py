"""What a tenant's objects are called, where more than one part must know. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def department_identifier(slug: str) -> str:
    """A department's slug as a PostgreSQL identifier: at most 51 characters, and no two slugs give the same."""
    return f"department_{slug.replace('-', '_')}"


def workflow_versions(names: Iterable[str] | None) -> dict[str, str]:
    """By id, the versions in a department's record, where a workflow's template is called `id@version`."""
    return dict(name.split("@", 1) for name in names or ())
