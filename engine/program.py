"""The program of a deployment: the Automation API's language server (`--client`), or a Python program on disk.

A program only talks to the engine over gRPC; this module starts it, waits for it, and says how it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from engine.errors import ProgramError, UsageError
from engine.operation import Program, RunInfo
from engine.project import Project

#: `pulumi-language-python-exec` ends with this after it has shown the error itself.
SHOWN_EXIT_CODE: Final = 23
_GRACE_SECONDS: Final = 5.0

#: Takes (line, whether it was on stderr).
LineSink = Callable[[str, bool], None]


class ClientProgram:
    """A LanguageRuntime server that runs the program, as the Automation API's inline programs are."""

    def __init__(self, address: str, root: Path, program_dir: Path) -> None:
        self._address = address
        self._root = root
        self._program_dir = program_dir
        self._call: Any = None
        self._cancelled = threading.Event()

    def run(self, info: RunInfo) -> None:
        import grpc

        from engine.rpc import CHANNEL_OPTIONS, language_pb2, language_pb2_grpc

        request = language_pb2.RunRequest(
            project=info.project,
            stack=info.stack,
            organization=info.organization,
            pwd=str(self._program_dir),
            program=str(self._program_dir),
            args=[info.engine_address],
            config=dict(info.config),
            configSecretKeys=sorted(info.secret_keys),
            dryRun=info.dry_run,
            parallel=info.parallel,
            monitor_address=info.monitor_address,
            info=language_pb2.ProgramInfo(
                root_directory=str(self._root), program_directory=str(self._program_dir), entry_point="."
            ),
        )
        with grpc.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel:
            self._call = language_pb2_grpc.LanguageRuntimeStub(channel).Run.future(request)
            if self._cancelled.is_set():
                self._call.cancel()
            try:
                response = self._call.result()
            except grpc.FutureCancelledError:
                raise ProgramError("the program was stopped", shown=True) from None
            except grpc.RpcError as error:
                raise ProgramError(
                    f"the program at {self._address} broke off: {_details(error)}", shown=False
                ) from error
        if response.bail:
            raise ProgramError(response.error or "the program failed", shown=True)
        if response.error:
            raise ProgramError(response.error, shown=False)

    def cancel(self) -> None:
        self._cancelled.set()
        if self._call is not None:
            self._call.cancel()


def _details(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else str(error)


class PythonProgram:
    """A process of the project's own Python, which runs the program as `pulumi-language-python-exec` does."""

    def __init__(self, project: Project, environment: Mapping[str, str], on_line: LineSink) -> None:
        self._project = project
        self._environment = environment
        self._on_line = on_line
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = threading.Event()

    def run(self, info: RunInfo) -> None:
        if self._cancelled.is_set():
            raise ProgramError("the program was stopped", shown=True)
        process = self._process = subprocess.Popen(
            self._command(info),
            cwd=self._project.program_dir,
            env=self._environ(info),
            # Its end tells the program that the engine is gone, however that went.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # A Ctrl-C is for the engine, which stops the program when its steps have ended.
            start_new_session=True,
        )
        readers = [self._reader(process.stdout, error=False), self._reader(process.stderr, error=True)]
        try:
            code = process.wait()
        finally:
            self._stop()
            if process.stdin is not None:
                process.stdin.close()
            for reader in readers:
                # What the program has left behind may hold its output open for ever.
                reader.join(_GRACE_SECONDS)
        if self._cancelled.is_set() or code == SHOWN_EXIT_CODE:
            raise ProgramError("the program failed", shown=True)
        if code:
            raise ProgramError(f"Program exited with non-zero exit code: {code}", shown=False)

    def cancel(self) -> None:
        self._cancelled.set()
        self._stop()

    def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _reader(self, stream: IO[str] | None, *, error: bool) -> threading.Thread:
        def read() -> None:
            with contextlib.closing(stream) if stream is not None else contextlib.nullcontext():
                for line in stream or ():
                    self._on_line(line.rstrip("\n"), error)

        thread = threading.Thread(target=read, name="program-output", daemon=True)
        thread.start()
        return thread

    def _command(self, info: RunInfo) -> list[str]:
        host = Path(__file__).with_name("program_host.py")
        options: dict[str, Any] = {
            "project": info.project,
            "stack": info.stack,
            "organization": info.organization,
            "monitor": info.monitor_address,
            "engine": info.engine_address,
            "dry_run": info.dry_run,
            "parallel": info.parallel,
            "root_directory": str(self._project.root),
        }
        main = self._project.root / self._project.main if self._project.main else self._project.root
        return [str(project_python(self._project, self._environment)), "-u", str(host), json.dumps(options), str(main)]

    def _environ(self, info: RunInfo) -> dict[str, str]:
        environment = dict(self._environment)
        # Configuration may be secret: the environment is not shown to other users, a command line is.
        environment["PULUMI_CONFIG"] = json.dumps(dict(info.config))
        environment["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(sorted(info.secret_keys))
        return environment


def project_python(project: Project, environment: Mapping[str, str]) -> Path:
    """The Python of the project's virtual environment, or the one that runs this. Raises UsageError."""
    named = project.runtime_options.get("virtualenv")
    if not named:
        active = environment.get("VIRTUAL_ENV")
        return _python_of(Path(active)) if active and _python_of(Path(active)).exists() else Path(sys.executable)
    python = _python_of(project.root / str(named))
    if not python.exists():
        raise UsageError(
            f"the virtual environment '{named}' that {project.path} names is not there. Make it with "
            f"`python3 -m venv {named}` in {project.root} and install the program's requirements, then retry."
        )
    return python


def _python_of(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def program_for(project: Project, environment: Mapping[str, str], *, client: str, on_line: LineSink) -> Program:
    """The program of an operation. Raises UsageError for a language that is not served."""
    if client:
        return ClientProgram(client, project.root, project.program_dir)
    if project.runtime != "python":
        raise UsageError(
            f"the runtime '{project.runtime}' of {project.path} is not served: this engine runs Python programs, and "
            "programs of the Automation API (--client)."
        )
    return PythonProgram(project, environment, on_line)
