"""The sample application, run as a process with real parts: its page, its health, what it says when a part is away."""

import contextlib
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import sql

from sandbox import authorization
from sandbox.authorization import AuthorizationServer
from sandbox.process import free_port
from sandbox.sample_app.parts import credential
from tests.conftest import MainDatabase
from tests.docker.test_tls import own_authority

SECRET = "n0t-to-be-shown"


@contextlib.contextmanager
def running(**env: str) -> Iterator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.sample_app"],
        env={"PATH": os.defpath, "PYTHONPATH": str(Path.cwd()), "HOST": "127.0.0.1", "PORT": str(port), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.get("/health")
                break
            except httpx.TransportError:
                assert process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it did not serve"
                time.sleep(0.05)
        try:
            yield client, process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def department(main_db: MainDatabase) -> Iterator[str]:
    """The URL of a role of its own, which may use a table `events`."""
    role = f"role_{main_db.name}"
    with main_db.connect() as connection:
        connection.execute(
            "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, kind text NOT NULL, source text, "
            "created_at timestamptz NOT NULL DEFAULT now())"
        )
        name = sql.Identifier(role)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(SECRET)))
        connection.execute(sql.SQL("GRANT SELECT, INSERT ON events TO {}").format(name))
    server = main_db.server
    yield f"postgresql://{role}:{SECRET}@{server.host}:{server.port}/{main_db.name}"
    with main_db.connect() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    home = tmp_path_factory.mktemp("issuer")
    try:
        yield authorization.start(home / "server")
    finally:
        authorization.remove(home / "server")


@pytest.fixture
def client_of(issuer: AuthorizationServer) -> dict[str, str]:
    metadata = httpx.get(f"{issuer.issuer}/.well-known/oauth-authorization-server").json()
    made = httpx.post(
        metadata["registration_endpoint"],
        headers={"Authorization": f"Bearer {issuer.initial_token}"},
        json={
            "client_name": "sample",
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic",
        },
    ).json()
    return {
        "OAUTH_TOKEN_ENDPOINT": metadata["token_endpoint"],
        "OAUTH_CLIENT_ID": made["client_id"],
        "OAUTH_CLIENT_SECRET": made["client_secret"],
    }


def test_every_part_is_used(department: str, client_of: dict[str, str], main_db: MainDatabase) -> None:
    with running(TENANT="Blue <b>Team", DATABASE_URL=department, PUBLIC_URL="https://blue.example", **client_of) as (
        client,
        process,
    ):
        health = client.get("/health")
        assert health.json() == {"status": "ok", "tenant": "Blue <b>Team"}
        first = client.get("/", headers={"X-Forwarded-Host": "blue.example", "X-Forwarded-Proto": "https"})
        assert first.status_code == 200
        assert "Blue &lt;b&gt;Team" in first.text
        assert first.text.count("<span>works</span>") == 3
        assert "https://blue.example" in first.text
        client.get("/")
        parts = client.get("/parts")
        assert parts.status_code == 200
        found = parts.json()
        assert found["database"]["visits"] == 2
        assert found["database"]["role"].startswith("role_")
        assert found["credential"]["seconds"] > 0
        assert found["credential"]["type"].lower() == "bearer"
        assert found["route"]["through_gateway"] is False
        for answer in (health, first, parts):
            assert SECRET not in answer.text
            assert client_of["OAUTH_CLIENT_SECRET"] not in answer.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        log = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert {"method": "GET", "path": "/parts", "status": "200"}.items() <= log[-1].items()
    with main_db.connect() as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_without_parts_it_still_serves() -> None:
    with running() as (client, _):
        assert client.get("/").text.count("<span>not given</span>") == 2
        assert client.get("/parts").status_code == 200
        assert client.get("/nothing").status_code == 404
        head = client.head("/")
        assert (head.status_code, head.text) == (200, "")
        assert int(head.headers["Content-Length"]) > 100
        assert "default-src 'none'" in head.headers["Content-Security-Policy"]


def test_a_part_that_is_away_is_named_without_its_secret(
    department: str, client_of: dict[str, str], issuer: AuthorizationServer
) -> None:
    wrong: dict[str, Any] = {**client_of, "OAUTH_CLIENT_SECRET": SECRET}
    away = f"postgresql://someone:{SECRET}@127.0.0.1:{free_port()}/db"
    with running(DATABASE_URL=away, **wrong) as (client, _):
        answer = client.get("/parts")
        assert answer.status_code == 503
        found = answer.json()
        assert "OperationalError" in found["database"]["error"]
        assert found["credential"]["error"] in {"the server answered 401", "the server answered 400"}
        page = client.get("/")
        assert page.status_code == 200
        assert page.text.count("<span>does not work</span>") == 2
        assert SECRET not in answer.text + page.text
        # It serves all the same: a database that is away is no reason to start it again.
        assert client.get("/health").status_code == 200


@pytest.fixture
def tls_issuer(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A token endpoint with a certificate of its own authority, and that certificate."""
    made = own_authority()
    (tmp_path / "cert").write_text(made.cert)
    (tmp_path / "key").write_text(made.key)

    class Tokens(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Nothing: a test's output is its own."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": SECRET, "token_type": "Bearer", "expires_in": 60}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/token", made.ca
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_an_authority_of_its_own_is_trusted(tls_issuer: tuple[str, str]) -> None:
    endpoint, certificate = tls_issuer
    client = {"OAUTH_TOKEN_ENDPOINT": endpoint, "OAUTH_CLIENT_ID": "one", "OAUTH_CLIENT_SECRET": SECRET}
    found = credential({**client, "OAUTH_CA_PEM": certificate})
    assert (found["ok"], found.get("client")) == (True, "one"), found
    assert "CERTIFICATE_VERIFY_FAILED" in credential(client)["error"]


def test_no_table(main_db: MainDatabase) -> None:
    with running(DATABASE_URL=main_db.url) as (client, _):
        found = client.get("/parts").json()["database"]
        assert 'UndefinedTable: relation "events" does not exist' in found["error"]
        assert main_db.server.password not in json.dumps(found)


@pytest.mark.parametrize("port", ["no-number", "70000", "taken"])
def test_where_it_cannot_listen_it_says_so(port: str) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        given = str(other.getsockname()[1]) if port == "taken" else port
        ended = subprocess.run(
            [sys.executable, "-m", "sandbox.sample_app"],
            env={"PATH": os.defpath, "PYTHONPATH": str(Path.cwd()), "PORT": given},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot listen at HOST and PORT: ")
    assert ended.stderr.count("\n") == 1
