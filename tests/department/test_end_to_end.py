"""A department as its operator has it: made, the same again, changed, drifted and repaired, removed. On real servers,
but n8n, whose simulator answers as the recordings of a real one do. TENANTRY_ENGINE=stock is for the CLI."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from sandbox.region import DATABASE
from tests.automation.helpers import ROOT
from tests.department.yard import NOTHING, Yard

pytestmark = pytest.mark.timeout(400)
ONE = {**dict.fromkeys(NOTHING, 1), "credentials": 3}
"""The workflow `database` has the department's database, for events and for its runs, and its webhook's key."""
STEPS = ("validation", "record", "database", "credential", "container", "workflows", "gateway", "health")


def page(yard: Yard, path: str = "/") -> httpx.Response:
    """A page of the department's application, as a browser gets it through the gateway."""
    gateway = yard.region.gateway
    host = f"{yard.slug}.{gateway.domain}"
    trust = ssl.create_default_context(cafile=str(gateway.ca_file))
    with httpx.Client(verify=trust, timeout=30, trust_env=False) as client:
        return client.get(
            f"{gateway.url}{path}", headers={"Host": f"{host}:{gateway.port}"}, extensions={"sni_hostname": host}
        )


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {step["key"]: step["status"] for step in result["steps"]}


def test_a_department_from_nothing_to_nothing(yard: Yard) -> None:
    made = yard.run("up", yard.slug)
    assert made["status"] == "succeeded"
    assert statuses(made) == dict.fromkeys(STEPS, "completed")
    assert yard.objects() == ONE

    answer = page(yard)
    assert answer.status_code == 200
    assert f"Department {yard.slug}" in answer.text
    parts = page(yard, "/parts").json()
    assert {name: part["ok"] for name, part in parts.items()} == {"database": True, "credential": True, "route": True}

    found = yard.run("health", yard.slug)
    assert [(part["part"], part["ok"]) for part in found["parts"]] == [
        *(("database", True), ("credential", True), ("container", True)),
        *(("workflow database", True), ("gateway", True)),
    ]

    again = yard.run("up", yard.slug, "--expect-no-changes")
    assert not again["changed"]

    removed = yard.run("destroy", yard.slug, "--yes")
    assert removed["leftovers"] == []
    assert yard.objects() == NOTHING


def test_a_change_reaches_each_part(yard: Yard) -> None:
    yard.run("up", yard.slug)
    identifier = f"department_{yard.slug.replace('-', '_')}"
    yard.write(
        name="Another name",
        workflows=[],
        dataRetention="30d",
        customSettings={
            "size": {"connections": 7, "statementSeconds": 9, "memoryMb": 200},
            "credential": {"rotation": 1, "graceSeconds": 0},
        },
    )
    assert yard.run("up", yard.slug)["changed"]
    assert yard.objects() == {**ONE, "workflows": 0, "credentials": 0}
    limits = yard.query(
        DATABASE, "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = %s", f"{identifier}_app"
    )
    assert limits[0][0] == 7
    assert "statement_timeout=9000" in str(limits[0][1]) or "statement_timeout=9s" in str(limits[0][1])
    row = yard.query(yard.main, "SELECT name, retention, status FROM departments WHERE slug = %s", yard.slug)
    assert row == [("Another name", "30d", "active")]
    assert "Another name" in page(yard).text
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]


def test_what_somebody_has_removed_is_found_and_made_again(yard: Yard) -> None:
    yard.run("up", yard.slug)
    headers = {"X-N8N-API-KEY": yard.region.environment["TENANTRY_BACKEND_LOCAL_N8N"]}
    with httpx.Client(base_url=yard.backends["n8n"]["url"], headers=headers, timeout=30, trust_env=False) as n8n:
        for row in n8n.get("/api/v1/workflows", params={"limit": 250}).json()["data"]:
            if yard.slug in row["name"]:
                n8n.post(f"/api/v1/workflows/{row['id']}/unpublish", json={}).raise_for_status()
    route = [one for one in _route_ids(yard) if yard.slug in one]
    httpx.delete(f"{yard.region.gateway.admin}/id/{route[0]}", timeout=30, trust_env=False).raise_for_status()
    assert page(yard).status_code != 200

    seen = yard.run("refresh", yard.slug)
    drifted = " ".join(str(one) for one in seen["drift"])
    assert "N8nWorkflow" in drifted
    assert "GatewayRoute" in drifted
    assert yard.run("health", yard.slug, code=10)["healthy"] is False

    assert yard.run("up", yard.slug)["changed"]
    assert yard.objects() == ONE
    assert page(yard).status_code == 200
    assert yard.run("health", yard.slug)["healthy"]


