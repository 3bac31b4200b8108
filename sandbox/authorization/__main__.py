"""The authorization server by hand: `python -m sandbox.authorization start|stop|status|remove --dir D`."""

from sandbox.authorization import attach, remove, start, stop
from sandbox.commands import command_line


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    return command_line(
        "authorization",
        "the authorization server",
        argv,
        start=start,
        attach=attach,
        stop=stop,
        remove=remove,
        facts=lambda server: {"issuer": f"http://127.0.0.1:{server.port}"},
    )


if __name__ == "__main__":
    raise SystemExit(main())
