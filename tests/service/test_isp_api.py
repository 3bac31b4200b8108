"""The routes of ISPs: sized, provisioned, looked at, removed, in the words of their requirements."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from automation.jobs.model import Ending
from automation.models_jobs import JobStatus
from service.health_checks import HealthChecks
from service.state import State
from stacks.lines import ISP
from tests.conftest import MainDatabase
from tests.service.helpers import as_

PROVISION = "/api/isps/provision"
SIZE = "/api/isps/size"
REQUEST: dict[str, Any] = {
    "ispId": "acme-fibre",
    "tenantName": "Acme Fibre",
    "planType": "premium",
    "features": ["billing", "customer_portal"],
    "customerCount": 2500,
    "region": "here",
    "customResources": {"memoryGb": 2},
    "customSettings": {"application": {"image": "registry.example/isp:1.4"}},
}
ASKED: dict[str, Any] = {"customerCount": 900_000, "planType": "standard", "features": ["billing"]}
REGIONS = {
    "here": {
        "database": {"host": "db", "user": "u", "name": "isps"},
        "container": {"platform": "kubernetes", "ingress": {"domain": "isp.example", "issuer": "letsencrypt"}},
    },
    "bare": {"container": {"platform": "docker"}},
    "bench": {
        "database": {"host": "db", "user": "u", "name": "isps"},
        "container": {"platform": "process", "url": "http://127.0.0.1:9001", "folder": "/srv"},
    },
}


@pytest.fixture(autouse=True)
def _regions(tmp_path: Path, service_env: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `service_env`, which takes all variables of ours away."""
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": REGIONS}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))


async def provision(client: httpx.AsyncClient, **headers: str) -> uuid.UUID:
    answer = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator") | headers)
    assert answer.status_code == 202, answer.text
    return uuid.UUID(answer.json()["id"])


async def get(client: httpx.AsyncClient, path: str, code: int = 200) -> dict[str, Any]:
    answer = await client.get(path, headers=as_("ann", **{"acme-fibre": "owner"}))
    assert answer.status_code == code, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_isp_is_provisioned_followed_and_removed(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    asked = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator"))
    told = asked.json()
    assert (asked.status_code, told["ispId"], told["operation"], told["status"]) == (202, "acme-fibre", "up", "pending")
    assert asked.headers["Location"] == told["statusUrl"] == f"/api/v1/jobs/{told['id']}"
    assert (await get(client, told["statusUrl"]))["manifest_version"] == 1

    assert await get(client, "/api/isps/acme-fibre") == {
        "ispId": "acme-fibre",
        "tenantName": "Acme Fibre",
        "status": "pending",
        "healthUrl": "/api/isps/acme-fibre/health",
        "planType": "premium",
        "customerCount": 2500,
        "features": ["billing", "customer_portal"],
        "region": "here",
        "templateId": "default-isp",
        "templateVersion": None,
        "resources": None,
        "endpointUrl": None,
    }

    given = await _worked(state, main_db, uuid.UUID(told["id"]))
    there = await get(client, "/api/isps/acme-fibre")
    assert (there["status"], there["endpointUrl"]) == ("active", "https://acme-fibre.isp.example")
    assert there["resources"] == given
    assert given["memoryGb"] == 2
    listed = await get(client, "/api/isps")
    assert [(one["ispId"], one["status"]) for one in listed["isps"]] == [("acme-fibre", "active")]

    gone = await client.delete("/api/isps/acme-fibre", headers=as_("ann", **{"acme-fibre": "owner"}))
    assert (gone.status_code, gone.json()["operation"]) == (202, "destroy")


async def _worked(state: State, main_db: MainDatabase, job: uuid.UUID) -> Any:
    """The job ends, and its tenant is as its worker leaves it. Gives its size."""
    claimed = await state.store.claim(job, worker="test", lease_seconds=60)
    assert claimed is not None
    await state.store.finish(claimed[1], Ending(status=JobStatus.SUCCEEDED))
    body = {**REQUEST, "customSettings": {**REQUEST["customSettings"], "resources": REQUEST["customResources"]}}
    words = {"ispId": "slug", "tenantName": "name"}
    sent = {words.get(key, key): value for key, value in body.items() if key != "customResources"}
    resolved = ISP.resolve(ISP.parse({"kind": "isp", **sent}), ISP.templates())

    def written() -> None:
        with main_db.connect() as connection:
            connection.execute(
                "UPDATE tenants SET status = 'active', last_good_manifest = %s, url = %s",
                (json.dumps(resolved.to_dict()), "https://acme-fibre.isp.example"),
            )

    await asyncio.to_thread(written)
    return resolved.settings["resources"]


async def test_its_page_says_where_its_last_run_put_it(
    client: httpx.AsyncClient, state: State, main_db: MainDatabase
) -> None:
    await _worked(state, main_db, await provision(client))

    def told() -> None:
        # As a template with a host of its own makes it: the manifest alone would say another.
        with main_db.connect() as connection:
            connection.execute("UPDATE tenants SET url = 'https://told.example'")

    await asyncio.to_thread(told)
    owner = as_("ann", **{"acme-fibre": "owner"}) | {"accept": "text/html"}
    shown = (await client.get("/tenants/acme-fibre", headers=owner)).text
    assert 'href="https://told.example"' in shown
    assert "acme-fibre.isp.example" not in shown


async def test_the_same_key_again_is_answered_with_the_same_job(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    job = await provision(client, **key)
    again = await client.post(PROVISION, json=REQUEST, headers=as_("ann", "creator") | key)
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()["id"]) == (202, "true", str(job))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"ispId": "A B"}, "ispId", "such as acme"),
        ({"tenantName": ""}, "tenantName", "1"),
        ({"customerCount": 49}, "customerCount", "50 or more"),
        ({"customerCount": None}, "customerCount", "a whole number"),
        ({"planType": "gold"}, "planType", "'standard', 'premium' or 'enterprise'"),
        ({"features": ["billing", "sms"]}, "features[1]", "'billing'"),
        ({"features": ["billing", "billing"]}, "features", "no feature is named twice"),
        ({"region": "elsewhere"}, "region", "one of bare, bench, here"),
        ({"region": "bare"}, "region", "this one has no database"),
        ({"region": "bench"}, "region", "docker or kubernetes"),
        ({"customResources": {"memoryGb": 0}}, "customResources.memoryGb", "or more"),
        ({"customResources": {"memory": 4}}, "customResources.memory", "one of the keys cpuCores"),
        ({"customResources": 3}, "customResources", "a mapping"),
        (
            {"customSettings": {"application": {"image": None}}},
            "customSettings.application.image",
            "the image of its application",
        ),
        ({"customSettings": {"resources": {"memoryGb": 4}}}, "customSettings.resources", "customResources"),
        ({"slug": "acme"}, "slug", "one of the keys ispId"),
    ],
)
async def test_a_wrong_value_is_told_by_its_own_name(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str, words: str
) -> None:
    answer = await client.post(PROVISION, json=REQUEST | changes, headers=as_())
    assert answer.status_code == 422, answer.text
    (row,) = answer.json()["errors"]
    assert row["field"] == field
    assert words in row["valid"]


