"""Signals that come while this process starts another one, and what the test's own process does about them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def interrupting(sign: signal.Signals) -> Iterator[None]:
    """The signal is a KeyboardInterrupt: a shell starts what runs in its background with INT ignored."""
    before = signal.signal(sign, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(sign, before)


@contextlib.contextmanager
def signalled_at_each_start(sign: signal.Signals) -> Iterator[list[subprocess.Popen[Any]]]:
    """The signal comes as soon as a process runs, before whoever starts it has it; all that were started."""
    real = subprocess.Popen
    started: list[subprocess.Popen[Any]] = []

    def start(*words: Any, **options: Any) -> subprocess.Popen[Any]:
        started.append(real(*words, **options))
        signal.raise_signal(sign)
        return started[-1]

    with pytest.MonkeyPatch.context() as patch, interrupting(sign):
        patch.setattr(subprocess, "Popen", start)
        yield started
