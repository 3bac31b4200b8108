"""Servers that a test has to itself, so that it may stop and break them."""

import contextlib
import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import postgres as sandbox_postgres
from sandbox.postgres import EmbeddedPostgres


@contextlib.contextmanager
def own_postgres() -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """A server and its folder. Whatever becomes of it in between, both are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="tenantry-test-pg-"))
    home.chmod(0o711)
    try:
        yield home, sandbox_postgres.start(home)
    finally:
        sandbox_postgres.remove(home)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def named_postgres(
    monkeypatch: pytest.MonkeyPatch, database: str = "tenantry"
) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """The same, named by the environment."""
    with own_postgres() as (home, server):
        for key, value in (server.env() | {"DB_NAME": database}).items():
            monkeypatch.setenv(key, value)
        yield home, server


@contextlib.contextmanager
def door(address: str, target: tuple[str, int]) -> Iterator[int]:
    """The port at `address`, one of this machine's, by which the server at `target` is reached, too."""
    server = socket.create_server((address, 0), backlog=50)

    def relay(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(target, timeout=30) as there:
            while found := select.select([client, there], [], [], 600)[0]:
                for ready in found:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (there if ready is client else client).sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=relay, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)
