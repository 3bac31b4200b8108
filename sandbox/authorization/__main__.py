"""The authorization server by hand: `python -m sandbox.authorization start|stop|status|remove --dir D`."""

import argparse
import json
import sys
from pathlib import Path

from sandbox.authorization import AuthorizationServer, attach, remove, start, stop
from sandbox.errors import SandboxError


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.authorization", description="An authorization server on loopback."
    )
    parser.add_argument("command", choices=["start", "stop", "status", "remove"])
    parser.add_argument("--dir", type=Path, required=True, help="the folder that holds this server and its clients")
    parser.add_argument(
        "--port", type=int, default=0, help="start on this port (default: the last one, at first a free one)"
    )
    parser.add_argument("--scopes", nargs="*", help="all scopes that clients may have (default: any)")
    parser.add_argument("--json", action="store_true", help="say it as JSON")
    options = parser.parse_args(argv)
    server: AuthorizationServer | None = None
    try:
        if options.command == "start":
            server = start(options.dir, options.port, scopes=options.scopes)
        elif options.command == "status":
            server = attach(options.dir)
        else:
            (stop if options.command == "stop" else remove)(options.dir)
    except SandboxError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    facts: dict[str, object] = {"state": "stopped" if server is None else "running", "directory": str(options.dir)}
    words = "the authorization server is stopped"
    if server is not None:
        facts |= {"issuer": server.issuer, "port": server.port, "pid": server.pid}
        words = f"the authorization server is running at {server.issuer} (process {server.pid})"
    sys.stdout.write((json.dumps(facts) if options.json else f"{words}; its folder is {options.dir}") + "\n")
    return 3 if options.command == "status" and server is None else 0


if __name__ == "__main__":
    raise SystemExit(main())
