"""A project folder, a passphrase, and contexts for operations."""

import os
import shutil
from pathlib import Path

import pytest

from automation.engines import EngineChoice
from automation.fake_stack import FakeBackend
from automation.run import Context
from automation.settings import load_settings
from tests.automation.helpers import PASSPHRASE, ROOT, Recorder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the current folder, with a passphrase set."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    for name in list(os.environ):
        if name.startswith("TENANTRY_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def context(project: Path, main_db: object, backend: FakeBackend, recorder: Recorder) -> Context:
    """Operations on a fake engine with the real main database."""
    return Context(
        settings=load_settings(),
        choice=EngineChoice(name="fake", reason="a test"),
        observer=recorder,
        stacks=backend.open,
    )
