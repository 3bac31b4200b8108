"""An n8n that is away, hangs, starts, refuses or talks nonsense: each ends soon, in one line, without a secret."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pulumi.output import UNKNOWN

from providers import http
from providers.errors import ConfigurationError, NotReadyError, ProviderError, RefusedError, UnreachableError
from providers.n8n import api
from providers.n8n.credential import N8nCredentialProvider
from providers.n8n.naming import credential_name
from providers.n8n.tag import N8nTagProvider
from providers.n8n.workflow import N8nWorkflowProvider
from sandbox.http import Answer, Request
from sandbox.n8n.api import N8n
from sandbox.n8n.owner import SCOPES
from sandbox.store import Store
from tests.n8n.conftest import KEY_VARIABLE, REGION, inputs, name_region

MARK = "tenantry/acme"
SECRET = "s3cret-of-the-mail-server"
TAG = {"region": REGION, "tenant_mark": MARK}
CREDENTIAL = {
    "region": REGION,
    "tenant_mark": MARK,
    "key": "echo/service",
    "type": "httpHeaderAuth",
    "name": credential_name(MARK, "echo/service"),
    "data": {"name": "X-Token", "value": SECRET},
}
Fault = Callable[[Request, Callable[[], Answer]], Answer | None]
"""What becomes of a request; None cuts the connection."""


class Faulty:
    """A simulator whose answers a test may change: `fault(request, carry_out)`."""

    def __init__(self) -> None:
        self.n8n = N8n(Store(), delay=0.05)
        self.fault: Fault = lambda _, carry_out: carry_out()
        self.asked: list[str] = []
        owner = {"email": "a@b.invalid", "firstName": "A", "lastName": "B", "password": "long-enough"}
        cookie = self._ask("/rest/owner/setup", owner).headers["Set-Cookie"].partition(";")[0]
        wanted = {"label": "test", "scopes": list(SCOPES), "expiresAt": None}
        self.key = str(self._ask("/rest/api-keys", wanted, cookie).body["data"]["rawApiKey"])
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _ask(self, path: str, body: Any, cookie: str = "") -> Answer:
        raw = json.dumps(body).encode()
        return self.n8n.handle(Request(method="POST", target=path, headers={"cookie": cookie}, body=raw))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(method=self.command, target=self.path, headers=headers, body=body)
                faulty.asked.append(f"{request.method} {request.path}")
                answer = faulty.fault(request, lambda: faulty.n8n.handle(request))
                if answer is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                raw = answer.raw()
                self.send_response(answer.status)
                for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Not into the test's output."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        return Handler

    def names(self, kind: str) -> list[str]:
        return [row["name"] for row in self.n8n.store.all(kind)]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(http.Api.__init__, "__kwdefaults__", {**http.Api.__init__.__kwdefaults__, "seconds": 1.5})
    monkeypatch.setattr(api, "READY_SECONDS", 1.5)
    monkeypatch.setattr(api, "_WEBHOOK_SECONDS", 1.0)


@contextmanager
def serving(n8n: N8n | None = None) -> Iterator[Faulty]:
    server = Faulty()
    try:
        if n8n is not None:
            server.n8n = n8n
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    with serving() as server:
        name_region(monkeypatch, tmp_path, server.url, server.key)
        yield server


def on(method: str, path: str, fault: Fault) -> Fault:
    """`fault` for requests of this method to paths that begin so; all else as ever."""

    def choose(request: Request, carry_out: Callable[[], Answer]) -> Answer | None:
        chosen = request.method == method and request.path.startswith(path)
        return fault(request, carry_out) if chosen else carry_out()

    return choose


def once(fault: Fault) -> Fault:
    """The first time only."""
    left = [fault]
    return lambda request, carry_out: left.pop()(request, carry_out) if left else carry_out()


def cut_after(_: Request, carry_out: Callable[[], Answer]) -> None:
    """The work is done, and its answer is lost."""
    carry_out()


def gateway_after(_: Request, carry_out: Callable[[], Answer]) -> Answer:
    carry_out()
    return Answer(status=504, body="upstream timed out", content_type="text/html")


def failure(work: Callable[[], object], kind: type[ProviderError], *secrets: str, seconds: float = 20.0) -> str:
    """What the reader is told: one line, soon, no secret."""
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        work()
    assert time.monotonic() - started < seconds
    said = str(caught.value)
    assert "\n" not in said
    assert not any(secret in said for secret in (*secrets, SECRET))
    return said


def everything() -> list[Callable[[], object]]:
    """Each operation of each provider."""
    workflow, credential, tag = N8nWorkflowProvider(), N8nCredentialProvider(), N8nTagProvider()
    props = inputs(MARK)
    return [
        lambda: tag.create(TAG),
        lambda: tag.read("t1", TAG),
        lambda: tag.delete("t1", TAG),
        lambda: credential.create(CREDENTIAL),
        lambda: credential.read("c1", CREDENTIAL),
        lambda: credential.update("c1", CREDENTIAL, CREDENTIAL),
        lambda: credential.delete("c1", CREDENTIAL),
        lambda: workflow.create(props),
        lambda: workflow.read("w1", props),
        lambda: workflow.update("w1", props, props),
        lambda: workflow.delete("w1", props),
    ]


def test_nobody_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        name_region(monkeypatch, tmp_path, f"http://127.0.0.1:{held.getsockname()[1]}", "the-key-itself")
        for work in everything():
            said = failure(work, UnreachableError, "the-key-itself")
            assert "does not answer" in said
            assert "Check that it runs" in said


def test_somebody_accepts_and_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.Api.__init__, "__kwdefaults__", {**http.Api.__init__.__kwdefaults__, "seconds": 0.1})
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(64)
        name_region(monkeypatch, tmp_path, f"http://127.0.0.1:{held.getsockname()[1]}", "the-key-itself")
        for work in everything():
            assert "does not answer" in failure(work, UnreachableError, "the-key-itself")


@pytest.mark.parametrize("status", [500, 503])
def test_it_fails_inside(faulty: Faulty, status: int) -> None:

    def broken(request: Request, _: object) -> Answer:
        more = SECRET if "/credentials" in request.path else ""
        return Answer(status=status, body={"message": f"broken, and says {faulty.key} {more}"})

    faulty.fault = broken
    for work in everything():
        said = failure(work, RefusedError, faulty.key)
        assert f"answered {status}" in said


def test_it_asks_to_wait(faulty: Faulty) -> None:
    later = Answer(status=429, body={"message": "slow down"}, headers={"Retry-After": "0"})
    faulty.fault = once(lambda *_: later)
    assert N8nTagProvider().create(TAG).id
    # For longer than we wait: said at once.
    faulty.fault = lambda *_: Answer(status=429, body={"message": "slow down"}, headers={"Retry-After": "3600"})
    assert "answered 429" in failure(lambda: N8nTagProvider().create(TAG), RefusedError)


def test_the_key_is_wrong(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "not-the-key")
    for work in everything():
        said = failure(work, RefusedError, "not-the-key")
        assert f"does not accept the key in {KEY_VARIABLE}" in said
    monkeypatch.delenv(KEY_VARIABLE)
    assert KEY_VARIABLE in failure(everything()[0], ConfigurationError)


@pytest.mark.parametrize(
    "nonsense",
    [
        Answer(status=200, body="{", content_type="application/json; charset=utf-8; broken"),
        Answer(status=200, body="<html>", content_type="text/html"),
        Answer(status=404, body="<html>", content_type="text/html"),
    ],
    ids=["no JSON", "a page", "a 404 page"],
)
def test_it_talks_nonsense(faulty: Faulty, nonsense: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that says 404 is no proof that something is gone: a starting n8n answers so."""
    monkeypatch.setattr(api, "READY_SECONDS", 0.3)
    faulty.fault = lambda *_: nonsense
    for work in everything():
        failure(work, ProviderError, faulty.key)


