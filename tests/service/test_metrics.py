"""/metrics: what it says after some of everything, and what it says when nothing can be asked."""

import asyncio
import math
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from automation.errors import DatabaseError
from automation.queues.seam import Depth, QueueError
from service import fresh, metrics
from service.app import create_app
from service.state import State
from tests.automation.helpers import ROOT
from tests.service.activity import make_some
from tests.service.helpers import as_


async def scrape(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    got = await client.get("/metrics")
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(got.text)
        for sample in family.samples
    }


async def test_what_is_said_after_some_of_everything(state: State, client: httpx.AsyncClient) -> None:
    await make_some(state, client)
    found = await scrape(client)
    expected = {
        ("tenantry_database_up", ""): 1,
        ("tenantry_queue_up", "procrastinate"): 1,
        ("tenantry_queue_messages", "procrastinate waiting"): 1,
        ("tenantry_queue_messages", "procrastinate parked"): 0,
        **{("tenantry_jobs_total", f"cabinet up {status}"): 1 for status in ("succeeded", "failed", "rolled_back")},
        ("tenantry_jobs_total", "cabinet up rollback_failed"): 1,
        ("tenantry_jobs_total", "cabinet destroy succeeded"): 0,
        ("tenantry_job_attempts_total", "cabinet up"): 4,
        ("tenantry_job_duration_seconds_count", "cabinet up failed"): 1,
        ("tenantry_job_wait_seconds_count", "cabinet up"): 4,
        ("tenantry_step_duration_seconds_count", "cabinet completed record"): 4,
        ("tenantry_step_duration_seconds_count", "cabinet failed database"): 3,
        ("tenantry_step_duration_seconds_bucket", "0.25 cabinet failed database"): 0,
        ("tenantry_step_duration_seconds_bucket", "0.5 cabinet failed database"): 3,
        ("tenantry_step_duration_seconds_bucket", "+Inf cabinet failed database"): 3,
        ("tenantry_run_duration_seconds_sum", "job cabinet up failed"): 3,
        ("tenantry_engine_duration_seconds_sum", "up embedded"): 10,
        ("tenantry_jobs_active", "cabinet up pending"): 1,
        ("tenantry_jobs_active", "cabinet up running"): 1,
        ("tenantry_jobs_expired_leases", ""): 0,
        ("tenantry_tenants", "cabinet removed"): 0,
        ("tenantry_workers", "ready"): 1,
        ("tenantry_workers", "lost"): 1,
        ("tenantry_worker_slots", "ready"): 4,
        ("tenantry_webhooks", "disabled"): 1,
        ("tenantry_webhooks_disabled_total", ""): 1,
        ("tenantry_webhook_attempts_total", "job.created 2xx"): 1,
        ("tenantry_http_requests_total", "GET /api/v1/tenants/{slug} 200"): 1,
        ("tenantry_http_requests_total", "GET /api/v1/tenants/{slug} 404"): 1,
        ("tenantry_http_request_duration_seconds_count", "GET /api/v1/tenants/{slug}"): 2,
        ("tenantry_http_requests_in_progress", "http"): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["tenantry_jobs_oldest_pending_seconds", "cabinet"] > 0
    assert not [key for key in found if "acme" in str(key) or "nobody" in str(key)], "no tenant is a label"


async def test_histograms_are_whole(state: State, client: httpx.AsyncClient) -> None:
    await make_some(state, client)
    text = (await client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        if family.type != "histogram":
            continue
        series: dict[str, list[tuple[float, float]]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                labels = {name: value for name, value in sample.labels.items() if name != "le"}
                bound = math.inf if sample.labels["le"] == "+Inf" else float(sample.labels["le"])
                series.setdefault(str(labels), []).append((bound, sample.value))
        counts = {str(one.labels): one.value for one in family.samples if one.name.endswith("_count")}
        for labels, buckets in series.items():
            assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
            assert [number for _, number in buckets] == sorted(number for _, number in buckets)
            assert buckets[-1] == (math.inf, counts[labels])


async def test_openmetrics_for_those_who_ask(client: httpx.AsyncClient) -> None:
    got = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert got.headers["content-type"].startswith("application/openmetrics-text")
    assert "tenantry_jobs" in {family.name for family in parse_openmetrics(got.text)}


async def test_without_database_and_queue_it_says_so_and_still_answers(
    state: State, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*given: object) -> None:
        raise DatabaseError("the main database cannot be reached")

    async def never(queue: object) -> Depth:
        await asyncio.sleep(60)
        raise QueueError("never")

    monkeypatch.setattr("automation.jobs.totals.read", lost)
    monkeypatch.setattr(type(state.queue), "depth", never)
    monkeypatch.setattr(metrics, "SCRAPE_SECONDS", 0.2)
    found = await scrape(client)
    assert found["tenantry_database_up", ""] == 0
    assert found["tenantry_queue_up", "procrastinate"] == 0
    assert "tenantry_jobs_active" not in {name for name, _ in found}
    assert found["tenantry_http_requests_in_progress", "http"] == 1


async def test_many_who_ask_at_once_are_one_look(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = metrics.snapshot

    async def counted(source: metrics.Measured, version: str) -> metrics.Snapshot:
        nonlocal looks
        looks += 1
        return await look(source, version)

    monkeypatch.setattr(metrics, "snapshot", counted)
    monkeypatch.setattr(fresh, "FRESH_SECONDS", 60.0)
    answers = await asyncio.gather(*(client.get("/metrics") for _ in range(20)))
    assert {one.status_code for one in answers} == {200}
    assert looks == 1


async def test_the_documentation_lists_every_metric_with_its_labels(state: State, client: httpx.AsyncClient) -> None:
    await make_some(state, client)
    said = set()
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        if family.name.startswith("tenantry_") and not family.name.endswith("_created"):
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            name = f"{family.name}_total" if family.type == "counter" else family.name
            shown = ", ".join(f"`{label}`" for label in labels)
            said.add(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    guide = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    written = {line for line in guide.splitlines() if line.startswith("| `tenantry_")}
    assert said == written, "missing:\n{}\ntoo much:\n{}".format(
        "\n".join(sorted(said - written)), "\n".join(sorted(written - said))
    )


def test_each_of_several_processes_has_its_own_numbers_and_the_dead_none(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (os.getpid(), os.getppid(), dead.pid):
        (tmp_path / f"gauge_livesum_{pid}.db").touch()
        (tmp_path / f"counter_{pid}.db").touch()
    alive = metrics.living(tmp_path)
    assert alive == sorted((os.getpid(), os.getppid()))
    assert not (tmp_path / f"gauge_livesum_{dead.pid}.db").exists()
    assert (tmp_path / f"counter_{dead.pid}.db").exists(), "what it counted stays counted"
    found = {
        (sample.name, sample.labels["pid"]): sample.value
        for family in metrics.Processes([*alive, dead.pid]).collect()
        for sample in family.samples
    }
    assert {pid for _, pid in found} == {str(pid) for pid in alive}
    assert found["process_resident_memory_bytes", str(os.getpid())] > 1e6
    assert found["process_cpu_seconds_total", str(os.getpid())] > 0


@pytest.mark.parametrize(
    "path", ["/no/such/page", "/api/v1/tenants/a/b/c", "/api/v1/tenants/%00", "/%ff", "/api/v1/nothing?x=1"]
)
async def test_what_a_caller_writes_never_becomes_a_label(client: httpx.AsyncClient, path: str) -> None:
    await client.get(path, headers=as_())
    await client.request("BREW", path, headers=as_())
    found = [key for name, key in await scrape(client) if name == "tenantry_http_requests_total"]
    assert found
    assert {key.split()[0] for key in found} <= {"GET", "other"}
    assert {key.split()[1] for key in found} <= {"other", "/api/v1/tenants/{slug}"}


async def test_a_token_can_be_asked_for(service_env: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_METRICS_TOKEN", "a token for the scraper")
    app = create_app()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer grün".encode("latin-1")}):
                got = await client.get("/metrics", headers=headers)
                assert (got.status_code, got.headers["www-authenticate"]) == (401, "Bearer")
                assert "tenantry_" not in got.text
            got = await client.get("/metrics", headers={"Authorization": "Bearer a token for the scraper"})
            assert got.status_code == 200


async def test_requests_that_break_are_counted_too(app: FastAPI, client: httpx.AsyncClient) -> None:
    async def broken() -> None:
        raise RuntimeError("broken on purpose")

    app.add_api_route("/broken", broken)
    assert (await client.get("/broken")).status_code == 500
    assert ("tenantry_http_requests_total", "GET /broken 500") in await scrape(client)
