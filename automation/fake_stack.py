"""A TenantStack without an engine, for tests and for trying out a front: one resource a step, kept in memory.

It sends the same events and raises the same errors as the real one. It touches no database, and decides nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from automation.engines import EngineChoice
from automation.settings import PROJECT_NAME, Settings
from stacks.steps import STEPS, TENANT_TYPE

if TYPE_CHECKING:
    from automation.workspace import OnEvent, Program

_TYPE = "pulumi-python:dynamic/fake:Object"


@dataclass(slots=True, kw_only=True)
class FakeBackend:
    """All stacks of a backend, and what is to go wrong in them.

    `failures` maps (operation, step) to the errors of its next calls; `hold` is called before each resource operation
    with (operation, step, stop) and may block until `stop` is set; `changed` are the steps an `up` updates;
    `command_errors` are raised by the next commands, before any event; `refreshed` are the steps that were read.
    `lacking` are optional steps that are not ready, and why; `unready` those that were not the last time.
    """

    stacks: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    command_errors: list[str] = field(default_factory=list)
    holders: list[dict[str, Any]] = field(default_factory=list)
    hold: Callable[[str, str, threading.Event], None] | None = None
    calls: list[str] = field(default_factory=list)
    drift: dict[str, str] = field(default_factory=dict)
    refreshed: list[str] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)
    stubborn: bool = False
    skipped: frozenset[str] = frozenset()
    lacking: dict[str, str] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)

    @contextlib.contextmanager
    def open(self, _settings: Settings, tenant: str, _choice: EngineChoice) -> Iterator[FakeStack]:
        """A StackFactory."""
        yield FakeStack(self, tenant)


class FakeStack:
    """One stack of a FakeBackend."""

    def __init__(self, backend: FakeBackend, tenant: str) -> None:
        self._backend = backend
        self._tenant = tenant
        self._stop = threading.Event()
        self._sequence = 0

    def exists(self) -> bool:
        return self._tenant in self._backend.stacks

    def ensure(self) -> None:
        self._backend.stacks.setdefault(self._tenant, {})

    def up(self, program: Program, on_event: OnEvent, *, targets: Sequence[str] = (), dependents: bool = True) -> None:
        del program
        self._begin("up")
        resources = self._backend.stacks[self._tenant]
        for key in self._targeted(targets, dependents):
            self._operate(on_event, "up", key, self._op(key, resources))
            (self._backend.unready.add if key in self._backend.lacking else self._backend.unready.discard)(key)
            resources[key] = f"id-{key}"
        self._end(on_event)

    def preview(self, program: Program, on_event: OnEvent) -> None:
        del program
        self._begin("preview")
        resources = self._backend.stacks.get(self._tenant, {})
        for key in self._keys():
            self._send(on_event, "resourcePreEvent", key, self._op(key, resources))
        self._end(on_event)

    def refresh(self, on_event: OnEvent, *, targets: Sequence[str] = (), clear_pending: bool = False) -> None:
        self._begin("refresh")
        for key in [key for key in self._backend.stacks[self._tenant] if not targets or self._is_hit(key, targets)]:
            self._send(on_event, "resourcePreEvent", key, "refresh")
            if self._backend.hold is not None:
                self._backend.hold("refresh", key, self._stop)
            if errors := self._backend.failures.get(("refresh", key)):
                said = {"urn": self._urn(key), "severity": "error", "message": errors.pop(0), "color": "never"}
                self._raw(on_event, {"diagnosticEvent": said})
                self._end(on_event)
                raise _error("error: refresh failed")
            self._backend.refreshed.append(key)
            self._send(on_event, "resOutputsEvent", key, self._backend.drift.get(key, "refresh"))
        if clear_pending:
            self._backend.pending.clear()
        self._end(on_event)

    def destroy(self, on_event: OnEvent, *, continue_on_error: bool = False) -> None:
        self._begin("destroy")
        resources = self._backend.stacks[self._tenant]
        failed: Exception | None = None
        for key in reversed(self._keys()):
            if key in resources:
                try:
                    self._operate(on_event, "destroy", key, "delete")
                except Exception as error:
                    if not continue_on_error:
                        raise
                    failed = failed or error
                else:
                    del resources[key]
        self._end(on_event)
        if failed is not None:
            raise failed

    def export(self) -> dict[str, Any]:
        resources = [
            {"urn": self._urn(key), "type": _TYPE, "custom": True, "id": value}
            for key, value in self._backend.stacks.get(self._tenant, {}).items()
        ]
        return {"resources": resources, "pending_operations": list(self._backend.pending)}

    def remove(self) -> None:
        self._backend.calls.append("remove")
        del self._backend.stacks[self._tenant]

    def lock_holders(self) -> list[dict[str, Any]]:
        return list(self._backend.holders)

    def break_lock(self) -> None:
        self._backend.calls.append("break_lock")
        self._backend.holders.clear()

    def interrupt(self) -> None:
        self._backend.calls.append("interrupt")
        if not self._backend.stubborn:
            self._stop.set()

    def kill(self) -> None:
        self._backend.calls.append("kill")

    def _begin(self, operation: str) -> None:
        self._backend.calls.append(operation)
        self._stop.clear()
        if self._backend.holders:
            raise _error("error: the stack is currently locked by 1 lock(s).")
        if self._backend.command_errors:
            raise _error(self._backend.command_errors.pop(0))

    def _operate(self, on_event: OnEvent, operation: str, key: str, op: str) -> None:
        if self._stop.is_set():
            self._end(on_event)
            raise _error("error: update canceled")
        self._send(on_event, "resourcePreEvent", key, op)
        if self._backend.hold is not None:
            self._backend.hold(operation, key, self._stop)
        errors = self._backend.failures.get((operation, key), [])
        if errors:
            said = {"urn": self._urn(key), "severity": "error", "message": errors.pop(0), "color": "never"}
            self._raw(on_event, {"diagnosticEvent": said})
            self._send(on_event, "resOpFailedEvent", key, op)
            if operation != "destroy":
                self._end(on_event)
            raise _error("error: update failed")
        self._send(on_event, "resOutputsEvent", key, op)

    def _op(self, key: str, resources: Mapping[str, str]) -> str:
        if key not in resources:
            return "create"
        return "update" if key in self._backend.changed | self._backend.unready else "same"

    def _send(self, on_event: OnEvent, kind: str, key: str, op: str) -> None:
        urn = self._urn(key)
        state: dict[str, Any] = {"urn": urn, "type": _TYPE, "custom": True, "inputs": {"step": key}}
        if kind == "resOutputsEvent" and (why := self._backend.lacking.get(key)) is not None:
            state["outputs"] = {"optional": True, "ready": False, "reason": why}
        metadata = {"op": op, "urn": urn, "type": _TYPE, "old" if op == "delete" else "new": state}
        self._raw(on_event, {kind: {"metadata": metadata}})

    def _raw(self, on_event: OnEvent, content: dict[str, Any]) -> None:
        from pulumi.automation.events import EngineEvent

        self._sequence += 1
        on_event(EngineEvent.from_json({"sequence": self._sequence, "timestamp": 0, **content}))

    def _end(self, on_event: OnEvent) -> None:
        self._raw(on_event, {"cancelEvent": {}})

    def _targeted(self, targets: Sequence[str], dependents: bool) -> list[str]:
        """Each step depends on the one before it, so that with dependents all after the first target take part."""
        keys = self._keys()
        if not dependents:
            return [key for key in keys if self._is_hit(key, targets)]
        first = next((place for place, key in enumerate(keys) if self._is_hit(key, targets)), len(keys))
        return keys[first:] if targets else keys

    def _is_hit(self, key: str, targets: Sequence[str]) -> bool:
        return any(fnmatchcase(self._urn(key), target.replace("**", "*")) for target in targets)

    def _keys(self) -> list[str]:
        return [step.key for step in STEPS if step.component_type is not None and step.key not in self._backend.skipped]

    def _urn(self, key: str) -> str:
        kind = next(step.component_type for step in STEPS if step.key == key)
        return f"urn:pulumi:{self._tenant}::{PROJECT_NAME}::{TENANT_TYPE}${kind}${_TYPE}::{self._tenant}-{key}"


def _error(stderr: str) -> Exception:
    from pulumi.automation import CommandResult
    from pulumi.automation.errors import create_command_error

    return create_command_error(CommandResult(stdout="", stderr=stderr, code=1))
