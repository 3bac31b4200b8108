"""Runs a tenant's checks side by side, once or until all are well.

Decides how long is waited: for a check that does not end, and for a part that is just coming up. What a check does is
decided in `checks` and `isp`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers.errors import NotReadyError
from providers.health import checks as parts_checks
from providers.health.checks import Check, CheckError, late
from providers.live import speaker

READY_SECONDS = 30.0
PAUSE_SECONDS = 0.25
GRACE_SECONDS = 0.5
"""A check that ends at its own limit has so long to say why."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One part: whether it works, what was seen of it, and how long that took in milliseconds.

    Of a part that does not work `detail` says why; of one that does it may be empty.
    """

    part: str
    ok: bool
    detail: str
    duration_ms: int


def check(
    checks: Mapping[str, Check], *, seconds: float = 0.0, heard: Callable[[list[Checked]], None] | None = None
) -> list[Checked]:
    """Each part once; those that do not work again until they do, for at most `seconds` more.

    `heard` is told after each round how it is with all parts.
    """
    until = time.monotonic() + seconds
    results: dict[str, Checked] = {}
    open_ = dict(checks)
    while True:
        results |= _once(open_)
        if heard is not None:
            heard([results[name] for name in checks])
        open_ = {name: checks[name] for name, one in results.items() if not one.ok}
        if not open_ or time.monotonic() >= until:
            return [results[name] for name in checks]
        time.sleep(PAUSE_SECONDS)


def failures(results: list[Checked]) -> Mapping[str, str]:
    """What was seen of the parts that do not work."""
    return {one.part: one.detail for one in results if not one.ok}


def waiting_for(say: Callable[[str], None]) -> Callable[[list[Checked]], None]:
    """For `heard`: says after each round which parts do not work yet, and what is seen of them."""

    def told(results: list[Checked]) -> None:
        broken = failures(results)
        if broken:
            say(f"waiting for {_seen(broken)}")

    return told


def await_healthy(what: str, checks: Mapping[str, Check], seconds: float) -> None:
    """Waits for all parts, and shows meanwhile which it waits for, beside the resource whose call this is.

    Raises NotReadyError with what was seen of each part that does not work.
    """
    broken = failures(check(checks, seconds=seconds, heard=waiting_for(speaker())))
    if broken:
        raise NotReadyError(
            f"{what}: not healthy within {seconds:g} s. {_seen(broken)}. Mend what is named, then run up again."
        )


def _seen(broken: Mapping[str, str]) -> str:
    return "; ".join(f"{part}: {detail}" for part, detail in broken.items())


def _once(checks: Mapping[str, Check]) -> dict[str, Checked]:
    """Each check once, a few at a time. One that does not end in time has failed, and is waited for no longer."""
    said: queue.SimpleQueue[Checked] = queue.SimpleQueue()
    waiting, running = list(checks.items()), dict[str, float]()
    results: dict[str, Checked] = {}
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            part, work = waiting.pop(0)
            running[part] = time.monotonic()
            _begin(part, work, said)
        limit = parts_checks.SECONDS + GRACE_SECONDS
        try:
            one = said.get(timeout=max(0.0, min(running.values()) + limit - time.monotonic()))
        except queue.Empty:
            found = [_too_late(part) for part, began in running.items() if time.monotonic() >= began + limit]
        else:
            # One that was given up before says so too late.
            found = [one] if one.part in running else []
        for each in found:
            results[each.part] = each
            del running[each.part]
    return results


def _begin(part: str, work: Check, said: queue.SimpleQueue[Checked]) -> None:
    # Not of a pool: Python waits for a pool's threads at its end, so that one that hangs would keep the process.
    threading.Thread(target=lambda: said.put(_checked(part, work)), name=f"health {part}", daemon=True).start()


def _too_late(part: str) -> Checked:
    seconds = parts_checks.SECONDS
    return Checked(part=part, ok=False, detail=late(seconds), duration_ms=round(seconds * 1000))


def _checked(part: str, work: Check) -> Checked:
    began = time.monotonic()
    ok, detail = False, ""
    try:
        detail, ok = work() or "", True
    except CheckError as error:
        detail = str(error)
    except Exception as error:  # noqa: BLE001 - the other parts' results are not lost for a fault in one check
        # Without its message, which may hold what the check was given.
        detail = f"the check itself failed with {type(error).__name__}{_place(error)}: report it"
    return Checked(part=part, ok=ok, detail=detail, duration_ms=round((time.monotonic() - began) * 1000))


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace is not None else ""
