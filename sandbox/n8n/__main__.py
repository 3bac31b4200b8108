"""The simulated n8n by hand: `python -m sandbox.n8n start|stop|status|remove --dir D`; `serve` stays in front."""

import json
import sys

from sandbox.errors import SandboxError
from sandbox.n8n import server as simulator


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    options = simulator.arguments().parse_args(argv)
    server: simulator.SimulatedN8n | None = None
    try:
        if options.command == "serve":
            simulator.serve(options.dir, options.port, delay=options.delay, startup=options.startup)
        elif options.command == "start":
            server = simulator.start(options.dir, options.port, delay=options.delay, startup=options.startup)
        elif options.command == "status":
            server = simulator.attach(options.dir)
        else:
            (simulator.stop if options.command == "stop" else simulator.remove)(options.dir)
    except SandboxError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    facts = simulator.describe(server, options.dir)
    words = f"the simulated n8n is running at {facts.get('url')} (process {facts.get('pid')})"
    words = words if server else "the simulated n8n is stopped"
    sys.stdout.write((json.dumps(facts) if options.json else f"{words}; its folder is {options.dir}") + "\n")
    return 3 if options.command == "status" and server is None else 0


if __name__ == "__main__":
    raise SystemExit(main())
