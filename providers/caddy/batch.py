"""Changes of one process, put together: who comes while a change is being made is in the next one, with all others.

Caddy loads its whole configuration for each change, so ten changes made as one cost what one costs. Decides who makes
a change for whom, and how long it is tried against others who change the same configuration: processes do not know of
each other, and tenants' operations are processes of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from providers.caddy.admin import Gateway
from providers.caddy.plan import Change, Drop, Plan, plan
from providers.errors import NotReadyError, RefusedError

CHANGE_SECONDS = 30.0
"""How long one batch is tried."""
QUEUE_SECONDS = 120.0
"""How long a change waits for the batches before its own."""
WAIT_SECONDS = (0.01, 0.15)
"""Between two tries, at random: those who were too slow would otherwise meet again."""


_NAMED = 5
"""How many routes an error of a batch names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """`what` is how errors call the change's route."""

    wanted: Change
    what: str
    done: Future[bool] = field(default_factory=Future)


@dataclass(slots=True)
class _Line:
    """The changes of one gateway that wait in this process."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[_Waiting] = field(default_factory=list)


_lines: dict[Gateway, _Line] = {}
_lock = threading.Lock()


def change(gateway: Gateway, wanted: Change, what: str) -> bool:
    """Makes the change, alone or with those of others in this process; true for a route that was not there before.

    Raises ProviderError.
    """
    with _lock:
        line = _lines.setdefault(gateway, _Line())
    mine = _Waiting(wanted=wanted, what=what)
    with line.lock:
        line.waiting.append(mine)
    if not line.turn.acquire(timeout=QUEUE_SECONDS):
        with line.lock:
            line.waiting = [one for one in line.waiting if one is not mine]
        raise NotReadyError(
            f"{what}: {gateway.name} is still busy with other changes of this process after {QUEUE_SECONDS:g} s. "
            "Try again."
        )
    try:
        if not mine.done.done():
            with line.lock:
                batch, line.waiting = line.waiting, []
            _make(gateway, batch)
    finally:
        line.turn.release()
    return mine.done.result(0)


def _make(gateway: Gateway, batch: Sequence[_Waiting]) -> None:
    """Each one's future is done afterwards, whatever happens."""
    try:
        made = apply(gateway, [one.wanted for one in batch], _named(batch))
    except RefusedError as error:
        if len(batch) == 1:
            batch[0].done.set_exception(error)
            return
        # Caddy takes all or nothing: one by one it tells whose it does not take.
        for one in batch:
            _make(gateway, [one])
    except BaseException as error:
        for one in batch:
            one.done.set_exception(error)
        if not isinstance(error, Exception):
            raise
    else:
        for position, one in enumerate(batch):
            if position in made.refused:
                one.done.set_exception(made.refused[position])
            else:
                one.done.set_result(position in made.new)


def _named(batch: Sequence[_Waiting]) -> str:
    """What an error calls them, which each of them gets: whoever's turn it was is none of the others' concern."""
    if len(batch) == 1:
        return batch[0].what
    more = [f"{len(batch) - _NAMED} more"] if len(batch) > _NAMED else []
    return f"{', '.join([*(one.what for one in batch[:_NAMED]), *more])} (changed together)"


def apply(gateway: Gateway, changes: Sequence[Change], what: str) -> Plan:
    """Makes all changes that can be made, and returns what was planned. Raises ProviderError."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

    tries = Retrying(
        stop=stop_after_delay(CHANGE_SECONDS),
        wait=wait_random(*WAIT_SECONDS),
        retry=retry_if_result(lambda found: found is None),
    )
    unsure: set[int] = set()
    try:
        return tries(_once, gateway, changes, what, unsure) or Plan(edit=None)
    except RetryError:
        raise NotReadyError(
            f"{what}: {gateway.name} was changed by others at every try for {CHANGE_SECONDS:g} s. Try again."
        ) from None


def _once(gateway: Gateway, changes: Sequence[Change], what: str, unsure: set[int]) -> Plan | None:
    """None where somebody else was faster, or so it seems: our own change, whose answer was lost, looks the same.

    `unsure` has the routes that were new at such tries. One that is as we wanted it at the next is our own making.
    """
    state = gateway.read(what)
    if state is None:
        if all(isinstance(one, Drop) for one in changes):
            return Plan(edit=None)  # gone with its server
        raise gateway.missing(what)
    server, etag = state
    wanted = plan(gateway.server, server, changes, gateway.name)
    if wanted.edit is not None and not gateway.write(wanted.edit, etag, what):
        unsure |= wanted.new
        return None
    return replace(wanted, new=wanted.new | (wanted.there & unsure))
