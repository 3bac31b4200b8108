"""The component, run by the embedded engine: up, no-op, change, drift, failure, destroy."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pulumi
import pytest
from pulumi import automation

from components.workflows import KEY_HEADER, CredentialArgs, WorkflowArgs, Workflows
from providers.n8n.naming import tag_name
from stacks.workflows import WorkflowTemplates
from tests.embedded import stacks_in
from tests.n8n.conftest import REGION, Server, echo

# The SDK's server for programs in this process makes an event loop for a thread and leaves it open.
# Several runs of the engine in a row, on a machine that may be busy.
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.timeout(600)]

PASSWORD = "s3cret-of-the-mail-server"


def email(sender: str = "acme@example.com") -> WorkflowArgs:
    template = WorkflowTemplates().get("email")
    definition = template.definition({"from": sender}, source="a test")
    given = {"host": "smtp.invalid", "user": "acme", "password": PASSWORD}
    data = template.credential_data("smtp", given, source="a test", field="credentials.smtp")
    own = {"host": "db.invalid", "database": "d", "user": "u", "password": PASSWORD}
    credentials = {
        "smtp": CredentialArgs(type="smtp", data=data),
        "runs": CredentialArgs(type="postgres", data=own),
    }
    return WorkflowArgs(key="email", definition=definition, credentials=credentials)


def guarded() -> WorkflowArgs:
    """It answers whoever has the department's key."""
    definition = echo()
    definition["nodes"][0]["parameters"]["authentication"] = "headerAuth"
    definition["nodes"][0]["credentials"] = {"httpHeaderAuth": "webhook"}
    return WorkflowArgs(key="echo", definition=definition)


@pytest.fixture
def department(n8n: Server, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`department(stack, workflows)`: a stack with these, which may be changed between runs."""
    stack = stacks_in(tmp_path, monkeypatch)

    def make(workflows: list[WorkflowArgs]) -> automation.Stack:
        def program() -> None:
            tenant = pulumi.ComponentResource("tests:Tenant", "acme")
            made = Workflows("acme", workflows=workflows, region=REGION, tenant_mark=mark, tenant=tenant, after=[])
            pulumi.ComponentResource("tests:After", "after", None, pulumi.ResourceOptions(depends_on=[made.ready]))
            pulumi.export("ids", made.ids)
            pulumi.export("urls", made.webhook_urls)
            pulumi.export("health", made.health_urls)
            pulumi.export("key", made.webhook_key)

        return stack(program)

    yield make
    gc.collect()  # while the mark above counts


def test_up_no_op_change_drift_destroy(n8n: Server, mark: str, department: Any, tmp_path: Path) -> None:
    workflows = [email(), guarded()]
    run = department(workflows)
    try:
        # The webhooks' key is not known yet, nor what holds it.
        assert set(run.preview().change_summary) == {"create"}
        first = run.up()
        url, key = first.outputs["urls"].value["echo"], first.outputs["key"]
        assert key.secret
        assert url == f"{n8n.url}/webhook/{mark}/echo"
        assert httpx.post(url, json={"msg": "hi"}).status_code == 403
        assert httpx.post(url, json={"msg": "hi"}, headers={KEY_HEADER: key.value}).json() == {"echo": "hi"}
        assert set(first.outputs["ids"].value) == {"email", "echo"}
        assert all(httpx.get(each).json()["status"] == "ok" for each in first.outputs["health"].value.values())
        before = {row["id"]: row["versionId"] for row in n8n.workflows(mark)}
        assert len(before) == 2

        assert set(run.up().summary.resource_changes) == {"same"}
        assert run.refresh().summary.resource_changes.get("update", 0) == 0
        assert {row["id"]: row["versionId"] for row in n8n.workflows(mark)} == before

        workflows[0] = email("other@example.com")
        assert run.up().summary.resource_changes["update"] == 1
        assert sorted(before) == sorted(row["id"] for row in n8n.workflows(mark))

        echo_id = first.outputs["ids"].value["echo"]
        n8n.call("POST", f"/workflows/{echo_id}/unpublish", {})
        assert run.refresh().summary.resource_changes["update"] == 1
        assert run.up().summary.resource_changes["update"] == 1
        assert httpx.post(url, json={"msg": "yo"}, headers={KEY_HEADER: key.value}).json() == {"echo": "yo"}
        for state in (tmp_path / "state").rglob("*"):
            text = "" if state.is_dir() else state.read_text()
            assert PASSWORD not in text
            assert key.value not in text
    finally:
        run.destroy()
    assert (n8n.workflows(mark), n8n.credentials(mark)) == ([], [])
    assert tag_name(mark) not in n8n.tags()


def test_a_failed_step_leaves_nothing_after_its_rollback(n8n: Server, mark: str, department: Any) -> None:
    """n8n keeps a workflow that it does not publish, and no state knows it: whoever made it takes it back."""
    wrong = echo()
    wrong["nodes"][1]["typeVersion"] = 99
    run = department([guarded(), WorkflowArgs(key="wrong", definition=wrong)])
    try:
        with pytest.raises(automation.errors.CommandError, match="is not available in version 99"):
            run.up()
        assert f"{mark} wrong" not in [row["name"] for row in n8n.workflows(mark)]
    finally:
        run.destroy()
    assert (n8n.workflows(mark), n8n.credentials(mark)) == ([], [])
    assert tag_name(mark) not in n8n.tags()


def test_slots_and_credentials_belong_together() -> None:
    def refused(workflow: WorkflowArgs) -> str:
        nobody: Any = None  # it is refused before anything is registered
        with pytest.raises(ValueError, match="workflow 'x'") as caught:
            Workflows("x", workflows=[workflow], region=REGION, tenant_mark="a/b", tenant=nobody, after=[])
        return str(caught.value)

    mail = email()
    assert "runs, smtp: give it" in refused(WorkflowArgs(key="x", definition=mail.definition))
    assert "no node uses the credential runs, smtp" in refused(
        WorkflowArgs(key="x", definition=echo(), credentials=mail.credentials)
    )
    webhook = {"webhook": CredentialArgs(type="httpHeaderAuth", data={})}
    assert "is made here" in refused(WorkflowArgs(key="x", definition=echo(), credentials=webhook))
    assert PASSWORD not in repr(mail)
