"""The command line that every server of the sandbox has: start, stop, status, remove. It knows no server."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sandbox.errors import SandboxError

HOST = "127.0.0.1"


class Server(Protocol):
    """A server that runs. `port` is on loopback."""

    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int: ...


def command_line(
    module: str,
    title: str,
    argv: Sequence[str] | None,
    *,
    start: Callable[[Path, int], Server],
    attach: Callable[[Path], Server | None],
    stop: Callable[[Path], bool],
    remove: Callable[[Path], None],
    facts: Callable[[Server], Mapping[str, object]] = lambda _: {},
    parents: Sequence[argparse.ArgumentParser] = (),
) -> int:
    """`python -m sandbox.<module> start|stop|status|remove`; `facts` are shown by --json, so none is a secret.

    Options of `parents` are listed by --help; they are the caller's, who has read them.

    Exit codes: 0 done (status: running), 1 failed, 3 status: stopped.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m sandbox.{module}", description=f"{title} on loopback.", parents=[*parents]
    )
    parser.add_argument("command", choices=["start", "stop", "status", "remove"])
    parser.add_argument("--dir", type=Path, required=True, help="the folder that holds this server and its data")
    parser.add_argument("--port", type=int, default=0, help="start on this port (default: the last one, or a free one)")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    options = parser.parse_args(argv)
    server: Server | None = None
    try:
        if options.command == "start":
            server = start(options.dir, options.port)
        elif options.command == "status":
            server = attach(options.dir)
        else:
            (stop if options.command == "stop" else remove)(options.dir)
    except SandboxError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    told: dict[str, object] = {"state": "running" if server else "stopped", "directory": str(options.dir)}
    words = f"{title} is stopped"
    if server is not None:
        told |= {"host": HOST, "port": server.port, "pid": server.pid, **facts(server)}
        words = f"{title} is running on {HOST}:{server.port} (process {server.pid})"
    sys.stdout.write((json.dumps(told) if options.json else f"{words}; its folder is {options.dir}") + "\n")
    return 3 if options.command == "status" and server is None else 0
