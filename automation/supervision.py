"""Runs one engine command under watch: limits, signals, and the tenant's lock (CORE-5, CORE-6).

The command runs in a thread; the caller's thread watches. A command that must stop is interrupted, after a grace period
interrupted again, then killed. It never decides what follows.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from automation.endings import LOCK_LOST
from automation.rollback import Stop
from automation.settings import Limit, Settings
from automation.tracking import Tracker

_TICK = 0.1
_LOCK_CHECK_SECONDS = 1.0
_EVENTS_SECONDS = 2.0


class Stoppable(Protocol):
    """What is watched: the part of a TenantStack that stops it."""

    def interrupt(self) -> None:
        """Asks it to stop; the second time, to stop at once."""

    def kill(self) -> None:
        """Ends it by force."""


class Alive(Protocol):
    """A lock that can be lost."""

    def alive(self) -> bool:
        """Whether it is still held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended. `error` is what it raised; `reason` says why it was stopped, if it was."""

    error: Exception | None = None
    stop: Stop = Stop.NONE
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether it came to its end, unstopped."""
        return self.error is None and self.stop is Stop.NONE


class CancelRequests:
    """SIGINT and SIGTERM while in a block. Each counts; the first asks to stop, later ones to stop at once."""

    def __init__(self) -> None:
        self.count = 0
        self.arrived = threading.Event()

    def request(self) -> None:
        """One more request to stop."""
        self.count += 1
        self.arrived.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[CancelRequests]:
        """Handles the signals in this block. Only the main thread can; in others, `request` must be called."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handle(_number: int, _frame: FrameType | None) -> None:
            self.request()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Supervisor:
    """Watches the commands of one run."""

    def __init__(
        self,
        settings: Settings,
        stack: Stoppable,
        tracker: Tracker,
        lock: Alive | None,
        cancel: CancelRequests,
        *,
        line: str,
    ) -> None:
        """`line` is the tenant's, which may have limits of its own."""
        self._line = line
        self._settings = settings
        self._stack = stack
        self._tracker = tracker
        self._lock = lock
        self._cancel = cancel
        self._heeded = 0
        self._next_lock_check = time.monotonic() + _LOCK_CHECK_SECONDS

    def call(self, work: Callable[[], None], limit: Limit, *, steps: bool = True) -> Outcome:
        """Runs `work` for no longer than `limit`. `steps` says whether the limits of single steps hold too."""
        errors: list[Exception] = []
        done = threading.Event()

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - handed to the watching thread, which returns it
                errors.append(error)
            finally:
                done.set()

        self._tracker.begin_command()
        threading.Thread(target=run, name="engine-command", daemon=True).start()
        deadline = time.monotonic() + limit.seconds
        while not done.wait(_TICK):
            stop, reason = self._why_stop(deadline, limit, steps=steps)
            if stop is not Stop.NONE:
                return self._stop(done, errors, stop, reason)
        self._await_events()
        return Outcome(error=errors[0] if errors else None)

    def pause(self, seconds: float) -> bool:
        """Waits before a retry. False when somebody asked to stop meanwhile."""
        return not self._cancel.arrived.wait(seconds)

    def _why_stop(self, deadline: float, limit: Limit, *, steps: bool) -> tuple[Stop, str]:
        if self._cancel.count > self._heeded:
            self._heeded = self._cancel.count
            return Stop.USER, "cancelled by a signal"
        if time.monotonic() > deadline:
            return Stop.LIMIT, f"it took longer than {_seconds(limit.seconds)} ({limit.variable})"
        for key, elapsed in self._tracker.running_for().items() if steps else ():
            step = self._tracker.state.step(key)
            most = self._settings.step_limit(key, step.seconds, line=self._line)
            if elapsed > most.seconds:
                took = f"step '{key}' ({step.title}) took longer than {_seconds(most.seconds)}"
                return Stop.LIMIT, f"{took} ({most.variable})"
        if self._lock is not None and time.monotonic() > self._next_lock_check:
            self._next_lock_check = time.monotonic() + _LOCK_CHECK_SECONDS
            if not self._lock.alive():
                return Stop.LOCK_LOST, LOCK_LOST
        return Stop.NONE, ""

    def _stop(self, done: threading.Event, errors: list[Exception], stop: Stop, reason: str) -> Outcome:
        self._tracker.log("warning", f"stopping: {reason}")
        grace = self._settings.cancel_grace
        for action in (self._stack.interrupt, self._stack.interrupt, self._stack.kill):
            action()
            if self._wait_or_hurry(done, grace):
                self._await_events()
                if not errors and stop is not Stop.LOCK_LOST:
                    # It came to its end before it heard of it: that is how it ended.
                    return Outcome()
                return Outcome(error=errors[0] if errors else None, stop=stop, reason=reason)
        return Outcome(stop=Stop.STUCK, reason=f"{reason}; the engine did not stop within {_seconds(3 * grace)}")

    def _wait_or_hurry(self, done: threading.Event, grace: float) -> bool:
        """Waits for the end of the command; a further signal ends the waiting."""
        seen = self._cancel.count
        until = time.monotonic() + grace
        while time.monotonic() < until and self._cancel.count == seen:
            if done.wait(_TICK):
                return True
        return done.is_set()

    def _await_events(self) -> None:
        """The command's last events may arrive just after it has ended."""
        if self._tracker.saw_events:
            self._tracker.finished.wait(_EVENTS_SECONDS)


def _seconds(value: float) -> str:
    return f"{value:g} s"
