"""Requests on a clock, and readers of events. Measures; never decides what is good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked, and the answer that counts as one."""

    method: str
    path: str
    expected: int
    body: Any = None


def client(url: str, token: str) -> httpx.AsyncClient:
    """A client of the API that keeps enough connections open."""
    return httpx.AsyncClient(
        base_url=f"{url}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=_SECONDS,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
        trust_env=False,
    )


async def on_a_clock(http: httpx.AsyncClient, requests: Sequence[Request], rate: float) -> tuple[list[float], int]:
    """Starts `rate` requests a second. Returns the milliseconds of those that got through, and how many did not."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.1
    taken: list[float] = []
    failed = 0

    async def one(number: int, request: Request) -> None:
        nonlocal failed
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        try:
            answer = await http.request(request.method, request.path, json=request.body)
        except httpx.HTTPError:
            failed += 1
            return
        if answer.status_code == request.expected:
            taken.append((loop.time() - due) * 1000)
        else:
            failed += 1

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            group.create_task(one(number, request))
    return taken, failed


async def events(http: httpx.AsyncClient, database: str, job: str, count: int) -> tuple[list[float], int]:
    """Milliseconds from the statement that writes an event of `job` to its reader; and how many never came."""
    seen: dict[int, float] = {}
    ready = asyncio.Event()

    async def read() -> None:
        async with http.stream("GET", f"/jobs/{job}/events", headers={"Last-Event-ID": "0"}) as answer:
            answer.raise_for_status()
            ready.set()
            async for line in answer.aiter_lines():
                if line.startswith("data:") and '"benchmark ' in line:
                    seen[int(line.split('"benchmark ', 1)[1].split('"', 1)[0])] = time.perf_counter()
                    if len(seen) == count:
                        return

    reader = asyncio.create_task(read())
    sent: dict[int, float] = {}
    try:
        async with asyncio.timeout(_SECONDS):
            await ready.wait()
        async with await psycopg.AsyncConnection.connect(database, autocommit=True, connect_timeout=10) as connection:
            for number in range(count):
                data = Jsonb({"at": "", "level": "info", "step": None, "message": f"benchmark {number}"})
                sent[number] = time.perf_counter()
                await connection.execute("SELECT tenantry_event(%s, 'log', %s)", (job, data))
                await asyncio.sleep(0.05)
        async with asyncio.timeout(_SECONDS):
            await reader
    except TimeoutError:
        pass
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    taken = [(seen[number] - at) * 1000 for number, at in sent.items() if number in seen]
    return taken, count - len(taken)


async def submitted(http: httpx.AsyncClient, requests: Sequence[Request], rate: float | None) -> list[str]:
    """The jobs of these requests, made at `rate` a second, or one after the other as fast as they are accepted."""
    begin = time.monotonic()
    jobs: list[str] = []
    for number, request in enumerate(requests):
        if rate is not None:
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        answer = await http.request(request.method, request.path, json=request.body)
        if answer.status_code != request.expected:
            raise RuntimeError(f"{request.method} {request.path} was answered {answer.status_code}: {answer.text}")
        jobs.append(str(answer.json()["id"]))
    return jobs


async def oldest_until_ended(database: str, jobs: Callable[[], bool], limit: float) -> float:
    """The greatest age in seconds of a waiting job, until none is left and `jobs` says that all have been accepted."""
    statement = """
        SELECT count(*), coalesce(max(extract(epoch FROM now() - created_at)) FILTER (WHERE status = 'pending'), 0)
        FROM jobs WHERE status IN ('pending', 'running')
    """
    oldest, until = 0.0, time.monotonic() + limit
    async with await psycopg.AsyncConnection.connect(database, autocommit=True, connect_timeout=10) as connection:
        while time.monotonic() < until:
            row = await (await connection.execute(statement)).fetchone()
            left, age = (int(row[0]), float(row[1])) if row else (0, 0.0)
            oldest = max(oldest, age)
            if left == 0 and jobs():
                return oldest
            await asyncio.sleep(0.1)
    raise TimeoutError(f"jobs were left after {limit:g} s")
