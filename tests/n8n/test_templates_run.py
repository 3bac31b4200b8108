"""The templates that ship, on a real n8n: an e-mail arrives, a row is there, nobody without the key starts any.

The simulator runs no node that reaches another server, so these run only where CI has started an n8n. Google Drive is
published there and not called: it would need an account.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from providers.n8n.credential import N8nCredentialProvider
from providers.n8n.naming import WEBHOOK_KEY, credential_key, credential_name
from providers.n8n.tag import N8nTagProvider
from providers.n8n.workflow import N8nWorkflowProvider
from sandbox.postgres import EmbeddedPostgres
from stacks.workflows import WorkflowTemplates
from tests.n8n.conftest import REGION, Server, inputs

KEY = "the-key-of-the-webhooks"


# Only the real one of the two.
pytestmark = pytest.mark.parametrize("n8n", ["real"], indirect=True)


class MailBox:
    """An SMTP server that takes everything."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 test\r\n")
                while line := self.rfile.readline().decode().strip():
                    word = line.split()[0].upper()
                    if word == "DATA":
                        self.wfile.write(b"354 go on\r\n")
                        rows: list[str] = []
                        while (row := self.rfile.readline().decode()) not in {".\r\n", ""}:
                            rows.append(row)
                        box.messages.append("".join(rows))
                    self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mailbox() -> Iterator[MailBox]:
    box = MailBox()
    yield box
    box.server.shutdown()
    box.server.server_close()


@pytest.fixture
def tenant(n8n: Server, mark: str) -> Iterator[str]:
    """A tenant with its tag and the key of its webhooks; all that it has goes with the tag."""
    props = {"region": REGION, "tenant_mark": mark}
    made = N8nTagProvider().create(props)
    credential(mark, WEBHOOK_KEY, "httpHeaderAuth", {"name": "X-Webhook-Key", "value": KEY})
    yield mark
    N8nTagProvider().delete(made.id, made.outs)


def credential(mark: str, key: str, kind: str, data: dict[str, Any]) -> None:
    props = {"region": REGION, "tenant_mark": mark, "key": key, "type": kind, "data": data}
    N8nCredentialProvider().create(props | {"name": credential_name(mark, key)})


def made_of(mark: str, template_id: str, slot: str, data: dict[str, Any], **parameters: Any) -> str:
    """The address of the webhook of a workflow that was made of a template."""
    template = WorkflowTemplates().get(template_id)
    whole = template.credential_data(slot, data, source="a test", field="credentials")
    credential(mark, credential_key(template_id, slot), template.credentials[slot].type, whole)
    definition = template.definition(parameters, source="a test")
    made = N8nWorkflowProvider().create(inputs(mark, template_id, definition))
    return str(made.outs["webhook_urls"][0])


def called(url: str, body: Any) -> httpx.Response:
    assert httpx.post(url, json=body, timeout=30).status_code == 403
    return httpx.post(url, json=body, headers={"X-Webhook-Key": KEY}, timeout=60)


@pytest.fixture
def database(tenant: str, postgres: EmbeddedPostgres) -> Iterator[str]:
    """A department's database, as far as the templates use it, and the credentials by which they count their runs."""
    name = f"n8n_{tenant[-8:]}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        with psycopg.connect(postgres.url(name), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, "
                "source text, payload jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now())"
            )
            connection.execute(
                "CREATE TABLE workflow_runs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                "workflow text NOT NULL, external_id text, status text NOT NULL DEFAULT 'running', "
                "ended_at timestamptz, UNIQUE (workflow, external_id))"
            )
        for each in ("email", "google_drive", "database"):
            credential(tenant, credential_key(each, "runs"), "postgres", login(postgres, name))
        yield name
    finally:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def login(postgres: EmbeddedPostgres, name: str) -> dict[str, Any]:
    where = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "password": postgres.password}
    return {**where, "database": name, "ssl": "disable"}


def counted(postgres: EmbeddedPostgres, name: str) -> list[tuple[Any, ...]]:
    """The runs on record. A run is counted after its answer: one is waited for."""
    until = time.monotonic() + 20
    while True:
        with psycopg.connect(postgres.url(name)) as connection:
            rows = connection.execute("SELECT workflow, status FROM workflow_runs ORDER BY id").fetchall()
        if rows or time.monotonic() > until:
            return rows
        time.sleep(0.1)


def test_an_email_is_sent(
    n8n: Server, tenant: str, mailbox: MailBox, postgres: EmbeddedPostgres, database: str
) -> None:
    data = {"host": "127.0.0.1", "port": mailbox.port}
    url = made_of(tenant, "email", "smtp", data, **{"from": "acme@example.com", "replyTo": "desk@example.com"})
    answer = called(url, {"to": "someone@example.com", "subject": "Hello there", "text": "The text."})
    assert (answer.status_code, answer.json()) == (200, {"status": "sent"})
    (message,) = mailbox.messages
    for line in ("From: acme@example.com", "To: someone@example.com", "Subject: Hello there", "The text."):
        assert line in message
    assert "Reply-To: desk@example.com" in message
    assert counted(postgres, database) == [("email", "succeeded")]


def test_an_event_becomes_a_row(n8n: Server, tenant: str, postgres: EmbeddedPostgres, database: str) -> None:
    url = made_of(tenant, "database", "postgres", login(postgres, database), source="a form")
    payload = {"answer": 42, "quote": 'O\'Brien, "x"; DROP TABLE events; --', "list": [1, 2]}
    answer = called(url, {"kind": "form.sent", "payload": payload})
    assert answer.status_code == 200, answer.text
    assert answer.json()["kind"] == "form.sent"
    with psycopg.connect(postgres.url(database)) as connection:
        rows = connection.execute("SELECT kind, source, payload FROM events").fetchall()
    assert rows == [("form.sent", "a form", payload)]
    assert counted(postgres, database) == [("database", "succeeded")]


def test_google_drive_is_published(n8n: Server, tenant: str, database: str) -> None:
    data = {"email": "a@b.iam.example.com", "privateKey": "no key at all"}
    url = made_of(tenant, "google_drive", "google", data, folderId="1AbC")
    answer = called(url, {"name": "x", "content": "y"})
    assert answer.status_code == 500
    assert "no key at all" not in json.dumps(answer.json())
