"""Which queue is used: the broker that the environment names, else the main database.

It only chooses; libraries of a queue that is not used are not loaded.
"""

from __future__ import annotations

from automation.queues.seam import Queue
from automation.queues.settings import QueueKind
from automation.settings import Settings


def choose(settings: Settings) -> Queue:
    """The queue, not opened yet. Raises InputError naming a wrong variable."""
    wanted = settings.queue
    if wanted.kind is QueueKind.RABBITMQ:
        from automation.queues.rabbitmq import RabbitQueue

        return RabbitQueue(wanted)
    from automation.queues.procrastinate import ProcrastinateQueue

    return ProcrastinateQueue(settings, wanted.name)
