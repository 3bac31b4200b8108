"""What a program asks for while it runs: each registration becomes a chain of steps, each answer goes back to it.

What a registration means is the generator's to decide, how a step is done the step's, when it runs the executor's.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from engine import program_thread
from engine.errors import BailError, EngineError, ProgramError, ResourceError
from engine.import_steps import ImportStep
from engine.operation import Operation
from engine.program_thread import ProgramThread
from engine.resource import (
    STACK_TYPE,
    PropertyMap,
    State,
    contains_unknown,
    make_urn,
    same_values,
)
from engine.resource_monitor import MonitorStoppedError
from engine.source import (
    Event,
    ProgramEnded,
    ReadResource,
    Registered,
    RegisterOutputs,
    RegisterResource,
    ResourceImported,
    refuse,
    settle,
)
from engine.steps import Step, Verdict
from engine.workings import Workings


class Registrations:
    """Of one operation. Events are taken one at a time, from one thread."""

    def __init__(self, workings: Workings) -> None:
        self._work = workings
        self._registered: dict[str, Step] = {}
        self._held_outputs: PropertyMap | None = None
        self.stack_outputs: PropertyMap | None = None
        """The stack's, once they have been set."""

    def imported(self, stack: Step) -> None:
        """The stack of an import, which no program registers and which has no outputs."""
        self._registered[stack.urn], self._held_outputs = stack, {}

    def loop(self) -> None:
        """Until the program has ended, or nothing more may be started."""
        while True:
            event = self._work.queue.get()
            if isinstance(event, ProgramEnded):
                self.take_program_error(event.error)
                return
            self._handle(event)
            if self._work.failed or self._work.executor.stopping():
                return

    def _handle(self, event: Event) -> None:
        try:
            if isinstance(event, RegisterResource):
                self._start(event, self._work.generator.register(event))
            elif isinstance(event, ReadResource):
                self._start(event, self._work.generator.read(event))
            elif isinstance(event, ResourceImported):
                self._go_on(event, self._work.generator.imported(event))
            elif isinstance(event, RegisterOutputs):
                self._take_outputs(event)
        except BailError:
            self._work.failed = True
        except EngineError as error:
            urn = error.urn if isinstance(error, ResourceError) else _urn_of(event, self._work.operation)
            self._work.reporter.diagnose("error", urn, str(error))
            self._work.failed = True

    def _start(self, event: RegisterResource | ReadResource, chain: list[Step]) -> None:
        if not chain:
            return  # it has been answered already
        for step in chain:
            if step.new is not None:
                self._registered.setdefault(step.urn, step)
        # Of a chain, the step that makes the new state answers the program, whatever comes after it.
        answering = [step for step in chain if step.answers()]
        if isinstance(event, RegisterResource):
            self._work.planning.steps(chain, self._work.generator.identities.aliased)
        if isinstance(answering[0], ImportStep) and isinstance(event, RegisterResource):
            self._answer_later(event, answering[0], chain[-1])
        else:
            for step in answering:
                step.done = _answer_to(event)
        self._registered[answering[0].urn] = answering[0]
        self._work.journal.rename(self._work.generator.identities.found_by)
        self._work.executor.submit(chain)

    def _answer_later(self, event: RegisterResource, step: ImportStep, last: Step) -> None:
        """Has the program wait until what was imported has been compared with what it says."""

        def read(state: State, verdict: Verdict) -> None:
            if verdict != "done":
                _answer_to(event)(state, verdict)

        def compare(state: State, verdict: Verdict) -> None:
            if verdict == "done":
                self._work.queue.put(ResourceImported(event=event, state=state))
            else:
                _answer_to(event)(state, verdict)

        step.done = read
        last.done = compare

    def _go_on(self, imported: ResourceImported, chain: list[Step]) -> None:
        if chain:
            self._start(imported.event, chain)
        else:
            _answer_to(imported.event)(imported.state, "done")

    def _take_outputs(self, event: RegisterOutputs) -> None:
        step = self._registered.get(event.urn)
        if step is None or step.new is None:
            refuse(event.answer, EngineError(f"outputs for {event.urn}, which is not registered"))
            return
        if self._work.has_failed(event.urn):
            settle(event.answer, None)  # it was skipped: what the state has of it stays
            return
        if step.new.type == STACK_TYPE:
            # The stack's outputs count when all else is done: only then is it known whether they are complete.
            self._held_outputs = event.outputs
        else:
            try:
                self._set_outputs(step, step.new, event.outputs)
            except ResourceError:
                refuse(event.answer, MonitorStoppedError())
                raise
        settle(event.answer, None)

    def _set_outputs(self, step: Step, new: State, outputs: PropertyMap) -> None:
        if not self._work.preview:
            # What the program could not know keeps its last known value; an unknown one is never saved.
            last = {k: new.outputs[k] for k in outputs if k in new.outputs}
            outputs = {**last, **{k: v for k, v in outputs.items() if not contains_unknown(v)}}
        if not self._work.broken():
            self._work.planning.outputs(new.urn, step.old.outputs if step.old is not None else {}, outputs)
        changed = not same_values(new.outputs, outputs)
        new.outputs = outputs
        if changed and not self._work.preview:
            self._work.journal.touched(new)
        self._work.reporter.outputs(step)

    def set_stack_outputs(self) -> None:
        held = self._held_outputs
        step = next((s for s in self._registered.values() if s.state.type == STACK_TYPE), None)
        if held is None or step is None or step.new is None:
            return
        if self._work.broken():
            # What the program could not compute keeps its last known value.
            held = {**step.new.outputs, **held}
        self.stack_outputs = held
        with self._work.told():
            self._set_outputs(step, step.new, held)

    def drain(self, running: ProgramThread) -> None:
        """Lets a failed program end: it still says its outputs, and gets an error for all else."""
        deadline = time.monotonic() + program_thread.STOP_SECONDS
        while not running.done or not self._work.queue.empty():
            if time.monotonic() > deadline:
                running.stop()
                return
            try:
                event = self._work.queue.get(timeout=0.01)
            except queue.Empty:
                continue
            if isinstance(event, ProgramEnded):
                self.take_program_error(event.error)
            elif isinstance(event, RegisterOutputs):
                self._take_outputs(event)
            elif isinstance(event, RegisterResource | ReadResource):
                refuse(event.answer, MonitorStoppedError())

    def take_program_error(self, error: EngineError | None) -> None:
        if error is None or self._work.broken():
            return  # a program that was stopped has nothing of its own to say
        if isinstance(error, ProgramError):
            if not error.shown and str(error):
                self._work.reporter.diagnose("error", "", f"an unhandled error occurred: {error}")
            error = BailError(str(error))
        self._work.program_error = error


def _answer_to(event: RegisterResource | ReadResource) -> Callable[[State, Verdict], None]:
    def answer(state: State, verdict: Verdict) -> None:
        registered = Registered(
            state=state, failed=verdict == "failed", skipped=verdict == "skipped", unknown=verdict == "unknown"
        )
        settle(event.answer, registered)

    return answer


def _urn_of(event: Event, operation: Operation) -> str:
    if isinstance(event, ResourceImported):
        return event.state.urn
    if not isinstance(event, RegisterResource | ReadResource):
        return ""
    goal = event.goal
    return make_urn(operation.target.stack, operation.target.project, goal.parent, goal.type, goal.name)
