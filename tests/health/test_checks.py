"""The checks of a tenant's parts against real small servers on loopback that fail, hang, trickle or never end."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from providers.health import checks as checks_module
from providers.health import run
from providers.health.checks import MOST_BYTES, CheckError, Parts, checks_of, container
from providers.health.run import GRACE_SECONDS, Checked

LIMIT = 1.0
SLACK = 3.0
"""What a machine with much to do may need on top."""
SECRET = "a-secret-of-the-client"
Serve = Callable[[socket.socket], None]
Server = Callable[[Serve], str]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_module, "SECONDS", LIMIT)


def check(parts: Parts, *, seconds: float = 0.0) -> list[Checked]:
    return run.check(checks_of(parts), seconds=seconds)


@pytest.fixture
def server() -> Iterator[Server]:
    """Starts servers that do `serve` with each connection; gives `host:port`."""
    with contextlib.ExitStack() as stack:
        yield lambda serve: stack.enter_context(_serving(serve))


@contextlib.contextmanager
def _serving(serve: Serve) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(connection)
            connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                opened.append(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone leaves an accept() or a recv() of another thread waiting.
        for each in (listener, *opened):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(5)


def asked(connection: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65_536)
        if not part:
            raise OSError("the caller has gone")
        got += part


def hang(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def refuse(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")


def cut(connection: socket.socket) -> None:
    asked(connection)


def answer(body: bytes, status: str = "200 OK") -> Serve:
    def serve(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body)

    return serve


def trickle_head(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: 1\r\n")
        time.sleep(LIMIT / 4)


def trickle_body(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        connection.sendall(b".")
        time.sleep(LIMIT / 4)


def endless(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * MOST_BYTES)


def endless_head(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: 1\r\n" * 1000)


def database_that_hangs(connection: socket.socket) -> None:
    """Lets everybody in, by PostgreSQL's protocol 3.0, and answers no statement."""
    while True:
        (size,) = struct.unpack("!i", connection.recv(4, socket.MSG_WAITALL))
        rest = connection.recv(size - 4, socket.MSG_WAITALL)
        if rest[:2] == b"\x04\xd2":  # a request for encryption, by TLS or by GSSAPI
            connection.sendall(b"N")
            continue
        connection.sendall(b"R" + struct.pack("!ii", 8, 0) + b"Z" + struct.pack("!i", 5) + b"I")
        hang(connection)
        return


def parts_at(where: str) -> dict[str, Parts]:
    """Each part by itself, all of them at that address."""
    return {
        "database": Parts(database_url=f"postgresql://u:{SECRET}@{where}/d"),
        "credential": Parts(token_endpoint=f"http://{where}/token", client_id="c", client_secret=SECRET),
        "container": Parts(container_url=f"http://{where}/health"),
        "workflow email": Parts(webhooks={"email": f"http://{where}/webhook"}),
        "gateway": Parts(route="https://finance.tenants.example/", gateway=f"http://{where}"),
    }


PARTS = tuple(parts_at(""))
OF_HTTP = tuple(part for part in PARTS if part != "database")


def one_of(parts: Parts) -> Checked:
    """The only check, which did not take longer than it may."""
    began = time.monotonic()
    (found,) = check(parts)
    assert time.monotonic() - began < LIMIT + GRACE_SECONDS + SLACK
    assert SECRET not in found.detail
    return found


@pytest.mark.parametrize("part", OF_HTTP)
@pytest.mark.parametrize("serve", [hang, trickle_head], ids=lambda serve: serve.__name__)
def test_an_answer_that_does_not_come_in_time(server: Server, part: str, serve: Serve) -> None:
    found = one_of(parts_at(server(serve))[part])
    assert (found.part, found.ok, found.detail) == (part, False, "no answer within 1 s")


@pytest.mark.parametrize("part", OF_HTTP)
def test_a_body_that_trickles_ends_at_the_limit_too(server: Server, part: str) -> None:
    assert one_of(parts_at(server(trickle_body))[part]).detail == "no answer within 1 s"


@pytest.mark.parametrize("part", OF_HTTP)
def test_of_a_body_without_end_no_more_is_read_than_is_needed(server: Server, part: str) -> None:
    found = one_of(parts_at(server(endless))[part])
    assert found.detail == ("the authorization server's answer holds no access token" if part == "credential" else "")


