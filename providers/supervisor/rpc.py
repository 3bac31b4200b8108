"""Supervisor's XML-RPC API: the few calls that keep one program as its files say. Each may be made again.

Decides what a fault means for the caller: to have reached what was wanted is no error. It writes no file.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from providers.backends import ProcessBackend, secret
from providers.errors import NotReadyError, ProviderError, RefusedError
from providers.http import Api

STOP_SECONDS = 20.0
"""The program file lets a process end by itself for 8 s, then supervisor kills it."""
_POLL_SECONDS = 0.05
_YOUNG_SECONDS = 2.0
_OK = 200
_UNAUTHORIZED = 401


class Fault(IntEnum):
    """Of those that supervisor knows, what we expect."""

    BAD_NAME = 10
    NO_FILE = 20
    NOT_EXECUTABLE = 21
    FAILED = 30
    SPAWN_ERROR = 50
    ALREADY_STARTED = 60
    NOT_RUNNING = 70
    ALREADY_ADDED = 90
    STILL_RUNNING = 91
    CANT_REREAD = 92


_ENDED = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})


class FaultError(ProviderError):
    """Supervisor's own refusal."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The programs whose files are not as supervisor runs them."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """A supervisor. `what` names the process in errors, `program` is its name there."""

    api: Api
    program: str
    what: str

    @classmethod
    def of(cls, backend: ProcessBackend, program: str) -> Supervisor:
        """Raises ConfigurationError where its password is not set."""
        import base64

        password = secret(backend.password_from) if backend.password_from else ""
        headers = {"Content-Type": "text/xml"}
        secrets: tuple[str, ...] = ()
        if backend.user:
            token = base64.b64encode(f"{backend.user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
            secrets = (token, *([password] if password else []))
        api = Api(name=f"supervisor at {backend.url}", base_url=backend.url, headers=headers, secrets=secrets)
        return cls(api=api, program=program, what=f"process {program!r}")

    def state(self) -> str | None:
        """Supervisor's word for it, such as RUNNING or FATAL; None where it knows no such program."""
        info = self._info()
        return None if info is None else str(info["statename"])

    def explanation(self) -> str:
        """Why it does not run, in supervisor's words."""
        info = self._info()
        if info is None:
            return "supervisor does not know it"
        words = str(info["spawnerr"] or info["description"])
        return f"it is {info['statename']}: {words}" if words else f"it is {info['statename']}"

    def run_anew(self, changes: Changes) -> None:
        """It runs, as its files say now. `changes` are what the last `reread` told."""
        if self.program in changes.changed:
            self.forget()
        if self.program in (*changes.added, *changes.changed):
            # Another's reread may have told of ours: it is added by then.
            self._accept(Fault.ALREADY_ADDED, "addProcessGroup", self.program)
        else:
            self.stop()
        self._start()

    def stop(self) -> None:
        """It does not run. Raises NotReadyError when it did not end."""
        info = self._info()
        # Between fork and exec a process is still supervisor's, and its signals are lost: such a one is asked twice.
        ask_again = time.monotonic() + _YOUNG_SECONDS if info and info["now"] - info["start"] < _YOUNG_SECONDS else None
        deadline = time.monotonic() + STOP_SECONDS
        while info is not None and info["statename"] not in _ENDED:
            if info["statename"] != "STOPPING":
                self._accept(Fault.NOT_RUNNING, "stopProcess", self.program, False, also=Fault.BAD_NAME)
            elif ask_again and time.monotonic() > ask_again:
                ask_again = None
                self._accept(Fault.NOT_RUNNING, "signalProcess", self.program, "TERM", also=Fault.BAD_NAME)
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"{self.what}: it did not end within {STOP_SECONDS:g} s: it is {info['statename']}."
                )
            time.sleep(_POLL_SECONDS)
            info = self._info()

    def forget(self) -> None:
        """It does not run, and supervisor does not know it until it rereads its files."""
        self.stop()
        self._accept(Fault.BAD_NAME, "removeProcessGroup", self.program)

    def reread(self) -> Changes:
        """After a program file was written or deleted; it starts and ends nothing."""
        [[added, changed, removed]] = self._call("reloadConfig")
        return Changes(added=tuple(added), changed=tuple(changed), removed=tuple(removed))

    def _info(self) -> dict[str, Any] | None:
        try:
            info: dict[str, Any] = self._call("getProcessInfo", self.program)
        except FaultError as error:
            if error.code == Fault.BAD_NAME:
                return None
            raise
        return info

    def _start(self) -> None:
        try:
            self._accept(Fault.ALREADY_STARTED, "startProcess", self.program, False)
        except FaultError as error:
            if error.code not in {Fault.SPAWN_ERROR, Fault.NO_FILE, Fault.NOT_EXECUTABLE, Fault.FAILED}:
                raise
            raise ProviderError(f"{self.what}: supervisor cannot start it: {self.explanation()}.") from None

    def _accept(self, fault: Fault, method: str, *args: Any, also: Fault | None = None) -> None:
        try:
            self._call(method, *args)
        except FaultError as error:
            if error.code not in {fault, also}:
                raise

    def _call(self, method: str, *args: Any) -> Any:
        from xmlrpc import client

        body = client.dumps(args, f"supervisor.{method}")
        try:
            answer = self.api.call("POST", "/RPC2", what=self.what, repeatable=True, content=body)
        except RefusedError as error:
            if error.status == _UNAUTHORIZED:
                raise ProviderError(
                    f"{self.what}: {self.api.name} refuses the login. Correct container.user and the variable that "
                    "container.passwordFrom names."
                ) from None
            raise
        try:
            values, _ = client.loads(answer.text)
        except client.Fault as error:
            raise FaultError(
                f"{self.what}: {self.api.name} refused {method}: {' '.join(error.faultString.split())}.",
                code=error.faultCode,
            ) from None
        except Exception:  # noqa: BLE001 - expat and the unmarshaller have no error in common
            raise ProviderError(
                f"{self.what}: {self.api.name} answered {method} with no XML-RPC. "
                "Check that container.url is its address."
            ) from None
        return values[0]
