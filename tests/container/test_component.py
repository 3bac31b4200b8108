"""The component on the platform `process`, run by the embedded engine: up, no-op, change, drift, destroy."""

from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest

from components.container import AppSpec, Container
from providers.errors import ConfigurationError
from providers.supervisor.files import Folder
from sandbox.supervisor import EmbeddedSupervisor
from tests.cabinet.conftest import recorder, run
from tests.container.conftest import REGION, Regions
from tests.embedded import stacks_in

__all__ = ["recorder", "run"]

PASSWORD = "pl4in-s3cret-w0rd"
APP = AppSpec(image="none", command=("python", "-m", "sandbox.sample_app"))


def container(name: str, **changes: Any) -> Container:
    tenant = pulumi.ComponentResource("tests:Tenant", name)
    given: dict[str, Any] = {
        "app": APP,
        "environment": {},
        "cpu": 0.5,
        "memory_mb": 512,
        "region": REGION,
        "tenant_mark": "tests/one",
        "tenant": tenant,
        "after": [],
    }
    return Container(name, **given | changes)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return stacks_in(tmp_path, monkeypatch)


@pytest.mark.timeout(500)
def test_up_no_op_change_drift_destroy(supervisor: EmbeddedSupervisor, name: str, stack: Any, tmp_path: Path) -> None:
    says = {"TENANT": "One"}

    def program() -> None:
        one = container(name, environment={**says, "SOME_SECRET": pulumi.Output.secret(PASSWORD)})
        pulumi.export("upstream", one.upstream)
        pulumi.export("url", one.url)

    made = stack(program)
    folder = Folder(path=supervisor.programs)
    assert made.preview().change_summary == {"create": 5}
    assert folder.document(f"tenant-{name}") is None
    try:
        first = made.up()
        url = first.outputs["url"].value
        assert url == f"http://{first.outputs['upstream'].value}"
        assert not first.outputs["url"].secret
        assert httpx.get(f"{url}/health").json()["tenant"] == "One"
        assert made.up().summary.resource_changes == {"same": 5}

        says["TENANT"] = "Two"
        # The process, and the wait for it.
        assert made.up().summary.resource_changes == {"same": 3, "update": 2}
        assert httpx.get(f"{url}/health").json()["tenant"] == "Two"

        document = folder.document(f"tenant-{name}")
        assert document is not None
        (supervisor.programs / f"tenant-{name}.conf").write_text("")
        assert made.refresh().summary.resource_changes["update"] >= 1
        assert made.up().summary.resource_changes["update"] >= 1
        assert httpx.get(f"{url}/health").json()["tenant"] == "Two"
        assert made.up().summary.resource_changes == {"same": 5}
        for state in (tmp_path / "state").rglob("*"):
            assert state.is_dir() or PASSWORD not in state.read_text()
    finally:
        made.destroy()
    assert not list(supervisor.programs.glob(f"*{name}*"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"app": AppSpec(image="x")}, "needs a command"),
        ({"environment": {"PORT": "1"}}, "say where it listens"),
        ({"environment": {"A-B": "1"}}, "'A-B' cannot be given"),
        ({"memory_mb": 0}, "more than nothing"),
        ({"region": "mars"}, "'mars' is not one of here"),
    ],
)
def test_what_cannot_be_run_is_refused(regions: Regions, run: Any, changes: dict[str, Any], said: str) -> None:
    regions(**{REGION: {"platform": "process", "url": "http://127.0.0.1:1", "folder": "/nowhere"}})
    with pytest.raises(ConfigurationError, match=said):
        run(lambda: container("acme", **changes))


@pytest.mark.parametrize(
    ("spec", "said"),
    [({"port": 0}, r"app\.port: given 0"), ({"health_path": "health"}, r"app\.healthPath: given 'health'")],
)
def test_an_application_that_makes_no_sense(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        AppSpec(image="x", **spec)


def test_a_name_that_no_platform_takes(regions: Regions, run: Any) -> None:
    regions(**{REGION: {"platform": "docker"}})
    with pytest.raises(ConfigurationError, match="given 'Acme Corp'"):
        run(lambda: container("Acme Corp"))
