"""The workflows of a manifest, resolved before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.workflow_plans import CredentialPlan
from stacks.department.arguments import workflow_plans
from stacks.department.workflows import pinned, versions

SMTP = {"host": "smtp.example", "passwordFrom": "TENANTRY_BACKEND_SMTP"}


def test_every_problem_of_every_workflow_is_told_at_once() -> None:
    _, problems = pinned(
        ["google_drive", "email", "emial"],
        {"email": {"credentials": {"smtp": SMTP | {"password": "x"}, "imap": {}}}, "database": {}},
    )
    under = "customSettings.workflows"
    assert sorted(problem.field for problem in problems) == [
        f"{under}.database",
        f"{under}.email.credentials.imap",
        f"{under}.email.credentials.smtp.password",
        f"{under}.email.parameters.from",
        f"{under}.google_drive.credentials.google.email",
        f"{under}.google_drive.credentials.google.privateKeyFrom",
        f"{under}.google_drive.parameters.folderId",
        "workflows[2]",
    ]


def test_what_fits_is_pinned_with_its_definition() -> None:
    chosen, problems = pinned(
        ["email"], {"email": {"parameters": {"from": "a@b.example"}, "credentials": {"smtp": SMTP}}}
    )
    assert problems == []
    email = chosen["email"]
    assert (email["version"], email["credentialTypes"], email["credentials"]) == (
        "1.1.0",
        {"smtp": "smtp", "runs": "postgres"},
        {"smtp": {**SMTP, "port": 587, "secure": False, "user": ""}},
    )
    assert email["definition"]["nodes"]


def test_n8n_is_given_the_defaults_of_a_credential() -> None:
    chosen, _ = pinned(["email"], {"email": {"parameters": {"from": "a@b.example"}, "credentials": {"smtp": SMTP}}})
    (plan,) = workflow_plans(chosen)
    assert [one.own_database for one in plan.credentials] == [False, True]
    assert plan.credentials[:1] == [
        CredentialPlan(
            slot="smtp",
            type="smtp",
            data={"host": "smtp.example", "port": 587, "secure": False, "user": ""},
            secrets={"password": "TENANTRY_BACKEND_SMTP"},
        )
    ]


def test_a_secret_that_is_missing_is_told_by_the_key_that_may_be_written() -> None:
    given = {"credentials": {"google": {"email": "a@b.example"}}, "parameters": {"folderId": "1"}}
    _, (problem,) = pinned(["google_drive"], {"google_drive": given})
    assert problem.field == "customSettings.workflows.google_drive.credentials.google.privateKeyFrom"
    assert "TENANTRY_BACKEND_" in problem.valid
    given = {"credentials": {"smtp": {"host": "h.example", "paswordFrom": "x"}}, "parameters": {"from": "a@b.example"}}
    _, (problem,) = pinned(["email"], {"email": given})
    assert problem.suggestion == "passwordFrom"


def custom(folder: Path, name: str, version: str = "1.0.0", **changes: Any) -> None:
    """A template of somebody's own."""
    (folder / name).mkdir(exist_ok=True)
    content: dict[str, Any] = {
        "id": name,
        "version": version,
        "title": "Mine",
        "description": "one of mine",
        "nodes": [{"name": "W", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0]}],
        "connections": {},
    }
    (folder / name / f"{version}.yaml").write_text(yaml.safe_dump(content | changes))


def test_only_a_database_is_the_departments_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_WORKFLOW_TEMPLATES", str(tmp_path))
    node = {"name": "S", "type": "n8n-nodes-base.emailSend", "typeVersion": 2.1, "position": [0, 0]}
    fields = {"host": {"type": "text", "description": "the server", "default": "mail.invalid"}}
    slots = {"mail": {"type": "smtp", "description": "the server", "fields": fields}}
    custom(tmp_path, "mine", nodes=[{**node, "credentials": {"smtp": "mail"}}], credentials=slots)
    chosen, problems = pinned(["mine", "database"], {})
    assert problems == []
    mine, database = workflow_plans(chosen)
    assert mine.credentials == [CredentialPlan(slot="mail", type="smtp", data={"host": "mail.invalid"})]
    assert [one.own_database for one in database.credentials] == [True, True]


def test_a_newer_template_comes_only_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_WORKFLOW_TEMPLATES", str(tmp_path))
    for version in ("1.0.0", "1.1.0"):
        custom(tmp_path, "mine", version, description=f"version {version}")
    custom(tmp_path, "other")

    def chosen(given: dict[str, Any], kept: dict[str, str]) -> str:
        resolved, problems = pinned(["mine"], {"mine": given}, kept)
        assert problems == []
        return versions({"workflows": resolved})["mine"]

    assert chosen({}, {}) == "1.1.0"
    assert chosen({}, {"other": "1.0.0"}) == "1.1.0"
    assert chosen({}, {"mine": "1.0.0"}) == "1.0.0"
    assert chosen({"version": "1.1.0"}, {"mine": "1.0.0"}) == "1.1.0"


def test_there_is_nothing_to_give_to_the_credential_that_counts_runs() -> None:
    _, (problem,) = pinned(["database"], {"database": {"credentials": {"runs": {"host": "elsewhere.example"}}}})
    assert (problem.field, problem.valid) == ("customSettings.workflows.database.credentials.runs.host", "no key here")
    chosen, problems = pinned(["database"], {"database": {"credentials": {"runs": {}}}})
    assert problems == []
    (plan,) = workflow_plans(chosen)
    assert [one.own_database for one in plan.credentials] == [True, True]
