"""The demo's department: asked for as that line's own API has it, checked, seen through the gateway, changed.

Decides what to tell; each step is a request that anybody could make.
"""

from __future__ import annotations

import html
import re
import shlex
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from automation.demo_client import DemoError
from automation.demo_story import Story
from automation.display import duration

TENANT = "finance"
REQUEST: Mapping[str, Any] = {
    "departmentId": TENANT,
    "departmentName": "Finance",
    "workflows": ["database"],
    "dataRetention": "90d",
    "adminEmail": "head@finance.example",
}
_SECONDS = 20


def tell(story: Story) -> None:
    """Tells of the department. Raises DemoError when something does not go as told."""
    story.heading("A department: schema, credential, container, workflow and route, each on a real server")
    _provision(story)
    story.heading("Each part is used as its users use it")
    _check(story)
    story.heading("Its page, through the gateway")
    _visit(story)


def _provision(story: Story) -> None:
    request = {**REQUEST, "region": story.dev.region.name}
    listed = story.api.call("GET", f"/tenants?line=department&search={TENANT}", expected=200)["items"]
    if any(row["slug"] == TENANT and row["status"] != "removed" for row in listed):
        story.say(f"{TENANT} is there from an earlier run: it is brought to its manifest")
        story.watch(story.submit("POST", f"/tenants/{TENANT}/up"), brief=True)
        return
    asked = story.api.call("POST", "/api/provision-department", request, expected=202)
    story.say(f"$ POST /api/provision-department {{departmentId: {TENANT}, ...}}  ->  202, {asked['statusUrl']}")
    story.watch({"id": asked["id"], "tenant": TENANT, "operation": "up"})
    status = story.api.call("GET", asked["statusUrl"], expected=200)
    story.say("  states: " + " -> ".join(one["state"] for one in status["history"]))


def _check(story: Story) -> None:
    found = story.api.call("GET", f"/api/departments/{TENANT}/health", expected=200)
    for part in found["parts"]:
        story.say(f"  {part['part']:<20} {'works' if part['ok'] else part['detail']} ({duration(part['durationMs'])})")
    if not found["healthy"]:
        raise DemoError(f"the department '{TENANT}' is not healthy")


def _visit(story: Story) -> None:
    gateway = story.dev.region.gateway
    host = f"{TENANT}.{gateway.domain}"
    port = urlsplit(gateway.url).port
    trust = ssl.create_default_context(cafile=str(gateway.ca_file))
    with httpx.Client(verify=trust, timeout=_SECONDS, trust_env=False) as client:
        # By the gateway's address and the tenant's name: not every system finds names below .localhost by itself.
        answer = client.get(f"{gateway.url}/", headers={"Host": f"{host}:{port}"}, extensions={"sni_hostname": host})
    if answer.status_code != httpx.codes.OK:
        raise DemoError(f"the gateway answered {answer.status_code} for {host}")
    story.say(f"$ GET https://{host}:{port}/  ->  200")
    for line in _text(answer.text):
        story.say(f"  | {line}")
    story.say(
        f"The same by hand:  curl --cacert {shlex.quote(str(gateway.ca_file))} "
        f"--resolve {host}:{port}:127.0.0.1 https://{host}:{port}/"
    )


def _text(page: str) -> list[str]:
    body = page.partition("<body>")[2]
    rows = re.sub(r"</(h1|h2|p|dd|dt)>", lambda end: ": " if end[1] == "dt" else "\n", body)
    plain = html.unescape(re.sub(r"<[^>]+>", "", rows.replace("</span><span>", ": ")))
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
