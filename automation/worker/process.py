"""The process of one attempt, as its worker sees it: started fresh, never forked; interrupted, killed, waited for.

Decides nothing. What it prints goes to files and not to pipes: whoever outlives it cannot keep its worker waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any

from automation.jobs.operation_log import LOG_VARIABLE
from automation.redaction import redactor
from automation.settings import Settings
from automation.worker.outcome import Ended

_POLL_SECONDS = 0.05
_LAST_WORDS = 2000
_LONGEST_ANSWER = 32 * 1024 * 1024


class Child:
    """A process that runs `automation.jobs.run`. Its standard input stays open as long as its worker lives."""

    def __init__(self, settings: Settings, job: uuid.UUID, attempt: int, *, correlation: str) -> None:
        self._redact = redactor(settings.secrets())
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `ended`
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with _held_back():
            self._process = self._started(settings, job, attempt, correlation)

    def _started(self, settings: Settings, job: uuid.UUID, attempt: int, correlation: str) -> subprocess.Popen[bytes]:
        with _own_log() as log:
            return subprocess.Popen(
                [sys.executable, "-m", "automation.jobs.run", str(job), str(attempt)],
                env={
                    **os.environ,
                    **settings.run_environment(),
                    "TENANTRY_CORRELATION_ID": correlation,
                    LOG_VARIABLE: str(log),
                },
                stdin=subprocess.PIPE,
                stdout=self._answer,
                stderr=self._words,
                pass_fds=(log,),
                # A Ctrl-C at the terminal is for the worker, which passes on what is to be passed on.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def interrupt(self) -> None:
        """Asks it to stop: what is being worked on is finished and saved."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it, and what it started in its session, by force."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self) -> Ended:
        """Waits for its end. It is killed when this is cancelled."""
        try:
            while self._process.poll() is None:  # noqa: ASYNC110 - nothing portable tells of another process's end
                await asyncio.sleep(_POLL_SECONDS)
            return Ended(code=self._process.returncode, document=self._document(), said=self._said())
        finally:
            self.kill()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._answer.close()
            self._words.close()

    def _document(self) -> Mapping[str, Any] | None:
        self._answer.seek(0)
        text = self._answer.read(_LONGEST_ANSWER)
        try:
            document = json.loads(text)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    def _said(self) -> str:
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - _LAST_WORDS))
        return self._redact(self._words.read().decode("utf-8", "replace")).strip()


@contextlib.contextmanager
def _own_log() -> Iterator[int]:
    """Another descriptor of this worker's log, for the process to write its lines to as they come."""
    log = os.dup(2)
    try:
        yield log
    finally:
        os.close(log)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """What is started in this block gets no SIGTERM before it says that it can handle one: it would die of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
