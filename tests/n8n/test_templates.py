"""Templates of workflows: those that ship are whole, values go where they belong, and what is wrong is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from providers.n8n.definition import canonical, prepared, webhook_paths
from sandbox.n8n.rules import CREDENTIAL_TYPES, check_credential, check_publishable, check_workflow
from stacks.problems import InputError, TemplateError
from stacks.workflows import BUILTIN_DIR, WorkflowError, WorkflowTemplate, WorkflowTemplates, read_workflow_template

GIVEN = {"email": {"from": "a@example.com"}, "google_drive": {"folderId": "1AbC"}, "database": {}}
FIELDS = {
    "smtp": {"host": "smtp.invalid", "user": "u", "password": "pass-word"},
    "google": {"email": "a@b.iam.example.com", "privateKey": "-----BEGIN PRIVATE KEY-----\nx"},
    "runs": {},
    "postgres": {"host": "db.invalid", "database": "d", "user": "u", "password": "pass-word"},
}


def every() -> list[WorkflowTemplate]:
    return list(WorkflowTemplates([BUILTIN_DIR]).all())


def test_those_of_the_specification_are_there() -> None:
    assert {template.id for template in every()} == {"email", "google_drive", "database"}


@pytest.mark.parametrize("template", every(), ids=lambda template: f"{template.id}-{template.version}")
def test_each_that_ships_is_what_n8n_takes(template: WorkflowTemplate) -> None:
    wanted = prepared(template.definition(GIVEN[template.id], source="a test"), mark="tenantry/acme", key=template.id)
    check_workflow({"name": "x", **wanted}, creating=True)
    check_publishable(wanted["nodes"])
    assert webhook_paths(wanted) == [f"tenantry/acme/{template.id}"]
    # Whoever has no key starts nothing.
    hooks = [node for node in wanted["nodes"] if node["type"].endswith(".webhook") and node["name"] != "Health"]
    assert all(node["parameters"]["authentication"] == "headerAuth" for node in hooks)
    assert "parameter" not in canonical(wanted).replace('"parameters"', "")
    for slot, credential in template.credentials.items():
        assert credential.type in CREDENTIAL_TYPES
        data = template.credential_data(slot, FIELDS[slot], source="a test", field="credentials")
        check_credential({"data": data}, kind=credential.type)


def test_values_are_data() -> None:
    template = WorkflowTemplates().get("email")
    send = template.definition({"from": "a@example.com", "timeoutSeconds": 7}, source="a test")
    assert send["nodes"][1]["parameters"]["fromEmail"] == "a@example.com"
    assert send["settings"]["executionTimeout"] == 7
    # The template itself is as it was.
    assert template.content["settings"]["executionTimeout"] == {"parameter": "timeoutSeconds"}


@pytest.mark.parametrize(
    ("template", "given", "field", "valid"),
    [
        ("email", {}, "parameters.from", "the address that e-mails come from"),
        ("email", {"from": "nobody"}, "parameters.from", "an e-mail address"),
        ("email", {"from": "={{ $env.KEY }}@x"}, "parameters.from", "an e-mail address"),
        ("email", {"from": "a@example.com", "timeoutSeconds": 1}, "parameters.timeoutSeconds", "from 5 to 300"),
        ("email", {"from": "a@example.com", "timeoutSeconds": True}, "parameters.timeoutSeconds", "whole number"),
        ("google_drive", {"folderId": "={{ 1 }}"}, "parameters.folderId", "does not begin with ="),
        ("google_drive", {"folderId": "1", "folderid": "2"}, "parameters.folderid", "one of folderId"),
    ],
)
def test_wrong_values_are_refused(template: str, given: dict[str, Any], field: str, valid: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        WorkflowTemplates().get(template).definition(given, source="acme.yaml")
    assert [problem.field for problem in caught.value.problems] == [field]
    assert valid in caught.value.problems[0].valid
    assert "acme.yaml: this workflow has 1 problem" in str(caught.value)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(WorkflowError) as caught:
        WorkflowTemplates().get("email").definition({"to": "x", "timeoutSeconds": "soon"}, source="acme.yaml")
    assert len(caught.value.problems) == 3


def test_a_secret_is_named_and_never_shown() -> None:
    template = WorkflowTemplates().get("email")
    named = template.secret_variables("smtp", {"passwordFrom": "TENANTRY_BACKEND_MAIL"}, source="m", field="c")
    assert named == {"password": "TENANTRY_BACKEND_MAIL"}
    for given in ({"password": "pass-word"}, {"passwordFrom": "pass-word"}):
        with pytest.raises(WorkflowError) as caught:
            template.secret_variables("smtp", given, source="m", field="c")
        assert "pass-word" not in str(caught.value)
    with pytest.raises(WorkflowError) as caught:
        template.credential_data("smtp", FIELDS["smtp"] | {"password": "=pass-word"}, source="m", field="c")
    assert "pass-word" not in str(caught.value)


async def test_what_is_only_known_later_is_taken() -> None:
    # An Output needs a running loop, as it has in a program.
    template = WorkflowTemplates().get("database")
    later = pulumi.Output.from_input("later")
    data = template.credential_data("postgres", FIELDS["postgres"] | {"password": later}, source="m", field="c")
    assert data["password"] is later
    assert data["port"] == 5432


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "other"}, "id"),
        ({"version": "2.0.0"}, "version"),
        ({"nodes": []}, "nodes"),
        ({"colour": "red"}, "colour"),
        ({"parameters": {"unused": {"type": "text", "description": "x"}}}, "parameters.unused"),
        ({"settings": {"timezone": {"parameter": "zone"}}}, "parameters.zone"),
        ({"credentials": {"x": {"type": "smtp", "description": "x", "fields": {}}}}, "credentials.x"),
    ],
)
def test_a_broken_template_is_refused(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    content = {
        "id": "mine",
        "version": "1.0.0",
        "title": "Mine",
        "description": "one of mine",
        "nodes": [{"name": "W", "type": "n8n-nodes-base.webhook", "typeVersion": 2}],
        "connections": {},
    }
    (folder / "1.0.0.yaml").write_text(yaml.safe_dump(content))
    assert read_workflow_template(folder / "1.0.0.yaml").id == "mine"
    (folder / "1.0.0.yaml").write_text(yaml.safe_dump(content | change))
    with pytest.raises(TemplateError) as caught:
        read_workflow_template(folder / "1.0.0.yaml")
    assert field in [problem.field for problem in caught.value.problems]


def test_custom_ones_stand_beside_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "email").mkdir()
    text = (BUILTIN_DIR / "email" / "1.0.0.yaml").read_text()
    (tmp_path / "email" / "1.2.0.yaml").write_text(text.replace('"1.0.0"', '"1.2.0"'))
    monkeypatch.setenv("TENANTRY_WORKFLOW_TEMPLATES", str(tmp_path))
    store = WorkflowTemplates()
    assert store.get("email").version == "1.2.0"
    assert store.get("email", "1.0.0").version == "1.0.0"
    with pytest.raises(InputError, match=r"Did you mean email\?"):
        store.get("emial")
    with pytest.raises(InputError, match=r"one of 1\.0\.0, 1\.1\.0, 1\.2\.0"):
        store.get("email", "3.0.0")
    (tmp_path / "email" / "1.0.0.yaml").write_text(text.replace("sent", "gone"))
    with pytest.raises(InputError, match="a published version never changes"):
        store.get("email")
