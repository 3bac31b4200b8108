"""Whether a tenant's parts work now, for the API: asked of a process of its own, as its secrets are in its state.

Decides how often that is done: callers who ask together get one answer, and no more than a few are asked for at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from automation.asking import COMMAND, Answer, answer_to
from automation.errors import EngineError, InputError
from automation.jobs.model import ConflictError
from service.fresh import Fresh

SECONDS = 60.0
"""The limit of one question, with its wait for a place."""
AT_ONCE = 2
_KEPT = 1000

log = structlog.get_logger("tenantry.service")


class HealthUnknownError(EngineError):
    """Whether a tenant's parts work could not be found out; callers may read the message."""


class HealthChecks:
    """The last answers, by tenant. `command` is `tenantry`."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = tuple(command)
        self._answers: OrderedDict[str, Fresh[Mapping[str, Any]]] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def of(self, slug: str) -> Mapping[str, Any]:
        """What `tenantry health SLUG --json` prints. Raises ConflictError, HealthUnknownError."""
        fresh = self._answers.setdefault(slug, Fresh())
        self._answers.move_to_end(slug)
        if len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return await fresh.get(lambda: self._ask(slug))

    async def _ask(self, slug: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(SECONDS), self._places:
                answer = await answer_to("health", slug, command=self._command)
        except TimeoutError:
            raise HealthUnknownError(
                f"the health of '{slug}' was not known within {SECONDS:g} s", hint="try again in a minute"
            ) from None
        return _document(answer, slug)


def _document(answer: Answer, slug: str) -> Mapping[str, Any]:
    if answer.document.get("type") == "health":
        return answer.document
    error = answer.error
    if error.get("exit_code") == InputError.exit_code:
        raise ConflictError(str(error.get("message")), hint=str(error.get("hint") or ""))
    message = str(error.get("message")) if error else "it said nothing"
    log.error("the health of a tenant could not be asked for", tenant=slug, reason=message, exit_code=answer.code)
    what = f"the health of '{slug}' could not be asked for"
    if answer.code == EngineError.exit_code:
        raise HealthUnknownError(f"{what}: {message}", hint=str(error.get("hint") or ""))
    # Of faults and of the database callers are told no more by other routes either.
    raise HealthUnknownError(what, hint="the service's log has the reason")
