"""Logs of service, workers and operations: a JSON object a line on standard error, with the correlation id, no secret.

Decides the shape of a line, for structlog and for the standard library's loggers alike. It never decides what is told.
Fields: timestamp, level, event, logger, process, and what is bound to the context: correlation_id, job, subject ...
"""

from __future__ import annotations

import logging
import logging.config
import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import IO, Any

import structlog
from structlog.typing import EventDict, Processor

from automation.errors import InputError
from automation.redaction import redactor, secret_values

CORRELATION_VARIABLE = "TENANTRY_CORRELATION_ID"
"""How the id reaches a process that is started for a job."""
_CORRELATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=-]{7,63}")
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("json", "text")
# Libraries whose every step would be a line.
_QUIET = ("httpx", "httpcore", "aiormq", "aio_pika", "sqlalchemy.engine", "alembic", "watchfiles", "multipart")
_DEEPEST = 6


def is_correlation_id(text: str) -> bool:
    """Whether an id that somebody sent may be ours: 8 to 64 letters, digits and `._:+=-`."""
    return _CORRELATION_ID.fullmatch(text) is not None


def correlation_id() -> str | None:
    """The id that this task's, or this process's, log lines carry."""
    bound = structlog.contextvars.get_contextvars().get("correlation_id")
    return bound if isinstance(bound, str) else os.environ.get(CORRELATION_VARIABLE) or None


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Log lines in the block, and in tasks that start in it, carry `values`."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def configure_logging(process: str, environ: Mapping[str, str] = os.environ, *, stream: IO[str] | None = None) -> None:
    """Sets up logging for this process; `process` is `service`, `worker` or the like, as the lines call it.

    TENANTRY_LOG_LEVEL is debug, info, warning or error; TENANTRY_LOG_FORMAT is json, or text for a terminal. Lines go
    to `stream`, or to standard error.
    """
    config = logging_config(process, environ)
    if stream is not None:
        config["handlers"]["stderr"]["stream"] = stream
    logging.config.dictConfig(config)


def logging_config(process: str, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The same as a dictionary for `logging.config`: processes that a server spawns configure themselves with it."""
    level = _word(environ, "TENANTRY_LOG_LEVEL", "info", _LEVELS).upper()
    form = _word(environ, "TENANTRY_LOG_FORMAT", "json", _FORMATS)
    formatter = {"()": "automation.logs.make_formatter", "process": process, "form": form, "level": level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"tenantry": formatter},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "tenantry", "stream": "ext://sys.stderr"}
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            **{name: {"level": "WARNING"} for name in _QUIET},
            **{name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.error")},
            # Each request is one line of ours, which has more in it.
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }


def _word(environ: Mapping[str, str], name: str, default: str, words: tuple[str, ...]) -> str:
    given = (environ.get(name) or default).strip().lower()
    if given not in words:
        raise InputError(
            f"wrong environment variable: {name} is {given[:40]!r}", hint=f"set it to one of {', '.join(words)}"
        )
    return given


def make_formatter(process: str, form: str, level: str) -> logging.Formatter:
    """What `logging_config` names; it sets up structlog too, which is not part of `logging`'s configuration."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=()),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _stamp(process),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _mask(redactor(secret_values(os.environ))),
            renderer,
        ],
    )


def _stamp(process: str) -> Processor:
    def add(_logger: Any, _name: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        if "correlation_id" not in event and (known := os.environ.get(CORRELATION_VARIABLE)):
            event["correlation_id"] = known
        return event

    return add


def _mask(redact: Callable[[str], str]) -> Processor:
    def mask(_logger: Any, _name: str, event: EventDict) -> MutableMapping[str, Any]:
        return {key: _masked(value, redact, _DEEPEST) for key, value in event.items()}

    return mask


def _masked(value: Any, redact: Callable[[str], str], depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if depth and isinstance(value, Mapping):
        return {redact(str(key)): _masked(item, redact, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_masked(item, redact, depth - 1) for item in value]
    return redact(str(value))
