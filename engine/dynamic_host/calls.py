"""The calls that run just now: how long they may take, what becomes of their errors, and who is told to give up.

A Python thread cannot be stopped from outside. A call that outlives its time is answered all the same, and goes on
behind; a provider that wants to end it sooner has a method `give_up(urn, operation)`, which is called on a thread of
its own for that call, and for every running call when the engine cancels. Nothing here knows a resource's properties.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

GIVE_UP = "give_up"


class Call:
    """One call: its resource's URN, the operation in small letters, and its provider as soon as that is loaded.

    `answered` says that it took too long and has been answered: what has not begun by then must not begin any more.
    """

    __slots__ = ("_given_up", "_lock", "_provider", "answered", "operation", "urn")

    def __init__(self, urn: str, operation: str) -> None:
        self.urn = urn
        self.operation = operation
        self._provider: Any = None
        self._given_up = False
        self._lock = threading.Lock()
        self.answered = False

    def of(self, provider: Any) -> None:
        """Its provider is loaded, which is told at once if nobody waits for the call any more."""
        with self._lock:
            self._provider = provider
            late = self._given_up
        if late:
            self._tell()

    def give_up(self) -> None:
        """Nobody wants to wait any longer: its provider is told, as soon as there is one."""
        with self._lock:
            self._given_up = True
            known = self._provider is not None
        if known:
            self._tell()

    def _tell(self) -> None:
        hook = getattr(self._provider, GIVE_UP, None)
        if callable(hook):
            threading.Thread(target=_run_hook, args=(hook, self), daemon=True).start()


class CallFailedError(Exception):
    """A call that has no result; the text is for the engine. `in_time` is False where the call still goes on."""

    def __init__(self, text: str, *, in_time: bool = True) -> None:
        super().__init__(text)
        self.in_time = in_time


class Calls:
    """All running calls of this process."""

    def __init__(self) -> None:
        self._running: set[Call] = set()
        self._lock = threading.Lock()

    def run(self, call: Call, seconds: float, work: Callable[[], Any]) -> Any:
        """What `work` returns; waits at most `seconds`, and for ever where that is 0. Raises CallFailedError."""
        outcome: list[tuple[Any, str | None]] = []
        if seconds > 0:
            thread = threading.Thread(target=lambda: outcome.append(self._attempt(call, work)), daemon=True)
            thread.start()
            thread.join(seconds)
        else:
            outcome.append(self._attempt(call, work))
        if not outcome:
            call.answered = True
            call.give_up()
            raise CallFailedError(_late(call, seconds), in_time=False)
        result, failure = outcome[0]
        if failure is not None:
            raise CallFailedError(failure)
        return result

    def give_up(self) -> None:
        """Tells the providers of all running calls that nobody wants to wait any longer."""
        with self._lock:
            running = list(self._running)
        for call in running:
            call.give_up()

    def _attempt(self, call: Call, work: Callable[[], Any]) -> tuple[Any, str | None]:
        """(result, None), or (None, the traceback)."""
        with self._lock:
            self._running.add(call)
        try:
            return work(), None
        except BaseException:  # noqa: BLE001 - nobody would answer a call that ended with SystemExit
            return None, traceback.format_exc()
        finally:
            with self._lock:
                self._running.discard(call)


def _late(call: Call, seconds: float) -> str:
    return (
        f"{call.urn}: the {call.operation} took longer than the {seconds:g} seconds that its customTimeouts allow, and "
        f"is not waited for. It may still be at work, or have done its work: look at the object before you retry."
    )


def _run_hook(hook: Callable[[str, str], Any], call: Call) -> None:
    try:
        hook(call.urn, call.operation)
    except Exception:  # noqa: BLE001 - the provider's own; it goes to the plugin's log, and the call goes on
        traceback.print_exc()
