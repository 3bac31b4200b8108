"""The one loop that waits: look, tell, sleep until something changes, look again.

Decides when to look, what is told while waiting, and how a wait ends. An API server that is away does not end it while
there is time left. It knows no kind.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from providers.kubernetes.awaiting.documents import name_of, namespace_of, title
from providers.kubernetes.awaiting.errors import AwaitCancelledError, NotReady
from providers.kubernetes.awaiting.verdict import Failed, Query, Ready, Verdict, Waiting
from providers.kubernetes.awaiting.watches import Heard, Watches
from providers.kubernetes.seam import Cancelled, Cluster, Document, Report
from providers.plugin.errors import CancelledError, ProviderError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
EXPLAIN_AFTER = 1.0
"""What is ready sooner needs no explanation, which takes requests."""
_EXPLAIN_EVERY = 2.0
_BREATH = 0.1
"""Between two looks, however much happens."""


class Task(Protocol):
    """What is waited for."""

    last: Document
    goal: str
    """`is not ready`: what it is while it is waited for."""

    def look(self, heard: Heard | None, *, telling: bool) -> Verdict: ...
    def live(self) -> str: ...
    def account(self) -> str: ...
    def hide(self, words: str) -> str: ...
    def watched(self) -> tuple[Query, ...]: ...


@dataclass(slots=True, kw_only=True)
class Wait:
    """One wait for one object, `timeout` seconds at most; with 0 it is one look."""

    cluster: Cluster
    timeout: float
    report: Report
    cancelled: Cancelled
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False, default=0.0)
    _told: str = field(init=False, default="")
    _explained: float = field(init=False, default=0.0)
    _extra: str = field(init=False, default="")
    _away: str = field(init=False, default="")
    _away_since: float = field(init=False, default=0.0)

    def run(self, task: Task) -> None:
        """Raises NotReady."""
        try:
            self._run(task)
        except NotReady:
            raise
        except CancelledError:
            # The client refuses every call from then on.
            raise self._cancellation(task) from None

    def _run(self, task: Task) -> None:
        self._begun = self.clock()
        watches: Watches | None = None
        heard: Heard | None = None
        pause = FIRST_PAUSE
        seen: Waiting = Waiting(reason="it could not be looked at")
        try:
            while True:
                if self.cancelled():
                    raise self._cancellation(task)
                verdict = self._look(task, heard)
                if isinstance(verdict, Ready):
                    return
                if isinstance(verdict, Failed):
                    words = f"{title(task.last)} {task.goal}: {verdict.reason}"
                    raise self._ended(task, words, task.account())
                seen = verdict or seen
                left = self._begun + self.timeout - self.clock()
                if left <= 0:
                    raise self._late(task, seen)
                self._tell(task, seen)
                if watches is None:
                    watches = Watches(self.cluster, task.last, task.watched())
                elif not self._away and (heard is None or heard.event is None):
                    watches.seen(task.last)
                time.sleep(min(_BREATH, left))
                heard = watches.wait(min(pause, max(left - _BREATH, 0.0)), self.cancelled)
                pause = FIRST_PAUSE if heard else min(pause * 2, LONGEST_PAUSE)
        finally:
            if watches is not None:
                watches.stop()

    def _look(self, task: Task, heard: Heard | None) -> Verdict | None:
        """The verdict, or None where the server is away just now."""
        telling = bool(self._told) and self.clock() - self._begun >= EXPLAIN_AFTER
        try:
            verdict = task.look(heard, telling=telling)
        except (CancelledError, NotReady):
            raise
        except ProviderError as error:
            if not error.retry:
                raise self._ended(task, f"{title(task.last)} cannot be waited for: {error}") from None
            self._away_since = self._away_since if self._away else self.clock()
            self._away = str(error)
            return None
        self._away = ""
        return verdict

    def _tell(self, task: Task, seen: Waiting) -> None:
        """Shows what is missing, where that is news."""
        now = self.clock()
        if self._away:
            message = f"Waiting for the API server, which does not answer: {self._away}"
        else:
            if now - self._begun >= EXPLAIN_AFTER and now - self._explained >= _EXPLAIN_EVERY:
                self._extra, self._explained = task.live(), now
            message = "; ".join(filter(None, (task.hide(seen.message), self._extra)))
        if message != self._told:
            self._told = message
            self.report(message)

    def _late(self, task: Task, seen: Waiting) -> NotReady:
        if not self.timeout:
            return self._ended(task, f"{title(task.last)} {task.goal}: {seen.message}", task.account())
        words = f"{title(task.last)} {task.goal} after {self.timeout:g} s: {seen.message}"
        hint = "Mend that and apply again, or allow more time by customTimeouts or pulumi.com/timeoutSeconds"
        if self._away:
            away = f"The API server has not answered for {self.clock() - self._away_since:.0f} s: {self._away}"
            return self._ended(task, words, self._extra, away, hint)
        return self._ended(task, words, task.account(), hint)

    def _ended(self, task: Task, words: str, *more: str) -> NotReady:
        reason = ". ".join(each.rstrip(". ") for each in (task.hide(words), *more) if each)
        return NotReady(reason, last=task.last, object_id=object_id(task.last))

    def _cancellation(self, task: Task) -> AwaitCancelledError:
        reason = f"{title(task.last)} {task.goal}: cancelled, apply again to go on"
        return AwaitCancelledError(reason, last=task.last, object_id=object_id(task.last))


def object_id(obj: Document) -> str:
    """As the stock provider names objects: `namespace/name`, or the name of what lies in no namespace."""
    return "/".join(filter(None, (namespace_of(obj), name_of(obj))))