@pytest.mark.parametrize("part", OF_HTTP)
def test_a_head_without_end(server: Server, part: str) -> None:
    assert one_of(parts_at(server(endless_head))[part]).detail.startswith("no answer: ")


@pytest.mark.parametrize("part", PARTS)
def test_a_server_that_cuts_the_connection_off(server: Server, part: str) -> None:
    found = one_of(parts_at(server(cut if part != "database" else socket.socket.close))[part])
    assert not found.ok
    assert found.detail


@pytest.mark.parametrize("part", PARTS)
def test_a_server_that_is_not_there(part: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = one_of(parts_at(f"127.0.0.1:{port}")[part])
    assert not found.ok
    assert found.detail


@pytest.mark.parametrize("part", OF_HTTP)
def test_an_answer_that_is_a_failure_is_told_with_its_status(server: Server, part: str) -> None:
    assert " answered 500" in one_of(parts_at(server(refuse))[part]).detail


def test_a_database_that_lets_in_and_answers_nothing(server: Server) -> None:
    found = one_of(parts_at(server(database_that_hangs))["database"])
    assert (found.ok, found.detail) == (False, "no answer within 1 s")


def test_what_the_authorization_server_says_is_told_and_its_token_is_not(server: Server) -> None:
    refused = one_of(parts_at(server(answer(b'{"error": "invalid_client"}', "401 No")))["credential"])
    assert refused.detail == "the authorization server answered 401 (invalid_client)"
    deep = one_of(parts_at(server(answer(b"[" * 60_000)))["credential"])
    assert deep.detail == "the authorization server's answer holds no access token"
    assert one_of(parts_at(server(answer(b'{"access_token": "t"}')))["credential"]).ok


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_wrong_ca_file_is_named_and_the_other_parts_are_told(
    server: Server, tmp_path: Path, content: str | None
) -> None:
    where = server(answer(b'{"access_token": "t"}'))
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    parts = replace(
        parts_at(where)["credential"],
        container_url=f"http://{where}/health",
        route="https://finance.tenants.example/",
        gateway=f"https://{where}",
        ca=str(file),
    )
    found = {one.part: one for one in check(parts)}
    assert {part: one.ok for part, one in found.items()} == {"credential": True, "container": True, "gateway": False}
    assert found["gateway"].detail.startswith(f"the region's caFile {file} cannot be used: ")


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(CheckError, match="its URL cannot be asked: Invalid"):
        container("http://127.0.0.1:port/health")


def test_a_fault_of_a_check_is_told_without_what_it_was_given(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(_url: str) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(checks_module, "container", faulty)
    where = server(answer(b'{"access_token": "t"}'))
    found = check(replace(parts_at(where)["credential"], container_url=f"http://{where}/health"))
    assert [one.ok for one in found] == [True, False]
    assert found[1].detail.startswith("the check itself failed with RuntimeError in faulty, line ")
    assert SECRET not in found[1].detail


def test_more_than_are_asked_at_once_are_all_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a machine that is busy twelve answers take their time too.
    monkeypatch.setattr(checks_module, "SECONDS", 5 * LIMIT)
    where, silent = server(answer(b"")), server(hang)
    # The first eight hold all places.
    urls = {f"w{number}": f"http://{silent if number < 8 else where}/" for number in range(20)}
    found = check(Parts(webhooks=urls))
    assert [one.part for one in found] == [f"workflow {key}" for key in urls]
    assert [one.ok for one in found] == [False] * 8 + [True] * 12


def test_a_part_that_comes_up_late_is_waited_for(server: Server) -> None:
    began = time.monotonic()

    def later(connection: socket.socket) -> None:
        (answer(b"") if time.monotonic() > began + 1 else refuse)(connection)

    assert check(parts_at(server(later))["container"], seconds=20)[0].ok


def test_a_check_that_hangs_keeps_no_process(server: Server) -> None:
    code = (
        "from providers.health import checks, run\n"
        f"checks.SECONDS = {LIMIT}\n"
        f"parts = checks.Parts(database_url='postgresql://u:p@{server(database_that_hangs)}/d')\n"
        "print(run.check(checks.checks_of(parts))[0].detail)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "no answer within 1 s\n"
