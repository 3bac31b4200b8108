"""Runs a tenant's checks side by side, once or until all are well.

Decides how long is waited for a part that is just coming up. What a check does is decided in `checks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from providers.health.checks import SECONDS, CheckError, Parts, checks_of

READY_SECONDS = 30.0
PAUSE_SECONDS = 0.25
_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One part: whether it works, what was seen where it does not, and how long that took in milliseconds."""

    part: str
    ok: bool
    detail: str
    duration_ms: int


def check(parts: Parts, *, seconds: float = 0.0) -> list[Checked]:
    """Each part once; those that do not work again until they do, for at most `seconds` more."""
    until = time.monotonic() + seconds
    checks = checks_of(parts)
    results: dict[str, Checked] = {}
    with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="health") as pool:
        open_ = dict(checks)
        while True:
            done = pool.map(lambda one: _checked(*one), open_.items(), timeout=2 * SECONDS * max(1, len(open_)))
            results |= {one.part: one for one in done}
            open_ = {name: checks[name] for name, one in results.items() if not one.ok}
            if not open_ or time.monotonic() >= until:
                return [results[name] for name in checks]
            time.sleep(PAUSE_SECONDS)


def failures(results: list[Checked]) -> Mapping[str, str]:
    """What was seen of the parts that do not work."""
    return {one.part: one.detail for one in results if not one.ok}


def _checked(part: str, work: Callable[[], None]) -> Checked:
    began = time.monotonic()
    detail = ""
    try:
        work()
    except CheckError as error:
        detail = str(error)
    return Checked(part=part, ok=not detail, detail=detail, duration_ms=round((time.monotonic() - began) * 1000))
