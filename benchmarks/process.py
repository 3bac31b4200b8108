"""Runs a command in a group of its own, with a time limit, and watches the memory of it and its descendants.

Memory comes from Linux's /proc; where there is none it is said to be unknown (None). Leaves no process behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_PROC = Path("/proc")
_EVERY_SECONDS = 0.1


class CommandFailedError(Exception):
    """A command that is measured did not end as it should have; its last words are in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command's end: wall seconds from start to exit, and peaks in megabytes (10^6 bytes)."""

    stdout: str
    seconds: float
    root_mb: float | None
    named_mb: float | None
    tree_mb: float | None


def run(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    limit: float,
    expected: int = 0,
    named: str = "",
    watch: bool = True,
) -> Finished:
    """Runs it. `named` is the executable of the descendant whose own peak is wanted too.

    Raises CommandFailedError when it does not exit with `expected` within `limit` seconds.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        words,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with _Watch(process.pid, named) if watch else contextlib.nullcontext() as watcher:
        try:
            stdout, stderr = process.communicate(timeout=limit)
            seconds = time.perf_counter() - began
        except subprocess.TimeoutExpired:
            raise CommandFailedError(f"`{_shown(words)}` took longer than {limit:g} s and was ended") from None
        finally:
            _end(process)
    if process.returncode != expected:
        said = (stderr.strip() or stdout.strip()).splitlines()[-8:]
        raise CommandFailedError(
            f"`{_shown(words)}` exited with {process.returncode} and not with {expected}:\n" + "\n".join(said)
        )
    peaks = watcher.peaks() if watcher is not None else (None, None, None)
    return Finished(stdout=stdout, seconds=seconds, root_mb=peaks[0], named_mb=peaks[1], tree_mb=peaks[2])


def _end(process: subprocess.Popen[str]) -> None:
    """Ends what is left: itself when it is interrupted, its descendants in groups of their own, its group."""
    left = _tree(process.pid) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _shown(words: Sequence[str]) -> str:
    return " ".join(Path(word).name if word.startswith("/") else word for word in words)


class _Watch:
    """Looks at a process and its descendants every tenth of a second."""

    def __init__(self, root: int, named: str) -> None:
        self._root, self._named = root, named
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._root_peak = self._named_peak = self._tree_peak = 0

    def __enter__(self) -> Self:
        if _PROC.is_dir():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def peaks(self) -> tuple[float | None, float | None, float | None]:
        """Megabytes of the root, of the named one, and of all together; None what was never seen."""
        found = (self._root_peak, self._named_peak, self._tree_peak)
        root, named, tree = (value / 1e6 if value else None for value in found)
        return root, named, tree

    def _look(self) -> None:
        while True:
            total = 0
            for pid in _tree(self._root):
                total += _bytes_of(pid, "smaps_rollup", "Pss:")
                if pid == self._root:
                    # The kernel's own high-water mark misses nothing between two looks.
                    self._root_peak = max(self._root_peak, _bytes_of(pid, "status", "VmHWM:"))
                elif self._named and _text(pid, "comm").strip() == self._named:
                    self._named_peak = max(self._named_peak, _bytes_of(pid, "status", "VmHWM:"))
            self._tree_peak = max(self._tree_peak, total)
            if self._over.wait(_EVERY_SECONDS):
                return


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for task in (_PROC / str(pid) / "task").glob("*"):
            found.extend(int(word) for word in _text(pid, f"task/{task.name}/children").split())
    return found


def _text(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        # It has ended since; that is what processes do.
        return ""


def _bytes_of(pid: int, name: str, key: str) -> int:
    for line in _text(pid, name).splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0
