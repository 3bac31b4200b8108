"""A browser's session acts for its own pages only."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.auth.session import CSRF_FIELD, CSRF_HEADER, csrf_token, end_session, start_session
from tests.auth.helpers import OTHER_KEY, bearer, token

TEXT = token("ada", roles=["admin"])
COOKIE = {"Cookie": f"tenantry_session={TEXT}"}


def request(scheme: str = "http", cookie: str | None = TEXT) -> Request:
    name = "__Host-tenantry_session" if scheme == "https" else "tenantry_session"
    headers = [(b"host", b"service.test")]
    if cookie:
        headers.append((b"cookie", f"{name}={cookie}".encode()))
    return Request(
        {"type": "http", "method": "GET", "scheme": scheme, "path": "/", "query_string": b"", "headers": headers}
    )


async def test_reading_needs_the_cookie_only(client: httpx.AsyncClient) -> None:
    assert (await client.get("/list", headers=COOKIE)).status_code == 200
    assert (await client.get("/list")).status_code == 401
    assert (
        await client.get("/list", headers={"Cookie": f"tenantry_session={token(key=OTHER_KEY)}"})
    ).status_code == 401


async def test_changing_needs_the_forms_token_too(client: httpx.AsyncClient) -> None:
    good = csrf_token(request())
    assert (await client.post("/me", headers=COOKIE)).status_code == 403
    assert (await client.post("/me", headers=COOKIE, data={CSRF_FIELD: "guess"})).status_code == 403
    assert (
        await client.post("/me", headers=COOKIE, data={CSRF_FIELD: csrf_token(request(cookie="other"))})
    ).status_code == 403
    assert (await client.post("/me", headers=COOKIE, data={CSRF_FIELD: good})).status_code == 200
    assert (await client.post("/me", headers=COOKIE, files={CSRF_FIELD: (None, good)})).status_code == 200
    assert (await client.post("/me", headers={**COOKIE, CSRF_HEADER: good})).status_code == 200
    assert (await client.post("/me", headers=COOKIE, data={CSRF_FIELD: "ü"})).status_code == 403
    assert (await client.post("/me", headers=bearer(TEXT))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "http://service.test"}, 200),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://service.test.evil.test"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_another_sites_page_changes_nothing_even_with_the_forms_token(
    client: httpx.AsyncClient, headers: dict[str, str], expected: int
) -> None:
    content = {**COOKIE, CSRF_HEADER: csrf_token(request()), **headers}
    assert (await client.post("/me", headers=content)).status_code == expected


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites() -> None:
    plain, secure = Response(), Response()
    start_session(request(), plain, TEXT, expires_at=4e9)
    start_session(request("https"), secure, TEXT, expires_at=4e9)
    for words in ("HttpOnly", "SameSite=lax", "Path=/", "tenantry_session="):
        assert words.lower() in plain.headers["set-cookie"].lower()
        assert words.lower() in secure.headers["set-cookie"].lower()
    assert "__Host-tenantry_session=" in secure.headers["set-cookie"]
    assert "Secure" in secure.headers["set-cookie"]
    ended = Response()
    end_session(request("https"), ended)
    assert "Max-Age=0" in ended.headers["set-cookie"]


def test_the_forms_token_says_nothing_about_the_session() -> None:
    given = csrf_token(request())
    assert given not in {csrf_token(request(cookie=TEXT + "x")), ""}
    assert csrf_token(request(cookie=None)) == ""
    assert not any(part in given for part in TEXT.split("."))


async def connected(app: FastAPI, headers: dict[str, str]) -> str:
    """What a WebSocket to /live gets: accepted, or how it was refused."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"} if not sent else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/live",
        "raw_path": b"/live",
        "scheme": "ws",
        "query_string": b"",
        "root_path": "",
        "subprotocols": [],
        "client": ("192.0.2.7", 1),
        "server": ("service.test", 80),
        "extensions": {"websocket.http.response": {}},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await asyncio.wait_for(app(scope, receive, send), 10)
    return str(sent[0].get("status", sent[0]["type"]))


async def test_a_socket_with_a_cookie_is_for_our_own_pages(app: FastAPI) -> None:
    host = {"Host": "service.test"}
    assert await connected(app, {**host, **COOKIE, "Origin": "http://service.test"}) == "websocket.accept"
    assert await connected(app, {**host, **COOKIE, "Origin": "http://evil.test"}) == "403"
    assert await connected(app, {**host, **COOKIE}) == "403"
    assert await connected(app, {**host, **bearer(TEXT), "Origin": "http://evil.test"}) == "websocket.accept"
    assert await connected(app, host) == "401"
