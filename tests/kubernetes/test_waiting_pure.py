"""What is told while something that an object needs is not there yet."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from providers.kubernetes import lifecycle
from providers.kubernetes.errors import NotYetError
from providers.kubernetes.lifecycle import once_possible
from providers.kubernetes.speaking import speaking
from providers.plugin.engine_log import Voice


def test_a_wait_is_told_in_the_same_words_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's log shows no message again, and a terminal would have a line for every one."""
    said: list[str] = []
    log = SimpleNamespace(status=lambda _urn, message: said.append(message))
    now = [0.0]
    monkeypatch.setattr(lifecycle, "time", SimpleNamespace(monotonic=lambda: now[0]))
    cluster = SimpleNamespace(pause=lambda seconds: now.__setitem__(0, now[0] + seconds))

    def missing() -> None:
        raise NotYetError('namespaces "a" not found', status=404)

    with speaking(Voice(log=cast("Any", log), urn="urn:a")), pytest.raises(NotYetError):
        once_possible(cast("Any", cluster), missing)
    assert len(said) > 1
    assert set(said) == {'waiting for up to 30 s: namespaces "a" not found'}
