"""Killed after any of its calls, and run again from the state before: as many clients as without the kill."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from providers.oauth.resource import OAuthClientProvider
from tests.oauth.places import EmbeddedPlace, Props, alive, full_name

CLIENT = OAuthClientProvider()


class Killed(BaseException):
    """Nothing of ours may catch it."""


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], bool]:
    """Runs something, and ends it after so many of its calls; true where it came so far."""
    send = httpx.Client.request

    def run(calls: int, work: Callable[[], Any]) -> bool:
        made = 0

        def counting(self: httpx.Client, method: str, url: Any, **options: Any) -> httpx.Response:
            nonlocal made
            answer = send(self, method, url, **options)
            made += 1
            if made == calls:
                raise Killed
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(httpx.Client, "request", counting)
            try:
                work()
            except Killed:
                return True
        return False

    return run


def test_while_it_is_made(local: EmbeddedPlace, props: Props, killing: Any) -> None:
    calls = 0
    while killing(calls := calls + 1, lambda: CLIENT.create(props)):
        outs = CLIENT.create(props).outs or {}
        assert local.named(full_name(props)) == [outs["client_id"]], calls
        assert alive(outs)
        assert CLIENT.read("x", outs).outs == outs
        CLIENT.delete("x", outs)
    assert calls > 3


def test_while_it_is_changed(local: EmbeddedPlace, props: Props, killing: Any) -> None:
    news = props | {"scopes": ["documents", "workflows"]}
    calls = 0
    while True:
        outs = CLIENT.create(props).outs or {}
        was_killed = killing(calls := calls + 1, lambda olds=outs: CLIENT.update("x", olds, news))
        again = CLIENT.update("x", outs, news).outs or {}
        assert local.named(full_name(props)) == [outs["client_id"]], calls
        assert CLIENT.read("x", again).outs == again
        assert CLIENT.diff("x", again, news).changes is False
        CLIENT.delete("x", again)
        if not was_killed:
            break
    assert calls > 3


@pytest.mark.parametrize("grace", [0, 3600])
def test_while_its_secret_is_exchanged(local: EmbeddedPlace, props: Props, killing: Any, grace: int) -> None:
    news = props | {"rotation": 1, "grace_seconds": grace}
    calls = 0
    while True:
        outs = CLIENT.create(props).outs or {}
        was_killed = killing(calls := calls + 1, lambda olds=outs: CLIENT.update("x", olds, news))
        again = CLIENT.update("x", outs, news).outs or {}
        left = {again["client_id"]} | ({outs["client_id"]} if grace else set())
        assert set(local.named(full_name(props))) == left, calls
        assert (alive(again), alive(outs)) == (True, grace > 0)
        CLIENT.delete("x", again)
        assert local.named(full_name(props)) == []
        if not was_killed:
            break
    assert calls > 3


def test_while_it_is_deleted(local: EmbeddedPlace, props: Props, killing: Any) -> None:
    calls = 0
    while True:
        old = CLIENT.create(props).outs or {}
        outs = CLIENT.update("x", old, props | {"rotation": 1, "grace_seconds": 3600}).outs or {}
        was_killed = killing(calls := calls + 1, lambda olds=outs: CLIENT.delete("x", olds))
        CLIENT.delete("x", outs)
        assert local.named(full_name(props)) == [], calls
        if not was_killed:
            break
    assert calls > 3
