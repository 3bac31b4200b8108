"""The Python calls on a real Docker engine, from nothing to nothing."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
import yaml

from automation.isp import ISPConfig, ProvisioningError, provision_isp_container, validate_container_health
from tests.automation.conftest import project
from tests.automation.helpers import ROOT
from tests.docker.conftest import host
from tests.isp.test_docker import DockerPlace, place, sample
from tests.isp.yard import NOTHING, ONE, REGION

__all__ = ["host", "place", "project", "sample"]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def config(place: DockerPlace, monkeypatch: pytest.MonkeyPatch, sample: str) -> ISPConfig:
    """Of an ISP in the place's region, with its environment in this process's."""
    for name, value in place.yard.environment.items():
        monkeypatch.setenv(name, value)
    application = {"application": {"image": sample}}
    return ISPConfig(place.yard.name, "standard", ("billing",), region=REGION, custom_settings=application)


async def test_an_isp_by_python_calls(place: DockerPlace, config: ISPConfig) -> None:
    yard = place.yard
    made = await provision_isp_container(yard.slug, 500, config)
    assert (made.success, made.changed, made.error_message) == (True, True, None)
    assert made.deployment_duration > 0
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"{made.endpoint_url}/health")
    assert answer.json()["tenant"] == yard.name
    health = await validate_container_health(made.container_id)
    assert health.overall
    assert all(part and part.ok for part in (health.workload, health.database, health.api, health.ingress))
    assert health.tls is None

    again = await provision_isp_container(yard.slug, 500, config)
    assert (again.changed, again.endpoint_url, again.resources) == (False, made.endpoint_url, made.resources)
    assert yard.query(yard.main, "SELECT url FROM tenants WHERE slug = %s", yard.slug) == [(made.endpoint_url,)]

    container: Any = await asyncio.to_thread(place.container)
    await asyncio.to_thread(container.stop)
    broken = await validate_container_health(made.container_id)
    assert not broken.overall
    assert broken.workload is not None
    assert not broken.workload.ok
    assert broken.database is not None
    assert broken.database.ok


async def test_a_call_that_fails_is_undone(place: DockerPlace, config: ISPConfig) -> None:
    application = {"application": {"image": "registry.invalid/no-such:1"}}
    wrong = ISPConfig(config.tenant_name, "standard", region=REGION, custom_settings=application)
    with pytest.raises(ProvisioningError, match=r"registry\.invalid/no-such:1") as caught:
        await provision_isp_container(place.yard.slug, 500, wrong)
    assert caught.value.rollback_completed
    assert caught.value.leftovers == ()
    assert place.yard.objects() == NOTHING
    assert await asyncio.to_thread(place.left) == []


async def test_a_call_that_is_cancelled_is_continued_by_another(place: DockerPlace, config: ISPConfig) -> None:
    yard = place.yard

    def begun() -> None:
        while yard.objects()["records"] == 0:
            time.sleep(0.05)

    calling = asyncio.create_task(provision_isp_container(yard.slug, 500, config))
    await asyncio.to_thread(begun)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    # Recorded, not cut off: nothing of it runs any more.
    assert yard.query(yard.main, "SELECT DISTINCT status FROM deployments") == [("cancelled",)]
    made = await provision_isp_container(yard.slug, 500, config)
    assert made.changed
    assert yard.objects() == ONE


def test_the_example_of_the_page_runs_as_it_is_written(place: DockerPlace) -> None:
    yard = place.yard
    # As the page has it: its own id, and the region that there is without being named.
    yard.slug = "acme-fibre"
    file = yard.project / "backends.yaml"
    known = yaml.safe_load(file.read_text())["regions"]
    file.write_text(yaml.safe_dump({"regions": {"default": known[REGION]}}))
    [example] = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "docs" / "isps.md").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=yard.project,
        env=yard.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    reached, health = done.stdout.splitlines()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ \d+\.\d+", reached)
    assert health.startswith("works PartHealth(part='database', ok=True")
