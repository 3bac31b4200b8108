"""Rows for tests that read: tenants in every state, jobs that wait and that have ended, with steps, logs and audit."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.service.helpers import manifest

ENDED = "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """The ids of what was made."""

    tenant: str
    job: uuid.UUID
    deployment: uuid.UUID


def seed(connection: psycopg.Connection[Any], tenant: str = "acme", *, owner: str = "ann") -> Seeded:
    """An active tenant with two deployments by jobs, the second of which changed it."""
    wanted = manifest(tenant)
    connection.execute(
        "INSERT INTO tenants (slug, line, name, status, template_id, template_version, last_good_manifest,"
        " manifest_version) VALUES (%s, 'cabinet', %s, 'active', 'default-dental', '1.0.0', %s, 2)",
        (tenant, wanted["name"], json.dumps({"format": 1, "manifest": wanted, "settings": {}})),
    )
    for version in (1, 2):
        connection.execute(
            "INSERT INTO manifests (tenant, version, manifest, actor) VALUES (%s, %s, %s, %s)",
            (tenant, version, json.dumps(wanted), owner),
        )
    connection.execute(
        "INSERT INTO tenant_members (tenant, subject, role, added_by) VALUES (%s, %s, 'owner', %s)",
        (tenant, owner, owner),
    )
    job, deployment = _run(connection, tenant, owner, first=True)
    job, deployment = _run(connection, tenant, owner, first=False)
    return Seeded(tenant=tenant, job=job, deployment=deployment)


def _run(connection: psycopg.Connection[Any], tenant: str, owner: str, *, first: bool) -> tuple[uuid.UUID, uuid.UUID]:
    job, deployment = uuid.uuid4(), uuid.uuid4()
    now = json.dumps({"manifest": manifest(tenant, name="Now")})
    before = None if first else json.dumps({"manifest": manifest(tenant, name="Before")})
    connection.execute(
        "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine,"
        " first_create, manifest, previous_manifest, job_id, progress, changes, ended_at, duration_ms)"
        " VALUES (%s, %s, 'up', 'succeeded', 'c0ffee', %s, 'here', 1, 'fake', %s, %s, %s, %s, 100, '{\"create\": 3}',"
        " now(), 1200)",
        (deployment, tenant, owner, first, now, before, job),
    )
    connection.execute(
        "INSERT INTO deployment_steps (deployment_id, key, position, title, status, attempts, started_at, ended_at,"
        " duration_ms) VALUES (%s, 'record', 1, 'Cabinet record', 'completed', 1, now(), now(), 12)",
        (deployment,),
    )
    connection.execute(
        "INSERT INTO deployment_logs (deployment_id, level, step, message) VALUES (%s, 'info', 'record', 'made')",
        (deployment,),
    )
    connection.execute(
        "INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, deployment_id,"
        " attempts, progress, message, result, started_at, ended_at, duration_ms)"
        " VALUES (%s, %s, 'cabinet', 'up', 'succeeded', 2, %s, 'c0ffee', %s, 1, 100, 'done', '{}', now(), now(), 1200)",
        (job, tenant, owner, deployment),
    )
    for kind, data in (("job", {"status": "running"}), ("end", {"status": ENDED})):
        connection.execute("SELECT tenantry_event(%s, %s, %s)", (job, kind, json.dumps(data)))
    connection.execute(
        "INSERT INTO audit (actor, address, action, tenant, object, job_id, correlation_id, after)"
        " VALUES (%s, '203.0.113.7', 'tenant.up', %s, %s, %s, 'c0ffee', '{}')",
        (owner, tenant, f"job {job}", job),
    )
    return job, deployment
