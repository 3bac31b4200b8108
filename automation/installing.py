"""Tenantry's own installation on a cluster: preview, up and destroy of its stack in the project `tenantry-platform`.

Decides where that stack lives and how its failure reads. What it is made of is `stacks.installation`'s. It asks nothing
of the main database: the one that the installation will use need not be reachable from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automation.engine_events import NOISE, PlannedChange, called, clean, planned_change
from automation.engines import EngineChoice
from automation.errors import CancelledError, EngineError, InputError, LockedError, RunLeftError, TenantryError
from automation.messages import engine_failure, summary
from automation.redaction import redactor
from automation.rollback import Stop
from automation.settings import Settings
from automation.steps import RunState, reducer
from automation.supervision import CancelRequests, Outcome, Supervisor
from automation.tracking import Silent, Tracker
from automation.workspace import (
    Place,
    TenantStack,
    begun,
    creations_begun,
    holder_is_dead,
    open_for_preview,
    open_stack,
)

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent

    from stacks.installation.settings import Platform

PROJECT = "tenantry-platform"
FOLDER = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a command did, or would do."""

    operation: str
    stack: str
    engine: str
    changes: tuple[PlannedChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: type, operation, stack, engine, changed, changes."""
        return {
            "type": "platform",
            "operation": self.operation,
            "stack": self.stack,
            "engine": self.engine,
            "changed": bool(self.changes),
            "changes": [change.to_dict() for change in self.changes],
        }


def load(path: Path) -> Platform:
    """The settings in a file. Raises InputError with every problem."""
    from stacks.installation.settings import load as read
    from stacks.problems import InputError as Refused

    try:
        return read(path)
    except Refused as error:
        problems = [(problem.field, problem.given, problem.message) for problem in error.problems]
        message = f"{error.source}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'}"
        raise InputError(
            message, hint="correct the file; docs/platform.md shows every key", problems=problems
        ) from None


def cluster_of(platform: Platform) -> str:
    """The address of the API server that the kubeconfig leads to; empty where it leads nowhere, which the run tells."""
    from providers.kubernetes.kubeconfig import choose
    from providers.plugin.errors import ProviderError

    try:
        return choose("", context=platform.context or "", cluster="", env=os.environ).server
    except ProviderError:
        return ""


def preview(settings: Settings, choice: EngineChoice, stack: str, platform: Platform) -> Installed:
    """What `up` would do. Raises EngineError, CancelledError."""
    from stacks.installation.program import program_for

    run = _Run(settings=settings, choice=choice, operation="preview", name=stack)
    with open_for_preview(settings, stack, choice, _place(settings)) as opened:
        program = program_for(platform)
        return run.watched(opened, lambda: opened.preview(program, run.heed))


def up(
    settings: Settings, choice: EngineChoice, stack: str, platform: Platform, say: Callable[[str], None]
) -> Installed:
    """Installs, or brings what is there to the settings; returns once all pods are ready. Raises RunLeftError too."""
    from stacks.installation.program import program_for

    run = _Run(settings=settings, choice=choice, operation="up", name=stack, say=say)
    with open_stack(settings, stack, choice, _place(settings)) as opened:

        def apply() -> None:
            opened.ensure()
            if begun(opened.export()):
                # Its changes may be on the cluster and not in the state, which would be compared.
                say("looking at what a run that was cut off has left")
                opened.refresh(run.hear, clear_pending=True)
            opened.up(program_for(platform), run.heed)

        return run.watched(opened, apply)


def destroy(settings: Settings, choice: EngineChoice, stack: str, say: Callable[[str], None]) -> Installed:
    """Removes the installation; its namespace, Secrets, database and tenants stay. Raises RunLeftError too."""
    run = _Run(settings=settings, choice=choice, operation="destroy", name=stack, say=say)
    with open_stack(settings, stack, choice, _place(settings)) as opened:

        def remove() -> None:
            if not opened.exists():
                raise InputError(
                    f"there is no installation '{stack}' in {settings.backend}",
                    hint="name it with --stack, or correct PULUMI_BACKEND_URL",
                )
            if unknown := [called(urn) for urn in creations_begun(opened.export())]:
                raise InputError(
                    f"a run that was cut off may have made what is not in the state of '{stack}': {', '.join(unknown)}",
                    hint="`tenantry platform up` finds it and takes it up; then destroy",
                )
            opened.destroy(run.heed)
            opened.remove()

        return run.watched(opened, remove)


def _place(settings: Settings) -> Place:
    return Place(project=PROJECT, settings_in=settings.stacks_dir / FOLDER)


def _nobody(_line: str) -> None:
    """Nobody listens."""


class _Run:
    """One command of the engine, watched: its changes, what it said, and how it ended."""

    def __init__(
        self,
        *,
        settings: Settings,
        choice: EngineChoice,
        operation: str,
        name: str,
        say: Callable[[str], None] = _nobody,
    ) -> None:
        self._settings = settings
        self._choice = choice
        self._operation = operation
        self._name = name
        self._say = say
        self._redact = redactor(settings.secrets())
        self._changes: list[PlannedChange] = []
        self._wrong: list[str] = []

    def heed(self, event: EngineEvent) -> None:
        """Takes an event of the engine's."""
        if (change := planned_change(event, lambda _urn: None)) is not None and not change.type.startswith("pulumi:"):
            self._changes.append(change)
            self._say(f"{change.op} {called(change.urn)}")
        self.hear(event)

    def hear(self, event: EngineEvent) -> None:
        """Takes of an event only what it says."""
        said = event.diagnostic_event
        if said is None:
            return
        text = self._redact(clean(said.message))
        if said.severity == "error":
            self._wrong.append(text)
        elif text:
            # Several are waited for at once.
            self._say(f"{called(said.urn)}: {text}" if said.ephemeral and said.urn else text)

    def watched(self, stack: TenantStack, work: Callable[[], None]) -> Installed:
        """Runs `work`, within TENANTRY_PLATFORM_TIMEOUT and until a signal. Raises what kept it from its end."""
        tracker = Tracker(
            RunState(steps=()),
            reducer(lambda _urn: None),
            step_of=lambda _urn: None,
            redact=self._redact,
            observer=Silent(),
            writer=None,
        )
        cancel = CancelRequests()
        with cancel.listening():
            supervisor = Supervisor(self._settings, stack, tracker, None, cancel, line="")
            outcome = supervisor.call(lambda: self._unlocked(stack, work), self._settings.platform_limit, steps=False)
        if not outcome.ok:
            raise self._failure(outcome) from None
        return Installed(
            operation=self._operation, stack=self._name, engine=self._choice.name, changes=tuple(self._changes)
        )

    def _unlocked(self, stack: TenantStack, work: Callable[[], None]) -> None:
        """Does it; a lock that a process has left which is known to be dead is broken first."""
        from pulumi.automation.errors import ConcurrentUpdateError

        try:
            work()
        except ConcurrentUpdateError:
            holders = stack.lock_holders()
            if not holders or not all(map(holder_is_dead, holders)):
                raise
            self._say("broke the lock that a dead process had left")
            stack.break_lock()
            self._wrong.clear()
            work()

    def _failure(self, outcome: Outcome) -> TenantryError:
        if isinstance(outcome.error, TenantryError):
            return outcome.error
        what = f"{self._operation} of the installation '{self._name}'"
        again = "what was done is kept; the same command continues"
        if outcome.stop is Stop.USER:
            return CancelledError(f"{what} was cancelled", hint=again)
        reasons = [reason for reason in dict.fromkeys(self._wrong) if not reason.startswith(NOISE)]
        if outcome.stop is not Stop.NONE:
            stuck = {"stuck": True} if outcome.stop is Stop.STUCK else None
            reason = "; ".join([outcome.reason, *reasons])
            return RunLeftError(f"{what} was stopped: {reason}", hint=again, details=stuck)
        text = self._redact(str(outcome.error))
        if not reasons:
            # The program did not come to run.
            known = engine_failure(text, tenant=self._name, backend=self._settings.backend)
            if isinstance(known, LockedError):
                return self._locked()
            if known is not None:
                return known
        reason = "; ".join(reasons) or summary(text)
        if self._operation == "preview":
            return EngineError(f"{what} failed: {reason}", hint="nothing was changed")
        return RunLeftError(f"{what} failed: {reason}", hint=again)

    def _locked(self) -> LockedError:
        words = f"-C {self._settings.stacks_dir.name}/{FOLDER} cancel -s {self._name}"
        return LockedError(
            f"the installation '{self._name}' is locked by another run",
            hint=f"wait for it to end; only if it is known to be dead: `pulumi {words}`, or `python -m engine {words}`",
        )