async def test_a_size_says_what_counted(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def size(**more: Any) -> dict[str, Any]:
        answer = await client.post(SIZE, json=ASKED | more, headers=as_("ann", "creator"))
        assert answer.status_code == 200, answer.text
        return {one["key"]: one for one in answer.json()["amounts"]}

    plain = await size()
    assert {one["why"] for one in plain.values()} == {"rules"}
    assert all(one["given"] == one["computed"] for one in plain.values())
    monkeypatch.setenv("MAX_CPU_CORES", "0.3")
    capped = await size(customResources={"storageGb": 30})
    cpu = capped["cpuCores"]
    assert (cpu["why"], cpu["given"], cpu["cap"], cpu["variable"]) == ("cap", 0.3, 0.3, "MAX_CPU_CORES")
    assert cpu["computed"] == plain["cpuCores"]["computed"]
    assert (capped["storageGb"]["why"], capped["storageGb"]["given"]) == ("given", 30)
    assert capped["memoryGb"] == plain["memoryGb"]


async def test_what_a_size_may_not_be_is_refused(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(body: object) -> list[tuple[str, str]]:
        answer = await client.post(SIZE, json=body, headers=as_())
        assert answer.status_code == 422, answer.text
        return [(one["field"], one["valid"]) for one in answer.json()["errors"]]

    assert [field for field, _ in await refused([])] == ["request"]
    assert {field for field, _ in await refused({})} == {"customerCount", "planType"}
    monkeypatch.setenv("MAX_MEMORY_GB", "0.5")
    asked = ASKED | {"planType": "enterprise", "customResources": {"memoryGb": 4}}
    assert await refused(asked) == [("customResources.memoryGb", "at most 0.5, as MAX_MEMORY_GB says")]
    ((field, valid),) = await refused(ASKED | {"planType": "enterprise"})
    assert (field, "customResources.memoryGb" in valid) == ("planType", True)
    monkeypatch.setenv("MAX_MEMORY_GB", "much")
    assert [field for field, _ in await refused(ASKED)] == ["environment"]
    assert (await client.post(SIZE, json=ASKED | {"templateId": "nothing"}, headers=as_())).status_code == 422


async def test_who_may_not_and_what_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.post(PROVISION, json=REQUEST, headers=as_("bob"))).status_code == 403
    assert (await client.post(PROVISION, json=REQUEST)).status_code == 401
    assert (await client.post(SIZE, json=ASKED)).status_code == 401
    await provision(client)
    stranger = as_("bob", other="owner")
    assert (await client.get("/api/isps/acme-fibre", headers=stranger)).status_code == 404
    assert (await client.get("/api/isps/nothing", headers=as_())).status_code == 404
    assert (await client.get("/api/isps", headers=stranger)).json()["isps"] == []
    member = as_("mia", **{"acme-fibre": "member"})
    assert (await client.delete("/api/isps/acme-fibre", headers=member)).status_code == 403
    # Its provisioning waits: one job at a time.
    busy = await client.delete("/api/isps/acme-fibre", headers=as_())
    assert (busy.status_code, busy.json()["operation"]) == (409, "up")
    assert (await client.delete("/api/deprovision/acme-fibre", headers=as_())).status_code == 404


async def test_health_tells_each_part(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        {"part": "database", "ok": True, "detail": "", "duration_ms": 4},
        {"part": "ingress", "ok": False, "detail": "its certificate has ended", "duration_ms": 9},
    ]

    async def of(_self: HealthChecks, slug: str) -> Mapping[str, Any]:
        assert slug == "acme-fibre"
        return {"healthy": False, "parts": parts, "checked_at": "2026-01-05T09:30:00+00:00"}

    monkeypatch.setattr(HealthChecks, "of", of)
    await provision(client)
    found = await get(client, "/api/isps/acme-fibre/health")
    assert (found["ispId"], found["healthy"]) == ("acme-fibre", False)
    assert [(one["part"], one["ok"], one["durationMs"]) for one in found["parts"]] == [
        ("database", True, 4),
        ("ingress", False, 9),
    ]