def test_a_server_that_starts_is_waited_for(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "READY_SECONDS", 20.0)
    tag = N8nTagProvider().create(TAG)
    made = N8nWorkflowProvider().create(inputs(MARK))
    faulty.n8n = N8n(faulty.n8n.store, delay=0.05, startup=0.6)
    assert N8nWorkflowProvider().read(made.id, made.outs).id == made.id
    faulty.n8n = N8n(faulty.n8n.store, delay=0.05, startup=0.6)
    assert N8nTagProvider().create(TAG).id == tag.id


@pytest.mark.parametrize("fault", [cut_after, gateway_after], ids=["cut", "gateway"])
def test_an_answer_that_is_lost_leaves_one_object(faulty: Faulty, fault: Fault) -> None:
    for path in ("/api/v1/tags", "/api/v1/credentials", "/api/v1/workflows"):
        faulty.fault = on("POST", path, once(fault))
        tag = N8nTagProvider().create(TAG)
        credential = N8nCredentialProvider().create(CREDENTIAL)
        made = N8nWorkflowProvider().create(inputs(MARK))
        assert len(faulty.names("tag")) == 1
        assert faulty.names("credential") == [CREDENTIAL["name"]]
        assert faulty.names("workflow") == [f"{MARK} echo"]
        N8nWorkflowProvider().delete(made.id, made.outs)
        N8nCredentialProvider().delete(credential.id, credential.outs)
        N8nTagProvider().delete(tag.id, tag.outs)
        assert [faulty.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]


