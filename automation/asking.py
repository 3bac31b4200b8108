"""A `tenantry` command in a process of its own, awaited: its exit code and its one JSON document.

Decides how it ends when nobody waits for it any more: by force, or in order where it changes something. What is asked
is the caller's to say. A process of its own, because the SDK's programs want one, and a process is stopped by a signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

COMMAND = (sys.executable, "-m", "automation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a command ended: its exit code (negative: the signal), and its document, empty where it left none."""

    code: int | None
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> Mapping[str, Any]:
        """The error of the document, empty where there is none."""
        found = self.document.get("error")
        return found if isinstance(found, Mapping) else {}


async def answer_to(
    *words: str,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
    patience: float = 0.0,
) -> Answer:
    """Runs `tenantry WORDS --json` to its end.

    Where whoever waits is cancelled it is interrupted and has `patience` seconds to end in order; each further cancel
    interrupts it again. After that, or at once without patience, it is ended by force with all that it started.
    """
    process = await asyncio.create_subprocess_exec(
        *(*command, *words, "--json"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        env={**os.environ, "TENANTRY_LOG_LEVEL": "error", **(environment or {})},
        start_new_session=True,
    )
    reading = asyncio.ensure_future(process.communicate())
    try:
        said, _ = await asyncio.shield(reading)
    except BaseException:
        await _end(process, reading, patience)
        raise
    return Answer(code=process.returncode, document=_document(said))


async def _end(process: Process, reading: asyncio.Future[tuple[bytes, bytes]], patience: float) -> None:
    until = time.monotonic() + patience
    while patience and not reading.done() and (left := until - time.monotonic()) > 0:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({reading}, timeout=left)
    if not reading.done():
        # With all that it started: its engine would go on otherwise, and keep its pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    await process.wait()


def _document(said: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(said)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
