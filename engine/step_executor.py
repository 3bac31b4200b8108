"""Runs chains of steps on worker threads: the steps of a chain one after another, chains side by side.

It decides only whether a step still runs: not after a failure (unless errors are to be survived), not after a cancel,
and not when something the step needs has failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from engine.errors import EngineError, HookError, PluginError, ProtectedError
from engine.journal import Journal
from engine.operation import CancelToken
from engine.resource import State, all_dependencies
from engine.steps import CreateStep, DeleteStep, PartialFailureError, RemovePendingReplaceStep, Step, StepContext


class Observer(Protocol):
    """Who is told of the steps, from the workers' threads."""

    def before(self, step: Step) -> None: ...

    def after(self, step: Step) -> None: ...

    def failed(self, step: Step, error: Exception) -> None: ...

    def late_error(self, step: Step, error: Exception) -> None: ...


class StepExecutor:
    """The workers of one operation. `on_failure` is called once for every failed step."""

    def __init__(
        self,
        *,
        context: StepContext,
        journal: Journal,
        observer: Observer,
        parallel: int,
        continue_on_error: bool,
        cancel: CancelToken,
        on_failure: Callable[[], None],
    ) -> None:
        self._context = context
        self._journal = journal
        self._observer = observer
        self._continue = continue_on_error
        self._cancel = cancel
        self._on_failure = on_failure
        self._pool = ThreadPoolExecutor(max_workers=max(1, parallel), thread_name_prefix="step")
        self._running: set[Future[None]] = set()
        self._failed_urns: set[str] = set()
        self._not_deleted: set[State] = set()
        self._lock = threading.Lock()
        self._halted = False
        self.errored = False
        self.first_error: Exception | None = None

    def submit(self, chain: Sequence[Step]) -> None:
        """Starts a chain."""
        future = self._pool.submit(self._run_chain, list(chain))
        self._running.add(future)
        future.add_done_callback(self._running.discard)

    def wait(self) -> None:
        """Returns when every chain that was submitted has ended."""
        while self._running:
            for future in wait(list(self._running)).done:
                future.result()

    def run_layers(self, layers: Sequence[Sequence[Step]], needed_by: Callable[[State], set[State]]) -> None:
        """Runs deletes layer by layer. `needed_by` gives what a state needs: that stays when the state could not go."""
        for layer in layers:
            if self.stopping():
                return
            chains = [[step] for step in layer if step.state not in self._not_deleted]
            for chain in chains:
                self.submit(chain)
            self.wait()
            self._keep_what_is_needed(layer, needed_by)

    def _keep_what_is_needed(self, layer: Sequence[Step], needed_by: Callable[[State], set[State]]) -> None:
        for step in layer:
            if step.urn in self._failed_urns or step.state in self._not_deleted:
                self._not_deleted |= needed_by(step.state)

    def stopping(self) -> bool:
        """Whether nothing new is to be started."""
        return self._cancel.requested.is_set() or (self._halted and not self._continue)

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def has_failed(self, urn: str) -> bool:
        """Whether something went wrong with a resource, or it was skipped because of something that did."""
        return urn in self._failed_urns

    def _run_chain(self, chain: list[Step]) -> None:
        try:
            self._run_steps(chain)
        except Exception as error:  # noqa: BLE001 - a defect, which is told like any failure, and keeps nobody waiting
            step = next((s for s in chain if s.urn not in self._failed_urns), chain[-1])
            self._fail(step, PluginError(f"internal error in a {step.op} of {step.urn}: {error!r}"))
            self._break_off(chain, Step.give_up)

    def _run_steps(self, chain: list[Step]) -> None:
        if self._is_out_of_reach(chain):
            self._break_off(chain, Step.skip)
            return
        for place, step in enumerate(chain):
            # A layer of deletes is finished even when one of it fails: they do not need each other.
            apart = _stands_apart(step)
            if self._cancel.requested.is_set() or (self.stopping() and not apart):
                return
            if self._needs_failed(step.state) and not apart:
                self._break_off(chain[place:], Step.skip)
                return
            if not step.is_needless() and not self._run(step):
                if self._continue:
                    self._break_off(chain[place:], Step.give_up)
                return

    def _is_out_of_reach(self, chain: Sequence[Step]) -> bool:
        """Whether a chain cannot be finished: then nothing of it is begun, least of all a delete."""
        if any(self._needs_failed(step.state) for step in chain if not _stands_apart(step)):
            return True
        deleted = {step.state for step in chain if isinstance(step, DeleteStep)}
        waiting = (step.old for step in chain if isinstance(step, CreateStep) and step.comes_after_a_delete())
        return not self._context.preview and any(old and old not in deleted for old in waiting)

    def _break_off(self, rest: Sequence[Step], tell: Callable[[Step], None]) -> None:
        """What is not done of a chain; the program waits for one of these steps, whichever of them has failed."""
        for step in rest:
            self._failed_urns.add(step.urn)
        for step in rest:
            tell(step)

    def _needs_failed(self, state: State) -> bool:
        return bool(self._failed_urns) and any(urn in self._failed_urns for _, urn in all_dependencies(state))

    def _run(self, step: Step) -> bool:
        """One step, with its journal entries and events. False where the chain must not go on."""
        self._observer.before(step)
        try:
            if not self._apply(step):
                return False
        except EngineError as error:
            # Not even what became of the step can be written down.
            self._fail(step, error)
            return False
        except Exception as error:  # noqa: BLE001 - a defect, which is told like any failure
            self._fail(step, PluginError(f"internal error in a {step.op} of {step.urn}: {error!r}"))
            return False
        late = self._after(step)
        self._observer.after(step)
        if late is not None:
            self._fail_late(step, late)
        if late is None or self._continue:
            step.answer()
        return late is None or self._continue

    def _after(self, step: Step) -> HookError | None:
        """Runs the hooks after a step; what went wrong there, which undoes nothing of the step."""
        try:
            self._context.hooks.run("After", step.hook_point())
        except HookError as error:
            return error
        return None

    def _apply(self, step: Step) -> bool:
        """Does it and writes it down. False where it failed; raises where the journal cannot be written."""
        try:
            if not self._context.preview:
                step.begin(self._journal)
            self._context.hooks.run("Before", step.hook_point())
            step.apply(self._context)
        except PartialFailureError as partial:
            self._end(step, ok=True)
            self._fail(step, partial.error)
            return False
        except EngineError as error:
            self._end(step, ok=False)
            self._fail(step, error)
            return False
        self._end(step, ok=True)
        return True

    def _end(self, step: Step, *, ok: bool) -> None:
        if not self._context.preview:
            step.end(self._journal, ok=ok)

    def _fail_late(self, step: Step, error: HookError) -> None:
        with self._lock:
            self.errored = self._halted = True
        self._observer.late_error(step, error)
        self._on_failure()

    def _fail(self, step: Step, error: Exception) -> None:
        with self._lock:
            self.errored = True
            self.first_error = self.first_error or error
            # Protection is no accident: what does not need the protected resource goes, and all of them are told.
            self._halted = self._halted or not isinstance(error, ProtectedError)
            self._failed_urns.add(step.urn)
        self._observer.failed(step, error)
        self._on_failure()


def _stands_apart(step: Step) -> bool:
    """Whether a step does not need the others: a read of a refresh, or one of a layer of deletes, and not of the chain
    of a replacement."""
    if step.stands_alone():
        return True
    return isinstance(step, RemovePendingReplaceStep) or (isinstance(step, DeleteStep) and not step.recreated)
