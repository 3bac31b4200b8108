"""Whether a tenant's parts work now, for the API: asked of a process of its own, as its secrets are in its state.

Decides how often that is done: callers who ask together get one answer, and no more than a few are asked for at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from automation.errors import EngineError, InputError
from automation.jobs.model import ConflictError
from service.fresh import Fresh

SECONDS = 60.0
AT_ONCE = 2
_KEPT = 1000


class HealthChecks:
    """The last answers, by tenant."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Fresh[Mapping[str, Any]]] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def of(self, slug: str) -> Mapping[str, Any]:
        """What `tenantry health SLUG --json` prints."""
        fresh = self._answers.setdefault(slug, Fresh())
        self._answers.move_to_end(slug)
        if len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return await fresh.get(lambda: self._ask(slug))

    async def _ask(self, slug: str) -> Mapping[str, Any]:
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "automation", "health", slug, "--json"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "TENANTRY_LOG_LEVEL": "error"},
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(SECONDS):
                    said, _ = await process.communicate()
            except TimeoutError:
                raise EngineError(f"the health of '{slug}' was not known within {SECONDS:g} s") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return _document(said, slug)


def _document(said: bytes, slug: str) -> Mapping[str, Any]:
    try:
        document = json.loads(said)
    except ValueError:
        document = {}
    if isinstance(document, dict) and document.get("type") == "health":
        return document
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, Mapping) and error.get("exit_code") == InputError.exit_code:
        raise ConflictError(str(error.get("message")), hint=str(error.get("hint") or ""))
    message = error.get("message") if isinstance(error, Mapping) else None
    raise EngineError(f"the health of '{slug}' could not be asked for" + (f": {message}" if message else ""))
