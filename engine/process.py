"""Operations in processes of their own: starts them, waits for them, interrupts and kills them.

The engine and the program then do not share one interpreter, a crash of the one is not the other's, and whoever has to
end an operation can end its process. `worker` is the other side. What the words mean is not known here.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

_ROOT: Final = str(Path(__file__).resolve().parents[1])
_STOP_SECONDS: Final = 5.0
#: The engine must be found wherever its caller found it, and nothing else of the folder it is run in (-P).
_START: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from engine.worker import run; sys.exit(run())"


class Sink(Protocol):
    """Where the process's output goes, line by line."""

    def write(self, text: str, /) -> int: ...


class Worker:
    """A process that runs one command, or waits for one."""

    def __init__(self, words: Sequence[str], *, cwd: str | Path, environment: Mapping[str, str]) -> None:
        with _interrupts_blocked():
            self._process = self._started(words, cwd, environment)

    @staticmethod
    def _started(words: Sequence[str], cwd: str | Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _START, _ROOT, *words],
            cwd=cwd,
            env=dict(environment),
            # Held open: its end tells the process that nobody waits for it any more.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A Ctrl-C at the terminal comes to the caller, who passes it on: it must not come twice.
            start_new_session=True,
        )

    def tell(self, body: Mapping[str, object]) -> bool:
        """Writes one line to it; False where it has gone."""
        if self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(json.dumps(body) + "\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, stdout: Sink, stderr: Sink) -> int:
        """Passes its output on until it ends; its exit code, negative for a signal that ended it."""
        readers = [_reader(self._process.stdout, stdout), _reader(self._process.stderr, stderr)]
        code = self._process.wait()
        for reader in readers:
            reader.join()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        return code

    def interrupt(self) -> None:
        """Asks it to stop; the second time, to write nothing more."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def dismiss(self) -> None:
        """Ends a process that waits for a command and will get none."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait(_STOP_SECONDS)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """For what is started in this block, too, until it can handle them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reader(stream: IO[str] | None, sink: Sink) -> threading.Thread:
    def read() -> None:
        with contextlib.closing(stream) if stream is not None else contextlib.nullcontext():
            for line in stream or ():
                sink.write(line)

    thread = threading.Thread(target=read, name="engine-output", daemon=True)
    thread.start()
    return thread


# ------------------------------------------------------------------ on standby

_lock = threading.Lock()
_waiting: dict[str, Worker] = {}
"""At most one, by the environment that its plugins were started with."""


def prepare(packages: Iterable[str], *, project: str, cwd: Path, environment: Mapping[str, str]) -> None:
    """Starts a process that gets ready for the next operation, plugins included, while its caller still loads."""
    with _lock:
        if _waiting:
            return
        atexit.register(_dismiss_all)
        worker = Worker((), cwd=cwd, environment=environment)
        worker.tell({"packages": list(packages), "project": project, "cwd": str(cwd), "environment": dict(environment)})
        _waiting[_relevant(environment)] = worker


def start(words: Sequence[str], *, cwd: str, environment: Mapping[str, str]) -> Worker:
    """A process that runs a command: the one on standby, if it was started as this one would be."""
    with _lock:
        worker = _waiting.pop(_relevant(environment), None)
    if worker is not None:
        order = {"words": list(words), "cwd": str(Path(cwd).absolute()), "environment": dict(environment)}
        if worker.alive() and worker.tell(order):
            return worker
        worker.dismiss()
    return Worker(words, cwd=cwd, environment=environment)


def _relevant(environment: Mapping[str, str]) -> str:
    # What the Automation API and its callers set for each command is the engine's business, not the plugins'.
    kept = {k: v for k, v in environment.items() if not k.startswith("PULUMI_")}
    return json.dumps([os.getpid(), kept], sort_keys=True)


def _dismiss_all() -> None:
    with _lock:
        workers = list(_waiting.values())
        _waiting.clear()
    for worker in workers:
        worker.dismiss()
