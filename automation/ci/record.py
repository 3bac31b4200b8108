"""Which commit was applied last: one audit row per `tenantry ci apply` that got through.

The main database keeps it, and not a branch or a tag: so no run's changes are lost when a workflow is cancelled, fails,
or is overtaken by the next one, because the next one starts where the last good one ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import desc, insert, select

from automation import history
from automation.database import engine_for, ensure_ready, transaction
from automation.models import TenantStatus, tenants
from automation.models_jobs import audit
from automation.settings import Settings

ACTION = "ci.apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A commit that was applied, and the tenants whose manifests are gone but who were kept."""

    commit: str
    kept: tuple[str, ...] = ()


def repository_name(environment: Mapping[str, str]) -> str:
    """What tells this repository from others that use the same database."""
    for name in ("TENANTRY_CI_REPOSITORY", "GITHUB_REPOSITORY", "CI_PROJECT_PATH"):
        if value := environment.get(name):
            return value
    return "local"


def last_applied(settings: Settings) -> Applied | None:
    """The commit of this repository that was applied last; None when none was."""
    ensure_ready(settings)
    statement = (
        select(audit.c.after)
        .where(audit.c.action == ACTION, audit.c.object == repository_name(os.environ))
        .order_by(desc(audit.c.id))
        .limit(1)
    )
    with transaction(engine_for(settings), settings) as connection:
        after: Mapping[str, Any] | None = connection.execute(statement).scalar_one_or_none()
    if not after:
        return None
    return Applied(commit=str(after["commit"]), kept=tuple(after.get("kept", ())))


def remember(settings: Settings, applied: Applied, outcomes: Mapping[str, str], correlation: str) -> None:
    """Writes that `applied.commit` is in force now; `outcomes` says what became of each tenant."""
    after = {"commit": applied.commit, "kept": list(applied.kept), "tenants": dict(outcomes)}
    with transaction(engine_for(settings), settings) as connection:
        connection.execute(
            insert(audit).values(
                actor=history.actor(),
                action=ACTION,
                object=repository_name(os.environ),
                correlation_id=correlation,
                after=after,
            )
        )


def living(settings: Settings, names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are tenants and have not been removed."""
    if not names:
        return []
    statement = select(tenants.c.slug).where(tenants.c.slug.in_(names), tenants.c.status != TenantStatus.REMOVED)
    with transaction(engine_for(settings), settings) as connection:
        return sorted(connection.execute(statement).scalars())
