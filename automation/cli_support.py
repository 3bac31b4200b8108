"""What all commands share: where output goes, how an error is told, and the exit code.

With `--json` standard output holds exactly one JSON document, with `--jsonl` one per line; people read standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from automation.errors import CancelledError, InputError, TenantryError

if TYPE_CHECKING:
    from automation.display import Display
    from automation.results import PreviewResult, RunResult
    from automation.run import Context
    from automation.settings import Settings


class Shared:
    """What the options before the command say, and how the current command prints."""

    debug = False
    output: Output | None = None


class Output:
    """Where a command's answer goes."""

    def __init__(self, *, as_json: bool = False, as_lines: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json or as_lines
        self.as_lines = as_lines
        self.quiet = quiet or (as_json and not as_lines)
        self.answered = False
        self._display: Display | None = None
        Shared.output = self

    def document(self, content: Any) -> None:
        """Prints a JSON document: on one line with --jsonl, indented otherwise."""
        self.answered = True
        typer.echo(json.dumps(content, ensure_ascii=False, indent=None if self.as_lines else 2))

    def say(self, text: str = "") -> None:
        """Prints a line for people; nothing with --json."""
        if not self.as_json:
            typer.echo(text)

    def note(self, text: str) -> None:
        """Says something beside the answer, to standard error; nothing with --json or --quiet."""
        if not self.as_json and not self.quiet:
            typer.echo(text, err=True)

    def display(self) -> Display:
        """The live progress of a run."""
        if self._display is None:
            from automation.display import display_for

            self._display = display_for(as_lines=self.as_lines, quiet=self.quiet)
        return self._display

    @contextlib.contextmanager
    def running(self, title: str) -> Iterator[None]:
        """Shows progress while in the block."""
        with self.display().live(title):
            yield

    def preview(self, result: PreviewResult) -> None:
        """Prints a preview."""
        if self.as_json:
            self.document(result.to_dict())
            return
        from automation.display import preview_lines

        for line in preview_lines(result):
            self.say(line)

    def result(self, result: RunResult) -> None:
        """Prints the end of a run."""
        if self.as_json:
            self.document(result.to_dict())
            return
        from automation.display import result_lines

        for line in result_lines(result):
            self.say(line)


def settings_for() -> Settings:
    """The settings from the environment."""
    from automation.settings import load_settings

    return load_settings()


def context_for(output: Output, correlation: str | None = None) -> Context:
    """The context of an operation; says once which engine is used.

    The correlation id is in the environment from here on, so that plugins, which start now, can name it too.
    """
    import uuid

    from automation import counting
    from automation.engines import choose, prepare

    os.environ["TENANTRY_CORRELATION_ID"] = (
        correlation or os.environ.get("TENANTRY_CORRELATION_ID") or uuid.uuid4().hex[:16]
    )
    settings = settings_for()
    choice = choose(settings.engine)
    output.note(f"engine: {choice.name} ({choice.reason})")
    counting.begin()
    prepare(choice, {**os.environ, **settings.run_environment()})
    # Late: what follows takes as long to load as the plugins to start.
    from automation.run import Context

    return Context(settings=settings, choice=choice, observer=output.display())


def finish_run(output: Output, result: RunResult) -> None:
    """Prints a run's end; raises its error, if there is one."""
    output.result(result)
    if result.error is not None:
        raise result.error


def confirm(question: str, *, yes: bool) -> None:
    """Asks, unless `yes`. Raises InputError where nobody can answer, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody can answer here", hint="add --yes to confirm")
    typer.confirm(question, abort=True, err=True)


def main_with_errors(app: typer.Typer) -> int:
    """Runs the app. Every error becomes a message and its exit code; a stack trace is shown only with --debug."""
    Shared.output, Shared.debug = None, False
    try:
        code = app(standalone_mode=False)
        if code == CancelledError.exit_code:
            # An interrupt, of which newer versions of Typer say no word.
            raise typer.Abort
    except TenantryError as error:
        _trace()
        _tell(error, Shared.output)
        if error.details.get("stuck"):
            # A thread that hangs in the engine would keep the process for ever; all that could be saved is saved.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(error.exit_code)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _tell(CancelledError("cancelled"), Shared.output)
        return CancelledError.exit_code
    except BrokenPipeError:
        # The reader has gone, as in `tenantry list | head -1`: no fault of anybody's.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message and not a stack trace
        return _unexpected(error)
    finally:
        _keep_exit_code()
    return code if isinstance(code, int) else 0


def _keep_exit_code() -> None:
    """An interrupt in code out of a string has `python -m` end by SIGINT, caught or not, instead of with the exit code.

    Such code makes dataclasses and named tuples, so that it may be any import. It is forgotten of as soon as another
    string is run (`run_eval_code_obj` in CPython's pythonrun.c).
    """
    exec("")  # noqa: S102


def _unexpected(error: Exception) -> int:
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):  # a wrong word on the command line: click's own message
        if Shared.output is None and not _wants_json():
            show()
        else:
            text = str(getattr(error, "message", error))
            _tell(InputError(text, hint="`tenantry --help` lists the words"), Shared.output or Output(as_json=True))
        return 2
    _trace()
    hint = "run again with `tenantry --debug ...` to see where, and report it"
    _tell(TenantryError(f"unexpected fault: {type(error).__name__}: {_masked(str(error))}", hint=hint), Shared.output)
    return 1


def _wants_json() -> bool:
    return bool({"--json", "--jsonl"} & set(sys.argv[1:]))


def _masked(text: str) -> str:
    from automation.redaction import redactor, secret_values

    return redactor(secret_values(os.environ))(text)


def _trace() -> None:
    if Shared.debug:
        import traceback

        typer.echo(_masked(traceback.format_exc()), err=True)


def _tell(error: TenantryError, output: Output | None) -> None:
    as_json = output.as_json if output is not None else _wants_json()
    if as_json:
        if output is None or not output.answered:
            (output or Output(as_json=True)).document({"type": "error", "error": error.to_dict()})
        return
    typer.echo(f"error: {error.message}", err=True)
    for field, _given, message in getattr(error, "problems", ()):
        typer.echo(f"  {field}: {message}", err=True)
    if error.hint:
        typer.echo(f"  what to do: {error.hint}", err=True)


def print_table(output: Output, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints rows in columns; nothing with --json."""
    from automation.display import table_lines

    for line in table_lines(header, rows):
        output.say(line)
