"""One call to a server's HTTP API: time limits, again when the failure was a passing one, and errors in words.

Decides which failures pass by themselves (CORE-5), and how an answer that was not expected reads. It never shows a
secret: neither what was sent in a header, nor an answer's body where it could hold one. What a server's own words say
of a failure, its `Api` is told by `passing`; how many requests a run may send, by `meter`.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.connection import CORRELATION_ID
from providers.errors import ConfigurationError, RefusedError, TimedOutError, UnreachableError
from providers.masking import masked
from providers.metering import Meter

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 3
WAITS: tuple[float, ...] = (1.0, 2.0, 4.0)
CONNECT_SECONDS = 5.0
CALL_SECONDS = 20.0
LONGEST_WAIT = 10.0
"""Seconds: what a server may ask for by Retry-After; with more, the call has failed."""
_PASSING = frozenset({429, 502, 503, 504})
_SHOWN = 300
_IN_HEADERS = re.compile(r"[^A-Za-z0-9._-]")
_making = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A server's API. `name` is how errors call it, such as `n8n at https://n8n.example`.

    `secrets` are values that never appear in an error. `verify` is true, false, or a file of certificates. `passing`
    says of an answer whether what it tells passes by itself and was not carried out (None: as its status says).
    `longest_wait` is in seconds, as LONGEST_WAIT. `meter` counts each request that is sent, repeated ones too.
    """

    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    seconds: float = CALL_SECONDS
    verify: bool | str = True
    passing: Callable[[httpx.Response], bool | None] | None = None
    longest_wait: float = LONGEST_WAIT
    meter: Meter | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        expect: Collection[int] = (200,),
        repeatable: bool | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """The answer, whose status is one of `expect`. `what` names the object in errors; `sent` is httpx's.

        Tried again where the connection was refused, or the server says that it is not ready. Where a request may have
        been carried out (its answer was lost), it is tried again only if `repeatable`: by default all but POST and
        PATCH. Raises UnreachableError (TimedOutError), RefusedError with the `status`, ConfigurationError for what
        cannot be sent, and BudgetError where the run may send no more.
        """
        again = method not in {"POST", "PATCH"} if repeatable is None else repeatable
        answer = self._sent(method, path, what, again, sent)
        if answer.status_code not in expect:
            raise self.refused(answer, what)
        return answer

    def refused(self, answer: httpx.Response, what: str) -> RefusedError:
        """The error for an answer that was not expected."""
        said = " ".join(masked(answer.text, self.secrets).split())[:_SHOWN]
        request = answer.request
        return RefusedError(
            f"{what}: {self.name} answered {answer.status_code} to {request.method} {request.url.path}: "
            f"{said or 'nothing more'}.",
            status=answer.status_code,
        )

    def _sent(self, method: str, path: str, what: str, again: bool, sent: Mapping[str, Any]) -> httpx.Response:
        import httpx
        from tenacity import RetryError, Retrying, retry_if_exception, retry_if_result, stop_after_attempt

        def once() -> httpx.Response:
            client = _client(self.verify)
            if self.meter is not None:
                self.meter.count(what)
            headers = {**self.headers, **(sent.get("headers") or {})}
            rest = {key: value for key, value in sent.items() if key != "headers"}
            timeout = httpx.Timeout(self.seconds, connect=CONNECT_SECONDS)
            return client.request(method, f"{self.base_url}{path}", headers=headers, timeout=timeout, **rest)

        attempts = Retrying(
            stop=stop_after_attempt(_tries.get() or ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception(lambda error: _passes(error, again))
            | retry_if_result(lambda answer: self._not_ready(answer, again)),
            reraise=True,
        )
        try:
            answer: httpx.Response = attempts(once)
            return answer
        except RetryError as error:
            last: httpx.Response = error.last_attempt.result()
            return last
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            # Its text quotes the header, in a way of its own.
            raise ConfigurationError(
                f"{what}: a request to {self.name} cannot be sent: HTTP does not allow what one of its headers holds. "
                "Check the variables of the region's secrets: each is one line of ASCII."
            ) from None
        except httpx.HTTPError as error:
            reason = masked(str(error), self.secrets) or type(error).__name__
            late = isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout))
            raise (TimedOutError if late else UnreachableError)(
                f"{what}: {self.name} does not answer ({reason}). Check that it runs and can be reached."
            ) from None

    def _not_ready(self, answer: httpx.Response, again: bool) -> bool:
        said = self.passing(answer) if self.passing is not None else None
        if not (_passes_by_status(answer, again) if said is None else said):
            return False
        return (_asked(answer) or 0) <= self.longest_wait


_correlation: contextvars.ContextVar[str] = contextvars.ContextVar("correlation", default="")


@contextlib.contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """What is asked in this block is asked for a request with this id: a service's process serves many."""
    before = _correlation.set(correlation_id)
    try:
        yield
    finally:
        _correlation.reset(before)


_tries: contextvars.ContextVar[int] = contextvars.ContextVar("tries", default=0)


@contextlib.contextmanager
def tried_once() -> Iterator[None]:
    """What is asked in this block is asked once: for whoever comes again anyway, and holds something up meanwhile."""
    before = _tries.set(1)
    try:
        yield
    finally:
        _tries.reset(before)


def correlation_headers(*names: str) -> dict[str, str]:
    """The run's correlation id under each of `names`, so that a server's log and ours can be matched; none without."""
    # Whoever starts a run may choose its id, of more letters than a header can carry.
    value = _IN_HEADERS.sub("-", _correlation.get() or os.environ.get(CORRELATION_ID, ""))[:64]
    return dict.fromkeys(names, value) if value else {}


def _client(verify: bool | str) -> httpx.Client:
    # A cache alone lets two threads that come at once make one each.
    with _making:
        return _made_client(verify)


@functools.cache
def _made_client(verify: bool | str) -> httpx.Client:
    # One per process: setting up TLS takes longer than most calls. Closed by the end of the process.
    import atexit
    import ssl

    import httpx

    try:
        trust = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or "it holds no certificates"
        raise ConfigurationError(
            f"the file of certificates {verify} cannot be used: {reason}. Correct caFile."
        ) from None
    client = httpx.Client(verify=trust, follow_redirects=False, trust_env=False)
    atexit.register(client.close)
    return client


def _passes(error: BaseException, again: bool) -> bool:
    import httpx

    if isinstance(error, httpx.LocalProtocolError):
        return False
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return True
    # A connection closed without an answer may have been idle, or the server ended after it had done it.
    return again and isinstance(error, httpx.TransportError)


def _passes_by_status(answer: httpx.Response, again: bool) -> bool:
    # 502 and 504 are a gateway's: what is behind it may have carried the request out.
    return answer.status_code in _PASSING and (answer.status_code not in {502, 504} or again)


def _asked(answer: httpx.Response) -> float | None:
    """The seconds that the server asks us to wait; a date is not understood, and taken for no answer."""
    try:
        return float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _wait(state: Any) -> float:
    usual: float = WAITS[min(state.attempt_number, len(WAITS)) - 1]
    outcome = state.outcome
    asked: float | None = None if outcome is None or outcome.failed else _asked(outcome.result())
    return max(usual, asked if asked is not None else 0.0)
