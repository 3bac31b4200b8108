"""`up`, `preview`, `refresh`, `destroy`: from a parsed command line to an Operation, from its Outcome to words."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from engine.cli_options import display_options, operation_options
from engine.cli_pending import settle
from engine.cli_plan import explain_violation, read_plan, write_plan
from engine.cli_policy import policy_packs
from engine.config import ConfigValue
from engine.display import Display
from engine.errors import BailError, EngineError, NoChangesExpectedError, StateError, UsageError
from engine.event_log import EventSink, NoEventLog, open_event_log
from engine.json_display import JsonDigest, JsonEvents
from engine.masking import Mask
from engine.operation import CancelToken, Event, Import, Kind, Operation, Outcome, Program, Target
from engine.plan import Plan
from engine.policy import PackSource
from engine.program import program_for, project_python
from engine.resource import STACK_TYPE, make_urn
from engine.saver import Saver
from engine.snapshot import Snapshot, protected_with_needs
from engine.workspace import Context, Stack, check_passphrase, outputs_of_other

_WATCH_SECONDS = 0.1


def up(context: Context) -> int:
    return _command(context, Kind.UPDATE)


def preview(context: Context) -> int:
    stack = context.stack()
    run = _Run(stack, Kind.UPDATE, preview=True)
    _set_config(stack)
    code = run.finish()
    if code == 0 and context.arguments.value("import-file"):
        from engine.cli_import import write_preview

        write_preview(context, run.events)
    return code


def run_import(context: Context, imports: Sequence[Import]) -> int:
    """Takes objects into the state; the exit code."""
    return _command(context, Kind.IMPORT, imports)


def refresh(context: Context) -> int:
    settle(context)
    return _command(context, Kind.REFRESH)


def destroy(context: Context) -> int:
    """Some resources may be left: those that are protected, and those that are no targets."""
    if not context.arguments.flag("exclude-protected"):
        return _command(context, Kind.DESTROY)
    resources = context.stack().load().resources
    count = sum(state.protect for state in resources)
    left = f"There are still {count} protected resources associated with this stack."
    if resources and len(protected_with_needs(resources)) == len(resources):
        context.say(f"There were no unprotected resources to destroy. {left}")
        return 0
    code = _command(context, Kind.DESTROY)
    if code == 0 and count and not context.arguments.flag("json"):
        context.say(f"All unprotected resources were destroyed. {left}")
    return code


def _command(context: Context, kind: Kind, imports: Sequence[Import] = ()) -> int:
    """A preview, a question and the operation; or what the options leave of these."""
    arguments = context.arguments
    yes, skip, only = arguments.flag("yes"), arguments.flag("skip-preview"), arguments.flag("preview-only")
    stack = context.stack()
    run = _Run(stack, kind, preview=not skip or only, silent_log=not only, imports=imports)
    if not (context.streams.interactive or yes or skip or only):
        raise UsageError("--yes or --skip-preview must be passed in to proceed when running in non-interactive mode")
    _set_config(stack)
    plan = None
    if not skip or only:
        code = run.finish(expect=only)
        if code or only:
            return code
        if not yes and not _confirmed(context, kind, run):
            return 1
        plan = run.outcome.plan if run.outcome is not None else None
        stack = context.stack()
    code = _Run(stack, kind, preview=False, imports=imports, plan=plan).finish()
    if code == 0 and arguments.flag("remove") and not _leaves_something(context):
        from engine.cli_stack import remove

        remove(stack)
        context.say(f"The resources in the stack have been deleted, and stack '{stack.ref.name}' has been removed.")
    return code


def _leaves_something(context: Context) -> bool:
    """Whether a destroy was asked to leave something: then the stack is still wanted."""
    if context.arguments.many("target"):
        return True
    return context.arguments.flag("exclude-protected") and bool(context.stack().load().resources)


def _confirmed(context: Context, kind: Kind, run: _Run) -> bool:
    while True:
        answer = context.ask(f"\nDo you want to perform this {kind.word}? (yes/no/details) ").lower()
        if answer in {"yes", "y"}:
            return True
        if answer in {"details", "d"}:
            run.show_details()
            continue
        if answer in {"no", "n", ""}:
            context.streams.stderr.write(f"error: confirmation declined, not proceeding with the {kind.word}\n")
            return False


def _set_config(stack: Stack) -> None:
    from engine.cli_config import set_pair

    arguments = stack.context.arguments
    pairs = arguments.many("config")
    for pair in pairs:
        set_pair(stack, pair, secret=False, path=arguments.flag("config-path"))
    if pairs:
        stack.settings.save()


class _Run:
    """One operation or preview of a stack, under the stack's lock unless it is a preview."""

    def __init__(
        self,
        stack: Stack,
        kind: Kind,
        *,
        preview: bool,
        silent_log: bool = False,
        imports: Sequence[Import] = (),
        plan: Plan | None = None,
    ) -> None:
        self._stack = stack
        self._context = stack.context
        self._kind = kind
        self._preview = preview
        self._silent_log = silent_log
        self._imports = imports
        self._mask = Mask(())
        self.events: list[Event] = []
        self._plan = plan
        self._options = operation_options(stack.context.arguments, preview=preview)
        self._shown = display_options(stack.context, kind, stack.ref.name, preview=preview)
        self.outcome: Outcome | None = None
        self._packs: tuple[PackSource, ...] = ()
        self._started = time.time()

    def finish(self, *, expect: bool = True) -> int:
        """Runs it to its end; the exit code. Raises EngineError for what keeps it from starting."""
        context = self._context
        self._refuse_early()
        with contextlib.nullcontext() if self._preview else context.locked(self._stack.ref) as lock:
            # Whatever was read before the lock may have changed since.
            self._stack = Stack(context, self._stack.ref)
            self._stack.lock = lock
            outcome, config = self._under_lock()
            # After the second signal nothing more is written.
            if not self._preview and not context.cancel.terminated.is_set():
                self._record(outcome, config)
        self.outcome = outcome
        error = outcome.error
        if error is None and expect and outcome.changed and context.arguments.flag("expect-no-changes"):
            name = "preview" if self._preview and self._kind is Kind.UPDATE else self._kind.value
            error = NoChangesExpectedError(f"no changes were expected for {name} but changes were proposed")
        if error is None:
            write_plan(self._stack, outcome.plan)
            return 0
        if not isinstance(error, BailError):
            context.streams.stderr.write(f"error: {self._mask.text(str(error))}\n")
        explain_violation(self._stack, self._errors())
        return error.exit_code

    def _refuse_early(self) -> None:
        """Whatever can be refused is, before the stack is locked and anything is written down."""
        self._plan = self._plan or read_plan(self._stack)
        self._packs = policy_packs(self._context, self._python()) if self._kind is Kind.UPDATE else ()
        self._program(lambda _: None)

    def _errors(self) -> str:
        found = (event.get("diagnosticEvent", {}) for event in self.events)
        return "".join(event["message"] for event in found if event.get("severity") == "error")

    def _record(self, outcome: Outcome, config: dict[str, ConfigValue]) -> None:
        """Adds the update to the history. Raises StateError, unless there is a failure that matters more."""
        try:
            self._stack.check_lock()
            self._context.backend.record(self._stack.ref, self._entry(outcome, config))
        except StateError as error:
            if outcome.error is None:
                raise
            self._context.warn(f"this update is not in the history: {error}")

    def _under_lock(self) -> tuple[Outcome, dict[str, ConfigValue]]:
        self._warm()
        snapshot = self._stack.load()
        config = self._stack.config()
        log = (
            NoEventLog()
            if self._silent_log
            else open_event_log(self._context.arguments.value("event-log"), self._context.cwd)
        )
        try:
            return self._operate(snapshot, config, log), config
        finally:
            self._close(log)

    def _warm(self) -> None:
        """Derives the key while the plugins start: a save must not wait for it, nor begin with the wrong one."""
        if self._preview:
            return
        check_passphrase(self._context)
        if self._stack.manager.has_salt:
            self._stack.manager.warm()

    def _operate(self, snapshot: Snapshot, config: dict[str, ConfigValue], log: EventSink) -> Outcome:
        from engine.deployment import run_operation

        display = self._display()
        self._mask = mask = Mask(value.text for value in config.values() if value.secret)

        def emit(event: Event) -> None:
            event = mask.event(event)
            self.events.append(event)
            log.emit(event)
            display.emit(event)

        saver = Saver(self._stack, snapshot)
        if not self._preview:
            saver.prepare()
        program = self._program(emit)
        display.begin()
        operation = Operation(
            kind=self._kind,
            target=self._target(config),
            options=self._options,
            snapshot=snapshot,
            program=program,
            emit=emit,
            save=saver.save,
            cancel=self._context.cancel,
            stack_outputs=lambda name: outputs_of_other(self._context, name),
            plan=self._plan,
            imports=self._imports,
            policy_packs=self._packs,
        )
        with _stopped_at_once(program, self._context.cancel):
            outcome = run_operation(operation)
        try:
            saver.close()
        except StateError as error:
            outcome = replace(outcome, error=error)
        display.finish(failed=outcome.error is not None)
        return outcome

    def _target(self, config: dict[str, ConfigValue]) -> Target:
        project = self._context.project
        return Target(
            project=project.name,
            stack=self._stack.ref.name,
            config={key: value.text for key, value in config.items()},
            secret_keys=frozenset(key for key, value in config.items() if value.secret),
            root=project.root,
            program_dir=project.program_dir,
            environment=self._context.environment,
            python=self._python(),
            plugins=project.plugins,
            runtime_options=project.runtime_options,
            salt=self._stack.manager.salt if self._stack.manager.has_salt else "",
        )

    def _python(self) -> str:
        project = self._context.project
        if self._context.arguments.value("client") or project.runtime != "python":
            # An inline program runs in this Python, and so must what it pickles.
            return sys.executable
        return str(project_python(project, self._context.environment))

    def _program(self, emit: Callable[[Event], None]) -> Program | None:
        project, arguments = self._context.project, self._context.arguments
        if self._kind is not Kind.UPDATE and not arguments.flag("run-program"):
            return None
        urn = make_urn(self._stack.ref.name, project.name, "", STACK_TYPE, f"{project.name}-{self._stack.ref.name}")

        def line(text: str, error: bool) -> None:
            from engine.events import diagnostic

            emit(diagnostic("info#err" if error else "info", text, urn))

        return program_for(project, self._context.environment, client=arguments.value("client"), on_line=line)

    def _display(self) -> Display | JsonDigest | JsonEvents:
        arguments, out = self._context.arguments, self._context.streams.stdout
        if arguments.flag("json"):
            return JsonDigest(out) if self._preview else JsonEvents(out)
        return Display(self._shown, out)

    def show_details(self) -> None:
        """What was previewed, in full."""
        display = Display(replace(self._shown, diff=True), self._context.streams.stdout)
        for event in self.events:
            if "policyLoadEvent" not in event and "preludeEvent" not in event:
                display.emit(event)
        display.details()

    def _close(self, log: EventSink) -> None:
        log.emit({"cancelEvent": {}})
        try:
            log.close()
        except EngineError as error:
            # The operation is over and its state is written: a reader that went away cannot undo that.
            self._context.streams.stderr.write(f"warning: {error}\n")

    def _entry(self, outcome: Outcome, config: dict[str, ConfigValue]) -> dict[str, Any]:
        arguments, stack = self._context.arguments, self._stack
        stored = stack.settings.stored(self._context.project.name)
        shown = {key: stored.get(key, value.text) for key, value in config.items() if not value.secret or key in stored}
        environment = {"pulumi.engine": "embedded"}
        for name in ("exec-kind", "exec-agent"):
            if arguments.value(name):
                environment[name.replace("-", ".")] = arguments.value(name)
        return {
            "version": 0,
            "kind": self._kind.value,
            "startTime": int(self._started),
            "message": arguments.value("message"),
            "environment": environment,
            "config": shown,
            "result": "succeeded" if outcome.error is None else "failed",
            "endTime": int(time.time()),
            "resourceChanges": {op: count for op, count in outcome.changes.items() if count},
        }


@contextlib.contextmanager
def _stopped_at_once(program: Program | None, cancel: CancelToken) -> Iterator[None]:
    """While this lasts, the second signal ends the program, which the first lets end by itself."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_SECONDS):
            if cancel.terminated.is_set() and program is not None:
                program.cancel()
                return

    thread = threading.Thread(target=watch, name="second-signal", daemon=True)
    if program is not None:
        thread.start()
    try:
        yield
    finally:
        over.set()
