"""The service's API as the demo uses it: a request, a job, and a job's events as they come.

Decides nothing of the story. Every call has a time limit; a stream that is cut off is taken up where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from automation.errors import TenantryError

JOB_SECONDS = 300.0
_TRIES = 5
_API = "/api/v1"


class DemoError(TenantryError):
    """Something of the demo did not end as it should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a job, as docs/service.md describes them."""

    kind: str
    data: Mapping[str, Any]


def path_of(path: str) -> str:
    """A path of the API; a line's own paths are given whole."""
    return path if path.startswith("/api/") else f"{_API}{path}"


class Client:
    """The API of one service with one token. May be used by several threads."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(20, read=30),
            trust_env=False,
        )

    def close(self) -> None:
        """Lets go of connections."""
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, *, expected: int) -> Any:
        """The answer's document. Raises DemoError when its status is not `expected`."""
        try:
            answer = self._http.request(method, path_of(path), json=body)
        except httpx.HTTPError as error:
            raise DemoError(f"{method} {path_of(path)}: {type(error).__name__}: {error}") from error
        if answer.status_code != expected:
            raise DemoError(
                f"{method} {path_of(path)} was answered {answer.status_code}, not {expected}: {answer.text}"
            )
        return answer.json()

    def follow(self, job: str) -> Iterator[Event]:
        """A job's events from its first to its end. Raises DemoError when it does not end within five minutes."""
        last, until, failures = "0", time.monotonic() + JOB_SECONDS, 0
        while time.monotonic() < until:
            try:
                for identity, event in self._events(job, last):
                    last, failures = identity or last, 0
                    yield event
                    if event.kind == "end":
                        return
                    if time.monotonic() > until:
                        break
            except httpx.HTTPError as error:
                failures += 1
                if failures > _TRIES:
                    raise DemoError(f"the events of job {job}: {type(error).__name__}: {error}") from error
            time.sleep(0.2)
        raise DemoError(f"job {job} has not ended within {JOB_SECONDS:g} s")

    def _events(self, job: str, last: str) -> Iterator[tuple[str, Event]]:
        with self._http.stream("GET", path_of(f"/jobs/{job}/events"), headers={"Last-Event-ID": last}) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise DemoError(f"the events of job {job} were answered {answer.status_code}: {answer.text}")
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif not line and "data" in fields:
                    yield fields.get("id", ""), Event(kind=fields["event"], data=json.loads(fields["data"]))
                    fields = {}
