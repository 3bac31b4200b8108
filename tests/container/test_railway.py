"""Railway's objects through their life, on a simulator that refuses what Railway's schema does not have."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest

from components.container import AppSpec, Container
from providers.container_ready import ContainerReadyProvider
from providers.errors import NotReadyError, OwnershipError
from providers.railway import queries
from providers.railway.api import Railway
from providers.railway.deployment import RailwayDeploymentProvider
from providers.railway.domain import RailwayDomainProvider
from providers.railway.project import RailwayProjectProvider
from providers.railway.service import RailwayServiceProvider
from providers.railway.variables import RailwayVariablesProvider
from sandbox import railway as sandbox
from sandbox.railway import SimulatedRailway
from tests.container.conftest import REGION
from tests.container.railway import (
    SECRET,
    Props,
    alive,
    deployed,
    named,
    place,
    project,
    railway,
    ready,
    service,
    service_props,
    simulator,
    world,
)
from tests.container.test_component import stack

__all__ = ["project", "railway", "service", "simulator", "stack"]


def test_the_simulator_is_strict(railway: SimulatedRailway) -> None:
    def ask(query: str, token: str = railway.token, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return httpx.post(railway.url, json=body, headers={"Authorization": f"Bearer {token}"})

    assert "Cannot query field 'nope'" in ask('query { project(id: "1") { nope } }').text
    assert "Unknown argument 'colour'" in ask('query { project(id: "1", colour: 2) { id } }').text
    unknown = ask(queries.PROJECT_CREATE, input={"name": "x", "teamId": "1"})
    assert unknown.status_code == 400
    assert "'teamId'" in unknown.json()["errors"][0]["message"]
    wrong = ask(queries.DOMAIN_CREATE, input={"serviceId": "1", "environmentId": "2", "targetPort": "eighty"})
    assert "Int cannot represent non-integer value" in wrong.json()["errors"][0]["message"]
    assert "provided" in ask(queries.PROJECT).json()["errors"][0]["message"]
    assert ask(queries.PROJECT, token="other", id="1").json()["errors"][0]["message"] == "Not Authorized"
    assert ask(queries.PROJECT, id="1").json()["errors"][0]["message"] == "Project not found"
    assert httpx.post(railway.url, content=b"no json", headers={"Authorization": f"Bearer {railway.token}"}).is_error


def test_every_question_is_one_that_the_schema_has() -> None:
    from graphql import build_schema, parse, validate

    schema = build_schema((Path(sandbox.__file__).parent / "schema.graphql").read_text())
    asked = [value for name, value in vars(queries).items() if name.isupper() and not name.startswith("_")]
    assert len(asked) > 12
    assert [validate(schema, parse(each)) for each in asked] == [[]] * len(asked)


def test_what_it_keeps_survives_a_kill_and_is_private(tmp_path: Path) -> None:
    server = sandbox.start(tmp_path / "s")
    try:
        headers = {"Authorization": f"Bearer {server.token}"}
        body = {"query": queries.PROJECT_CREATE, "variables": {"input": {"name": "kept"}}}
        made = httpx.post(server.url, json=body, headers=headers).json()["data"]["projectCreate"]
        assert sandbox.start(tmp_path / "s") == server
        os.kill(server.pid, signal.SIGKILL)
        os.waitpid(server.pid, 0)
        again = sandbox.start(tmp_path / "s")
        assert (again.port, again.token) == (server.port, server.token)
        body = {"query": queries.PROJECT, "variables": {"id": made["id"]}}
        assert httpx.post(again.url, json=body, headers=headers).json()["data"]["project"]["name"] == "kept"
        for path in (again.kept, again.kept.with_name("token")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert again.token not in repr(again)
    finally:
        sandbox.remove(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_project_is_adopted_by_its_mark(railway: SimulatedRailway, project: Props, name: str) -> None:
    provider = RailwayProjectProvider()
    again = provider.create(named(name))
    assert again.id == project["project_id"]
    assert again.outs == project
    with pytest.raises(OwnershipError, match=r"belongs to tests/one. Choose another name"):
        provider.create(named(name, "tests/two"))
    assert provider.read(again.id, project).outs == project
    assert provider.read(again.id, {**project, "tenant_mark": "tests/two"}).id == ""
    provider.delete(again.id, project)
    provider.delete(again.id, project)
    assert provider.read(again.id, project).id == ""


def test_a_project_on_a_later_page_is_found(railway: SimulatedRailway, name: str) -> None:
    client = Railway.of(REGION, "test")
    made = [client.make(queries.PROJECT_CREATE, input={"name": f"{name}-{number}"})["id"] for number in range(105)]
    try:
        last = RailwayProjectProvider().create(named(name))
        made.append(last.id)
        assert RailwayProjectProvider().create(named(name)).id == last.id
    finally:
        for each in made:
            client.remove(queries.PROJECT_DELETE, id=each)


def test_a_service(railway: SimulatedRailway, project: Props) -> None:
    provider, props = RailwayServiceProvider(), service_props(project)
    made = provider.create(props)
    assert provider.diff(made.id, made.outs, props).changes is False
    assert provider.create(props).id == made.id
    instance = world(railway)["instances"][made.id]
    assert instance["source"] == {"image": "registry.example/app:1"}
    assert instance["limits"] == {"vCPUs": 0.5, "memoryGB": 0.5}
    assert (instance["healthcheckPath"], instance["startCommand"]) == ("/health", "python -m app")
    # Nothing runs before it has its variables.
    assert alive(railway, "deployments", serviceId=made.id) == []
    assert provider.read(made.id, made.outs).outs == made.outs

    body = {"image": "somebody/else:2"}
    Railway.of(REGION, "test").ask(queries.SERVICE_UPDATE, serviceId=made.id, input={"source": body})
    found = provider.read(made.id, made.outs).outs
    assert found["image"] == "somebody/else:2"
    assert provider.diff(made.id, found, props).changes is True
    changed = {**props, "command": "", "memory_mb": 1024}
    outs = provider.update(made.id, found, changed).outs
    assert world(railway)["instances"][made.id]["startCommand"] is None
    assert provider.read(made.id, outs).outs == outs
    provider.delete(made.id, outs)
    provider.delete(made.id, outs)
    assert provider.read(made.id, outs).id == ""


def test_variables(railway: SimulatedRailway, project: Props, service: Props) -> None:
    provider = RailwayVariablesProvider()
    props = place(project, service_id=service["service_id"], variables={"WORD": SECRET, "PORT": "8080"})
    made = provider.create(props)
    assert provider.read(made.id, made.outs).outs == made.outs
    Railway.of(REGION, "test").ask(
        queries.VARIABLES_SET,
        input={
            "projectId": project["project_id"],
            "environmentId": project["environment_id"],
            "serviceId": service["service_id"],
            "variables": {"BY_HAND": "1"},
            "skipDeploys": True,
        },
    )
    found = provider.read(made.id, made.outs).outs
    assert found["variables"]["BY_HAND"] == "1"
    assert provider.diff(made.id, found, props).changes is True
    outs = provider.update(made.id, found, props).outs
    assert world(railway)["variables"][service["service_id"]] == props["variables"]
    assert outs["revision"] == made.outs["revision"] + 1
    assert alive(railway, "deployments", serviceId=service["service_id"]) == []
    provider.delete(made.id, outs)
    assert world(railway)["variables"][service["service_id"]] == {}


def test_a_domain(railway: SimulatedRailway, project: Props, service: Props) -> None:
    provider = RailwayDomainProvider()
    props = place(project, service_id=service["service_id"], port=8080)
    made = provider.create(props)
    assert made.outs["domain"].endswith(".up.railway.app")
    assert provider.create(props).id == made.id
    assert provider.diff(made.id, made.outs, {**props, "port": 9000}).replaces == ["port"]
    assert provider.read(made.id, made.outs).outs == made.outs
    provider.delete(made.id, made.outs)
    provider.delete(made.id, made.outs)
    assert provider.read(made.id, made.outs).id == ""


def test_a_deployment_is_waited_for(railway: SimulatedRailway, project: Props, service: Props) -> None:
    provider = RailwayDeploymentProvider()
    first = deployed(project, service)
    assert ContainerReadyProvider().create(ready(first)).outs["ready"] is True
    assert provider.read("x", first).outs["live"] is True
    second = provider.update("x", first, {**first, "of": 2}).outs
    assert second["deployment_id"] != first["deployment_id"]
    ContainerReadyProvider().update("x", ready(first), ready(second))
    # The newer one serves, so Railway has ended the older one.
    assert provider.read("x", first).outs["live"] is False
    assert ContainerReadyProvider().read("x", ready(first)).outs["ready"] is False
    provider.delete("x", second)
    provider.delete("x", second)
    assert provider.read("x", second).outs["live"] is False


@pytest.mark.parametrize(("tag", "word"), [("fails", "FAILED"), ("crashes", "CRASHED")])
def test_a_deployment_that_fails(railway: SimulatedRailway, project: Props, tag: str, word: str) -> None:
    props = {**service_props(project), "image": f"registry.example/app:{tag}"}
    outs = deployed(project, RailwayServiceProvider().create(props).outs)
    with pytest.raises(NotReadyError, match=f"container 'x': it does not run: its deployment is {word}"):
        ContainerReadyProvider().create(ready(outs))


@pytest.mark.timeout(500)
def test_the_component(railway: SimulatedRailway, name: str, stack: Any, tmp_path: Path) -> None:
    says = {"TENANT": "One"}

    def program() -> None:
        made = Container(
            name,
            app=AppSpec(image="registry.example/app:1", command=("python", "-m", "a b")),
            environment={**says, "WORD": pulumi.Output.secret(SECRET)},
            cpu=1.5,
            memory_mb=768,
            region=REGION,
            tenant_mark="tests/one",
            tenant=pulumi.ComponentResource("tests:Tenant", name),
            after=[],
        )
        pulumi.export("url", made.url)
        pulumi.export("upstream", made.upstream)

    run = stack(program)
    try:
        outputs = run.up().outputs
        assert outputs["url"].value.startswith("https://app-production-")
        assert outputs["upstream"].value == outputs["url"].value.removeprefix("https://") + ":443"
        [project] = alive(railway, "projects", name=f"tenant-{name}")
        [service] = alive(railway, "services", projectId=project["id"])
        [deployment] = alive(railway, "deployments", serviceId=service["id"])
        assert deployment["status"] == "SUCCESS"
        given = {"PORT": "8080", "WORD": SECRET, "TENANT": "One"}
        assert given.items() <= deployment["variables"].items()
        assert world(railway)["instances"][service["id"]]["startCommand"] == "python -m 'a b'"
        assert run.up().summary.resource_changes == {"same": 9}
        says["TENANT"] = "Two"
        # The variables, a deployment of them, and the wait for it.
        assert run.up().summary.resource_changes == {"same": 6, "update": 3}
        newest = alive(railway, "deployments", serviceId=service["id"])[-1]
        assert (newest["status"], newest["variables"]["TENANT"]) == ("SUCCESS", "Two")
        assert run.refresh().summary.resource_changes == {"same": 9}
        for state in (tmp_path / "state").rglob("*"):
            assert state.is_dir() or SECRET not in state.read_text()
            assert state.is_dir() or railway.token not in state.read_text()
    finally:
        run.destroy()
    assert alive(railway, "projects", name=f"tenant-{name}") == []
    assert alive(railway, "services", id=service["id"]) == []
