"""A main database with one of everything that pages show, for tests that visit every page."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

import psycopg

from tests.service.helpers import manifest
from tests.service.seed import seed
from tests.web.site import Site

HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>\"'`{{7*7}}</title></textarea>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """The ids of what there is. `running` is a job that goes on for as long as nobody changes its rows."""

    job: uuid.UUID
    run: uuid.UUID
    by_hand: uuid.UUID
    failed: uuid.UUID
    preview: uuid.UUID
    running: uuid.UUID
    running_run: uuid.UUID
    webhook: uuid.UUID

    def pages(self) -> dict[str, str]:
        """An address of every page that is asked for with GET, by its route."""
        return {
            "/sign-in": "/sign-in",
            "/account/password": "/account/password",
            "/tenants": "/tenants",
            "/tenants/new": "/tenants/new?line=cabinet&template=orthodontics",
            "/tenants/{slug}": "/tenants/acme",
            "/tenants/{slug}/edit": "/tenants/acme/edit",
            "/tenants/{slug}/health": "/tenants/acme/health",
            "/tenants/{slug}/cost": "/tenants/acme/cost",
            "/tenants/{slug}/destroy": "/tenants/acme/destroy",
            "/tenants/{slug}/rollback/{run_id}": f"/tenants/acme/rollback/{self.run}",
            "/tenants/{slug}/deployments/{run_id}": f"/tenants/acme/deployments/{self.by_hand}",
            "/tenants/{slug}/manifests/{version}": "/tenants/acme/manifests/2",
            "/workspaces/new": "/workspaces/new",
            "/workspaces/{slug}": "/workspaces/corner-shop",
            "/jobs": "/jobs",
            "/jobs/{job_id}": f"/jobs/{self.failed}",
            "/templates": "/templates",
            "/templates/{template_id}": "/templates/default-dental",
            "/audit": "/audit",
            "/system": "/system",
            "/webhooks": "/webhooks",
            "/webhooks/new": "/webhooks/new",
            "/webhooks/{webhook_id}": f"/webhooks/{self.webhook}",
        }


def fill_up(site: Site) -> Full:
    """Writes it. What people and programs can put into a name, a log or an error is hostile."""
    with psycopg.connect(site.database_url, autocommit=True, connect_timeout=10) as connection:
        acme = seed(connection)
        by_hand, preview = uuid.uuid4(), uuid.uuid4()
        connection.execute("UPDATE tenants SET name = %s WHERE slug = 'acme'", (HOSTILE,))
        connection.execute(
            "UPDATE manifests SET manifest = %s WHERE tenant = 'acme' AND version = 2",
            (json.dumps(manifest(name=HOSTILE)),),
        )
        connection.execute(
            "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine,"
            " manifest, error, leftovers, ended_at, duration_ms)"
            " VALUES (%s, 'acme', 'up', 'failed', 'c', %s, 'here', 1, 'embedded', '{}', %s, %s, now(), 61000)",
            (by_hand, HOSTILE, HOSTILE, json.dumps([HOSTILE])),
        )
        diff = {"path": "name", "before": "Old", "after": HOSTILE}
        change = {"urn": "u", "op": "update", "type": "a:b:C", "name": "x", "step": "record", "properties": [diff]}
        connection.execute(
            "INSERT INTO jobs (id, tenant, line, operation, status, actor, correlation_id, options, result, ended_at)"
            " VALUES (%s, 'acme', 'cabinet', 'preview', 'succeeded', 'ann', 'c', %s, %s, now())",
            (preview, json.dumps({"manifest": manifest(name=HOSTILE)}), json.dumps({"changes": [change]})),
        )
        connection.execute(
            "INSERT INTO audit (actor, address, action, tenant, object, correlation_id, before, after)"
            " VALUES (%s, '203.0.113.7', 'tenant.up', 'acme', %s, 'c', %s, %s)",
            (HOSTILE, HOSTILE, json.dumps({"name": "Old"}), json.dumps({"name": HOSTILE})),
        )
        failed, _ = _job(connection, "broke", "failed")
        running, running_run = _job(connection, "goes-on", "running")
        _shop(connection)
    made = {"tenant": "acme", "url": "https://93.184.216.34/hook", "description": HOSTILE[:100], "events": ["*"]}
    webhook = uuid.UUID(site.api("POST", "/webhooks", made)["id"])
    site.api("POST", f"/webhooks/{webhook}/test")
    return Full(
        job=acme.job,
        run=acme.deployment,
        by_hand=by_hand,
        failed=failed,
        preview=preview,
        running=running,
        running_run=running_run,
        webhook=webhook,
    )


def _job(connection: psycopg.Connection[tuple[object, ...]], slug: str, status: str) -> tuple[uuid.UUID, uuid.UUID]:
    """An `up` of a tenant of its own, in its second step: failed there, or running there until far in the future."""
    job, run = uuid.uuid4(), uuid.uuid4()
    failed = status == "failed"
    connection.execute(
        "INSERT INTO tenants (slug, line, name, status, template_id, manifest_version)"
        " VALUES (%s, 'cabinet', %s, %s, 'default-dental', 1)",
        (slug, f"Cabinet {slug}", "failed" if failed else "provisioning"),
    )
    connection.execute(
        "INSERT INTO manifests (tenant, version, manifest, actor) VALUES (%s, 1, %s, 'ann')",
        (slug, json.dumps(manifest(slug))),
    )
    connection.execute(
        "INSERT INTO deployments (id, tenant, operation, status, correlation_id, actor, host, pid, engine, job_id,"
        " first_create, manifest, error, ended_at) VALUES (%s, %s, 'up', %s, 'c', 'ann', 'here', 1, 'embedded', %s,"
        " true, '{}', %s, CASE WHEN %s THEN now() END)",
        (run, slug, status, job, HOSTILE if failed else None, failed),
    )
    steps = (("record", "Cabinet record", "completed", ""), ("database", "Cabinet database", status, HOSTILE))
    for position, (key, title, state, message) in enumerate(steps, 1):
        connection.execute(
            "INSERT INTO deployment_steps (deployment_id, key, position, title, status, attempts, started_at, message,"
            " error) VALUES (%s, %s, %s, %s, %s, 1, now(), %s, %s)",
            (run, key, position, title, state, message, HOSTILE if state == "failed" else None),
        )
    connection.execute(
        "INSERT INTO deployment_logs (deployment_id, level, step, message) VALUES (%s, 'error', 'database', %s)",
        (run, HOSTILE),
    )
    connection.execute(
        "INSERT INTO jobs (id, tenant, line, operation, status, manifest_version, actor, correlation_id, deployment_id,"
        " attempts, progress, current_step, message, error, started_at, ended_at, worker, lease_until)"
        " VALUES (%s, %s, 'cabinet', 'up', %s, 1, 'ann', 'c', %s, 1, 40, 'database', %s, %s, now(),"
        " CASE WHEN %s THEN now() END, CASE WHEN %s THEN NULL ELSE 'w' END,"
        " CASE WHEN %s THEN NULL ELSE now() + interval '1 day' END)",
        (
            *(job, slug, status, run, HOSTILE),
            json.dumps({"message": HOSTILE, "hint": HOSTILE}) if failed else None,
            *(failed, failed, failed),
        ),
    )
    return job, run


def _shop(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """A workspace that sells, with an optional step that failed; what its engine calls things is hostile, too."""
    _job(connection, "corner-shop", "failed")
    wanted = {"kind": "pos", "slug": "corner-shop", "name": HOSTILE, "countryCode": "KE", "category": "retail"}
    connection.execute("UPDATE manifests SET manifest = %s WHERE tenant = 'corner-shop'", (json.dumps(wanted),))
    connection.execute("UPDATE jobs SET line = 'pos', status = 'succeeded' WHERE tenant = 'corner-shop'")
    connection.execute("UPDATE deployments SET status = 'succeeded' WHERE tenant = 'corner-shop'")
    connection.execute(
        "UPDATE deployment_steps s SET key = CASE s.key WHEN 'record' THEN 'step_4_warehouses' ELSE 'step_6_items' END"
        " FROM deployments d WHERE d.id = s.deployment_id AND d.tenant = 'corner-shop'"
    )
    objects = [
        {"urn": "a", "step": "step_4_warehouses", "kind": "Warehouse", "name": HOSTILE, "ready": True, "reason": None},
        {"urn": "b", "step": "step_6_items", "kind": "Item", "name": None, "ready": False, "reason": HOSTILE},
    ]
    connection.execute(
        "UPDATE tenants SET line = 'pos', status = 'active', name = %s, template_id = 'retail', objects = %s"
        " WHERE slug = 'corner-shop'",
        (HOSTILE, json.dumps([{**one, "ours": True} for one in objects])),
    )
