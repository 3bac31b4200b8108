"""All servers that tenants are built on, on one machine: authorization, n8n (simulated), Caddy, supervisor, ERPNext and
Odoo (both simulated); and a simulated bench for sites.

Decides where each keeps its data, and writes the file that says where they are, in the words of Tenantry's backends.
The PostgreSQL is the caller's. It holds nothing running: each server is a process of its own, which outlives this one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import authorization, caddy, supervisor
from sandbox.erpnext import server as erpnext
from sandbox.errors import SandboxError
from sandbox.n8n import server as n8n
from sandbox.odoo import server as odoo
from sandbox.postgres import EmbeddedPostgres
from sandbox.process import private
from sandbox.running import StoppedAtEnd

REGION = "local"
DATABASE = "departments"
BACKENDS_VARIABLE = "TENANTRY_BACKENDS"
SITE_BACKUPS = "site-backups"
SITE_SECONDS = 1.0
"""How long a simulated command of bench takes: so that there is something to be seen."""
_PREFIX = "TENANTRY_BACKEND_LOCAL_"
_SERVERS: Mapping[str, Any] = {
    "authorization": authorization,
    "n8n": n8n,
    "gateway": caddy,
    "supervisor": supervisor,
    "erpnext": erpnext,
    "odoo": odoo,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRegion(StoppedAtEnd):
    """A running region. As a context manager it is stopped at the end; what was made in it stays.

    `environment` names the file of backends and holds their secrets: pass it on, never show it.
    """

    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    gateway: caddy.EmbeddedCaddy
    name: str = REGION

    def stop(self) -> None:
        stop(self.directory)


def start(directory: Path, postgres: EmbeddedPostgres, *, auth_url: str | None = None) -> EmbeddedRegion:
    """Starts the folder's servers, or finds those that run. `auth_url` is the service that the gateway asks.

    Raises SandboxError of the first that does not start; then those that this has started are stopped again.
    """
    home = Path(directory).resolve()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = [name for name, server in _SERVERS.items() if server.attach(home / name) is not None]
    try:
        return _started(home, postgres, auth_url)
    except Exception as error:
        try:
            _stop(home, [name for name in _SERVERS if name not in before])
        except SandboxError as stuck:
            raise SandboxError(f"{error}; and what was started beside it could not be stopped: {stuck}") from error
        raise


def _started(home: Path, postgres: EmbeddedPostgres, auth_url: str | None) -> EmbeddedRegion:
    shared = _shared_secret(home / "gateway-secret")
    starting: Mapping[str, Callable[[], Any]] = {
        "database": lambda: _ensure_database(postgres),
        "authorization": lambda: authorization.start(home / "authorization"),
        "n8n": lambda: n8n.start(home / "n8n"),
        "gateway": lambda: caddy.start(home / "gateway", environment={f"{_PREFIX}GATEWAY": shared}),
        "supervisor": lambda: supervisor.start(home / "supervisor"),
        "erpnext": lambda: erpnext.start(home / "erpnext"),
        "odoo": lambda: odoo.start(home / "odoo"),
    }
    # Each takes a second, most of which it spends waiting for itself.
    with ThreadPoolExecutor(max_workers=len(starting)) as pool:
        running = {name: pool.submit(work) for name, work in starting.items()}
        servers = {name: one.result() for name, one in running.items()}
    # A folder for backups is never made by what puts them there: see `providers.site.stores`.
    (home / SITE_BACKUPS).mkdir(mode=0o700, exist_ok=True)
    content = _backends(home, postgres, servers, auth_url)
    file = home / "backends.yaml"
    _write(file, content)
    environment = {
        BACKENDS_VARIABLE: str(file),
        f"{_PREFIX}DATABASE": postgres.password,
        f"{_PREFIX}OAUTH": servers["authorization"].initial_token,
        f"{_PREFIX}CONTAINER": servers["supervisor"].password,
        f"{_PREFIX}N8N": servers["n8n"].key,
        f"{_PREFIX}GATEWAY": shared,
        f"{_PREFIX}ERPNEXT_KEY": servers["erpnext"].key,
        f"{_PREFIX}ERPNEXT_SECRET": servers["erpnext"].secret,
        f"{_PREFIX}ODOO": servers["odoo"].key,
    }
    return EmbeddedRegion(directory=home, environment=environment, gateway=servers["gateway"])


def stop(directory: Path) -> bool:
    """Stops the folder's servers. True when any was running. Raises SandboxError once all others are stopped."""
    return _stop(Path(directory).resolve(), _SERVERS)


