"""A preview that hangs: it is stopped when somebody asks for it, and after its time, as any other run."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from automation import manifests, operations, previewing
from automation.errors import CancelledError, EngineError
from automation.run import Context
from tests.automation.helpers import MANIFEST

pytestmark = pytest.mark.timeout(60)


class Hanging:
    """A stack whose preview takes until it is interrupted, or killed where that does not help."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.began, self.over = threading.Event(), threading.Event()
        self.deaf = deaf

    def preview(self, program: Any, on_event: Any) -> None:
        self.began.set()
        assert self.over.wait(50)
        raise RuntimeError("preview cancelled")

    def interrupt(self) -> None:
        if not self.deaf:
            self.over.set()

    def kill(self) -> None:
        self.over.set()


@pytest.fixture(params=[False, True])
def hanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Hanging:
    made = Hanging(deaf=request.param)

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[Hanging]:
        yield made

    monkeypatch.setattr(previewing, "open_for_preview", opened)
    return made


def limited(context: Context, **limits: float) -> Context:
    return replace(context, settings=context.settings.model_copy(update={"cancel_grace": 0.2} | limits))


def test_a_preview_that_is_cancelled(context: Context, hanging: Hanging) -> None:
    def cancel() -> None:
        hanging.began.wait(30)
        context.cancel.request()

    asking = threading.Thread(target=cancel)
    asking.start()
    with pytest.raises(CancelledError, match="preview of 'acme' was cancelled: nothing was changed"):
        operations.preview(limited(context), manifests.parsed(MANIFEST))
    asking.join()
    assert hanging.over.is_set()


def test_a_preview_that_takes_too_long(context: Context, hanging: Hanging) -> None:
    with pytest.raises(EngineError, match=r"took longer than 0\.2 s \(TENANTRY_RUN_TIMEOUT\)"):
        operations.preview(limited(context, run_timeout=0.2), manifests.parsed(MANIFEST))
    assert hanging.over.is_set()
