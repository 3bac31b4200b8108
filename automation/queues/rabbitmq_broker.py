"""RabbitMQ: connecting, the three queues that one name stands for, and how the broker's refusals read.

NAME holds the messages; NAME.again those whose handler raised, until they are due; NAME.parked those that nobody could
handle. All are quorum queues: what is confirmed survives the loss of a broker. Nothing here publishes or consumes.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed

from automation.queues.seam import QueueError
from automation.queues.settings import QueueSettings

CALL_SECONDS = 5.0
LOST = (*CONNECTION_EXCEPTIONS, TimeoutError)
REASON = "tenantry-reason"
PARKED_AT = "tenantry-parked-at"
FAILURES = "tenantry-failures"

_HEARTBEAT_SECONDS = 10
# Losing its consumer so often is the message's doing: it kills them. Failures of handlers are counted by ourselves.
_MOST_RETURNS = 20
# Reading what is parked gives it back each time, and must never use it up.
_READINGS = 1_000_000_000
_MOST_PARKED = 10_000


def again(name: str) -> str:
    """The queue of messages that are delivered again later."""
    return f"{name}.again"


def parked(name: str) -> str:
    """The dead-letter queue."""
    return f"{name}.parked"


def arguments(name: str) -> dict[str, dict[str, Any]]:
    """The queues that `name` stands for, with their settings, in the order in which they are made."""
    quorum = {"x-queue-type": "quorum"}
    # A message leaves one queue only when the next one has it; that needs a queue that refuses rather than drops.
    safely = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    return {
        parked(name): quorum | {"x-max-length": _MOST_PARKED, "x-delivery-limit": _READINGS},
        name: quorum | safely | {"x-dead-letter-routing-key": parked(name), "x-delivery-limit": _MOST_RETURNS},
        again(name): quorum | safely | {"x-dead-letter-routing-key": name},
    }


async def connect(settings: QueueSettings, purpose: str) -> AbstractConnection:
    """A connection. Raises what `explain` puts in words."""
    return await aio_pika.connect(
        settings.url,
        timeout=CALL_SECONDS,
        heartbeat=_HEARTBEAT_SECONDS,
        client_properties={"connection_name": f"tenantry {purpose} on {socket.gethostname()}"},
    )


async def declare(channel: AbstractChannel, name: str) -> AbstractQueue:
    """Makes the queues that are missing; returns the one that holds the messages."""
    made = {
        each: await channel.declare_queue(each, durable=True, arguments=wanted, timeout=CALL_SECONDS)
        for each, wanted in arguments(name).items()
    }
    return made[name]


def explain(settings: QueueSettings, error: BaseException) -> QueueError:
    """`error` in words that name the broker and say what to do; without the password."""
    if isinstance(error, QueueError):
        return error
    where = f"RabbitMQ at {settings.address}"
    reason = " ".join(str(error).split()) or type(error).__name__
    for secret in settings.secrets:
        reason = reason.replace(secret, "[secret]")
    if isinstance(error, (AuthenticationError, ProbableAuthenticationError)):
        user = urlsplit(settings.url).username or "guest"
        return QueueError(
            f"{where} refuses the user '{user}': wrong password or user",
            hint="check RABBITMQ_URL, or RABBITMQ_USER and RABBITMQ_PASSWORD",
        )
    if isinstance(error, ChannelPreconditionFailed):
        return QueueError(
            f"{where} has the queue '{settings.name}' with other settings: {reason}",
            hint=f"empty and delete '{settings.name}', '{again(settings.name)}' and '{parked(settings.name)}', or set "
            "PROVISIONING_QUEUE_NAME to another name",
        )
    if isinstance(error, (ChannelAccessRefused, ConnectionNotAllowed)):
        return QueueError(f"{where} refuses: {reason}", hint="give the user rights on the virtual host and its queues")
    if "Connection.OpenOk" in reason:  # the library does not pass on what the broker said
        vhost = unquote(urlsplit(settings.url).path[1:]) or "/"
        return QueueError(
            f"{where} refuses the virtual host '{vhost}': it is not there, or not for this user",
            hint="correct the path of RABBITMQ_URL, or give the user rights on that virtual host",
        )
    if isinstance(error, DeliveryError):
        return QueueError(
            f"{where} did not take the message for '{settings.name}'",
            hint="check the broker's log, its memory and its disk, and that the queue exists",
        )
    if isinstance(error, TimeoutError):
        reason = f"no answer within {CALL_SECONDS:.0f} seconds"
    return QueueError(
        f"{where} cannot be reached: {reason}",
        hint="check that RabbitMQ is running there, and RABBITMQ_URL or RABBITMQ_HOST and RABBITMQ_PORT",
    )
