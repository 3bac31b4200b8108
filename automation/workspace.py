"""One tenant's stack, through the Automation API with an inline program.

Each operation has a work folder of its own, because the SDK writes into it; the settings of the stack,
`Pulumi.<tenant>.yaml` with the salt, are those of `stacks/`, so that `pulumi up -s <tenant>` finds the same stack.
Never decides when to run what.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote, urlsplit

from automation.engines import EngineChoice, Interruptible, command_for, prepare
from automation.errors import EngineError
from automation.settings import PROJECT_NAME, Settings

if TYPE_CHECKING:
    from pulumi.automation import LocalWorkspace, PulumiCommand, Stack
    from pulumi.automation.events import EngineEvent

OnEvent = Callable[["EngineEvent"], None]
Program = Callable[[], None]
_SOURCE_ROOT = Path(__file__).resolve().parent.parent


class TenantStack(Protocol):
    """The operations on one tenant's stack. Each raises the SDK's CommandError when it fails."""

    def exists(self) -> bool:
        """Selects the stack; False when there is none."""

    def ensure(self) -> None:
        """Selects the stack, making it first when there is none."""

    def up(self, program: Program, on_event: OnEvent, *, targets: Sequence[str] = (), dependents: bool = True) -> None:
        """Applies the program; with `targets`, URNs with globs, only to these and, with `dependents`, to what depends
        on them."""

    def preview(self, program: Program, on_event: OnEvent) -> None:
        """Announces by events what `up` would do. Writes nothing."""

    def refresh(self, on_event: OnEvent, *, targets: Sequence[str] = (), clear_pending: bool = False) -> None:
        """Reads what is really there into the state; with `targets`, URNs with globs, only of these."""

    def destroy(self, on_event: OnEvent, *, continue_on_error: bool = False) -> None:
        """Removes all resources."""

    def export(self) -> dict[str, Any]:
        """The stack's deployment: resources and pending_operations."""

    def remove(self) -> None:
        """Removes the empty stack and its settings file."""

    def lock_holders(self) -> list[dict[str, Any]]:
        """Who holds Pulumi's own lock, as far as the backend tells: pid, hostname, username, timestamp."""

    def break_lock(self) -> None:
        """Breaks Pulumi's own lock. Only for whoever knows that its holder is dead."""

    def interrupt(self) -> None:
        """Asks the running operation to stop; the second time, to stop at once."""

    def kill(self) -> None:
        """Ends the engine's process, where it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where stacks belong: a project, and the folder in which their settings are kept; None is `stacks/`."""

    project: str
    settings_in: Path | None = None


TENANTS = Place(project=PROJECT_NAME)

StackFactory = Callable[[Settings, str, EngineChoice], contextlib.AbstractContextManager[TenantStack]]


@contextlib.contextmanager
def open_stack(
    settings: Settings,
    tenant: str,
    choice: EngineChoice,
    place: Place = TENANTS,
) -> Iterator[TenantStack]:
    """The tenant's stack on the chosen engine. Raises EngineError when state or engine cannot be used at all."""
    _make_state_folder(settings.backend)
    work_dir = Path(tempfile.mkdtemp(prefix="tenantry-"))
    try:
        yield PulumiStack(settings, tenant, choice, work_dir, place)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


