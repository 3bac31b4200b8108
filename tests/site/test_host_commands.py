"""The program beside a bench: what a command says is heard to its end, and as it was meant."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.site import host_commands


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def command(folder: Path, lock: int, said: list[dict[str, Any]], text: str) -> host_commands.Command:
    words = [sys.executable, "-S", "-c", text]
    request = {"bench": str(folder), "command": words, "seconds": 60, "grace": 1, "answers": []}
    return host_commands.Command(request, lock, said.append)


def test_what_a_command_says_in_the_moment_of_its_end_is_heard(
    tmp_path: Path, lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words are the paths of a backup: without them, one that is there would be taken for none."""
    said: list[dict[str, Any]] = []
    made = command(tmp_path, lock, said, "print('Database: ./a.sql.gz 1KiB'); print('password:', end='')")
    looks = select.select

    def late(watched: Any, *rest: Any) -> Any:
        if not rest[-1]:
            return looks(watched, *rest)
        # Nothing was there to be read; then all of it comes at once, and the command ends.
        made._process.wait()
        return [], [], []

    monkeypatch.setattr(host_commands.select, "select", late)
    with made._process:
        assert (made.code(), made.ended) == (0, "")
    assert said == [{"said": "Database: ./a.sql.gz 1KiB"}, {"said": "password:"}]


def test_a_letter_that_comes_in_two_parts_is_one(tmp_path: Path, lock: int) -> None:
    said: list[dict[str, Any]] = []
    made = command(tmp_path, lock, said, "pass")
    with made._process:
        for part in ("Größe\n".encode()[:3], "Größe\n".encode()[3:]):
            made._heard(part)
    assert said == [{"said": "Größe"}]
