"""A server of the sandbox that is a process of the caller's own account: started detached, found again, ended.

Decides when a process is this folder's server: its command line names the folder. A number left by a dead one, even if
reused since, is not it. It never decides what a server serves, and writes no secret: arguments are seen by everybody.

A folder holds `pid`, `port`, `lock` and `server.log`, and whatever the server itself keeps there.
"""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.errors import DiskFullError, PortTakenError, SandboxError, StartError, StopError

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_LOG_LINES = 3


@contextlib.contextmanager
def locked(directory: Path, what: str) -> Iterator[None]:
    """The folder, made for its owner alone, is the caller's until the end. Raises SandboxError."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (directory / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise explained(error, directory, what) from error


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """INT and TERM wait for the end of the block: who starts a process must come to note it, or nobody ends it."""
    if threading.current_thread() is not threading.main_thread():
        # Signals are handled in the main thread alone.
        yield
        return
    came: list[int] = []
    signs = (signal.SIGINT, signal.SIGTERM)
    before = {sign: signal.signal(sign, lambda number, _frame: came.append(number)) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        if came:
            signal.raise_signal(came[0])


def pid_of(directory: Path) -> int | None:
    """The pid of the folder's live server."""
    try:
        text = (directory / "pid").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return int(text) if text.isdigit() and str(directory) in command_of(int(text)) else None


def port_of(directory: Path) -> int:
    """The folder's last port, 0 where there was none."""
    try:
        return int((directory / "port").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0


def launch(
    directory: Path,
    what: str,
    command: Callable[[int], Sequence[str]],
    answers: Callable[[int], bool],
    *,
    port: int = 0,
    env: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """(pid, port) of a new server, once it answers; `command(port)` must name the folder. The lock is the caller's.

    Port 0 means the folder's last one, or any free one. Raises PortTakenError, StartError, DiskFullError.
    """
    if port and not is_free(port):
        raise PortTakenError(
            f"port {port} on {HOST} is taken by another program: choose another, or none to get a free one"
        )
    wanted = port or port_of(directory)
    chosen = wanted if wanted and is_free(wanted) else free_port()
    (directory / "pid").unlink(missing_ok=True)
    private(directory / "server.log")
    with (directory / "server.log").open("w") as log, unbroken():
        process = subprocess.Popen(
            list(command(chosen)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=None if env is None else dict(env),
            # Ctrl-C is for the caller.
            start_new_session=True,
            umask=0o077,
        )
        (directory / "pid").write_text(f"{process.pid}\n")
        _await_name(directory, process)
    (directory / "port").write_text(f"{chosen}\n")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if answers(chosen):
            # It outlives this object, which would complain that it still runs.
            process.returncode = 0
            return process.pid, chosen
        time.sleep(0.03)
    else:
        process.kill()
    process.wait()
    raise _failure(directory, what)


def _await_name(directory: Path, process: subprocess.Popen[bytes]) -> None:
    """A process that is only just being executed has no command line for a moment, and would be taken for gone."""
    deadline = time.monotonic() + 5.0
    while pid_of(directory) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def end(directory: Path, what: str) -> bool:
    """End the folder's server: true when one ran. The lock is the caller's. Raises StopError."""
    pid = pid_of(directory)
    if pid is None:
        (directory / "pid").unlink(missing_ok=True)
        return False
    for sign, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        if _gone(directory, pid, seconds):
            (directory / "pid").unlink(missing_ok=True)
            return True
    raise StopError(f"{what} in {directory} (process {pid}) did not stop; see {directory / 'server.log'}")


def private(path: Path, text: str | None = None) -> None:
    """A file that only its owner reads; with `text`, that is all it holds."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if text is not None else 0), 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text or "")


def python_env() -> dict[str, str]:
    """The environment for a server that is a module of this package: it is found wherever the server's folder is."""
    root = str(Path(__file__).resolve().parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}


def command_of(pid: int) -> str:
    """The command line of a process; empty where there is none, or it has ended."""
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")  # empty for a zombie
        except OSError:
            return ""
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def explained(error: OSError, directory: Path, what: str) -> SandboxError:
    """The error for a folder that cannot be used."""
    subject = f"{what} in {directory}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"{subject} cannot write: the disk is full. Free some space, then retry")
    return StartError(f"{subject} cannot use its folder: {error}. Check its owner and permissions")


def _gone(directory: Path, pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # where it is our own child, or it stays a zombie
        command = command_of(pid)
        if command and str(directory) not in command:
            return True
        # A process that ends loses its command line before it closes its sockets.
        if not command and _state_of(pid) in {"", "Z", "X"} and not _has_threads(pid):
            return True
        time.sleep(0.02)
    return False


def _state_of(pid: int) -> str:
    """One letter, as ps shows it; empty where there is no such process."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _has_threads(pid: int) -> bool:
    """Its first thread may have ended before its others, which still hold its port."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1  # noqa: PTH208 - only counted
    except OSError:
        return False


def _failure(directory: Path, what: str) -> SandboxError:
    log = directory / "server.log"
    said = log.read_text(errors="replace") if log.exists() else ""
    if "No space left on device" in said:
        return DiskFullError(f"{what} in {directory} cannot write: the disk is full. Free some space, then retry")
    words = " | ".join(line.strip() for line in said.splitlines()[-_LOG_LINES:]) or "it said nothing"
    return StartError(f"{what} in {directory} did not start: {words}. Its log is {log}")
