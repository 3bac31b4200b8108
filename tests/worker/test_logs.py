"""One correlation id from the request to the provider's call, in the JSON logs of every process; no secret in any."""

import json
import os
from pathlib import Path
from typing import Any

import httpx

from automation.jobs.model import Caller
from automation.webhooks.manage import Webhooks
from tests.auth.helpers import KEY, bearer, token
from tests.auth.serving import SECONDS, Served, served
from tests.automation.helpers import PASSPHRASE
from tests.webhooks.receiver import answer, receiving
from tests.worker.yard import Yard

ID = "order-4711-of-the-shop"
ROOT_TOKEN = token("root", roles=["admin"])


def lines(text: str) -> list[dict[str, Any]]:
    """All lines, each of which is a JSON object."""
    found = [json.loads(line) for line in text.splitlines() if line.strip()]
    assert all({"timestamp", "level", "event", "logger", "process"} <= set(line) for line in found)
    return found


def of(found: list[dict[str, Any]], process: str, event: str = "") -> list[dict[str, Any]]:
    return [line for line in found if line["process"] == process and event in line["event"]]


async def test_one_id_from_the_request_to_the_provider_and_no_secret_anywhere(yard: Yard) -> None:
    allowed = {"TENANTRY_WEBHOOK_ALLOW": "127.0.0.0/8", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    settings = yard.settings.model_copy(update={"webhook_allow": ("127.0.0.0/8",)})
    async with receiving(answer(200)) as receiver:
        hook = Caller(subject="root", address=None, correlation_id="another-one")
        _, secret = await Webhooks(yard.engine, settings).create(hook, tenant=None, url=receiver.url, events=["*"])
        with served(**allowed) as (service, url):
            yard.worker(**allowed)
            job = posted(url, yard)
            await yard.until(lambda: bool(yard.query("SELECT 1 FROM jobs WHERE id = %s AND ended_at IS NOT NULL", job)))
            # job.created, job.succeeded, tenant.active
            await receiver.arrived(3)
            await yard.until(lambda: yard.said().count("webhooks.delivered") >= 3)
            refused(url)
            service_said = stopped(service)
    await yard.stop()
    said = service_said + "\n" + yard.said()
    found = lines(said)

    mine = [line for line in found if line.get("correlation_id") == ID]
    [request] = of(mine, "service", "request")
    assert (request["route"], request["status"]) == ("/api/v1/tenants", 202)
    for event in ("attempt began", "attempt ended", "webhooks.delivered"):
        assert of(mine, "worker", event), f"no '{event}' in:\n{said}"
    operation = of(found, "operation")
    assert {line.get("correlation_id") for line in operation} == {ID}
    assert {line["job"] for line in operation} == {job}
    calls = {line["type"]: line for line in of(operation, "operation", "provider call")}
    assert {"postgresql:index/database:Database", "postgresql:index/role:Role"} <= set(calls)
    assert all(line["op"] == "create" and line["duration_ms"] >= 0 for line in calls.values())

    # What is refused is no fault of the service.
    assert not [line for line in of(found, "service") if "exception" in line]
    path = receiver.url.partition("/hook")[0]
    for hidden in (PASSPHRASE, yard.server.password, KEY, secret, ROOT_TOKEN, token("eve"), path, "v1="):
        assert hidden not in said


def posted(url: str, yard: Yard) -> str:
    """The id of the job that a request with our correlation id was answered with."""
    headers = bearer(ROOT_TOKEN) | {"X-Correlation-ID": ID}
    sent = httpx.post(f"{url}/api/v1/tenants", json=yard.manifest(), headers=headers, timeout=SECONDS)
    assert sent.status_code == 202, sent.text
    assert sent.headers["X-Correlation-ID"] == ID
    return str(sent.json()["id"])


def refused(url: str) -> None:
    """Requests with a token where none belongs."""
    with httpx.Client(base_url=url, timeout=SECONDS) as client:
        client.get("/api/v1/tenants", params={"access_token": ROOT_TOKEN})
        client.get(f"/api/v1/tenants/{token('eve')}", headers=bearer(token("eve")))
        client.get("/api/v1/tenants", headers={"User-Agent": f"curl {ROOT_TOKEN}"})
        client.get(
            "/api/v1/jobs/x/ws",
            params={"access_token": ROOT_TOKEN},
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "x" * 22 + "==",
            },
        )


def stopped(service: Served) -> str:
    assert service.stop() == 0
    return "\n".join(service.log)


async def test_a_failing_provider_call_is_an_error_in_the_log(yard: Yard, project: Path) -> None:
    assert os.environ["DB_PASSWORD"]
    yard.query(f'CREATE DATABASE "{yard.database()}"', database="postgres")
    yard.worker()
    job = await yard.submit(manifest=yard.manifest())
    await yard.ended(job)
    await yard.stop()
    failed = of(lines(yard.said()), "operation", "provider call failed")
    assert [(line["level"], line["type"]) for line in failed] == [("error", "postgresql:index/database:Database")]
    assert of(lines(yard.said()), "operation", "rolling back")