def test_two_departments_do_not_see_each_other(yard: Yard) -> None:
    other = f"{yard.slug}-two"
    yard.write(other)
    yard.run("up", yard.slug)
    yard.run("up", other)
    try:
        assert yard.objects(other) == ONE
        one, two = (f"department_{slug.replace('-', '_')}" for slug in (yard.slug, other))
        with psycopg.connect(yard.postgres.url(DATABASE), autocommit=True) as connection:
            connection.execute(f"SET ROLE {one}_app".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT count(*) FROM {two}.events".encode())
        yard.run("destroy", yard.slug, "--yes")
        assert yard.objects(other) == ONE
    finally:
        yard.run("destroy", other, "--yes")
    assert yard.objects(other) == NOTHING


@pytest.mark.parametrize(
    ("changes", "field", "valid"),
    [
        ({"region": "mars"}, "region", "one of local"),
        ({"workflows": ["databse"]}, "workflows[0]", "one of database, email, google_drive"),
        (
            {"workflows": ["email"]},
            "customSettings.workflows.email.parameters.from",
            "the address that e-mails come from",
        ),
        ({"dataRetention": "ninety"}, "dataRetention", "a number of days, weeks, months or years, such as 90d"),
        ({"adminEmail": "nobody"}, "adminEmail", "an e-mail address"),
        ({"customSettings": {"size": {"cpu": 0}}}, "customSettings.size.cpu", ""),
        (
            {"customSettings": {"workflows": {"database": {"definition": {}}}}},
            "customSettings.workflows.database.definition",
            "no such key here",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_before_anything_is_touched(
    yard: Yard, changes: dict[str, Any], field: str, valid: str
) -> None:
    yard.write(**changes)
    refused = yard.run("up", yard.slug, code=2)
    problems = {one["field"]: one["message"] for one in refused["error"]["details"]["problems"]}
    assert field in problems, refused
    assert valid in problems[field]
    assert yard.objects() == NOTHING
    assert not any(api.calls for api in yard.apis.values())


def _route_ids(yard: Yard) -> list[str]:
    config = httpx.get(f"{yard.region.gateway.admin}/config/", timeout=20, trust_env=False).json()
    routes = config["apps"]["http"]["servers"][yard.region.gateway.server]["routes"]
    return [str(route["@id"]) for route in routes if "@id" in route]


def test_runs_that_were_counted_stay_in_the_cost_of_a_department_that_is_removed(yard: Yard) -> None:
    yard.run("up", yard.slug)
    identifier = f"department_{yard.slug.replace('-', '_')}"
    with psycopg.connect(yard.postgres.url(DATABASE), autocommit=True) as connection:
        connection.execute("SELECT set_config('tenantry.tenant', %s, false)", (f"tenantry/{yard.slug}",))
        connection.execute(
            f"INSERT INTO {identifier}.workflow_runs (workflow, status) VALUES ('database', 'succeeded'), "
            "('database', 'succeeded'), ('database', 'succeeded')".encode()
        )

    def runs() -> tuple[int, list[str]]:
        found = yard.run("cost", yard.slug)
        items = {item["what"]: float(item["quantity"]) for item in found["since"]["items"]}
        assert items["workflow runs"] == found["since"]["workflow_runs"]
        return found["since"]["workflow_runs"], found["warnings"]

    assert runs() == (3, [])
    yard.run("destroy", yard.slug, "--yes")
    assert runs() == (3, [])
    yard.run("destroy", yard.slug, "--yes")
    assert runs() == (3, [])


def test_a_newer_template_of_a_workflow_changes_no_department_unasked(yard: Yard, tmp_path: Path) -> None:
    """By up, by preview, and by the program that `pulumi up` runs."""
    folder = tmp_path / "workflows"
    yard.environment["TENANTRY_WORKFLOW_TEMPLATES"] = str(folder)
    greeting(folder, "1.0.0", "hello")
    yard.write(workflows=["greeting"])
    yard.run("up", yard.slug)
    row = yard.query(yard.main, "SELECT workflows FROM departments WHERE slug = %s", yard.slug)
    assert row == [(["greeting@1.0.0"],)]

    greeting(folder, "1.1.0", "welcome")
    assert yard.run("preview", yard.slug)["changes"] == []
    assert planned_by_hand(yard) == {}
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]

    yard.write(workflows=["greeting"], customSettings={"workflows": {"greeting": {"version": "1.1.0"}}})
    changed = {change["name"] for change in yard.run("preview", yard.slug)["changes"]}
    assert f"{yard.slug}-greeting" in changed
    assert planned_by_hand(yard)
    yard.run("up", yard.slug)
    # Asked for once, it stays.
    greeting(folder, "1.2.0", "good day")
    yard.write(workflows=["greeting"])
    assert yard.run("preview", yard.slug)["changes"] == []
    assert planned_by_hand(yard) == {}


def greeting(folder: Path, version: str, word: str) -> None:
    """A version of a workflow's template that answers with a word."""
    hook = {"httpMethod": "POST", "responseMode": "responseNode", "options": {}}
    answer = {"respondWith": "text", "responseBody": word, "options": {}}
    content = {
        "id": "greeting",
        "version": version,
        "title": "Answer with a greeting",
        "description": "a greeting comes back",
        "nodes": [
            *(
                {
                    "name": "W",
                    "type": "n8n-nodes-base.webhook",
                    "typeVersion": 2,
                    "position": [0, 0],
                    "parameters": hook,
                },
            ),
            {
                "name": "A",
                "type": "n8n-nodes-base.respondToWebhook",
                "typeVersion": 1.1,
                "position": [220, 0],
                "parameters": answer,
            },
        ],
        "connections": {"W": {"main": [[{"node": "A", "type": "main", "index": 0}]]}},
    }
    (folder / "greeting").mkdir(parents=True, exist_ok=True)
    (folder / "greeting" / f"{version}.yaml").write_text(yaml.safe_dump(content))


def planned_by_hand(yard: Yard) -> dict[str, int]:
    """What `pulumi preview` would do, run in the project's folder as it is by hand: how many of which operation."""
    program = yard.project / "stacks" / "__main__.py"
    if not program.exists():
        shutil.copy(ROOT / "stacks" / "__main__.py", program)
        settings = yaml.safe_load((yard.project / "Pulumi.yaml").read_text())
        settings["runtime"] = {"name": "python", "options": {"toolchain": "pip"}}
        (yard.project / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    words = [sys.executable, "-m", "engine", "preview", "-s", yard.slug, "--json", "--non-interactive"]
    done = subprocess.run(
        words, cwd=yard.project, env=yard.environment, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts: dict[str, int] = json.loads(done.stdout)["changeSummary"]
    return {name: count for name, count in counts.items() if name != "same"}
