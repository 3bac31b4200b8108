import sys

from sandbox.commands import command_line
from sandbox.railway import attach, remove, start, stop


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 done (status: running), 1 failed, 3 status: stopped."""
    title = "The simulator of Railway"
    return command_line("railway", title, argv, start=start, attach=attach, stop=stop, remove=remove)


if __name__ == "__main__":
    sys.exit(main())
