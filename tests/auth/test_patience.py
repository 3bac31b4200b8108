"""A server waits for nobody without an end: not for a head, not for a body, not for a reader. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from automation import patience
from automation.patience import PatientProtocol
from service import incoming, problems

SHORT = 0.4
"""What the waits are set to; a test that would wait for longer than LONG has waited without an end."""
LONG = 20.0
Connect = Callable[[], contextlib.AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)
    incoming.install(made, limit=1000)

    @made.post("/read")
    async def read(request: Request) -> Response:
        return Response(f"{len(await request.body())} bytes")

    @made.post("/unread")
    async def unread() -> Response:
        return Response("answered", 401)

    @made.get("/much")
    async def much() -> Response:
        return Response(b"x" * 50_000_000)

    return made


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to a server of `app`."""
    server = uvicorn.Server(
        uvicorn.Config(app(), port=0, http=PatientProtocol, lifespan="off", log_config=None, timeout_keep_alive=60)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    @contextlib.asynccontextmanager
    async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    try:
        yield connected
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, LONG)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection, which it must do."""
    said = bytearray()
    # Who goes on sending to a connection that is closed is told so by a reset, after the answer.
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(LONG):
            while part := await reader.read(65_536):
                said += part
    return bytes(said)


async def trickle(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, drop: bytes) -> bytes:
    """Sends `drop` again and again, faster than any wait, until the server closes the connection."""
    answer = asyncio.create_task(all_of(reader))
    with contextlib.suppress(OSError):
        while not answer.done():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(SHORT / 10)
    return await answer


async def test_who_sends_nothing_is_let_go_without_a_word(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", SHORT)
    async with connect() as (reader, _writer):
        assert await all_of(reader) == b""


@pytest.mark.parametrize("before", [b"", b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"])
async def test_a_head_that_does_not_end_is_408(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", SHORT)
    async with connect() as (reader, writer):
        if before:
            writer.write(before)
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"2 bytes"), LONG)
        writer.write(b"GET /much HTTP/1.1\r\n")
        answer = await trickle(writer, reader, b"X-More: 1\r\n")
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"connection: close" in answer.lower()


async def test_a_body_that_does_not_end_is_408_with_a_problem(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BODY_SECONDS", SHORT)
    for how, drop in ((b"Content-Length: 900", b"a"), (b"Transfer-Encoding: chunked", b"1\r\na\r\n")):
        async with connect() as (reader, writer):
            writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\n" + how + b"\r\n\r\n")
            answer = await trickle(writer, reader, drop)
            assert answer.startswith(b"HTTP/1.1 408 "), answer
            assert b"application/problem+json" in answer


async def test_a_body_is_refused_by_what_it_says_and_by_what_it_is(connect: Connect) -> None:
    for how, drop in (
        (b"Content-Length: 1001", b""),
        (b"Transfer-Encoding: chunked", b"64\r\n" + b"a" * 100 + b"\r\n"),
    ):
        async with connect() as (reader, writer):
            writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\n" + how + b"\r\n\r\n")
            assert (await trickle(writer, reader, drop)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_nobody_reads_does_not_hold_the_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", SHORT)
    async with connect() as (reader, writer):
        writer.write(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert b"401" in await trickle(writer, reader, b"a")


async def test_a_reader_that_takes_nothing_is_cut_off(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READER_SECONDS", SHORT)
    async with connect() as (reader, writer):
        writer.write(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.read(1), LONG)
        # Its buffer is full by now, and the server's too: nothing is read until the server has given up.
        await asyncio.sleep(4 * SHORT)
        assert len(await all_of(reader)) < 50_000_000


async def test_who_is_in_time_is_served_one_request_after_another(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 2 * SHORT)
    async with connect() as (reader, writer):
        for _ in range(4):
            writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            await asyncio.sleep(SHORT)
            writer.write(b"ab")
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"2 bytes"), LONG)
            # Longer than a head may take: between two requests nothing is owed.
            await asyncio.sleep(3 * SHORT)


async def test_a_head_without_end_is_a_4xx_and_the_server_goes_on(connect: Connect) -> None:
    async with connect() as (reader, writer):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(100):
                writer.write(b"GET /much HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000)
                await writer.drain()
                if reader.at_eof():
                    break
            # A connection that is closed with bytes unread may lose the answer: then it is the reset that is seen.
            assert (await all_of(reader))[:12] in {b"HTTP/1.1 400", b""}
    async with connect() as (reader, writer):
        writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")
        assert b"200 OK" in await all_of(reader)
