"""What a call tells the user while it runs, without every function in between having to pass it on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from providers.plugin.engine_log import Voice

_voice: ContextVar[Voice | None] = ContextVar("voice", default=None)


@contextmanager
def speaking(voice: Voice) -> Iterator[None]:
    """Inside, what is said is about the voice's resource."""
    token = _voice.set(voice)
    try:
        yield
    finally:
        _voice.reset(token)


def say(message: str) -> None:
    """Shows it beside the resource, in place of the message before."""
    voice = _voice.get()
    if voice is not None:
        voice.status(message)


def warn(message: str) -> None:
    voice = _voice.get()
    if voice is not None:
        voice.warning(message)
