"""Faults of a gateway: each ends in bounded time, in one clear line, without a secret, and leaves one route or none."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers import http
from providers.caddy import admin as admin_module
from providers.caddy import batch, probe
from providers.caddy.plan import Put
from providers.caddy.route import GatewayRouteProvider
from providers.caddy.routes import RouteSpec
from providers.errors import ConfigurationError, NotReadyError, ProviderError, RefusedError, UnreachableError
from sandbox import caddy as sandbox_caddy
from sandbox import process
from sandbox.caddy import EmbeddedCaddy
from tests.caddy.conftest import name_region
from tests.caddy.helpers import SECRET, SECRET_NAME, props
from tests.caddy.upstream import Upstream

ROUTES = "/config/apps/http/servers/tenants/routes"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WAITS", (0.01, 0.02, 0.04))
    monkeypatch.setattr(probe, "READY_SECONDS", 2.0)


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A server that takes connections, and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


@contextlib.contextmanager
def proxy(
    caddy: EmbeddedCaddy, meddle: Callable[[dict[str, Any], httpx.Response], Any], host: str = ""
) -> Iterator[Upstream]:
    """An admin API before Caddy's, whose answers `meddle` changes: None cuts the connection."""

    def answer(request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        kept = {name: value for name, value in request["headers"].items() if name in {"if-match", "content-type"}}
        kept |= {"host": host} if host else {}
        url = f"{caddy.admin}{request['path']}"
        done = httpx.request(request["method"], url, headers=kept, content=request["body"], timeout=30)
        changed = meddle(request, done)
        if changed is None:
            raise ConnectionAbortedError
        status, headers, body = changed
        return status, headers, body

    with Upstream(answer) as made:
        # A handler that raises cuts the connection; its traceback is not for us.
        made._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        yield made


def passed_on(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {name: answer.headers[name] for name in ("ETag", "Content-Type") if name in answer.headers}
    return answer.status_code, headers, answer.content


def says(error: ProviderError, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert SECRET not in text
    for word in words:
        assert word in text, text


def test_nothing_listens(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = f"http://127.0.0.1:{free_port()}"
    made = provider.create(props())
    name_region(monkeypatch, tmp_path, caddy, admin=where)
    with pytest.raises(UnreachableError) as caught:
        provider.create(props())
    says(caught.value, "gateway route 'acme'", where, "does not answer", "Check that it runs")
    for call in (lambda: provider.read(made.id, made.outs or {}), lambda: provider.delete(made.id, made.outs or {})):
        with pytest.raises(UnreachableError):
            call()


def test_what_is_at_the_gateway_of_before_is_not_gone(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made = provider.create(props())
    outs = made.outs or {}
    other = sandbox_caddy.start(tmp_path / "other")
    try:
        # Another Caddy; another server of the same one.
        httpx.post(f"{caddy.admin}/config/apps/http/servers/second", json={"listen": []}).raise_for_status()
        for change in (
            lambda: name_region(monkeypatch, tmp_path, other),
            lambda: name_region(monkeypatch, tmp_path, caddy, server="second"),
        ):
            change()
            for work in (
                lambda: provider.read(made.id, outs),
                lambda: provider.update(made.id, outs, props(upstream="127.0.0.1:10")),
                lambda: provider.delete(made.id, outs),
            ):
                with pytest.raises(ConfigurationError) as caught:
                    work()
                says(caught.value, "'acme.tenants.localhost': it is at", caddy.admin, "Set the region's gateway back")
        with httpx.Client(base_url=other.admin, timeout=60) as there:
            assert [one["@id"] for one in there.get(ROUTES).json()] == ["no-such-tenant"]
        assert made.id in [one["@id"] for one in admin.get(ROUTES).json()]
        # A state of before does not say where it is.
        older = {key: value for key, value in outs.items() if key != "server"}
        name_region(monkeypatch, tmp_path, other)
        assert provider.read(made.id, older).id == ""
    finally:
        sandbox_caddy.remove(other.directory)
    name_region(monkeypatch, tmp_path, caddy)
    assert provider.read(made.id, outs).outs == outs
    assert provider.read(made.id, older).outs == older
    provider.delete(made.id, older)
    assert [one["@id"] for one in admin.get(ROUTES).json()] == ["no-such-tenant"]


def test_a_gateway_at_a_new_address_has_what_it_had(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As that of `tenantry dev`, whose port somebody has taken since."""
    made = provider.create(props())
    with proxy(caddy, lambda _, done: passed_on(done)) as moved:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{moved.address}")
        assert provider.read(made.id, made.outs or {}).id == made.id
        changed = provider.update(made.id, made.outs or {}, props(upstream="127.0.0.1:10"))
        assert moved.address in (changed.outs or {})["server"]
        name_region(monkeypatch, tmp_path, caddy)
        provider.delete(made.id, changed.outs or {})
    assert [one["@id"] for one in admin.get(ROUTES).json()] == ["no-such-tenant"]


def test_a_server_that_never_answers(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(admin_module, "CALL_SECONDS", 0.5)
    with silent() as port:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(UnreachableError) as caught:
            provider.create(props())
        assert time.monotonic() - began < 30
        says(caught.value, "does not answer")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
) -> None:
    with proxy(caddy, lambda *_: (status, {}, b'{"error":\n"it broke"}')) as broken:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{broken.address}")
        with pytest.raises(RefusedError, match=f"answered {status} to GET") as caught:
            provider.create(props())
        says(caught.value, "it broke")
        assert len(broken.heard) == (3 if status == 503 else 1)


def test_one_that_is_busy_is_waited_for(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[int] = []

    def meddle(_request: dict[str, Any], done: httpx.Response) -> Any:
        seen.append(1)
        return (429, {"Retry-After": "0"}, b"") if len(seen) <= 2 else passed_on(done)

    with proxy(caddy, meddle) as busy:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{busy.address}")
        assert provider.create(props()).id


@pytest.mark.parametrize("ready", [True, False], ids=["definition there", "definition new"])
def test_an_answer_that_is_lost_after_the_change_was_made(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ready: bool,
) -> None:
    if ready:
        provider.create(props("first"))
    cut: list[str] = []

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] != "GET" and not cut:
            assert done.status_code == 200
            cut.append(request["method"])
            return None
        return passed_on(done)

    with proxy(caddy, meddle) as cutting:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{cutting.address}")
        made = provider.create(props())
    assert cut == (["PUT"] if ready else ["PATCH"])
    assert [one["@id"] for one in admin.get(ROUTES).json()].count(made.id) == 1


@pytest.mark.parametrize("ready", [True, False], ids=["definition there", "definition new"])
def test_one_whose_answer_was_lost_is_taken_back_where_it_is_not_served(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ready: bool,
) -> None:
    if ready:
        provider.create(props("first"))
    before = admin.get(ROUTES).json()
    statuses: list[int] = []

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] in {"PUT", "PATCH"}:
            statuses.append(done.status_code)
            return None if len(statuses) == 1 else passed_on(done)
        return passed_on(done)

    with proxy(caddy, meddle) as cutting:
        nowhere = f"https://127.0.0.1:{free_port()}"
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{cutting.address}", url=nowhere)
        with pytest.raises(NotReadyError, match="did not serve it within"):
            provider.create(props())
    # Carried out, and then stale.
    assert statuses == [200, 412]
    assert admin.get(ROUTES).json() == before


def test_one_that_was_there_stays_where_others_were_faster(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made = provider.create(props())
    theirs: list[int] = []

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] == "GET" and not theirs:
            answer = admin.put(f"{ROUTES}/0", json={"handle": [{"handler": "vars", "at": 1}]})
            theirs.append(answer.status_code)
        return passed_on(done)

    with proxy(caddy, meddle) as contested:
        nowhere = f"https://127.0.0.1:{free_port()}"
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{contested.address}", url=nowhere)
        with pytest.raises(NotReadyError, match="did not serve it within"):
            provider.update(made.id, made.outs or {}, props(upstream="127.0.0.1:10"))
    assert theirs == [200]
    assert made.id in [one.get("@id") for one in admin.get(ROUTES).json()]


def test_one_that_dies_after_the_change_leaves_what_the_next_create_adopts(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    dead: list[int] = []

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] != "GET" or dead:
            dead.append(1)
            return None
        return passed_on(done)

    with proxy(caddy, meddle) as dying:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{dying.address}")
        with pytest.raises(UnreachableError):
            provider.create(props())
    name_region(monkeypatch, tmp_path, caddy)
    made = provider.create(props())
    assert [one["@id"] for one in admin.get(ROUTES).json()].count(made.id) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [({}, b"<html>hello</html>"), ({"ETag": '"x"'}, b"[1]"), ({}, b"{}"), ({"ETag": '"x"'}, b"not json")],
)
def test_something_else_answers(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    headers: dict[str, str],
    body: bytes,
) -> None:
    with proxy(caddy, lambda *_: (200, headers, body)) as other:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{other.address}")
        with pytest.raises(RefusedError) as caught:
            provider.create(props())
        says(caught.value, "is no admin API of a Caddy", "Correct gateway.admin")


def test_who_may_not_use_the_admin_api_is_told(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # Caddy takes requests only that name it as it listens.
    with proxy(caddy, lambda _, done: passed_on(done), host="elsewhere") as wrong:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{wrong.address}")
        with pytest.raises(RefusedError, match=r"answered 403 to GET .*host not allowed") as caught:
            provider.create(props())
        says(caught.value, "gateway route 'acme'")


def test_a_change_that_caddy_refuses_does_not_take_others_along(
    caddy: EmbeddedCaddy, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = admin_module.Gateway(admin=caddy.admin, server="tenants")
    # No host of ours looks like this: the check refuses it.
    bad = RouteSpec(host="{http.request.host", mark="tenantry/bad", upstream="127.0.0.1:1")
    good = RouteSpec(host="good.tenants.localhost", mark="tenantry/good", upstream="127.0.0.1:1")

    class Bad(RouteSpec):
        def to_json(self) -> dict[str, Any]:
            return super().to_json() | {"handle": [{"handler": "no-such-module"}]}

    broken = Bad(host=bad.host, mark=bad.mark, upstream=bad.upstream)
    errors = at_once(gateway, [broken, good])
    assert list(errors) == [bad.host]
    says(errors[bad.host], "no-such-module")
    assert good.id in [one.get("@id") for one in admin.get(ROUTES).json()]
    # Whoever has the turn makes the changes of those who came before, and is not the one that they are told of.
    first = batch._Waiting(wanted=Put(spec=broken), what="the first")
    batch._lines[gateway].waiting.append(first)
    assert batch.change(gateway, Put(spec=good), "the second") is False
    assert str(first.done.exception(0)).startswith("the first: ")


def test_an_error_of_all_names_all(caddy: EmbeddedCaddy) -> None:
    gateway = admin_module.Gateway(admin=f"http://127.0.0.1:{free_port()}", server="tenants")
    specs = [RouteSpec(host=f"t{n}.localhost", mark=f"tenantry/t{n}", upstream="127.0.0.1:1") for n in range(7)]
    errors = at_once(gateway, specs)
    assert len(errors) == 7
    for error in errors.values():
        says(error, ", ".join(one.host for one in specs[:5]) + ", 2 more (changed together): ", "does not answer")


def at_once(gateway: admin_module.Gateway, specs: Sequence[RouteSpec]) -> dict[str, ProviderError]:
    """Makes the routes as one batch, in this order; the errors, by host."""
    line = batch._lines.setdefault(gateway, batch._Line())
    errors: dict[str, ProviderError] = {}

    def run(spec: RouteSpec) -> None:
        try:
            batch.change(gateway, Put(spec=spec), spec.host)
        except ProviderError as error:
            errors[spec.host] = error

    threads = [threading.Thread(target=run, args=(one,)) for one in specs]
    with line.turn:
        for number, thread in enumerate(threads, 1):
            thread.start()
            while len(line.waiting) < number:
                time.sleep(0.005)
    for thread in threads:
        thread.join(60)
    return errors


def test_others_who_are_faster_every_time(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(batch, "CHANGE_SECONDS", 1.0)

    def meddle(request: dict[str, Any], done: httpx.Response) -> Any:
        if request["method"] == "GET":
            theirs = {"handle": [{"handler": "vars", "at": time.monotonic()}]}
            admin.put(f"{ROUTES}/0", json=theirs).raise_for_status()
        return passed_on(done)

    with proxy(caddy, meddle) as contested:
        name_region(monkeypatch, tmp_path, caddy, admin=f"http://{contested.address}")
        with pytest.raises(NotReadyError) as caught:
            provider.create(props())
        says(caught.value, "changed by others at every try", "Try again")


def test_a_line_that_does_not_move_is_not_waited_for_for_ever(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "QUEUE_SECONDS", 0.2)
    gateway = admin_module.Gateway(admin=caddy.admin, server="tenants", ca_file=str(caddy.ca_file))
    line = batch._lines.setdefault(gateway, batch._Line())
    with line.turn, pytest.raises(NotReadyError, match="still busy with other changes"):
        provider.create(props())
    assert line.waiting == []


def test_a_gateway_whose_hosts_do_not_answer(
    provider: GatewayRouteProvider,
    caddy: EmbeddedCaddy,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(probe, "CALL_SECONDS", 0.5)
    with silent() as port:
        for where in (f"https://127.0.0.1:{port}", f"https://127.0.0.1:{free_port()}", caddy.url.replace("s:", ":")):
            name_region(monkeypatch, tmp_path, caddy, url=where)
            began = time.monotonic()
            with pytest.raises(NotReadyError) as caught:
                provider.create(props())
            assert time.monotonic() - began < 60
            says(caught.value, where, "did not serve it within", "Check gateway.url")
    assert [one["@id"] for one in admin.get(ROUTES).json()] == ["no-such-tenant"]


def test_a_certificate_that_is_not_trusted(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_region(monkeypatch, tmp_path, caddy, caFile=None)
    with pytest.raises(NotReadyError) as caught:
        provider.create(props())
    says(caught.value, "CERTIFICATE_VERIFY_FAILED", "TLS policy")
    for content in (None, "no certificate"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path = tmp_path / "other.pem"
            path.write_text(content)
        name_region(monkeypatch, tmp_path, caddy, caFile=str(path))
        with pytest.raises(ConfigurationError, match=rf"the file of certificates {path} cannot be used: .*caFile"):
            provider.create(props())


def test_a_host_that_the_certificate_is_not_for(
    provider: GatewayRouteProvider, caddy: EmbeddedCaddy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_region(monkeypatch, tmp_path, caddy, domain="elsewhere.localhost")
    with pytest.raises(NotReadyError) as caught:
        provider.create(props())
    says(caught.value, "acme.elsewhere.localhost", "TLS")


def test_restarted_it_has_its_routes_and_killed_as_well(
    provider: GatewayRouteProvider, own_caddy: EmbeddedCaddy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = provider.create(props(upstream=upstream.address))
    assert made.outs is not None
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if sign is signal.SIGKILL:
            running = sandbox_caddy.attach(own_caddy.directory)
            assert running is not None
            os.kill(running.pid, sign)
            while process.command_of(running.pid):
                time.sleep(0.01)
        else:
            own_caddy.stop()
        with pytest.raises(UnreachableError):
            provider.read(made.id, made.outs)
        sandbox_caddy.start(own_caddy.directory)
        assert provider.read(made.id, made.outs).outs == made.outs
        assert not provider.diff(made.id, made.outs, props(upstream=upstream.address)).changes


def test_one_that_has_lost_everything_is_told_and_filled_again(
    provider: GatewayRouteProvider, own_caddy: EmbeddedCaddy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = provider.create(props(upstream=upstream.address))
    own_caddy.stop()
    (own_caddy.directory / "caddy" / "config" / "caddy" / "autosave.json").unlink()
    sandbox_caddy.start(own_caddy.directory)
    assert provider.read(made.id, made.outs or {}).id == ""
    assert provider.create(props(upstream=upstream.address)).outs == made.outs


def test_no_secret_is_in_a_route_an_output_or_a_log(
    provider: GatewayRouteProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = sandbox_caddy.start(tmp_path / "own", environment={SECRET_NAME: SECRET})
    try:
        nowhere = f"http://127.0.0.1:{free_port()}"
        name_region(monkeypatch, tmp_path, server, authUrl=nowhere, authSecretFrom=SECRET_NAME)
        monkeypatch.setenv(SECRET_NAME, SECRET)
        made = provider.create(props(auth="jwt"))
        assert SECRET not in str(made.outs)
        from tests.caddy.helpers import Visitor

        with Visitor(server) as visitor:
            assert visitor.get("acme", headers={"Authorization": "Bearer t0ken-of-somebody"}).status_code == 502
        server.stop()
        for path in (tmp_path / "own").rglob("*"):
            if path.is_file():
                text = path.read_bytes()
                assert SECRET.encode() not in text, path
                assert b"t0ken-of-somebody" not in text, path
    finally:
        sandbox_caddy.remove(server.directory)
