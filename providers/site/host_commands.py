"""Commands of bench, on its machine or in its container. `host` sends this text there, after `host_files`.

Needs nothing but Python 3.8 and its library. A command runs in a process group of its own, which is ended when its time
is up or when the caller has gone: the end of standard input says so, over SSH and `docker exec` too. What it asks for,
such as a password, is answered; so no secret is an argument, and none is written anywhere.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Iterator  # noqa: UP035 - the Python there may be an old one

from providers.site.host_files import FILES, Refused, own_folder, send

_ASKS = re.compile(r"(password[^:\n]*:|\[y/N\]:?|\(y/n\) ?\??)\s*$", re.IGNORECASE)
_LONGEST_LINE = 2000
_POLL_SECONDS = 0.2
_MOST_AT_END = 64
"""Reads of what is left at a command's end: of what has escaped it somebody may go on writing for ever."""


@contextlib.contextmanager
def turn(request: dict[str, Any]) -> Iterator[int]:
    """One command of a site at a time. Whatever of a command still lives holds the lock: it inherits it."""
    descriptor = os.open(str(own_folder(request["bench"]) / f"{request['site']}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + float(request["patience"])
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Refused("another command is still at work on this site", busy=True) from None
                time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


class Command:
    """A command under way. `ended` says why it was ended: `time`, `caller` or `asked` (for what nobody answers)."""

    def __init__(self, request: dict[str, Any], lock: int, say: Callable[[dict[str, Any]], None]) -> None:
        self.ended = ""
        self._say, self._request, self._text = say, request, ""
        # A letter of several bytes may come in two parts.
        self._decoded = codecs.getincrementaldecoder("utf-8")("replace")
        self._until = time.monotonic() + float(request["seconds"])
        self._process = subprocess.Popen(
            request["command"],
            cwd=request["bench"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            # Without a terminal, what asks for a password reads it from standard input.
            start_new_session=True,
            pass_fds=(lock,),
        )

    def code(self) -> int:
        """Its exit code, once it has ended."""
        out = self._process.stdout
        assert out is not None  # noqa: S101 - a pipe
        watched: list[Any] = [out, 0]
        while not self.ended:
            ready, _, _ = select.select(watched, [], [], _POLL_SECONDS)
            if 0 in ready and not os.read(0, 1):
                self._end("caller")
                break
            chunk = os.read(out.fileno(), 65536) if out in ready else b""
            if chunk:
                self._heard(chunk)
                self._answer()
            elif out in ready:
                # It says no more: mostly it ends in the same moment.
                watched.remove(out)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_POLL_SECONDS)
            if not chunk and self._process.poll() is not None:
                break
            if time.monotonic() > self._until:
                self._end("time")
        self.kill()
        # What it wrote between the last look and its end: the paths of a backup, or why it has failed.
        for _ in range(_MOST_AT_END):
            ready, _, _ = select.select([out], [], [], 0)
            chunk = os.read(out.fileno(), 65536) if ready else b""
            if not chunk:
                break
            self._heard(chunk)
        if self._text:
            self._tell(self._text)
        return self._process.wait()

    def kill(self) -> None:
        """Nothing that it has started goes on after it."""
        self._signal(signal.SIGKILL)

    def _heard(self, chunk: bytes) -> None:
        *lines, self._text = re.split(r"[\r\n]+", self._text + self._decoded.decode(chunk))
        for line in lines:
            self._tell(line)

    def _answer(self) -> None:
        """Answers what is asked for, if anything is."""
        if not _ASKS.search(self._text):
            return
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - a pipe
        asked, self._text = self._text, ""
        self._tell(asked)
        for pattern, answer in self._request["answers"]:
            if re.search(pattern, asked, re.IGNORECASE):
                with contextlib.suppress(OSError):
                    stdin.write(answer.encode() + b"\n")
                    stdin.flush()
                return
        self._end("asked")

    def _tell(self, line: str) -> None:
        if line.strip():
            try:
                self._say({"said": line[:_LONGEST_LINE]})
            except OSError:
                self._end("caller")

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(float(self._request["grace"]))
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def run(request: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Runs a command, says each of its lines, and answers what it asks for.

    `first` are requests about files that come before it, and `then` those that come after it where it has succeeded.
    """
    with turn(request) as lock:
        for each in request["first"]:
            FILES[each["do"]]({**request, **each})
        try:
            command = Command(request, lock, say)
        except OSError as error:
            return {"code": 127, "ended": "missing", "why": error.strerror}
        try:
            code = command.code()
        finally:
            command.kill()
        if code == 0 and not command.ended:
            for each in request["then"]:
                FILES[each["do"]]({**request, **each})
        return {"code": code, "ended": command.ended}


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    request = json.loads(sys.stdin.buffer.readline())

    def say(row: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()

    try:
        if request["do"] == "send":
            send(request, sys.stdout.buffer)
        elif request["do"] == "run":
            say({"result": run(request, say)})
        else:
            say({"result": FILES[request["do"]](request)})
    except Refused as error:
        return _refused(say, request, str(error), error.busy)
    except OSError as error:
        return _refused(say, request, f"{error.strerror}: {error.filename}", busy=False)
    return 0


def _refused(say: Callable[[dict[str, Any]], None], request: dict[str, Any], words: str, busy: bool) -> int:
    if request["do"] == "send":
        sys.stderr.write(f"{words}\n")
    else:
        with contextlib.suppress(OSError):
            say({"error": words, "busy": busy})
    return 3
