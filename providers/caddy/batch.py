"""Changes of one process, put together: who comes while a change is being made is in the next one, with all others.

Caddy loads its whole configuration for each change, so ten changes made as one cost what one costs. Decides who makes
a change for whom, and how long it is tried against others who change the same configuration.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from providers.caddy.admin import Gateway
from providers.caddy.plan import Change, Drop, Plan, plan
from providers.errors import NotReadyError, RefusedError

CHANGE_SECONDS = 30.0
"""How long one batch is tried."""
QUEUE_SECONDS = 120.0
"""How long a change waits for the batches before its own."""
WAIT_SECONDS = (0.01, 0.15)
"""Between two tries, at random: those who were too slow would otherwise meet again."""


@dataclass(slots=True)
class _Line:
    """The changes of one gateway that wait in this process."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[tuple[Change, Future[bool]]] = field(default_factory=list)


_lines: dict[Gateway, _Line] = {}
_lock = threading.Lock()


def change(gateway: Gateway, wanted: Change, what: str) -> bool:
    """Makes the change, alone or with those of others in this process; true for a route that was not there before.

    Raises ProviderError.
    """
    with _lock:
        line = _lines.setdefault(gateway, _Line())
    done: Future[bool] = Future()
    with line.lock:
        line.waiting.append((wanted, done))
    if not line.turn.acquire(timeout=QUEUE_SECONDS):
        with line.lock:
            line.waiting = [one for one in line.waiting if one[1] is not done]
        raise NotReadyError(
            f"{what}: {gateway.name} is still busy with other changes of this process after {QUEUE_SECONDS:g} s. "
            "Try again."
        )
    try:
        if not done.done():
            with line.lock:
                batch, line.waiting = line.waiting, []
            _make(gateway, batch, what)
    finally:
        line.turn.release()
    return done.result(0)


def _make(gateway: Gateway, batch: Sequence[tuple[Change, Future[bool]]], what: str) -> None:
    """Each one's future is done afterwards, whatever happens."""
    said = what if len(batch) == 1 else f"{len(batch)} gateway routes, {what} among them"
    try:
        made = apply(gateway, [one for one, _ in batch], said)
    except RefusedError as error:
        if len(batch) == 1:
            batch[0][1].set_exception(error)
            return
        # Caddy takes all or nothing: one by one it tells whose it does not take.
        for one in batch:
            _make(gateway, [one], what if one is batch[0] else f"gateway route {one[0].id!r}")
    except BaseException as error:
        for _, future in batch:
            future.set_exception(error)
        if not isinstance(error, Exception):
            raise
    else:
        for position, (_, future) in enumerate(batch):
            if position in made.refused:
                future.set_exception(made.refused[position])
            else:
                future.set_result(position in made.new)


def apply(gateway: Gateway, changes: Sequence[Change], what: str) -> Plan:
    """Makes all changes that can be made, and returns what was planned. Raises ProviderError."""
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

    tries = Retrying(
        stop=stop_after_delay(CHANGE_SECONDS),
        wait=wait_random(*WAIT_SECONDS),
        retry=retry_if_result(lambda found: found is None),
    )
    try:
        return tries(_once, gateway, changes, what) or Plan(edit=None)
    except RetryError:
        raise NotReadyError(
            f"{what}: {gateway.name} was changed by others at every try for {CHANGE_SECONDS:g} s. Try again."
        ) from None


def _once(gateway: Gateway, changes: Sequence[Change], what: str) -> Plan | None:
    """None where somebody else was faster."""
    state = gateway.read(what)
    if state is None:
        if all(isinstance(one, Drop) for one in changes):
            return Plan(edit=None)  # gone with its server
        raise gateway.missing(what)
    server, etag = state
    wanted = plan(gateway.server, server, changes, gateway.name)
    if wanted.edit is not None and not gateway.write(wanted.edit, etag, what):
        return None
    return wanted
