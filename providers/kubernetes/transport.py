"""Requests to one API server: not too many at once, bounded in time, tried again where that can help.

Decides what to try again and for how long. Every request here may be sent twice: reading, applying and deleting are
the same done once or again.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from providers.kubernetes.config import Config
from providers.kubernetes.connection import Connection
from providers.kubernetes.errors import ApiError, AwayError, Doing, UnansweredError, from_answer, silenced
from providers.kubernetes.limiter import Limiter
from providers.kubernetes.speaking import say, warn
from providers.plugin.errors import CancelledError, ProviderError, UnreachableError

if TYPE_CHECKING:
    from providers.kubernetes.sdk import BaseHTTPResponse

APPLY = "application/apply-patch+yaml"
JSON = "application/json"
_UNAVAILABLE = 503
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_KNOWN_AWAY_SECONDS = 5.0
"""How long a server is tried that was away all of an earlier request's time."""
_WARNING = re.compile(r'\b299 \S+ "((?:[^"\\]|\\.)*)"')


class Transport:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._connection = Connection(config.chosen)
        self._limiter = Limiter(qps=config.qps, burst=config.burst)
        self._cancelled = threading.Event()
        self._streams: set[BaseHTTPResponse] = set()
        self._mutex = threading.Lock()
        self._away = False

    @property
    def host(self) -> str:
        return self._connection.host

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ends what waits and what watches, and refuses what comes."""
        self._cancelled.set()
        with self._mutex:
            for stream in self._streams:
                with contextlib.suppress(ValueError, RuntimeError, OSError):
                    stream.shutdown()

    def pause(self, seconds: float) -> None:
        self._cancelled.wait(seconds)
        if self.cancelled():
            raise CancelledError("cancelled: the engine asked the kubernetes provider to stop")

    def request(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        patience: float | None = None,
    ) -> Any:
        """The answer's document; `patience` in seconds, if not the configured. Raises a ProviderError in one line."""
        text = None if body is None else json.dumps(body).encode()
        patience = self._config.patience if patience is None else patience
        patience = min(patience, _KNOWN_AWAY_SECONDS) if self._away else patience
        deadline, pause, wait = time.monotonic() + patience, _FIRST_PAUSE, 0.0
        while True:
            try:
                self.pause(wait)
                return self._once(method, path, doing, query or {}, text, content_type)
            except CancelledError as error:
                # After a try that failed nobody knows whether the server has done it.
                raise UnansweredError(str(error)) if wait else error from None
            except ProviderError as error:
                left = deadline - time.monotonic()
                if not error.retry or left <= 0:
                    raise self._given_up(error, patience) from None
                asked = error.after if isinstance(error, ApiError) else 0.0
                say(f"trying again for up to {left:.0f} s: {error}")
            # Not all at the same moment: they were refused for being too many.
            wait = min(max(asked, pause * random.uniform(0.5, 1.0)), max(left, 0.05))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _once(
        self, method: str, path: str, doing: Doing, query: Mapping[str, str], body: bytes | None, content_type: str
    ) -> Any:
        self.pause(self._limiter.reserve())
        answer = self._connection.send(
            method, path, doing, query=query, body=body, content_type=content_type, seconds=self._config.timeout
        )
        self._away = False
        self._pass_on(answer, doing)
        if 200 <= answer.status < 300:
            return _parsed(answer.data)
        raise from_answer(doing, answer.status, _parsed(answer.data), _after(answer))

    def _given_up(self, error: ProviderError, patience: float) -> ProviderError:
        if not error.retry:
            return error
        if isinstance(error, UnreachableError):
            if patience >= _KNOWN_AWAY_SECONDS:
                self._away = True
            return UnreachableError(f"{error}. It was tried for {patience:.0f} s: see that it runs, then retry")
        text = f"{error}. It was tried for {patience:.0f} s: retry later"
        if isinstance(error, ApiError) and error.status == _UNAVAILABLE:
            return AwayError(text)
        given_up = ProviderError(text)
        given_up.retry = True
        return given_up

    @contextmanager
    def stream(
        self, path: str, doing: Doing, *, query: Mapping[str, str], seconds: float
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """The documents that the server sends, one a line, until it ends or the connection breaks."""
        self.pause(self._limiter.reserve())
        answer = self._connection.send(
            "GET", path, doing, query=query, body=None, content_type=JSON, seconds=seconds, stream=True
        )
        try:
            if answer.status != 200:
                raise from_answer(doing, answer.status, _parsed(answer.read()), _after(answer))
            with self._mutex:
                self._streams.add(answer)
            yield self._lines(answer)
        finally:
            with self._mutex:
                self._streams.discard(answer)
            answer.close()

    def _lines(self, answer: BaseHTTPResponse) -> Iterator[dict[str, Any]]:
        from providers.kubernetes.sdk import http_errors

        rest = b""
        try:
            for chunk in answer.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (http_errors.HTTPError, OSError, ValueError, AttributeError):
            # Whoever watches looks again, and watches from there.
            return

    def _pass_on(self, answer: BaseHTTPResponse, doing: Doing) -> None:
        for text in _WARNING.findall(answer.headers.get("Warning") or ""):
            if not (self._config.quiet_deprecations and "deprecated" in text):
                # A webhook writes them, which may quote what it was shown.
                warn(silenced(text.replace('\\"', '"'), doing.hide))


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _after(answer: BaseHTTPResponse) -> float:
    try:
        return float(answer.headers.get("Retry-After") or 0)
    except ValueError:
        return 0.0
