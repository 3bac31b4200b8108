"""An engine behind TLS that asks for a client's certificate: a door with TLS to the real one."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.providers.plugin import Plugin, PluginError


@dataclass(frozen=True)
class Materials:
    ca: str
    cert: str
    key: str


@pytest.fixture(scope="module")
def materials() -> Materials:
    return own_authority()


def own_authority() -> Materials:
    """One certificate that is authority, server and client at once: who has its key is let in."""
    made = self_signed("127.0.0.1")
    return Materials(ca=made.cert, cert=made.cert, key=made.key)


@contextmanager
def tls_door(host: str, materials: Materials, folder: Path) -> Iterator[str]:
    for name in ("cert", "key"):
        (folder / name).write_text(getattr(materials, name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=materials.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "cert", folder / "key")
    server = socket.create_server(("127.0.0.1", 0), backlog=50)

    def relay(client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        with client, engine, suppress(OSError), context.wrap_socket(client, server_side=True) as open_client:
            engine.connect(host.removeprefix("unix://"))
            while True:
                for ready in select.select([open_client, engine], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (engine if ready is open_client else open_client).sendall(data)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=relay, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def test_with_the_certificate_and_without(
    plugin: Plugin, process: Plugin, host: str, unique: str, materials: Materials, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"caMaterial": materials.ca, "certMaterial": materials.cert, "keyMaterial": materials.key}
    with tls_door(host, materials, tmp_path) as door:
        process.configure(host=door, **given)
        made = plugin.create("Volume", "x", name=unique)
        assert plugin.refresh(made)
        process.configure(host=door, caMaterial=materials.ca)
        with pytest.raises(
            PluginError, match=r"Check certPath, or caMaterial, certMaterial, keyMaterial|no Docker engine"
        ):
            plugin.create("Volume", "x", name=unique, keep=False)
        process.configure(host=door, **given | {"caMaterial": self_signed("somebody.else").cert})
        with pytest.raises(PluginError, match="no TLS with") as caught:
            plugin.create("Volume", "x", name=unique, keep=False)
        assert materials.key.splitlines()[1] not in str(caught.value)
        folder = tmp_path / "certs"
        folder.mkdir()
        for name in ("ca", "cert", "key"):
            (folder / f"{name}.pem").write_text(getattr(materials, name))
        process.configure(host=door, certPath=str(folder))
        assert plugin.refresh(made)
    process.configure(host=host)
