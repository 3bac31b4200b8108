"""A worker's probes: what they answer while it works, without its database, and to nonsense."""

import asyncio
import re
import signal
import socket

import httpx
import pytest

from automation.errors import InputError
from automation.worker.probes import answer, answered
from sandbox import postgres as sandbox_postgres
from sandbox.postgres import EmbeddedPostgres
from tests.worker.yard import Yard


@pytest.mark.parametrize(
    ("request_line", "why_not", "status"),
    [
        ("GET /healthz HTTP/1.1", None, 200),
        ("GET /healthz HTTP/1.1", "it drains", 200),
        ("GET /readyz HTTP/1.1", None, 200),
        ("HEAD /readyz?x=1 HTTP/1.1", None, 200),
        ("GET /readyz HTTP/1.1", "it drains", 503),
        ("POST /healthz HTTP/1.1", None, 405),
        ("GET / HTTP/1.1", None, 404),
        ("GET /healthz/../metrics HTTP/1.1", None, 404),
        ("", None, 404),
    ],
)
def test_what_is_answered(request_line: str, why_not: str | None, status: int) -> None:
    assert answer(request_line, why_not)[0] == status


async def test_a_request_that_is_too_long_gets_nothing_and_hurts_nobody() -> None:
    async with answered("127.0.0.1", 0, lambda: None) as port, httpx.AsyncClient(timeout=10) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert await reader.read() == b""
        writer.close()
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).json() == {"status": "ok"}


async def test_without_a_port_nothing_listens() -> None:
    async with answered("127.0.0.1", None, lambda: None) as port:
        assert port is None


async def test_a_port_that_is_taken_is_an_error_that_names_the_variables() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(InputError, match="cannot be answered on") as raised:
            async with answered("127.0.0.1", taken.getsockname()[1], lambda: None):
                pass
        assert "TENANTRY_PROBE_PORT" in (raised.value.hint or "")


async def test_a_worker_is_ready_while_it_takes_jobs(own_yard: Yard, own_server: EmbeddedPostgres) -> None:
    process = own_yard.worker(TENANTRY_PROBE_PORT="0", TENANTRY_HEARTBEAT_SECONDS="1", TENANTRY_DRAIN_SECONDS="0")
    said: list[str] = []

    def listening() -> bool:
        said[:] = re.findall(r"127\.0\.0\.1:(\d+)", own_yard.said())
        return bool(said)

    await own_yard.until(listening)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{said[0]}", timeout=10) as client:

        async def becomes(status: int) -> httpx.Response:
            for _ in range(600):
                found = await client.get("/readyz")
                assert (await client.get("/healthz")).status_code == 200
                if found.status_code == status:
                    return found
                await asyncio.sleep(0.1)
            raise AssertionError(own_yard.said())

        await becomes(200)
        own_server.stop()
        assert (await becomes(503)).json()["reason"] in {
            "the main database cannot be reached",
            "the queue cannot be reached",
        }
        sandbox_postgres.start(own_server.directory)
        await becomes(200)
    process.send_signal(signal.SIGTERM)
    assert await own_yard.gone(process) == 0