def _stop(home: Path, names: Iterable[str]) -> bool:
    stopped, stuck = False, None
    for name in names:
        try:
            stopped |= (home / name).exists() and _SERVERS[name].stop(home / name)
        except SandboxError as error:
            # The others are to end all the same.
            stuck = stuck or error
    if stuck is not None:
        raise stuck
    return stopped


def remove(directory: Path) -> None:
    """Stops the folder's servers and deletes what they keep."""
    home = Path(directory).resolve()
    for name, server in _SERVERS.items():
        if (home / name).exists():
            server.remove(home / name)
    for name in ("bench", SITE_BACKUPS):
        shutil.rmtree(home / name, ignore_errors=True)
    for name in ("backends.yaml", "gateway-secret"):
        (home / name).unlink(missing_ok=True)
    # Somebody's own files may lie beside.
    with contextlib.suppress(OSError):
        home.rmdir()


def _backends(
    home: Path, postgres: EmbeddedPostgres, servers: Mapping[str, Any], auth_url: str | None
) -> dict[str, Any]:
    gateway = servers["gateway"]
    return {
        "database": {
            "host": postgres.host,
            "port": postgres.port,
            "user": postgres.user,
            "passwordFrom": f"{_PREFIX}DATABASE",
            "name": DATABASE,
            "sslmode": "disable",
        },
        "oauth": {"issuer": servers["authorization"].issuer, "initialTokenFrom": f"{_PREFIX}OAUTH"},
        "container": {
            "platform": "process",
            "url": servers["supervisor"].url,
            "folder": str(servers["supervisor"].programs),
            "user": servers["supervisor"].user,
            "passwordFrom": f"{_PREFIX}CONTAINER",
        },
        "n8n": {"url": servers["n8n"].url, "keyFrom": f"{_PREFIX}N8N"},
        "gateway": {
            "admin": gateway.admin,
            "server": gateway.server,
            "domain": gateway.domain,
            "url": gateway.url,
            "caFile": str(gateway.ca_file),
            "authSecretFrom": f"{_PREFIX}GATEWAY",
            **({"authUrl": auth_url} if auth_url else {}),
        },
        "erpnext": {
            "url": servers["erpnext"].url,
            "keyFrom": f"{_PREFIX}ERPNEXT_KEY",
            "secretFrom": f"{_PREFIX}ERPNEXT_SECRET",
        },
        "odoo": {
            "url": servers["odoo"].url,
            "database": servers["odoo"].database,
            "user": servers["odoo"].user,
            "keyFrom": f"{_PREFIX}ODOO",
        },
        # No server: sites are folders here, and so are their backups.
        "site": {
            "driver": "simulated",
            "folder": str(home / "bench"),
            "domain": "site.localhost",
            "secondsEach": SITE_SECONDS,
            "backups": {"target": "file", "folder": str(home / SITE_BACKUPS)},
        },
    }


def _write(file: Path, content: Mapping[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump({"regions": {REGION: dict(content)}}, sort_keys=False)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    private(partial, text)
    partial.replace(file)


def _shared_secret(file: Path) -> str:
    if not file.exists():
        private(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8").strip()


def _ensure_database(server: EmbeddedPostgres) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server.url(), connect_timeout=10, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