@contextlib.contextmanager
def open_for_preview(
    settings: Settings,
    tenant: str,
    choice: EngineChoice,
    place: Place = TENANTS,
) -> Iterator[TenantStack]:
    """The tenant's stack; for a tenant that has none, an empty one that is thrown away: a preview leaves nothing."""
    with open_stack(settings, tenant, choice, place) as stack:
        if stack.exists():
            yield stack
            return
    folder = Path(tempfile.mkdtemp(prefix="tenantry-preview-"))
    try:
        elsewhere = settings.model_copy(update={"backend_url": f"file://{folder}"})
        work_dir = folder / "work"
        work_dir.mkdir()
        stack = PulumiStack(elsewhere, tenant, choice, work_dir, place, keep_settings=False)
        stack.ensure()
        yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class PulumiStack:
    """A TenantStack on the Automation API."""

    def __init__(
        self,
        settings: Settings,
        tenant: str,
        choice: EngineChoice,
        work_dir: Path,
        place: Place = TENANTS,
        *,
        keep_settings: bool = True,
    ) -> None:
        self._settings = settings
        self._tenant = tenant
        self._work_dir = work_dir
        self._choice = choice
        self._command = command_for(choice)
        self._project = place.project
        self._workspace = _workspace(settings, work_dir, self._command, choice, place.project)
        self._stack: Stack | None = None
        self._kept = (place.settings_in or settings.stacks_dir) / f"Pulumi.{tenant}.yaml"
        self._used = work_dir / f"Pulumi.{tenant}.yaml"
        self._keeps = keep_settings
        if keep_settings and self._kept.is_file():
            shutil.copyfile(self._kept, self._used)

    def exists(self) -> bool:
        from pulumi.automation import StackNotFoundError

        try:
            self._stack = _quiet_stack(self._tenant, self._workspace, create=False)
        except StackNotFoundError:
            return False
        return True

    def ensure(self) -> None:
        if not self.exists():
            self._stack = _quiet_stack(self._tenant, self._workspace, create=True)
        self._keep_settings()

    def up(self, program: Program, on_event: OnEvent, *, targets: Sequence[str] = (), dependents: bool = True) -> None:
        def heed(event: EngineEvent) -> None:
            if event.res_op_failed_event is not None:
                # What follows is a rollback, most likely: its engine starts while this one still ends.
                prepare(self._choice, {**os.environ, **self._settings.run_environment()})
            on_event(event)

        self._selected.up(
            program=program,
            on_event=heed,
            color="never",
            show_secrets=False,
            suppress_outputs=True,
            target=list(targets) or None,
            target_dependents=(bool(targets) and dependents) or None,
        )
        self._keep_settings()

    def preview(self, program: Program, on_event: OnEvent) -> None:
        self._selected.preview(program=program, on_event=on_event, color="never")

    def refresh(self, on_event: OnEvent, *, targets: Sequence[str] = (), clear_pending: bool = False) -> None:
        self._selected.refresh(
            on_event=on_event,
            color="never",
            show_secrets=False,
            target=list(targets) or None,
            clear_pending_creates=clear_pending or None,
        )

    def destroy(self, on_event: OnEvent, *, continue_on_error: bool = False) -> None:
        self._selected.destroy(
            on_event=on_event, color="never", show_secrets=False, continue_on_error=continue_on_error or None
        )

    def export(self) -> dict[str, Any]:
        return dict(self._selected.export_stack().deployment or {})

    def remove(self) -> None:
        self._workspace.remove_stack(self._tenant)
        self._kept.unlink(missing_ok=True)

    def lock_holders(self) -> list[dict[str, Any]]:
        folder = _state_folder(self._settings.backend)
        if folder is None:
            return []
        return [
            _lock(path)
            for path in sorted((folder / ".pulumi" / "locks").glob(f"*/{self._project}/{self._tenant}/*.json"))
        ]

    def break_lock(self) -> None:
        self._selected.cancel()

    def interrupt(self) -> None:
        cast("Interruptible", self._command).interrupt()

    def kill(self) -> None:
        if (kill := getattr(self._command, "kill", None)) is not None:
            kill()

    @property
    def _selected(self) -> Stack:
        if self._stack is None:
            raise EngineError(f"the stack of '{self._tenant}' has not been selected")
        return self._stack

    def _keep_settings(self) -> None:
        """Puts the stack's settings back into `stacks/`, whole or not at all."""
        if not self._keeps or not self._used.is_file():
            return
        content = self._used.read_bytes()
        if self._kept.is_file() and self._kept.read_bytes() == content:
            return
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        partial = self._kept.with_name(f".{self._kept.name}.{os.getpid()}.part")
        partial.write_bytes(content)
        partial.replace(self._kept)


def _workspace(
    settings: Settings, work_dir: Path, command: PulumiCommand, choice: EngineChoice, project: str
) -> LocalWorkspace:
    from pulumi.automation import LocalWorkspace, ProjectBackend, ProjectRuntimeInfo, ProjectSettings

    runtime: str | ProjectRuntimeInfo = "python"
    if choice.name == "stock" and sys.prefix != sys.base_prefix:
        # The stock engine starts the dynamic provider host itself, and must find our packages there.
        runtime = ProjectRuntimeInfo(name="python", options={"virtualenv": sys.prefix})
    return LocalWorkspace(
        work_dir=str(work_dir),
        env_vars=settings.run_environment(),
        project_settings=ProjectSettings(name=project, runtime=runtime, backend=ProjectBackend(url=settings.backend)),
        pulumi_command=command,
    )


def _quiet_stack(tenant: str, workspace: LocalWorkspace, *, create: bool) -> Stack:
    from datetime import UTC, datetime

    from pulumi.automation import Stack, UpdateSummary
    from pulumi.automation._stack import StackInitMode

    nothing = UpdateSummary(
        kind="update", start_time=datetime.now(UTC), message="", environment={}, config={}, result="succeeded"
    )

    class QuietStack(Stack):
        """A stack that does not read outputs and history back: three more commands that nobody looks at."""

        def outputs(self) -> dict[str, Any]:
            return {}

        def info(self, show_secrets: bool = True) -> UpdateSummary:  # noqa: ARG002
            return nothing

    return QuietStack(tenant, workspace, StackInitMode.CREATE if create else StackInitMode.SELECT)


def _state_folder(backend: str) -> Path | None:
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return None
    text = unquote(f"{parts.netloc}{parts.path}")
    return Path(text).expanduser() if text else None


def _make_state_folder(backend: str) -> None:
    folder = _state_folder(backend)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EngineError(
            f"the state folder {folder} cannot be made: {error.strerror}",
            hint="correct PULUMI_BACKEND_URL, or give this user the right to write there",
        ) from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise EngineError(
            f"the state folder {folder} cannot be written", hint="give this user the right to write there"
        )


def _lock(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(content) if isinstance(content, dict) else {}


def processes_of(holder: dict[str, Any]) -> set[tuple[Any, Any]]:
    """(host, process) of a lock's holder and of who started it: the embedded engine's process ends with that one."""
    return {(holder.get("hostname"), holder[name]) for name in ("pid", "startedBy") if name in holder}


def begun(deployment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """URN and kind (`creating`, `updating` ...) of what was begun and never ended, as when the engine is killed."""
    found = deployment.get("pending_operations") or []
    return [(str((each.get("resource") or {}).get("urn", "")), str(each.get("type", ""))) for each in found]


def creations_begun(deployment: Mapping[str, Any]) -> list[str]:
    """The URNs of what may have been made without the state's knowing it."""
    return [urn for urn, kind in begun(deployment) if kind == "creating"]


def holder_is_dead(holder: dict[str, Any]) -> bool:
    """Whether a lock's holder was a process of this machine that is gone. False when that cannot be known."""
    if holder.get("hostname") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
