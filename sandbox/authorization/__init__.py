"""An authorization server for one machine: OAuth clients that register themselves, and tokens for them.

Starts, finds and stops one per folder, on loopback only. It serves RFC 7591 and 7592 (registration), tokens by
client_credentials (RFC 6749, as the JWTs of RFC 9068), introspection (RFC 7662), revocation (RFC 7009) and metadata
(RFC 8414, and where OpenID has them), built on Authlib; clients are kept in SQLite. Its secrets lie in files that only
their owner reads, and are never printed. By hand: `python -m sandbox.authorization start|stop|status|remove --dir D`.

Besides the standards it answers a question that they leave open, which clients there are. With the initial token,
`GET {client_lookup_endpoint}?software_id=S` lists those of S, and a POST to `{registration_client_uri}` with
`/registration-access-token` after it gives a client's new registration access token.
"""

import json
import os
import secrets
import shutil
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.process import HOST, end, launch, locked, pid_of, port_of, private
from sandbox.running import StoppedAtEnd, on_port, stopped

WHAT = "the authorization server"
_SETTINGS = "settings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationServer(StoppedAtEnd):
    """A running server. As a context manager it is stopped at the end; its clients stay.

    `initial_token` lets register and look up clients; the resource server may introspect tokens, with its secret.
    """

    directory: Path
    port: int
    pid: int
    initial_token: str = field(repr=False)
    resource_id: str
    resource_secret: str = field(repr=False)

    @property
    def issuer(self) -> str:
        return f"http://{HOST}:{self.port}"

    def stop(self) -> None:
        stop(self.directory)


def start(data_dir: Path, port: int = 0, *, scopes: Sequence[str] | None = None) -> AuthorizationServer:
    """Start the folder's server, or find the one that runs. Port 0 means the folder's last one, at first any free one.

    `scopes` are all that clients may have; None leaves the folder's as they are, at first any.
    Raises PortTakenError, DiskFullError, StartError, or SandboxError; each says what to do.
    """
    home = Path(data_dir).resolve()
    with locked(home, WHAT):
        running = _running(home)
        if running is None:
            # One that runs and does not answer is dying, or hangs.
            end(home, WHAT)
            # Its clients know the server by its port: another one would lose them.
            kept = port_of(home) if (home / "clients.sqlite").exists() else 0
            _prepare(home, scopes)
            launch(home, WHAT, lambda chosen: _command(home, chosen), _answers, port=port or kept, env=_environment())
            running = _running(home)
            assert running is not None  # noqa: S101 - it has just answered, and the folder is ours
    return on_port(running, port, WHAT, home)


def attach(data_dir: Path) -> AuthorizationServer | None:
    """The folder's server if it runs, else None. Writes nothing."""
    return _running(Path(data_dir).resolve())


def stop(data_dir: Path) -> bool:
    """Stop the folder's server. True when one was running. Raises StopError."""
    return stopped(Path(data_dir).resolve(), WHAT)


def remove(data_dir: Path) -> None:
    """Stop the folder's server and delete its clients and keys for good."""
    home = Path(data_dir).resolve()
    if home.exists():
        stop(home)
        if (home / _SETTINGS).exists():
            shutil.rmtree(home)


def _prepare(home: Path, scopes: Sequence[str] | None) -> None:
    path = home / _SETTINGS
    if path.exists():
        settings = json.loads(path.read_text())
    else:
        settings = {
            "initial_token": secrets.token_urlsafe(32),
            "resource_id": "resource-server",
            "resource_secret": secrets.token_urlsafe(32),
            "scopes": None,
        }
    if scopes is not None:
        settings["scopes"] = sorted(scopes)
    elif path.exists():
        return
    # Written aside and renamed: an interrupted first start leaves nothing half made.
    partial = home / f"{_SETTINGS}.partial"
    private(partial, json.dumps(settings))
    partial.replace(path)


def _command(home: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "sandbox.authorization.server", str(home), str(port)]


def _environment() -> dict[str, str]:
    # The server runs in its own folder, where a checkout that is not installed would not be found.
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # of which urllib's are a kind
        return False


def _running(home: Path) -> AuthorizationServer | None:
    pid = pid_of(home)
    if pid is None or not _answers(port_of(home)):
        return None
    settings = json.loads((home / _SETTINGS).read_text())
    return AuthorizationServer(
        directory=home,
        port=port_of(home),
        pid=pid,
        initial_token=settings["initial_token"],
        resource_id=settings["resource_id"],
        resource_secret=settings["resource_secret"],
    )
