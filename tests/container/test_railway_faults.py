"""A Railway that is away, hangs, refuses, cuts its answers or talks nonsense; each ends soon, in one line."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from providers import http
from providers.errors import ConfigurationError, ProviderError, RefusedError, UnreachableError
from providers.railway import project as project_module
from providers.railway.domain import RailwayDomainProvider
from providers.railway.project import RailwayProjectProvider
from providers.railway.service import RailwayServiceProvider
from providers.railway.variables import RailwayVariablesProvider
from sandbox.railway import SimulatedRailway
from tests.container.conftest import REGION, Regions
from tests.container.railway import (
    SECRET,
    VARIABLE,
    Props,
    alive,
    backend,
    named,
    place,
    project,
    railway,
    service,
    service_props,
    simulator,
)

__all__ = ["project", "railway", "service", "simulator"]


def test_a_wrong_token(railway: SimulatedRailway, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "wr0ng-t0ken")
    with pytest.raises(ProviderError, match=r"says: Not Authorized. Correct container.workspace") as caught:
        RailwayProjectProvider().create(named(name))
    assert "wr0ng-t0ken" not in str(caught.value)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigurationError, match=f"the variable {VARIABLE} is not set"):
        RailwayProjectProvider().create(named(name))


class Broken(ThreadingHTTPServer):
    """In front of the simulator: passes on what it is sent, and breaks some answers."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        self.target, self.cut, self.status, self.seen = target, "", 0, 0
        self.edge, self.refuse = 0, ""
        self.page: Callable[[], dict[str, Any]] | None = None
        self.body, self.headers = "", {"Content-Type": "application/json"}
        super().__init__(("127.0.0.1", 0), Passing)


class Passing(BaseHTTPRequestHandler):
    server: Broken

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen += 1
        if self.server.page is not None:
            return self._send(200, json.dumps({"data": {"projects": self.server.page()}}).encode())
        if self.server.status and self.server.refuse in body.decode():
            return self._send(self.server.status, self.server.body.encode())
        answer = httpx.post(self.server.target, content=body, headers={"Authorization": self.headers["Authorization"]})
        if self.server.cut and self.server.cut in body.decode():
            self.server.cut = ""
            if self.server.edge:
                return self._send(self.server.edge, b"the edge's page")
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._send(answer.status_code, answer.content)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for key, value in {**self.server.headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def broken(railway: SimulatedRailway, regions: Regions) -> Iterator[Broken]:
    server = Broken(railway.url)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    regions(**{REGION: backend(f"http://127.0.0.1:{server.server_address[1]}")})
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("edge", [0, 502, 504])
def test_a_project_whose_answer_was_lost_is_adopted_at_once(
    railway: SimulatedRailway, broken: Broken, name: str, edge: int
) -> None:
    broken.cut, broken.edge = "mutation projectCreate", edge
    project = RailwayProjectProvider().create(named(name))
    assert broken.cut == ""
    assert [row["id"] for row in alive(railway, "projects", name=name)] == [project.id]
    RailwayProjectProvider().delete(project.id, project.outs or {})


@pytest.mark.parametrize("status", [500, 504])
def test_a_project_that_was_not_made_is_not_adopted(
    railway: SimulatedRailway, broken: Broken, name: str, status: int
) -> None:
    broken.refuse, broken.status = "mutation projectCreate", status
    with pytest.raises(RefusedError, match=f"answered {status}"):
        RailwayProjectProvider().create(named(name))
    assert alive(railway, "projects", name=name) == []


@pytest.mark.parametrize("cursors", [["same"], ["one", "two", "three"]], ids=["one that stays", "always another"])
def test_projects_that_never_end_do(
    broken: Broken, name: str, cursors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_module, "_MOST_PAGES", 10)
    given = iter(cursors * 10)
    broken.page = lambda: {"edges": [], "pageInfo": {"hasNextPage": True, "endCursor": next(given)}}
    with pytest.raises(ProviderError, match=rf"'{name}': .* lists projects without an end.* container.workspace"):
        RailwayProjectProvider().create(named(name))
    assert broken.seen == (2 if len(cursors) == 1 else 10)


def test_a_cut_answer_is_adopted_by_the_next_run(railway: SimulatedRailway, broken: Broken, name: str) -> None:
    project = RailwayProjectProvider().create(named(name)).outs
    broken.cut = "mutation serviceCreate"
    with pytest.raises(UnreachableError):
        RailwayServiceProvider().create(service_props(project))
    service = RailwayServiceProvider().create(service_props(project)).outs
    assert len(alive(railway, "services", projectId=project["project_id"])) == 1
    broken.cut = "mutation serviceDomainCreate"
    props = place(project, service_id=service["service_id"], port=8080)
    with pytest.raises(UnreachableError):
        RailwayDomainProvider().create(props)
    RailwayDomainProvider().create(props)
    assert len(alive(railway, "domains", serviceId=service["service_id"])) == 1
    # What may be done twice is done again at once.
    for mutation, again in {
        "mutation variableCollectionUpsert": lambda: RailwayVariablesProvider().create({**props, "variables": {}}),
        "mutation projectDelete": lambda: RailwayProjectProvider().delete(project["project_id"], project),
    }.items():
        broken.cut = mutation
        again()
        assert broken.cut == ""


@pytest.mark.parametrize(
    ("status", "body", "said", "tries"),
    [
        (500, "a crash", "answered 500", 1),
        (503, "away", "answered 503", 3),
        (429, "slow down", "answered 429", 3),
        (200, "<html>", "no GraphQL answer", 1),
        (200, "[]", "no GraphQL answer", 1),
        (200, '{"data": null}', "no GraphQL answer", 1),
        (401, "", "Not Authorized", 1),
        (200, '{"errors": [{"message": "no\\nidea about s3cret-of-the-tenant"}]}', r"refused it: no idea about \[s", 1),
        (200, '{"errors": "?"}', "an error without words", 1),
    ],
)
def test_broken_answers(broken: Broken, project: Props, status: int, body: str, said: str, tries: int) -> None:
    broken.status, broken.body, broken.seen = status, body, 0
    props = place(project, service_id="s", variables={"WORD": SECRET})
    with pytest.raises(ProviderError, match=said) as caught:
        RailwayVariablesProvider().create(props)
    assert broken.seen == tries
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    broken.status = 0


def test_it_is_away_or_hangs(
    railway: SimulatedRailway, name: str, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.Api.__init__, "__kwdefaults__", {**http.Api.__init__.__kwdefaults__, "seconds": 0.3})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        regions(**{REGION: backend(f"http://127.0.0.1:{port}/graphql/v2")})
        with pytest.raises(UnreachableError, match="Check that it runs and can be reached"):
            RailwayProjectProvider().create(named(name))
        other.listen(16)
        with pytest.raises(UnreachableError, match="timed out"):
            RailwayProjectProvider().create(named(name))
