"""The simulated Odoo by hand: `python -m sandbox.odoo start|stop|status|remove --dir D`; `serve` stays in front."""

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sandbox.commands import Server, command_line
from sandbox.odoo import server as simulator
from sandbox.odoo.api import DATABASE


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["serve"]:
        return _serve(given[1:])
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--behave-as", type=int, choices=(17, 18), help="the version of Odoo that it behaves as")
    told, rest = own.parse_known_args(given)
    return command_line(
        "odoo",
        "The simulated Odoo",
        rest,
        start=partial(simulator.start, version=told.behave_as),
        attach=simulator.attach,
        stop=simulator.stop,
        remove=simulator.remove,
        facts=_facts,
        parents=[own],
    )


def _facts(server: Server) -> Mapping[str, object]:
    return {"url": f"http://127.0.0.1:{server.port}", "database": DATABASE, "user": simulator.USER}


def _serve(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.odoo serve")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    simulator.serve(options.dir, options.port)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
