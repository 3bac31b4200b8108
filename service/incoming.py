"""What a caller may send with a request, and how long it is waited for: for every route alike, API and pages.

Decides size and time of a body, as it is read and not before: nobody's body is read before their token is. What is in
it is decided by whoever reads it. How long a request's head may take is decided by the server, in `automation.serving`.
"""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem

BODY_SECONDS = 30.0
_DIGITS = 15
_CLOSE = {"Connection": "close"}


def install(app: FastAPI, limit: int) -> None:
    """Makes every route of `app` refuse bodies of more than `limit` bytes, and those that do not come to their end."""
    app.add_middleware(IncomingBody, limit=limit)


class IncomingBody:
    """Puts the limits between the server and whoever reads a body."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._limit)

        async def tell(message: Message) -> None:
            body.answered = True
            await send(message)

        await self._app(scope, body.receive, tell)


class _Body:
    """The body of one request while it is read."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._announced = Headers(scope=scope).get("content-length", "")
        self._read = 0
        self._until: float | None = None
        self._complete = False
        self.answered = False

    async def receive(self) -> Message:
        """The next part. Raises Problem 408 or 413; once an answer has begun the caller counts as gone instead."""
        if self._complete:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + BODY_SECONDS
            if self._announced.isdecimal() and (len(self._announced) > _DIGITS or int(self._announced) > self._limit):
                return self._refuse(413, f"The body is larger than {self._limit} bytes.")
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408, f"The body was not there after {BODY_SECONDS:g} s.", "send it again, at once")
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            return self._refuse(413, f"The body is larger than {self._limit} bytes.")
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _refuse(self, status: int, detail: str, hint: str = "") -> Message:
        if self.answered:
            return {"type": "http.disconnect"}
        # The connection is of no use any more: what is left of the body would be taken for the next request.
        raise Problem(status, detail, hint=hint, headers=_CLOSE)
