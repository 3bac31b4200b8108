"""An installation whose last command was killed: its lock, and what it had begun. On a fake engine."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automation import installing
from automation.engines import EngineChoice
from automation.errors import InputError, LockedError
from automation.fake_stack import FakeBackend, FakeStack
from automation.settings import Settings, load_settings
from tests.automation.helpers import PASSPHRASE, ROOT
from tests.platform.conftest import settings as platform_of

NAME = "tenantry"
_ENGINE = EngineChoice(name="fake", reason="a test")
_URN = "urn:pulumi:tenantry::tenantry-platform::kubernetes:core/v1:ConfigMap::configmap-tenantry-settings"
_DEAD, _ALIVE = 2**22 + 7, os.getpid()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    made = FakeBackend(stacks={NAME: {}})

    @contextlib.contextmanager
    def opened(settings: Settings, name: str, choice: EngineChoice, _place: Any) -> Iterator[FakeStack]:
        with made.open(settings, name, choice) as stack:
            yield stack

    monkeypatch.setattr(installing, "open_stack", opened)
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    return load_settings()


def _up(project: Settings) -> list[str]:
    said: list[str] = []
    installing.up(project, _ENGINE, NAME, platform_of(), said.append)
    return said


def test_the_lock_of_a_dead_process_is_broken(backend: FakeBackend, project: Settings) -> None:
    backend.holders.append({"hostname": socket.gethostname(), "pid": _DEAD})
    assert "broke the lock that a dead process had left" in _up(project)
    assert backend.calls == ["up", "break_lock", "up"]


@pytest.mark.parametrize("holder", [{"hostname": socket.gethostname(), "pid": _ALIVE}, {"hostname": "b", "pid": _DEAD}])
def test_the_lock_of_a_process_that_may_live_is_kept(
    backend: FakeBackend, project: Settings, holder: dict[str, Any]
) -> None:
    backend.holders.append(holder)
    with pytest.raises(LockedError) as raised:
        _up(project)
    assert "break_lock" not in backend.calls
    assert f"`python -m engine -C stacks/platform cancel -s {NAME}`" in str(raised.value.hint)


def test_what_was_begun_is_looked_at_before_it_is_compared(backend: FakeBackend, project: Settings) -> None:
    backend.pending.append({"type": "updating", "resource": {"urn": _URN}})
    _up(project)
    assert backend.calls == ["refresh", "up"]
    backend.calls.clear()
    _up(project)
    assert backend.calls == ["up"]


def test_what_may_have_been_made_unseen_is_not_left_behind(backend: FakeBackend, project: Settings) -> None:
    backend.pending.append({"type": "creating", "resource": {"urn": _URN}})
    with pytest.raises(InputError, match="ConfigMap configmap-tenantry-settings") as raised:
        installing.destroy(project, _ENGINE, NAME, lambda _line: None)
    assert "`tenantry platform up`" in str(raised.value.hint)
    assert backend.calls == []
    _up(project)
    installing.destroy(project, _ENGINE, NAME, lambda _line: None)
    assert NAME not in backend.stacks
