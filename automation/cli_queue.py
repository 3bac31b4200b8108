"""`tenantry queue depth|parked`: how much waits, and the messages that nobody could handle.

It only looks: nothing is taken out of the queue, and nothing is put there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from automation.cli_support import Output, print_table, settings_for

if TYPE_CHECKING:
    from automation.queues.seam import Queue

app = typer.Typer(help="The queue between the service and the workers.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_Answer = TypeVar("_Answer")


@app.command()
def depth(as_json: Json = False) -> None:
    """How many messages wait for a worker, for how long the oldest has waited, and how many were parked."""
    output = Output(as_json=as_json)
    name, found = _ask(lambda queue: queue.depth())
    if output.as_json:
        age = found.oldest_seconds
        document = {"type": "queue_depth", "queue": name, "waiting": found.waiting, "parked": found.parked}
        output.document({**document, "oldest_seconds": None if age is None else round(age, 3)})
        return
    output.say(f"queue:   {name}")
    oldest = "" if found.oldest_seconds is None else f", the oldest for {found.oldest_seconds:.0f} s"
    output.say(f"waiting: {found.waiting}{oldest}")
    output.say(f"parked:  {found.parked}{'; `tenantry queue parked` shows them' if found.parked else ''}")


@app.command()
def parked(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, the newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """Messages that were none of ours, or that no worker could handle, with the reason. Their jobs are not lost."""
    output = Output(as_json=as_json)
    name, found = _ask(lambda queue: queue.parked(limit))
    if output.as_json:
        rows = [{"at": item.at.isoformat(), "reason": item.reason, "body": item.body} for item in found]
        output.document({"type": "queue_parked", "queue": name, "messages": rows})
        return
    if not found:
        output.say(f"nothing is parked: {name}")
        return
    stamp = "%Y-%m-%d %H:%M:%S %Z"
    print_table(
        output, ("PARKED", "REASON", "MESSAGE"), [(item.at.strftime(stamp), item.reason, item.body) for item in found]
    )


def _ask(question: Callable[[Queue], Awaitable[_Answer]]) -> tuple[str, _Answer]:
    """The queue's name and its answer. Raises QueueError."""
    import asyncio

    from automation.queues.choose import choose

    async def run() -> tuple[str, _Answer]:
        queue = choose(settings_for())
        try:
            await queue.open()
            return queue.name, await question(queue)
        finally:
            await queue.close()

    return asyncio.run(run())
