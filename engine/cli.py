"""The `pulumi`-compatible command line: parses, runs one command, turns its error into words and an exit code.

`main` is safe to call from several threads at once: folder, environment and streams are given, never the process's own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.arguments import FLAG, Command, Option, parse
from engine.commands import COMMANDS, COMMON
from engine.errors import BailError, EngineError, StackLockedError, UsageError
from engine.operation import CancelToken
from engine.streams import Streams
from engine.workspace import Context


def main(
    words: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    streams: Streams,
    cancel: CancelToken | None = None,
) -> int:
    """Runs one command line; the exit code. Errors go to `streams.stderr` as `error: ...`."""
    context: Context | None = None
    try:
        arguments = parse(words, COMMANDS, COMMON)
        if arguments.flag("help"):
            streams.stdout.write(help_text(arguments.command))
            return 0
        folder = (cwd / arguments.value("cwd")).resolve() if arguments.value("cwd") else cwd
        if not folder.is_dir():
            raise UsageError(f"--cwd {arguments.value('cwd')}: there is no such folder")
        # A copy: what a caller does to its environment later is not this command's.
        context = Context(
            arguments=arguments,
            cwd=folder,
            environment=dict(environment),
            streams=replace(streams, interactive=streams.interactive and not arguments.flag("non-interactive")),
            cancel=cancel or CancelToken(),
        )
        return _handler(arguments.command)(context) or 0
    except BailError as error:
        return error.exit_code
    except EngineError as error:
        streams.stderr.write(f"error: {error}\n")
        if isinstance(error, StackLockedError) and error.hint:
            streams.stdout.write(f"{error.hint}\n")
        return error.exit_code
    finally:
        if context is not None:
            context.close()
        streams.stdout.flush()
        streams.stderr.flush()


def _handler(command: Command) -> Callable[[Context], int | None]:
    # Imported late: `version` need not load what `up` needs.
    module, _, name = command.handler.partition(":")
    found: Any = getattr(importlib.import_module(module), name)
    return found  # type: ignore[no-any-return]


def help_text(command: Command) -> str:
    """What `--help` prints."""
    lines = [command.help, "", f"Usage:\n  pulumi {command.name} {command.usage}".rstrip(), ""]
    below = [c for c in COMMANDS.values() if len(c.words) == len(command.words) + 1]
    below = [c for c in below if c.words[:-1] == command.words and not c.refused]
    if below:
        lines += ["Commands:", *(f"  {c.words[-1]:<12} {c.help}" for c in sorted(below, key=lambda c: c.words)), ""]
    lines += ["Options:", *(_option_line(o) for o in (*command.options, *COMMON) if not o.refused), ""]
    return "\n".join(lines)


def _option_line(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    value = "" if option.kind == FLAG else " VALUE"
    return f"  {short}{f'--{option.name}{value}':<28} {option.help}".rstrip()


def console_streams(environment: Mapping[str, str]) -> Streams:
    """The process's own streams; interactive when both ends are a terminal."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not environment.get("CI")
    return Streams(stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr, interactive=terminal)
