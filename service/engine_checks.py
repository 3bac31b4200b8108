"""How the engine of a region is, for callers of the service: asked in a thread, once for all who ask together.

Decides how long a caller waits for that. How an engine is asked, and how long an answer is kept, is its provider's.
"""

from __future__ import annotations

import asyncio

from providers.http import correlated
from stacks.pos.engine import UNKNOWN, EngineHealth, health_of

PATIENCE = 12.0
"""Seconds: three tries at an engine that refuses connections, with their waits, take seven."""


class EngineChecks:
    """The looks that go on."""

    def __init__(self) -> None:
        self._going_on: dict[tuple[str, str], asyncio.Task[EngineHealth]] = {}

    async def of(self, engine: str, region: str, *, correlation_id: str = "") -> EngineHealth:
        """How the engine is. `unknown` where that takes longer than PATIENCE: whoever needs it asks again."""
        key = (engine, region)
        if (task := self._going_on.get(key)) is None:
            with correlated(correlation_id):
                task = asyncio.create_task(asyncio.to_thread(health_of, engine, region))
            self._going_on[key] = task
            task.add_done_callback(lambda _ended: self._going_on.pop(key, None))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        if not done:
            return EngineHealth(engine=engine, status=UNKNOWN, words=f"it was not known within {PATIENCE:g} s")
        return task.result()
