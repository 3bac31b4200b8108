"""The commands on the control tables: list, show, history, logs, db.

Each prints text for people or one JSON document. Imported only when one of them runs.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from automation import history, queries
from automation.cli_support import Output, print_table, settings_for
from automation.database import engine_for, ensure_ready, transaction
from automation.display import duration
from automation.errors import NotFoundError

# Said elsewhere, or of no interest to who reads.
_OF_EVERY_RECORD = frozenset(
    {"id", "slug", "tenant_mark", "name", "status", "template_id", "template_version"}
    | {"created_at", "updated_at", "activated_at"}
)


@contextlib.contextmanager
def _database() -> Iterator[Connection]:
    settings = settings_for()
    ensure_ready(settings)
    with transaction(engine_for(settings, application="tenantry read"), settings) as connection:
        yield connection


def list_all(output: Output, *, removed: bool) -> None:
    """`tenantry list`."""
    with _database() as connection:
        rows = queries.list_tenants(connection, removed=removed)
    if output.as_json:
        output.document({"type": "tenants", "tenants": rows})
        return
    if not rows:
        output.say("no tenants; `tenantry up SLUG` creates the one in stacks/SLUG.yaml")
        return
    print_table(
        output,
        ("TENANT", "STATUS", "TEMPLATE", "LAST RUN", "PROGRESS", "DEPLOYMENT", "NAME"),
        (
            (
                row["slug"],
                row["status"],
                f"{row['template_id']}@{row['template_version']}" if row["template_id"] else "",
                f"{row['operation']} {row['deployment_status']}" if row["operation"] else "",
                f"{row['progress']} %" if row["progress"] is not None else "",
                (row["deployment"] or "")[:8],
                row["name"],
            )
            for row in rows
        ),
    )


def show_one(output: Output, tenant: str) -> None:
    """`tenantry show`."""
    with _database() as connection:
        found = queries.show_tenant(connection, tenant)
    if output.as_json:
        output.document({"type": "tenant", **found})
        return
    output.say(f"{found['slug']}: {found['status']}, {found['name']}")
    if found["template_id"]:
        output.say(f"  template: {found['template_id']}@{found['template_version']}")
    if found["url"]:
        output.say(f"  reached at: {found['url']}")
    if (record := found["record"]) is not None:
        output.say(f"  record: {record['id']}, {record['status']}")
        for name in (one for one in record if one not in _OF_EVERY_RECORD):
            output.say(f"    {name.replace('_', ' ')}: {'none' if record[name] is None else record[name]}")
    if (deployment := found["deployment"]) is not None:
        _say_deployment(output, deployment)


def _say_deployment(output: Output, deployment: dict[str, Any]) -> None:
    output.say(
        f"  last run: {deployment['operation']} {deployment['status']}, {deployment['progress']} %, "
        f"{duration(deployment['duration_ms']) or 'not ended'}, deployment {deployment['id']}"
    )
    output.say(
        f"    by {deployment['actor']} on {deployment['host']}, engine {deployment['engine']}, "
        f"started {deployment['started_at']}, correlation id {deployment['correlation_id']}"
    )
    for server, count in (deployment["requests"] or {}).items():
        output.say(f"    requests: {count} to {server}")
    if deployment["error"]:
        output.say(f"    error: {deployment['error']}")
    rows = [
        (
            f"    {step['title']}",
            step["status"].replace("_", " "),
            duration(step["duration_ms"]),
            step["error"] or step["message"],
        )
        for step in deployment["steps"]
    ]
    print_table(output, ("    STEP", "STATUS", "TIME", "MESSAGE"), rows)


def show_history(output: Output, tenant: str, limit: int) -> None:
    """`tenantry history`."""
    with _database() as connection:
        rows = queries.history(connection, tenant, limit)
    if output.as_json:
        output.document({"type": "history", "tenant": tenant, "deployments": rows})
        return
    print_table(
        output,
        ("DEPLOYMENT", "OPERATION", "STATUS", "STARTED", "TIME", "BY", "ERROR"),
        (
            (
                row["id"][:8],
                row["operation"],
                row["status"].replace("_", " "),
                row["started_at"][:19],
                duration(row["duration_ms"]),
                row["actor"],
                (row["error"] or "").split("\n")[0],
            )
            for row in rows
        ),
    )


def show_logs(output: Output, target: str) -> None:
    """`tenantry logs`, of a deployment or of a tenant's last one."""
    with _database() as connection:
        deployment = _deployment_of(connection, target)
        rows = queries.logs(connection, deployment)
    if output.as_json:
        output.document({"type": "logs", "deployment": str(deployment), "lines": rows})
        return
    for row in rows:
        output.say(f"{row['at'][:23]}  {row['level']:<7}  {row['step'] or '':<10}  {row['message']}")


def _deployment_of(connection: Connection, target: str) -> uuid.UUID:
    try:
        return queries.last_deployment(connection, target)
    except NotFoundError as not_a_tenant:
        try:
            return uuid.UUID(str(history.find_deployment(connection, target)["id"]))
        except NotFoundError:
            raise not_a_tenant from None


def upgrade_database(output: Output) -> None:
    """`tenantry db upgrade`."""
    from automation.models import HEAD

    settings = settings_for()
    before = ensure_ready(settings)
    name = settings.database.main_database
    if output.as_json:
        output.document({"type": "database", "database": name, "before": before or None, "revision": HEAD})
        return
    changed = "is up to date" if before == HEAD else f"was brought from {before or 'nothing'} to revision {HEAD}"
    output.say(f"database '{name}' {changed}")