def killed_at(number: int, *, after: bool) -> Fault:
    """From this request on, nothing gets through: so it is for n8n when our process is killed there."""
    seen = 0

    def fault(_: Request, carry_out: Callable[[], Answer]) -> Answer | None:
        nonlocal seen
        seen += 1
        if seen < number:
            return carry_out()
        if seen == number and after:
            carry_out()
        return None

    return fault


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_request_the_next_run_ends_with_one_object(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 1)

    def run() -> tuple[str, str, str]:
        made = [N8nTagProvider().create(TAG), N8nCredentialProvider().create(CREDENTIAL)]
        made.append(N8nWorkflowProvider().create(inputs(MARK)))
        return made[0].id, made[1].id, made[2].id

    def clean(ids: tuple[str, str, str]) -> None:
        N8nWorkflowProvider().delete(ids[2], inputs(MARK))
        N8nCredentialProvider().delete(ids[1], CREDENTIAL)
        N8nTagProvider().delete(ids[0], TAG)
        assert [faulty.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]

    whole = run()
    webhook = next(number for number, asked in enumerate(faulty.asked, 1) if "/webhook/" in asked)
    clean(whole)
    assert webhook > 6
    for number in range(1, webhook + 1):
        faulty.fault = killed_at(number, after=after)
        failure(run, UnreachableError)
        faulty.fault = lambda _, carry_out: carry_out()
        ids = run()
        assert [len(faulty.names(kind)) for kind in ("tag", "credential", "workflow")] == [1, 1, 1], number
        clean(ids)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_while_deleting_the_next_run_ends_with_nothing(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 1)
    provider = N8nWorkflowProvider()
    for number in (1, 2):
        N8nTagProvider().create(TAG)
        made = provider.create(inputs(MARK))
        faulty.fault = killed_at(number, after=after)
        failure(lambda: provider.delete(made.id, made.outs), UnreachableError)  # noqa: B023 - called at once
        faulty.fault = lambda _, carry_out: carry_out()
        provider.delete(made.id, made.outs)
        assert faulty.names("workflow") == []


def test_a_webhook_that_never_answers_is_said(faulty: Faulty) -> None:
    N8nTagProvider().create(TAG)
    missing = Answer(status=404, body={"message": "The requested webhook is not registered."})
    faulty.fault = on("GET", "/webhook/", lambda *_: missing)
    said = failure(lambda: N8nWorkflowProvider().create(inputs(MARK)), NotReadyError)
    assert f"/webhook/{MARK}/echo/health" in said
    assert "it answered 404" in said
    # It was published again in between: of two at once, one fails without a word.
    assert sum(asked.endswith("/publish") for asked in faulty.asked) == 2
    # Such a create is in no state: nobody would remove the workflow, which is published.
    assert faulty.names("workflow") == []
    stale = Answer(body={"status": "ok", "revision": "of before"})
    faulty.fault = on("GET", "/webhook/", lambda *_: stale)
    said = failure(lambda: N8nWorkflowProvider().create(inputs(MARK)), NotReadyError)
    assert "still runs what was before" in said
    assert faulty.names("workflow") == []


@pytest.mark.parametrize("call", ["GET /api/v1/workflows/", "PUT /api/v1/workflows/", "POST /api/v1/workflows/"])
def test_a_creation_that_fails_on_its_way_leaves_nothing(faulty: Faulty, call: str) -> None:
    N8nTagProvider().create(TAG)
    method, path = call.split()
    faulty.fault = on(method, path, once(lambda *_: Answer(status=500, body={"message": "the test says no"})))
    assert "the test says no" in failure(lambda: N8nWorkflowProvider().create(inputs(MARK)), RefusedError)
    assert faulty.names("workflow") == []


def test_a_creation_that_fails_leaves_what_was_there(faulty: Faulty) -> None:
    N8nTagProvider().create(TAG)
    made = N8nWorkflowProvider().create(inputs(MARK))
    missing = Answer(status=404, body={"message": "The requested webhook is not registered."})
    faulty.fault = on("GET", "/webhook/", lambda *_: missing)
    failure(lambda: N8nWorkflowProvider().create(inputs(MARK)), NotReadyError)
    assert faulty.n8n.store.get("workflow", made.id)["active"]


def test_a_creation_that_cannot_be_taken_back_says_why_it_failed(faulty: Faulty) -> None:
    N8nTagProvider().create(TAG)
    missing = Answer(status=404, body={"message": "The requested webhook is not registered."})

    def fault(request: Request, carry_out: Callable[[], Answer]) -> Answer:
        if request.path.endswith("/unpublish"):
            return Answer(status=500, body={"message": "nor is it let go"})
        return missing if request.path.startswith("/webhook/") else carry_out()

    faulty.fault = fault
    assert "it answered 404" in failure(lambda: N8nWorkflowProvider().create(inputs(MARK)), NotReadyError)
    # The next run adopts it.
    faulty.fault = lambda _, carry_out: carry_out()
    assert N8nWorkflowProvider().create(inputs(MARK)).id
    assert faulty.names("workflow") == [f"{MARK} echo"]


