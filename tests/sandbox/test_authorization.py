"""The embedded authorization server as a process: found again, restarted after a crash, closed to others.

What it answers is held by the contract that providers.oauth keeps with it and with Keycloak (tests/oauth).
"""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from sandbox import authorization
from sandbox.authorization import AuthorizationServer
from sandbox.errors import PortTakenError, StartError


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "server"
    authorization.remove(tmp_path / "server")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    """For tests that neither stop nor break it."""
    home = tmp_path_factory.mktemp("shared") / "server"
    yield authorization.start(home, scopes=["read", "write"])
    authorization.remove(home)


def call(server: AuthorizationServer, method: str, path: str, **sent: Any) -> httpx.Response:
    return httpx.request(method, f"{server.issuer}{path}", timeout=30, trust_env=False, **sent)


def registered(server: AuthorizationServer, **metadata: Any) -> dict[str, Any]:
    answer = call(
        server,
        "POST",
        "/register",
        headers={"Authorization": f"Bearer {server.initial_token}"},
        json={"client_name": "Acme", "software_id": "tenantry/acme", "scope": "read"} | metadata,
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def token_of(server: AuthorizationServer, client: dict[str, Any], **form: str) -> httpx.Response:
    form = {"grant_type": "client_credentials"} | form
    return call(server, "POST", "/token", data=form, auth=(client["client_id"], client["client_secret"]))


def test_start_find_stop_and_keep_the_clients(folder: Path) -> None:
    assert authorization.attach(folder) is None
    first = authorization.start(folder)
    assert authorization.start(folder) == first
    assert authorization.attach(folder) == first
    client = registered(first)
    assert authorization.stop(folder)
    assert not authorization.stop(folder)
    assert authorization.attach(folder) is None
    again = authorization.start(folder)
    assert (again.issuer, again.initial_token) == (first.issuer, first.initial_token)
    assert token_of(again, client).status_code == 200


def test_a_killed_server_starts_again_with_its_clients_and_its_key(folder: Path) -> None:
    first = authorization.start(folder)
    client = registered(first)
    token = token_of(first, client).json()["access_token"]
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    again = authorization.start(folder)
    assert again.pid != first.pid
    auth = (again.resource_id, again.resource_secret)
    assert call(again, "POST", "/introspect", data={"token": token}, auth=auth).json()["active"] is True


def test_it_is_closed_to_others_and_shows_no_secret(folder: Path) -> None:
    with authorization.start(folder) as server:
        client = registered(server)
        for name in ("settings.json", "key.json", "clients.sqlite", "server.log"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text() if Path("/proc").exists() else ""
        for secret in (server.initial_token, server.resource_secret, client["client_secret"]):
            assert secret not in repr(server) + arguments + (folder / "server.log").read_text()
        kept = client["registration_access_token"].encode()
        assert not any(kept in path.read_bytes() for path in folder.iterdir())
    assert authorization.attach(folder) is None


def test_a_token_is_a_signed_jwt_with_the_clients_scopes(shared: AuthorizationServer) -> None:
    server = shared
    client = registered(server, scope="read write")
    token = token_of(server, client).json()["access_token"]
    keys = jwt.PyJWKSet.from_dict(call(server, "GET", "/jwks").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=server.resource_id, issuer=server.issuer)
    assert (claims["client_id"], claims["scope"]) == (client["client_id"], "read write")
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert "private" not in json.dumps(call(server, "GET", "/jwks").json())
    assert not {"d", "p", "q"} & set(call(server, "GET", "/jwks").json()["keys"][0])
    refused = token_of(server, client, scope="admin")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "metadata",
    [
        {"grant_types": ["password"]},
        {"grant_types": "client_credentials"},
        {"response_types": ["code"]},
        {"token_endpoint_auth_method": "none"},
        {"client_name": 3},
        {"client_name": "x" * 256},
        {"scope": "nobody-has-this"},
        {"redirect_uris": 3},
        {"jwks": 3},
    ],
)
def test_what_it_does_not_do_is_refused(shared: AuthorizationServer, metadata: dict[str, Any]) -> None:
    server = shared
    headers = {"Authorization": f"Bearer {server.initial_token}"}
    answer = call(server, "POST", "/register", headers=headers, json={"scope": "read"} | metadata)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    for body in (b"", b"[", b"[]", b'"x"', b"[" * 60_000):
        answer = call(server, "POST", "/register", headers=headers, content=body)
        assert answer.status_code == 400, body
    assert (server.directory / "server.log").read_text() == ""


def test_only_who_may_registers_looks_up_and_introspects(shared: AuthorizationServer) -> None:
    server = shared
    client, other = registered(server), registered(server, software_id="tenantry/other")
    own = {"Authorization": f"Bearer {client['registration_access_token']}"}
    uri = f"/register/{client['client_id']}"
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer é".encode("latin-1")}, own):
        assert call(server, "POST", "/register", headers=headers, json={}).status_code == 401
        assert call(server, "GET", "/register?software_id=tenantry/acme", headers=headers).status_code == 401
        assert call(server, "POST", f"{uri}/registration-access-token", headers=headers).status_code == 401
        assert call(server, "DELETE", f"/register/{other['client_id']}", headers=headers).status_code == 401
    token = token_of(server, client).json()["access_token"]
    for auth, active in (((server.resource_id, server.resource_secret), True), (_auth(other), False)):
        answer = call(server, "POST", "/introspect", data={"token": token}, auth=auth)
        assert answer.json()["active"] is active
    assert call(server, "POST", "/introspect", data={"token": token}, auth=("x", "y")).status_code == 401
    assert call(server, "POST", "/revoke", data={"token": token}, auth=_auth(other)).status_code == 400
    assert call(server, "POST", "/revoke", data={"token": token}, auth=_auth(client)).status_code == 200
    auth = (server.resource_id, server.resource_secret)
    assert call(server, "POST", "/introspect", data={"token": token}, auth=auth).json() == {"active": False}


def _auth(client: dict[str, Any]) -> tuple[str, str]:
    return client["client_id"], client["client_secret"]


def test_starters_at_once_get_one_server(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: authorization.start(folder), range(4)))
    assert len({server.pid for server in servers}) == 1


def test_a_port_that_its_clients_know_is_not_changed(folder: Path) -> None:
    server = authorization.start(folder)
    with pytest.raises(PortTakenError, match="already runs on port"):
        authorization.start(folder, server.port + 1)
    registered(server)
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        with pytest.raises(PortTakenError, match=f"port {server.port} .* taken"):
            authorization.start(folder)
    assert authorization.start(folder).port == server.port


def test_broken_settings_give_the_servers_own_words(folder: Path) -> None:
    authorization.start(folder).stop()
    (folder / "key.json").write_text("{}")
    with pytest.raises(StartError, match=r"did not start: .*server\.log"):
        authorization.start(folder)


def test_by_hand(folder: Path) -> None:
    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "sandbox.authorization", *args, "--dir", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert run("status").returncode == 3
    started = run("start")
    assert started.returncode == 0, started.stderr
    server = authorization.attach(folder)
    assert server is not None
    assert server.initial_token not in started.stdout + started.stderr
    facts = json.loads(run("status", "--json").stdout)
    assert (facts["state"], facts["issuer"], facts["pid"]) == ("running", server.issuer, server.pid)
    wrong = run("start", "--port", str(server.port + 1))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("error: ")
    assert run("stop").returncode == 0
    assert run("status").returncode == 3
    assert run("remove").returncode == 0
    assert not folder.exists()
