"""What one operation is told, and what it answers: the seam between the command line and the deployment.

Pure data. `cli` fills an `Operation` and calls `deployment.run_operation`; nothing else crosses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from engine.errors import EngineError
from engine.journal import Change
from engine.plan import Plan
from engine.policy import PackSource
from engine.resource import PropertyMap
from engine.snapshot import Snapshot

#: An engine event as the Automation API reads it, without `sequence` and `timestamp`, which the sink adds.
Event = dict[str, Any]


class Kind(StrEnum):
    """The operation; a preview is any of them with `dry_run`."""

    UPDATE = "update"
    REFRESH = "refresh"
    DESTROY = "destroy"
    IMPORT = "resource-import"

    @property
    def word(self) -> str:
        """As a person calls it; the value is what the history calls it."""
        return "import" if self is Kind.IMPORT else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPlugin:
    """A provider plugin that Pulumi.yaml names: a folder or an executable. `version` may be empty."""

    name: str
    path: Path
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The stack that is worked on. `config` is plain text by full key (`project:key`)."""

    project: str
    stack: str
    organization: str = "organization"
    config: Mapping[str, str] = field(default_factory=dict)
    secret_keys: frozenset[str] = frozenset()
    root: Path = Path()
    """The folder of Pulumi.yaml."""
    program_dir: Path | None = None
    """The program's folder, which its dynamic providers run in; the root where it is None."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The command's environment, which programs and plugins are started with."""
    python: str = ""
    """The Python that runs the program and its dynamic providers; empty for this one."""
    plugins: tuple[ProjectPlugin, ...] = ()
    runtime_options: Mapping[str, Any] = field(default_factory=dict)
    """`runtime.options` of Pulumi.yaml, which plugins are told of."""
    salt: str = ""
    """Of this stack alone, and the same in each operation; empty where it has none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that change what a deployment does. URN lists may hold globs (`*` one part, `**` any)."""

    dry_run: bool = False
    parallel: int = 16
    targets: tuple[str, ...] = ()
    target_dependents: bool = False
    excludes: tuple[str, ...] = ()
    exclude_dependents: bool = False
    replace: tuple[str, ...] = ()
    continue_on_error: bool = False
    refresh: bool = False
    """Refresh before the update or the destroy."""
    run_program: bool = False
    """For refresh and destroy: run the program too."""
    clear_pending_creates: bool = False
    forget_pending_creates: tuple[str, ...] = ()
    """URNs of interrupted creations that a refresh forgets."""
    import_pending_creates: tuple[tuple[str, str], ...] = ()
    """(URN, id) of interrupted creations whose objects a refresh looks for."""
    exclude_protected: bool = False
    debug: bool = False
    """Show the debug messages of program and plugins."""
    make_plan: bool = False
    """Record what is decided as a plan, which the outcome then holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An object to take into the state. `parent` and `provider` are URNs, empty for the stack and the default provider.

    `properties` names the inputs to keep, none for all. A component has no id; `remote` says that a provider makes it.
    """

    type: str
    name: str
    id: str = ""
    parent: str = ""
    provider: str = ""
    version: str = ""
    download_url: str = ""
    properties: tuple[str, ...] = ()
    protect: bool = True
    component: bool = False
    remote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a program needs to reach the engine."""

    monitor_address: str
    engine_address: str
    project: str
    stack: str
    organization: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]
    dry_run: bool
    parallel: int


class Program(Protocol):
    """Something that registers resources: the Automation API's language server, or a Python program on disk."""

    def run(self, info: RunInfo) -> None:
        """Runs to its end. Raises ProgramError when it fails."""

    def cancel(self) -> None:
        """Asks a running program to stop; called from another thread."""


class CancelToken:
    """Two signals: the first asks to stop, the second to write nothing more."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.terminated = threading.Event()
        self.asking = False
        """Whether a question waits for its answer: a signal then ends the command, which is doing nothing."""
        self._listeners: list[Callable[[], None]] = []
        self._last_listeners: list[Callable[[], None]] = []

    def on_request(self, listener: Callable[[], None]) -> None:
        """Calls `listener` at the first signal, at once if it has come already."""
        self._listeners.append(listener)
        if self.requested.is_set():
            listener()

    def on_terminate(self, listener: Callable[[], None]) -> None:
        """Calls `listener` at the second signal. It may be called by a signal handler: it must not wait for a lock."""
        self._last_listeners.append(listener)
        if self.terminated.is_set():
            listener()

    def signal(self) -> None:
        """One more signal."""
        if self.requested.is_set():
            self.terminated.set()
            for listener in list(self._last_listeners):
                listener()
            return
        self.requested.set()
        for listener in list(self._listeners):
            listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `save` writes a change durably before it returns; it is called in order, by one thread at once.

    `stack_outputs` gives another stack's outputs by name for StackReference, and None where there is no such stack.
    `plan` is what a preview promised: nothing else is done. `policy_packs` judge what an update or its preview does.
    """

    kind: Kind
    target: Target
    options: Options
    snapshot: Snapshot
    program: Program | None
    emit: Callable[[Event], None]
    save: Callable[[Change], None]
    cancel: CancelToken
    stack_outputs: Callable[[str], PropertyMap | None]
    imports: Sequence[Import] = ()
    """What Kind.IMPORT takes into the state."""
    plan: Plan | None = None
    policy_packs: tuple[PackSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended. `changes` counts steps by operation as the summary does; `error` is None where all went well.

    A BailError has been told in full by diagnostics; any other error is still to be shown.
    """

    changes: Mapping[str, int]
    outputs: PropertyMap
    error: EngineError | None
    duration_seconds: float
    plan: Plan | None = None
    """What was decided, where a plan was wanted and nothing went wrong."""

    @property
    def changed(self) -> bool:
        """Whether anything but `same` was done or proposed."""
        return any(count for op, count in self.changes.items() if op != "same")
