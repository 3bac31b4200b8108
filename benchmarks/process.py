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
from types import MappingProxyType, TracebackType
from typing import Self

_PROC = Path("/proc")
_EVERY_SECONDS = 0.1
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class CommandFailedError(Exception):
    """A command that is measured did not end as it should have; its last words are in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one of a command's processes took: its peak in megabytes, its processor time in seconds."""

    mb: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command's end: wall seconds from start to exit, and peaks in megabytes (10^6 bytes).

    `parts` holds the command's own process as `root`, and the descendants that were named; only those that were seen.
    """

    stdout: str
    seconds: float
    tree_mb: float | None
    parts: Mapping[str, Part]


def run(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    limit: float,
    expected: int | None = 0,
    named: Mapping[str, str] = MappingProxyType({}),
    watch: bool = True,
) -> Finished:
    """Runs it. `named` tells descendants apart, whose own figures are wanted too: {name: a text in its command line}.

    Raises CommandFailedError when it does not exit within `limit` seconds, with `expected` where that is not None.
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
    if expected is not None and process.returncode != expected:
        said = (stderr.strip() or stdout.strip()).splitlines()[-8:]
        raise CommandFailedError(
            f"`{_shown(words)}` exited with {process.returncode} and not with {expected}:\n" + "\n".join(said)
        )
    tree_mb, parts = (watcher.tree_mb, watcher.parts()) if watcher is not None else (None, {})
    return Finished(stdout=stdout, seconds=seconds, tree_mb=tree_mb, parts=parts)


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

    def __init__(self, root: int, named: Mapping[str, str]) -> None:
        self._root, self._named = root, named
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._names: dict[int, str] = {root: "root"}
        self._peaks: dict[int, int] = {}
        self._ticks: dict[int, int] = {}
        self._tree_peak = 0

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

    @property
    def tree_mb(self) -> float | None:
        """The peak of all together; None where it was never seen."""
        return self._tree_peak / 1e6 if self._tree_peak else None

    def parts(self) -> dict[str, Part]:
        """Each named process; of several of one name, the sum."""
        found: dict[str, Part] = {}
        for pid, name in self._names.items():
            if name and pid in self._peaks:
                before = found.get(name, Part(mb=0.0, cpu=0.0))
                mb, cpu = self._peaks[pid] / 1e6, self._ticks.get(pid, 0) / _TICKS_PER_SECOND
                found[name] = Part(mb=before.mb + mb, cpu=round(before.cpu + cpu, 2))
        return found

    def _look(self) -> None:
        while True:
            total = 0
            for pid in _tree(self._root):
                total += _bytes_of(pid, "smaps_rollup", "Pss:")
                if self._name_of(pid):
                    # The kernel's own marks miss nothing between two looks but the last moments.
                    self._peaks[pid] = max(self._peaks.get(pid, 0), _bytes_of(pid, "status", "VmHWM:"))
                    self._ticks[pid] = max(self._ticks.get(pid, 0), _ticks_of(pid))
            self._tree_peak = max(self._tree_peak, total)
            if self._over.wait(_EVERY_SECONDS):
                return

    def _name_of(self, pid: int) -> str:
        if not self._names.get(pid):
            line = _text(pid, "cmdline").replace("\0", " ")
            self._names[pid] = next((name for name, text in self._named.items() if text in line), "")
        return self._names[pid]


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


def _ticks_of(pid: int) -> int:
    """User and system time, from the fields after the command's name in brackets."""
    fields = _text(pid, "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if len(fields) > 12 else 0
