"""`tenantry dev`: starts the servers, says where they are, and waits until somebody has enough.

Decides what is said and when it ends. Servers are `dev`'s.
"""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from automation.errors import InputError

if TYPE_CHECKING:
    from automation.dev import Dev


def dev(
    port: Annotated[
        int | None, typer.Option("--port", "-p", min=1, max=65535, help="The service's port; else 8000, or a free one.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=64, help="How many jobs the worker runs at once.")
    ] = 2,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", envvar="TENANTRY_DEV_DIR", help="Where all is kept; else .tenantry/dev of the project."),
    ] = None,
    browser: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page in a browser.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Stop the database, and remove it with all in it.")] = False,
) -> None:
    """Start everything on this machine: PostgreSQL, a region for tenants, the service with its page, a worker."""
    from automation.cli_support import settings_for
    from automation.dev import Dev

    gc.enable()  # switched off for commands that live for a second
    project = settings_for().project_root
    servers = Dev(folder or project / ".tenantry" / "dev", project)
    if remove:
        if not servers.folder.exists():
            raise InputError(f"there is nothing in {servers.folder}", hint="`tenantry dev` starts it")
        servers.remove()
        typer.echo(f"{servers.folder} is gone, and with it the database and all that was in it")
        return
    come = threading.Event()

    def heed(_number: int, _frame: FrameType | None) -> None:
        servers.hurried = come.is_set()
        come.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heed)
    stopped = False
    try:
        with_servers(servers, port, concurrency, browser=browser, come=come)
    finally:
        if servers.running:
            typer.echo("stopping; Ctrl-C again does not wait for what runs", err=True)
        stopped = servers.stop(server=True)
    if not stopped:
        typer.echo("stopped; PostgreSQL runs on, as it did before, and with it the region's servers")
    typer.echo(f"{'stopped; ' if stopped else ''}everything is kept in {servers.folder}")


def with_servers(
    servers: Dev,
    port: int | None,
    concurrency: int,
    *,
    browser: bool | None,
    come: threading.Event,
) -> None:
    """Starts, tells, waits for a signal. Raises DevError when a part ends by itself."""
    from automation.dev import PORT, DevError, free_port, wants_browser

    found = free_port(port or PORT)
    if port is not None and found != port:
        raise DevError(f"port {port} is in use", hint="name another --port, or none")
    if found != (port or PORT):
        typer.echo(f"port {PORT} is in use: this will be on {found}", err=True)
    typer.echo("starting PostgreSQL, a region of backends, the service and a worker", err=True)
    servers.prepare()
    if come.is_set():
        return
    servers.start(port=found, concurrency=concurrency, given_up=come.is_set)
    if come.is_set():
        return
    token = servers.token()
    typer.echo(
        f"\n  open       {servers.url}/sign-in#token={token}\n"
        f"  API        {servers.url}/api/v1/   (OpenAPI: {servers.url}/api/v1/openapi.json)\n"
        f"  token      {token}   (12 hours)\n"
        f"  commands   . {shlex.quote(str(servers.env_file))}   then `tenantry` works on these servers\n"
        f"  region     {servers.region.name}: departments and points of sale are built here; "
        f"gateway {servers.region.gateway.url}\n"
        f"  logs       {servers.log('service')}, {servers.log('worker')}\n\n"
        "Ctrl-C stops all of it; what was made is kept, and there again the next time.\n"
    )
    sys.stdout.flush()
    if wants_browser(browser, os.environ, terminal=sys.stdout.isatty()):
        import webbrowser

        webbrowser.open(f"{servers.url}/sign-in#token={token}")
    while not come.wait(0.5):
        if (ended := servers.ended()) is not None:
            raise DevError(ended, hint="start again; the log says more")
