"""The workflows of a manifest, resolved before anything is touched."""

from __future__ import annotations

from stacks.department.workflows import pinned

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
        f"{under}.google_drive.credentials.google.privateKey",
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
        "1.0.0",
        {"smtp": "smtp"},
        {"smtp": SMTP},
    )
    assert email["definition"]["nodes"]
