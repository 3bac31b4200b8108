"""A simulator's own door, beside the site's API: faults, what was asked, switches. Never part of a real site.

Only who has the administrator's key is let in. Its requests are not counted, and no fault holds for them.
"""

from __future__ import annotations

import http.client
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.errors import SandboxError
from sandbox.faults import Fault, Faults, Log, fault_of
from sandbox.http import Answer, BadBodyError, Request
from sandbox.process import HOST
from sandbox.running import StoppedAtEnd

PREFIX = "/sandbox/"
_SECONDS = 10.0


class Site(Protocol):
    """A simulated site. `switch` raises TypeError for a switch that there is not."""

    faults: Faults
    log: Log

    def handle(self, request: Request) -> Answer | None: ...
    def switch(self, **switches: Any) -> None: ...


class NothingHereError(Exception):
    """The door has not what it was asked for."""


def handler(
    site: Site, refused: Callable[[Request], int | None], more: Callable[[str, str, Request], Any]
) -> Callable[[Request], Answer | None]:
    """The site with its door.

    `refused` says by which status somebody is not let in. `more` does what only this site's door has, by method and
    name, or raises NothingHereError.
    """

    def handle(request: Request) -> Answer | None:
        return behind(request) if request.path.startswith(PREFIX) else site.handle(request)

    def behind(request: Request) -> Answer:
        status = refused(request)
        if status is not None:
            return Answer(status=status, body={"message": "Only the administrator's key opens this door"})
        try:
            return Answer(body={"message": _done(site, more, request)})
        except NothingHereError:
            words = f"{request.method} {request.path} is nothing that this door has"
        except (BadBodyError, KeyError, TypeError, ValueError) as error:
            words = f"{request.method} {request.path}: {error}"
        return Answer(status=417, body={"message": words})

    return handle


def _done(site: Site, more: Callable[[str, str, Request], Any], request: Request) -> Any:
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "requests":
            return [asdict(row) for row in site.log.rows()]
        case "DELETE", "requests":
            return site.log.forget()
        case "POST", "faults":
            return site.faults.add(fault_of(request.json()))
        case "DELETE", "faults":
            return site.faults.heal()
        case "PUT", "switches":
            return site.switch(**request.json())
        case method, name:
            return more(method, name, request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind(StoppedAtEnd):
    """A running simulator, and its door. As a context manager it is stopped at the end; what it knows stays."""

    directory: Path
    port: int
    pid: int

    @property
    @abstractmethod
    def authorization(self) -> str:
        """The header that opens the door."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def add(self, *faults: Fault) -> None:
        """These faults hold from now on, the first that fits first."""
        for fault in faults:
            self.tell("POST", "faults", fault.told())

    def heal(self) -> None:
        self.tell("DELETE", "faults")

    def requests(self) -> list[dict[str, Any]]:
        """What was asked since it was started, or told to forget: see `faults.Asked`."""
        return list(self.tell("GET", "requests"))

    def forget(self) -> None:
        self.tell("DELETE", "requests")

    def switch(self, **switches: Any) -> None:
        """See the site's `switch`."""
        self.tell("PUT", "switches", switches)

    def tell(self, method: str, name: str, body: Any = None) -> Any:
        """What the door answers. Raises SandboxError."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_SECONDS)
        headers: Mapping[str, str] = {"Authorization": self.authorization, "Content-Type": "application/json"}
        try:
            connection.request(method, PREFIX + name, json.dumps(body), dict(headers))
            answer = connection.getresponse()
            told = json.load(answer)
        except (OSError, http.client.HTTPException) as error:
            raise SandboxError(f"the simulator in {self.directory} does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise SandboxError(f"the simulator in {self.directory} refused {method} {name}: {told.get('message')}")
        return told["message"]
