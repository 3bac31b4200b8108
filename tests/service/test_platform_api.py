"""Members, templates, lines, webhooks, the system: what is beside tenants and jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.template_actions import EXAMPLE
from stacks.lines import LINES
from tests.conftest import MainDatabase
from tests.service.helpers import as_
from tests.service.seed import seed

MEMBERS = "/api/v1/tenants/acme/members"
HOOK: dict[str, Any] = {"tenant": "acme", "url": "https://1.1.1.1/hook", "events": ["job.failed"]}


@pytest.fixture
def acme(app: object, main_db: MainDatabase) -> None:
    with main_db.connect() as connection:
        seed(connection)


async def test_roles_are_given_changed_and_taken(client: httpx.AsyncClient, acme: None) -> None:
    assert (await client.get("/api/v1/tenants/acme", headers=as_("mia"))).status_code == 403
    given = await client.put(f"{MEMBERS}/mia", json={"role": "member"}, headers=as_("ann"))
    assert (given.status_code, given.json()["role"], given.json()["added_by"]) == (200, "member", "ann")
    assert (await client.get("/api/v1/tenants/acme", headers=as_("mia"))).status_code == 200
    assert (await client.put(f"{MEMBERS}/mia", json={"role": "owner"}, headers=as_("mia"))).status_code == 403
    await client.put(f"{MEMBERS}/mia", json={"role": "admin"}, headers=as_("ann"))
    members = (await client.get(MEMBERS, headers=as_("mia"))).json()["items"]
    assert [(one["subject"], one["role"]) for one in members] == [("ann", "owner"), ("mia", "admin")]
    assert (await client.delete(f"{MEMBERS}/mia", headers=as_("ann"))).status_code == 204
    assert (await client.delete(f"{MEMBERS}/mia", headers=as_("ann"))).status_code == 404
    assert (await client.get("/api/v1/tenants/acme", headers=as_("mia"))).status_code == 403
    audit = (await client.get("/api/v1/audit", headers=as_("ann"))).json()["items"]
    changes = [(row["action"], row["before"], row["after"]) for row in audit if row["action"].startswith("member")]
    assert changes == [
        ("member.remove", {"role": "admin"}, None),
        ("member.set", {"role": "member"}, {"role": "admin"}),
        ("member.set", None, {"role": "member"}),
    ]


async def test_a_tenant_keeps_an_owner(client: httpx.AsyncClient, acme: None) -> None:
    assert (await client.delete(f"{MEMBERS}/ann", headers=as_("ann"))).status_code == 409
    assert (await client.put(f"{MEMBERS}/ann", json={"role": "admin"}, headers=as_("ann"))).status_code == 409
    await client.put(f"{MEMBERS}/bob", json={"role": "owner"}, headers=as_("ann"))
    assert (await client.delete(f"{MEMBERS}/ann", headers=as_("ann"))).status_code == 204


async def test_templates_are_shown_and_none_is_added_without_a_folder(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/v1/templates", headers=as_("ann", x="member"))).json()["items"]
    assert {one["id"] for one in listed if one["line"] == "cabinet"} == {"default-dental", "orthodontics", "pediatric"}
    assert {one["id"] for one in listed if one["line"] == "department"} == {"standard", "large"}
    one = (await client.get("/api/v1/templates/pediatric", headers=as_("ann", x="member"))).json()
    assert one["settings"]["appointments"]["slotMinutes"] == 20
    assert one["versions"] == ["1.0.0"]
    missing = await client.get("/api/v1/templates/pediatrics", headers=as_())
    assert missing.status_code == 404
    refused = await client.post("/api/v1/templates", json=EXAMPLE, headers=as_())
    assert refused.status_code == 409
    assert "TENANTRY_TEMPLATES" in refused.json()["hint"]


def test_a_template_is_added_once_and_never_changed(http: httpx.Client) -> None:
    mine = EXAMPLE | {"id": "my-practice"}
    assert http.post("/api/v1/templates", json=mine, headers=as_("ann", "creator")).status_code == 403
    added = http.post("/api/v1/templates", json=mine, headers=as_())
    assert added.status_code == 201, added.text
    assert http.get(added.headers["location"], headers=as_()).json()["settings"]["appointments"]["slotMinutes"] == 60
    assert http.post("/api/v1/templates", json=mine, headers=as_()).status_code == 201
    for taken in (mine | {"title": "Another"}, EXAMPLE | {"id": "pediatric", "version": "9.0.0"}):
        refused = http.post("/api/v1/templates", json=taken, headers=as_())
        assert refused.status_code == 409, refused.text
    wrong = http.post("/api/v1/templates", json=mine | {"version": "2", "settings": {"slots": 1}}, headers=as_())
    assert wrong.status_code == 422
    assert {one["field"] for one in wrong.json()["errors"]} == {"version", "settings.slots"}
    assert "/tmp" not in wrong.text
    audit = http.get("/api/v1/audit", params={"action": "template.add"}, headers=as_()).json()["items"]
    assert [row["object"] for row in audit] == ["template my-practice 1.0.0"]


async def test_lines_and_their_manifests_schemas_are_shown(client: httpx.AsyncClient) -> None:
    lines = {one["kind"]: one for one in (await client.get("/api/v1/lines", headers=as_())).json()["items"]}
    optional = {kind: [one["key"] for one in line["steps"] if one["optional"]] for kind, line in lines.items()}
    assert optional == {
        "cabinet": ["database"],
        "department": [],
        "isp": [],
        "pos": ["step_5_settings", "step_6_items", "step_9_pos_session"],
        "site": [],
    }
    for kind in lines:
        schema = (await client.get(f"/api/v1/lines/{kind}/schema", headers=as_())).json()
        assert "templateId" in schema["properties"]
        assert "definition" not in json.dumps(schema)
    assert (await client.get("/api/v1/lines/cabinets/schema", headers=as_())).status_code == 404


async def test_a_webhooks_secret_is_shown_once_and_never_again(client: httpx.AsyncClient, acme: None) -> None:
    made = await client.post("/api/v1/webhooks", json=HOOK, headers=as_("ann"))
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    path = made.headers["location"]
    assert len(secret) >= 32
    turned = await client.post(f"{path}/rotate", headers=as_("ann"))
    assert turned.json()["secret"] != secret
    secrets = (secret, turned.json()["secret"])
    tested = await client.post(f"{path}/test", headers=as_("ann"))
    assert (tested.status_code, tested.json()["event"]) == (202, "ping")
    delivery = f"{path}/deliveries/{tested.json()['id']}"
    for url in (path, "/api/v1/webhooks", f"{path}/deliveries", "/api/v1/audit", delivery):
        shown = await client.get(url, headers=as_("ann"))
        assert shown.status_code == 200
        assert not any(one in shown.text for one in secrets), url
    early = await client.post(f"{delivery}/resend", headers=as_("ann"))
    assert early.status_code == 409
    off = await client.patch(path, json={"active": False}, headers=as_("ann"))
    assert (off.json()["active"], off.json()["url"]) == (False, HOOK["url"])
    assert (await client.delete(path, headers=as_("ann"))).status_code == 204
    assert (await client.get(path, headers=as_("ann"))).status_code == 404


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://169.254.169.254/latest", "https://[::1]/", "file:///etc/passwd", "", "x"]
)
async def test_a_webhook_goes_to_no_internal_address(client: httpx.AsyncClient, acme: None, url: str) -> None:
    answer = await client.post("/api/v1/webhooks", json=HOOK | {"url": url}, headers=as_("ann"))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "url"


async def test_a_webhook_of_all_tenants_is_for_platform_admins(client: httpx.AsyncClient, acme: None) -> None:
    everyones = {name: value for name, value in HOOK.items() if name != "tenant"}
    assert (await client.post("/api/v1/webhooks", json=everyones, headers=as_("ann"))).status_code == 403
    made = await client.post("/api/v1/webhooks", json=everyones, headers=as_())
    assert made.status_code == 201
    assert (await client.get(made.headers["location"], headers=as_("ann"))).status_code == 404
    assert (await client.get("/api/v1/webhooks", headers=as_("ann"))).json()["total"] == 0
    assert (await client.post("/api/v1/webhooks", json=HOOK, headers=as_("bob", "creator"))).status_code == 404


async def test_workers_and_queue_are_for_platform_admins(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/system", headers=as_("ann", acme="owner"))).status_code == 403
    system = (await client.get("/api/v1/system", headers=as_())).json()
    assert system["workers"] == []
    assert (system["queue"]["waiting"], system["queue"]["parked"]) == (0, 0)


async def test_no_answer_holds_what_the_service_is_configured_with(
    client: httpx.AsyncClient, acme: None, tmp_path: Path
) -> None:
    from tests.automation.helpers import PASSPHRASE
    from tests.service.helpers import SECRET

    document = await client.get("/api/v1/openapi.json")
    assert document.status_code == 200
    for path in document.json()["paths"]:
        if "{" not in path:
            answer = await client.get(path, headers=as_())
            assert not any(secret in answer.text for secret in (PASSPHRASE, SECRET, str(tmp_path)))


def test_lines_may_have_templates_of_one_id(http: httpx.Client) -> None:
    content = {"version": "1.0.0", "title": "Mine", "description": "one of mine", "settings": {}}
    for line in ("department", "cabinet", "isp", "pos", "site"):
        added = http.post("/api/v1/templates", json={**content, "id": "of-both", "line": line}, headers=as_())
        assert added.status_code == 201, added.text
        assert http.get(added.headers["Location"], headers=as_()).json()["line"] == line
    newer = {**content, "id": "of-both", "line": "department", "version": "2.0.0"}
    added = http.post("/api/v1/templates", json=newer, headers=as_())
    assert added.json()["versions"] == ["1.0.0", "2.0.0"]
    of = {line: http.get("/api/v1/templates/of-both", params={"line": line}, headers=as_()).json() for line in LINES}
    assert {line: one["versions"] for line, one in of.items()} == {
        "cabinet": ["1.0.0"],
        "department": ["1.0.0", "2.0.0"],
        "isp": ["1.0.0"],
        "pos": ["1.0.0"],
        "site": ["1.0.0"],
    }
    own = http.post("/api/v1/templates", json={**newer, "id": "only-department"}, headers=as_())
    assert own.status_code == 201
    assert http.get("/api/templates/only-department", headers=as_()).status_code == 404
    assert http.get("/api/templates/of-both", headers=as_()).json()["line"] == "cabinet"
