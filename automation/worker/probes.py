"""A port of the worker's for an orchestrator's probes: `/healthz` (it lives) and `/readyz` (it takes jobs).

Decides what these two answer, and nothing else is answered. A database that is away makes a worker unready and never
dead: restarting it would bring nothing back. Who asks gets one line, and no more than a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import structlog

from automation.errors import InputError

_log = structlog.stdlib.get_logger(__name__)
_ASK_SECONDS = 5.0
_LONGEST_HEAD = 8192
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def answer(request: str, why_not: str | None) -> tuple[int, dict[str, str]]:
    """Status and body for a request's first line; `why_not` says why the worker takes no jobs. Pure."""
    method, _, rest = request.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if path not in {"/healthz", "/readyz"}:
        return 404, {"status": "there is /healthz and /readyz"}
    if method not in {"GET", "HEAD"}:
        return 405, {"status": "only GET is answered"}
    if path == "/readyz" and why_not is not None:
        return 503, {"status": "unavailable", "reason": why_not}
    return 200, {"status": "ok"}


@contextlib.asynccontextmanager
async def answered(host: str, port: int | None, why_not: Callable[[], str | None]) -> AsyncIterator[int | None]:
    """Answers probes while in the block, on the port that it gives; without `port`, none are.

    Raises InputError where the address cannot be had.
    """
    if port is None:
        yield None
        return

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_ASK_SECONDS):
                await _respond(reader, writer, why_not)
        writer.close()

    try:
        server = await asyncio.start_server(handle, host, port, limit=_LONGEST_HEAD)
    except OSError as error:
        raise InputError(
            f"the worker's probes cannot be answered on {host} port {port}: {error.strerror or error}",
            hint="correct TENANTRY_PROBE_HOST and TENANTRY_PROBE_PORT",
        ) from None
    async with server:
        found: int = server.sockets[0].getsockname()[1]
        _log.info("answering probes", address=f"{host}:{found}")
        yield found


async def _respond(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, why_not: Callable[[], str | None]
) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return
    first = head.split(b"\r\n", 1)[0].decode("ascii", "replace")
    status, document = answer(first, why_not())
    body = json.dumps(document).encode()
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if first.startswith("HEAD ") else body))
    await writer.drain()
