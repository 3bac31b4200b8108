"""Tenants over HTTP: created, read, changed, previewed, removed, and what is refused."""

from __future__ import annotations

import httpx

from tests.service.helpers import as_, manifest


async def test_a_tenant_is_accepted_listed_and_shown(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/tenants", json=manifest(), headers=as_("ann", "creator"))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["tenant"], job["operation"], job["status"], job["actor"]) == ("acme", "up", "pending", "ann")

    listed = (await client.get("/api/v1/tenants", headers=as_("ann"))).json()
    assert [one["slug"] for one in listed["items"]] == ["acme"]
    assert listed["items"][0]["job"]["id"] == job["id"]
    shown = await client.get("/api/v1/tenants/acme", headers=as_("ann"))
    assert shown.json()["manifest"]["slug"] == "acme"
    again = await client.get("/api/v1/tenants/acme", headers=as_("ann") | {"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