def test_one_that_is_never_let_go_is_said(faulty: Faulty) -> None:
    N8nTagProvider().create(TAG)
    made = N8nWorkflowProvider().create(inputs(MARK))
    held = Answer(status=409, body={"message": "Workflow is still being unpublished."})
    faulty.fault = on("DELETE", "/api/v1/workflows/", lambda *_: held)
    said = failure(lambda: N8nWorkflowProvider().delete(made.id, made.outs), NotReadyError)
    assert "is not let go" in said
    assert "still being unpublished" in said


def made_of_all() -> dict[Any, tuple[str, dict[str, Any]]]:
    """A department's tag, credential and workflow, as the state has them: id and outputs, by provider."""
    made = {}
    for provider, given in (
        (N8nTagProvider(), TAG),
        (N8nCredentialProvider(), CREDENTIAL),
        (N8nWorkflowProvider(), inputs(MARK)),
    ):
        found = provider.create(given)
        made[provider] = (str(found.id), dict(found.outs or {}))
    return made


def test_what_is_on_the_server_of_before_is_not_gone(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of_all()
    with serving() as other:
        name_region(monkeypatch, tmp_path, other.url, other.key)
        for provider, (id_, outs) in made.items():
            operations = [lambda: provider.read(id_, outs), lambda: provider.delete(id_, outs)]  # noqa: B023 - at once
            if not isinstance(provider, N8nTagProvider):
                operations.append(lambda: provider.update(id_, outs, outs))  # noqa: B023
            for work in operations:
                said = failure(work, ConfigurationError, faulty.key, other.key)
                assert MARK.rpartition("/")[2] in said
                assert f"is at {faulty.url}, but the region now has {other.url}" in said
                assert "Set the region's n8n.url back" in said
        assert [other.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]
    assert [len(faulty.names(kind)) for kind in ("tag", "credential", "workflow")] == [1, 1, 1]
    name_region(monkeypatch, tmp_path, faulty.url, faulty.key)
    for provider, (id_, outs) in reversed(made.items()):
        assert provider.read(id_, outs).outs == outs
        provider.delete(id_, outs)
    assert [faulty.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]


def test_a_server_at_a_new_address_has_all_it_had(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of `tenantry dev`, whose port somebody has taken since."""
    made = made_of_all()
    with serving(faulty.n8n) as moved:
        name_region(monkeypatch, tmp_path, moved.url, faulty.key)
        for provider, (id_, outs) in made.items():
            assert provider.read(id_, outs).id == id_
        workflow = next(one for one in made if isinstance(one, N8nWorkflowProvider))
        id_, outs = made[workflow]
        assert workflow.update(id_, outs, inputs(MARK)).outs["server"] == moved.url
        for provider, (id_, outs) in reversed(made.items()):
            provider.delete(id_, outs)
    assert [faulty.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]


def test_a_state_without_the_server_is_as_it_was(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {provider: (id_, outs) for provider, (id_, outs) in made_of_all().items() if outs.pop("server")}
    assert len(made) == 3
    for provider, (id_, outs) in reversed(made.items()):
        assert provider.read(id_, outs).outs == outs
        provider.delete(id_, outs)
    assert [faulty.names(kind) for kind in ("tag", "credential", "workflow")] == [[], [], []]
    with serving() as other:
        name_region(monkeypatch, tmp_path, other.url, other.key)
        assert [provider.read(id_, outs).id for provider, (id_, outs) in made.items()] == ["", "", ""]


def test_a_cursor_that_never_ends_does(faulty: Faulty) -> None:
    page = Answer(body={"data": [], "nextCursor": "the same"})
    faulty.fault = on("GET", "/api/v1/tags", lambda *_: page)
    assert N8nTagProvider().create(TAG).id
    assert len(faulty.asked) < 10


def test_a_value_that_n8n_would_run_is_refused() -> None:
    news = CREDENTIAL | {"data": {"name": "X", "value": "={{ $env.SECRET }}"}}
    failures = N8nCredentialProvider().check({}, news).failures
    assert [each.property for each in failures] == ["data"]
    assert "begins with =" in failures[0].reason


def test_data_that_are_not_known_yet_are_looked_at_later() -> None:
    assert N8nCredentialProvider().check({}, CREDENTIAL | {"data": UNKNOWN}).failures == []
