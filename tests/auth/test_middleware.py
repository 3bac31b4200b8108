"""Ids, the log line, headers, other sites and proxies: what every answer has."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI, Request

from automation.errors import InputError
from automation.logs import configure_logging, correlation_id, is_correlation_id, logging_config
from service import problems
from service.auth.settings import AuthSettings
from service.middleware import install


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Sets up logging as a service does; gives what has been logged."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("DB_PASSWORD", "correct horse")
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logging("service")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def app_with(**settings: Any) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    install(app, AuthSettings(**settings))

    @app.get("/things/{name}")
    async def things(request: Request, name: str) -> dict[str, Any]:
        structlog.get_logger("test").info("seen", name=name)
        client = request.client
        return {"address": client.host if client else None, "scheme": request.url.scheme, "id": correlation_id()}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("password=hunter22 at postgresql://u:correct horse@db/x")

    part = APIRouter()

    @part.get("/parts/{name}")
    async def parts(name: str) -> str:
        return name

    app.include_router(part, prefix="/whole")

    return app


async def get(app: FastAPI, path: str = "/things/a", *, address: str = "192.0.2.7", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(address, 4711))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.get(path, headers=named)


@pytest.mark.parametrize("name", ["x_correlation_id", "x_request_id"])
async def test_a_well_formed_id_is_carried_through(name: str, lines: Callable[[], list[dict[str, Any]]]) -> None:
    answer = await get(app_with(), **{name: "order-4711.a"})
    assert answer.headers["X-Correlation-ID"] == answer.json()["id"] == "order-4711.a"
    assert len(answer.headers["X-Request-ID"]) == 32
    assert [line["correlation_id"] for line in lines()] == ["order-4711.a"] * 2


@pytest.mark.parametrize("given", ["short", "x" * 65, "a" * 10 + "\t", "12345678;DROP", "{" * 10, "ä" * 10, "-" * 10])
async def test_an_id_that_is_not_well_formed_is_replaced(given: str) -> None:
    assert not is_correlation_id(given)
    headers = [("x-correlation-id", given.encode())]
    transport = httpx.ASGITransport(app_with())
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        answer = await client.get("/things/a", headers=headers)  # type: ignore[arg-type]
    assert answer.headers["X-Correlation-ID"] == answer.headers["X-Request-ID"] == answer.json()["id"]


async def test_each_request_is_one_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    await get(app_with(), "/things/a?token=abc", user_agent="curl\x7f")
    (line,) = (line for line in lines() if line["event"] == "request")
    assert line["duration_ms"] >= 0
    assert line["bytes"] > 10
    wanted = {
        "level": "info",
        "process": "service",
        "method": "GET",
        "path": "/things/a",
        "route": "/things/{name}",
        "status": 200,
        "address": "192.0.2.7",
        "subject": None,
    }
    assert wanted.items() <= line.items()
    assert "abc" not in json.dumps(line)


async def test_the_lines_route_is_the_whole_one(lines: Callable[[], list[dict[str, Any]]]) -> None:
    for path in ("/whole/parts/a", "/nowhere"):
        await get(app_with(), path)
    found = [line["route"] for line in lines() if line["event"] == "request"]
    assert found == ["/whole/parts/{name}", "other"]


async def test_a_fault_is_an_answer_with_all_headers_and_its_log_has_no_secret(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    answer = await get(app_with(), "/broken", x_correlation_id="order-4711")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["correlation_id"] == answer.headers["X-Correlation-ID"] == "order-4711"
    assert "Content-Security-Policy" in answer.headers
    assert "RuntimeError" not in answer.text
    fault = next(line for line in lines() if line["event"] == "a request failed")
    assert "RuntimeError" in fault["exception"]
    assert "hunter22" not in json.dumps(lines())
    assert "correct horse" not in json.dumps(lines())
    assert next(line for line in lines() if line["event"] == "request")["level"] == "error"


async def test_security_headers_are_on_every_answer() -> None:
    for path in ("/things/a", "/missing", "/broken", "/openapi.json"):
        headers = (await get(app_with(), path)).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers


async def test_a_proxy_is_believed_only_where_it_is_trusted() -> None:
    sent = {"x_forwarded_for": "198.51.100.9, 10.0.0.3", "x_forwarded_proto": "https"}
    trusting = app_with(trusted_proxies="10.0.0.0/8")
    answer = await get(trusting, address="10.0.0.2", **sent)
    assert answer.json()["address"] == "198.51.100.9"
    assert answer.json()["scheme"] == "https"
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    for app, address in ((trusting, "192.0.2.7"), (app_with(), "10.0.0.2")):
        answer = await get(app, address=address, **sent)
        assert answer.json() == {"address": address, "scheme": "http", "id": answer.headers["X-Correlation-ID"]}
    # What the caller claims for itself, before the proxy's own word, counts for nothing.
    answer = await get(trusting, address="10.0.0.2", x_forwarded_for="127.0.0.1, 198.51.100.9")
    assert answer.json()["address"] == "198.51.100.9"


async def test_other_sites_may_call_only_where_they_are_named() -> None:
    app = app_with(cors_origins="https://console.example, https://other.example:8443")
    allowed = await get(app, origin="https://console.example")
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://console.example"
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert "X-Correlation-ID" in allowed.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in (await get(app, origin="https://evil.example")).headers
    assert "Access-Control-Allow-Origin" not in (await get(app_with(), origin="https://console.example")).headers


async def test_a_browser_that_asks_first_is_told_what_another_site_may_send() -> None:
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization, if-match"}
    app = app_with(cors_origins="https://console.example")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        for origin, status in (("https://console.example", 200), ("https://evil.example", 400)):
            answer = await client.options("/things/a", headers={**asked, "origin": origin})
            assert answer.status_code == status
            assert (answer.headers.get("Access-Control-Allow-Origin") == origin) == (status == 200)
        cookies = await client.options(
            "/things/a",
            headers={**asked, "origin": "https://console.example", "access-control-request-headers": "x-csrf-token"},
        )
        assert cookies.status_code == 400, "the mark of a form is not for other sites"


@pytest.mark.parametrize(
    "wrong",
    [
        {"cors_origins": "*"},
        {"cors_origins": "console.example"},
        {"cors_origins": "https://a.example/path"},
        {"trusted_proxies": "*"},
        {"trusted_proxies": "proxy.example"},
        {"requests_per_minute": -1},
    ],
)
def test_settings_that_would_open_a_door_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"(?i)origin|address|greater"):
        AuthSettings(**wrong)


def test_libraries_lines_are_json_too_and_masked(lines: Callable[[], list[dict[str, Any]]]) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    logging.getLogger("uvicorn.error").info("Uvicorn %s", token)
    logging.getLogger("library").warning("amqp://user:secret-word@host/ failed")
    structlog.get_logger("ours").info("with more", nested={"token": [token]}, number=3, none=None, flag=True)
    logging.getLogger("uvicorn.access").info("not this one")
    found = lines()
    assert [line["level"] for line in found] == ["info", "warning", "info"]
    assert all(line["process"] == "service" and line["timestamp"].endswith("Z") for line in found)
    assert found[2]["nested"] == {"token": ["[secret]"]}
    assert (found[2]["number"], found[2]["none"], found[2]["flag"]) == (3, None, True)
    assert "eyJ" not in json.dumps(found)
    assert "secret-word" not in json.dumps(found)


def test_a_process_that_was_started_for_a_job_carries_its_id(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_CORRELATION_ID", "order-4711")
    structlog.get_logger("ours").info("step")
    assert lines()[0]["correlation_id"] == correlation_id() == "order-4711"


def test_a_wrong_log_level_is_named() -> None:
    with pytest.raises(InputError, match="TENANTRY_LOG_LEVEL is 'loud'"):
        logging_config("service", {"TENANTRY_LOG_LEVEL": "loud"})
