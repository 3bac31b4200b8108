"""The simulated ERPNext by hand: `python -m sandbox.erpnext start|stop|status|remove --dir D`; `serve` stays in
front.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sandbox.commands import Server, command_line
from sandbox.erpnext import server as simulator


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    given = sys.argv[1:] if argv is None else argv
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--unfinished", action="store_true", help="a new site's set-up wizard was never finished")
    age = own.add_mutually_exclusive_group()
    age.add_argument("--newer", action="store_const", const=True, default=None, help="behave as newer ERPNexts do")
    age.add_argument("--older", action="store_const", const=False, dest="newer", help="behave as older ERPNexts do")
    told, rest = own.parse_known_args(given)
    if rest[:1] == ["serve"]:
        return _serve(rest[1:], wizard=not told.unfinished)
    return command_line(
        "erpnext",
        "The simulated ERPNext",
        rest,
        start=partial(simulator.start, wizard=not told.unfinished, newer=told.newer),
        attach=simulator.attach,
        stop=simulator.stop,
        remove=simulator.remove,
        facts=_facts,
        parents=[own],
    )


def _facts(server: Server) -> Mapping[str, object]:
    return {"url": f"http://127.0.0.1:{server.port}"}


def _serve(argv: list[str], *, wizard: bool) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.erpnext serve")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    simulator.serve(options.dir, options.port, wizard=wizard)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
