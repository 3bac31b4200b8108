"""Which queue, and where the broker is, from the environment (SITE-3).

Decides defaults and refuses values that make no sense, by variable name. Never connects, never shows the password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from automation.errors import InputError

DEFAULT_NAME = "erpmax.provisioning"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
# A name becomes part of a channel of PostgreSQL's NOTIFY, which may have 63 bytes with procrastinate's prefix.
_LONGEST = {"procrastinate": 40, "rabbitmq": 200}
_AMQP_PORTS = {"amqp": 5672, "amqps": 5671}


class QueueKind(StrEnum):
    """Who carries the messages."""

    PROCRASTINATE = "procrastinate"
    RABBITMQ = "rabbitmq"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The queue. `url` is the broker's, with its password; empty where there is none: not for printing."""

    kind: QueueKind
    name: str
    url: str = field(default="", repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> QueueSettings:
        """RabbitMQ where RABBITMQ_URL or RABBITMQ_HOST is set, else PostgreSQL; TENANTRY_QUEUE says it outright.

        Raises InputError naming the wrong variable.
        """
        env = os.environ if environ is None else environ
        url = _url(env)
        kind = _kind(env.get("TENANTRY_QUEUE", ""), has_broker=bool(url))
        name = env.get("PROVISIONING_QUEUE_NAME") or DEFAULT_NAME
        if not _NAME.fullmatch(name) or name.startswith("amq.") or len(name) > _LONGEST[kind]:
            raise _wrong(
                f"PROVISIONING_QUEUE_NAME is {name[:60]!r}",
                f"letters, digits, '.', '_', ':' and '-', at most {_LONGEST[kind]}, not beginning with 'amq.'",
            )
        return cls(kind=kind, name=name, url=url if kind is QueueKind.RABBITMQ else "")

    @property
    def address(self) -> str:
        """`host:port` of the broker, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or _AMQP_PORTS[parts.scheme]}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never be shown."""
        password = urlsplit(self.url).password
        return tuple(dict.fromkeys((password, unquote(password)))) if password else ()


def _kind(text: str, *, has_broker: bool) -> QueueKind:
    word = text.strip().lower()
    if word in {"", "auto"}:
        return QueueKind.RABBITMQ if has_broker else QueueKind.PROCRASTINATE
    if word not in set(QueueKind):
        raise _wrong(f"TENANTRY_QUEUE is {text[:40]!r}", "auto, procrastinate or rabbitmq")
    if word == QueueKind.RABBITMQ and not has_broker:
        raise InputError(
            "TENANTRY_QUEUE is rabbitmq, but no broker is named", hint="set RABBITMQ_URL, or RABBITMQ_HOST"
        )
    return QueueKind(word)


def _url(env: Mapping[str, str]) -> str:
    if given := env.get("RABBITMQ_URL"):
        return _checked(given)
    host = env.get("RABBITMQ_HOST")
    if not host:
        return ""
    port = env.get("RABBITMQ_PORT") or "5672"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65_535:
        raise _wrong(f"RABBITMQ_PORT is {port[:40]!r}", "a number from 1 to 65535")
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", host):
        raise _wrong(f"RABBITMQ_HOST is {host[:60]!r}", "a host's name or address")
    where = f"[{host}]" if ":" in host else host
    user = quote(env.get("RABBITMQ_USER") or "guest", safe="")
    password = quote(env.get("RABBITMQ_PASSWORD") or "guest", safe="")
    return f"amqp://{user}:{password}@{where}:{port}/"


def _checked(url: str) -> str:
    # What is wrong is said without the value: it holds a password.
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _AMQP_PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise _wrong("RABBITMQ_URL cannot be read", "amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps:// for TLS")
    return url


def _wrong(what: str, valid: str) -> InputError:
    return InputError(f"wrong environment variable: {what}", hint=f"set it to {valid}")
