"""Servers that a test has to itself, so that it may stop and break them."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import postgres as sandbox_postgres
from sandbox.postgres import EmbeddedPostgres


@contextlib.contextmanager
def own_postgres() -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """A server and its folder. Whatever becomes of it in between, both are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="tenantry-test-pg-"))
    home.chmod(0o711)
    try:
        yield home, sandbox_postgres.start(home)
    finally:
        sandbox_postgres.remove(home)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def named_postgres(
    monkeypatch: pytest.MonkeyPatch, database: str = "tenantry"
) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """The same, named by the environment."""
    with own_postgres() as (home, server):
        for key, value in (server.env() | {"DB_NAME": database}).items():
            monkeypatch.setenv(key, value)
        yield home, server
