"""A job's events as they happen: server-sent events at `/jobs/{id}/events`, a WebSocket at `/jobs/{id}/ws`."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Response, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from automation.jobs.model import JobEvent
from automation.models_jobs import EventKind
from service import encoding
from service.api.parameters import BIGGEST, JobId, Reader
from service.auth.principal import Principal
from service.live import events
from service.problem_documents import responses
from service.state import State, StateDep

router = APIRouter(tags=["jobs"])

PING_SECONDS = 15
ENDING_SECONDS = 5.0
SEND_SECONDS = 30.0
"""A reader that takes nothing for this long is cut off."""

_EXAMPLE = 'id: 7\nevent: progress\ndata: {"progress":40,"phase":"run","current_step":"database"}\n\n'
_EVENT = {
    "type": "object",
    "description": "an event; `data` is JSON: the job, a step, progress, or a line of the log",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"type": "string", "enum": [kind.value for kind in EventKind]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events: job, step, progress, log, and end as the last one",
            "content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}},
        },
        204: {"description": "The job has ended, and there is nothing after the last event that was seen"},
        **responses(404, 422),
    },
)
async def follow_job(
    state: StateDep,
    who: Reader,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=BIGGEST, description="the last event that was seen")] = 0,
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=BIGGEST, description="as a browser sends it; counts first")
    ] = None,
) -> Response:
    """What happens to a job, live, in order and without gaps. `id` is an event's number, `data` is JSON."""
    seen = last_event_id if last_event_id is not None else after
    job = await state.store.get(job_id)
    if job.ended and not await state.store.events(job_id, seen, 1):
        # What tells a browser not to connect again.
        return Response(status_code=204)
    place = contextlib.ExitStack()
    place.enter_context(state.readers.place())
    ending = anyio.Event()
    return EventSourceResponse(
        _stream(state, who, job_id, seen, place, ending),
        ping=PING_SECONDS,
        send_timeout=SEND_SECONDS,
        # A service that stops ends its streams properly, and does not cut them off.
        shutdown_event=ending,
        shutdown_grace_period=ENDING_SECONDS,
    )


async def _stream(
    state: State, who: Principal, job: uuid.UUID, seen: int, place: contextlib.ExitStack, ending: anyio.Event
) -> AsyncIterator[ServerSentEvent]:
    with place:
        async with contextlib.aclosing(events(state, who, job, seen, ending=ending)) as following:
            async for event in following:
                yield ServerSentEvent(
                    data=encoding.dumps(dict(event.data)).decode(), event=event.kind, id=str(event.seq)
                )


@router.websocket("/jobs/{job_id}/ws")
async def follow_job_by_socket(
    websocket: WebSocket,
    state: StateDep,
    who: Reader,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, le=BIGGEST)] = 0,
) -> None:
    """The same events as JSON: {"seq", "at", "kind", "data"}. Closed with 1000 after `end`, with 1012 before."""
    with state.readers.place():
        await websocket.accept()
        sending = asyncio.create_task(_send(websocket, state, who, job_id, after))
        # What a reader sends is of no interest, but that it goes away is.
        reading = asyncio.create_task(_until_gone(websocket))
        try:
            await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, reading):
                task.cancel()
            results = await asyncio.gather(sending, reading, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _send(websocket: WebSocket, state: State, who: Principal, job: uuid.UUID, after: int) -> None:
    ended = False
    try:
        async with contextlib.aclosing(events(state, who, job, after)) as following:
            async for event in following:
                async with asyncio.timeout(SEND_SECONDS):
                    await websocket.send_text(_message(event))
                ended = event.kind == "end"
        await websocket.close(1000 if ended or (await state.store.get(job)).ended else 1012)
    except (WebSocketDisconnect, TimeoutError):
        return  # the reader is gone


def _message(event: JobEvent) -> str:
    return encoding.dumps(
        {"seq": event.seq, "at": event.at.isoformat(), "kind": event.kind, "data": dict(event.data)}
    ).decode()


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
