"""A real receiver on loopback: it answers as it is told, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Behaviour = Callable[["Receiver", "Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Receiver:
    """`behave` says what it answers; the default is 200."""

    behave: Behaviour = field(default_factory=lambda: answer(200))
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    port: int = 0
    scheme: str = "http"
    _servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    async def arrived(self, number: int, seconds: float = 90) -> list[Request]:
        async with asyncio.timeout(seconds):
            while len(self.requests) < number:
                await self._arrival()
        return self.requests

    async def _arrival(self) -> None:
        await asyncio.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Request(path=head[0].split(" ")[1], headers=headers, body=body)
            self.requests.append(request)
            await self.behave(self, request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_now -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def receiving(behave: Behaviour | None = None, context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver() if behave is None else Receiver(behave=behave)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await receiver._serve(reader, writer)
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "https" if context else "http"
    try:
        yield receiver
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def answer(status: int, body: bytes = b"thanks", **headers: str) -> Behaviour:
    async def behave(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)

    return behave


def raw(data: bytes) -> Behaviour:
    async def behave(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return behave


async def hang(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(600):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def flood(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def one_after_another(*behaviours: Behaviour) -> Behaviour:
    """The first for the first request, and so on; the last for all that follow."""

    async def behave(receiver: Receiver, request: Request, writer: asyncio.StreamWriter) -> None:
        place = min(len(receiver.requests), len(behaviours)) - 1
        await behaviours[place](receiver, request, writer)

    return behave
