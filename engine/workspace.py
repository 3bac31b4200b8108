"""One command's surroundings: where it runs, with which environment, on which project, backend and stack.

Nothing here reads the process's own environment or folder: several commands run in one process at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.arguments import Arguments
from engine.backend import DiyBackend, Loaded
from engine.checkpoint import LATEST, VERSION, Codec, features
from engine.config import ConfigValue, StackSettings, full_key, project_defaults, reveal
from engine.errors import SecretsError, StackNotFoundError, StateError, UsageError
from engine.locks import Lock
from engine.operation import CancelToken
from engine.project import Project, find_project, open_backend, selected_stack
from engine.resource import STACK_TYPE, PropertyMap
from engine.secrets import PassphraseManager, passphrase_from
from engine.snapshot import Snapshot, outputs_of, verify
from engine.stack_ref import StackRef, parse_stack_ref
from engine.streams import Streams


@dataclass(kw_only=True)
class Context:
    """What a command is run with."""

    arguments: Arguments
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)
    streams: Streams
    cancel: CancelToken

    def say(self, text: str = "") -> None:
        self.streams.stdout.write(text + "\n")

    @cached_property
    def project(self) -> Project:
        """The project of the folder. Raises UsageError where there is none."""
        return find_project(self.cwd)

    @cached_property
    def backend(self) -> DiyBackend:
        try:
            project: Project | None = self.project
        except UsageError:
            project = None
        return open_backend(project, self.environment, self.cwd)

    def ref(self, name: str = "") -> StackRef:
        """The stack that is named, or `--stack`, or the selected one. Raises UsageError where there is none."""
        text = name or self.arguments.value("stack") or selected_stack(self.project, self.environment)
        if not text:
            raise UsageError(
                "no stack selected; please use `pulumi stack select` to choose one, or name it with --stack"
            )
        return parse_stack_ref(text, self.project.name)

    def stack(self, name: str = "") -> Stack:
        """An existing stack. Raises StackNotFoundError."""
        ref = self.ref(name)
        if not self.backend.exists(ref):
            raise StackNotFoundError(f"no stack named '{ref.name}' found")
        return Stack(self, ref)

    def warn(self, text: str) -> None:
        self.streams.stderr.write(f"warning: {text}\n")

    def close(self) -> None:
        """Lets go of the backend, where it was used."""
        if "backend" in self.__dict__:
            self.backend.close()

    def locked(self, ref: StackRef) -> AbstractContextManager[Lock]:
        """Holds the stack's lock. Raises StackLockedError that says who has it."""
        return self.backend.locks(ref).held(self.warn)

    def ask(self, question: str) -> str:
        """The answer to a question, trimmed; empty at the end of the input."""
        with self._asking():
            self.streams.stdout.write(question)
            self.streams.stdout.flush()
            return self.streams.stdin.readline().strip()

    def ask_secret(self, question: str) -> str:
        """The answer to a question at the terminal, which does not show it."""
        import getpass

        with self._asking():
            return getpass.getpass(question)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        self.cancel.asking = True
        try:
            yield
        finally:
            self.cancel.asking = False


class Stack:
    """One stack: its settings, its passphrase manager and its state."""

    def __init__(self, context: Context, ref: StackRef) -> None:
        self.context = context
        self.ref = ref
        self._codec: Codec | None = None
        self.lock: Lock | None = None
        """What an operation is under, which asks before each write whether it still is."""

    @property
    def backend(self) -> DiyBackend:
        return self.context.backend

    @property
    def settings_path(self) -> Path:
        named = self.context.arguments.value("config-file")
        return self.context.cwd / named if named else self.context.project.stack_file(self.ref.name)

    @cached_property
    def settings(self) -> StackSettings:
        settings = StackSettings.load(self.settings_path)
        check_secrets_provider(settings.secrets_provider)
        return settings

    @cached_property
    def loaded(self) -> Loaded:
        """What the backend has, as it was when it was first asked for."""
        return self.backend.load(self.ref)

    @property
    def _deployment(self) -> dict[str, Any]:
        return self.loaded.deployment

    def _manager(self, salt: str) -> PassphraseManager:
        return PassphraseManager(salt, self.context.environment, self.context.cwd)

    @cached_property
    def manager(self) -> PassphraseManager:
        """For new secrets: by the salt of the settings, else of the checkpoint, else a new one."""
        salt = self.settings.salt
        if not salt and self.backend.exists(self.ref):
            salt = _salt_of(self._deployment)
        return self._manager(salt)

    def use(self, manager: PassphraseManager) -> None:
        """Has everything that is written from here on encrypted by another manager."""
        self.manager = manager
        self._codec = Codec(manager)

    def keep_salt(self) -> None:
        """Writes the salt into the settings, where it is not yet."""
        if self.settings.salt != self.manager.salt:
            self.settings.salt = self.manager.salt
            self.settings.save()

    # -------------------------------------------------------------- state

    def load(self) -> Snapshot:
        """The state, decrypted and found valid. Raises StateError that says how to go back, SecretsError."""
        snapshot = self.read()
        try:
            verify(snapshot)
        except StateError as error:
            mend = "`pulumi state repair` may put it in order."
            raise StateError(f"{self.backend.damaged(self.ref, str(error))}\n{mend}") from error
        # A stock Pulumi's note that it wrote an invalid state.
        snapshot.metadata.pop("integrity_error", None)
        return snapshot

    def read(self) -> Snapshot:
        """The state, decrypted, valid or not."""
        deployment = self._deployment
        _ = self.settings  # outside: a settings file that cannot be read is no fault of the state
        try:
            return self.decode(deployment)
        except StateError as error:
            raise StateError(self.backend.damaged(self.ref, str(error))) from error

    def outputs(self) -> PropertyMap:
        """The stack's own outputs, decrypted. Nothing else of the state is looked at, however large it is."""
        resources = self._deployment.get("resources")
        if isinstance(resources, list):
            resources = [r for r in resources if not isinstance(r, dict) or r.get("type") == STACK_TYPE]
        _ = self.settings
        try:
            return outputs_of(self.decode({**self._deployment, "resources": resources, "pending_operations": []})) or {}
        except StateError as error:
            raise StateError(self.backend.damaged(self.ref, str(error))) from error

    def decode(self, deployment: Mapping[str, object]) -> Snapshot:
        """A deployment, decrypted by the salt that is in it."""
        salt = _salt_of(deployment)
        manager = self.manager if not salt or salt == self.manager.salt else self._manager(salt)
        codec = Codec(manager)
        snapshot = codec.from_dict(deployment)
        # With another salt, no ciphertext can be kept.
        self._codec = codec if manager is self.manager else Codec(self.manager)
        return snapshot

    @property
    def codec(self) -> Codec:
        if self._codec is None:
            self._codec = Codec(self.manager)
        return self._codec

    def check_lock(self) -> None:
        """Raises LockLostError where the lock that this is worked on under is gone."""
        if self.lock is not None:
            self.lock.check()

    def save(self, snapshot: Snapshot, *, fresh: bool = False, sync: bool = True) -> bytes:
        """Writes the state, and returns what was written; see `DiyBackend.write`, and `Codec.dumps` for `fresh`."""
        text, version, names = self.encode(snapshot, fresh=fresh)
        return self.backend.write(self.ref, text, version=version, features=names, sync=sync)

    def encode(self, snapshot: Snapshot, *, fresh: bool = False) -> tuple[str, int, tuple[str, ...]]:
        """(deployment as JSON, its schema version, the features it needs)."""
        snapshot.secrets_provider = self.manager.provider()
        names = tuple(features(snapshot))
        return self.codec.dumps(snapshot, fresh=fresh), LATEST if names else VERSION, names

    # -------------------------------------------------------------- configuration

    def config(self) -> dict[str, ConfigValue]:
        """Configuration by full key in plain text: the stack's, over what Pulumi.yaml says. Raises UsageError."""
        project = self.context.project
        defaults, secret, required = project_defaults(project)
        stored = {**defaults, **self.settings.stored(project.name)}
        missing = [key for key in required if key not in stored]
        if missing:
            raise UsageError(
                f"Stack '{self.ref.name}' is missing configuration value '{missing[0]}': set it with "
                f"`pulumi config set {missing[0]} VALUE --stack {self.ref.name}`"
            )
        values = reveal(stored, self.manager)
        for key in secret & values.keys():
            found = values[key]
            values[key] = ConfigValue(text=found.text, secret=True, data=found.data)
        return values

    def full_key(self, text: str) -> str:
        return full_key(text, self.context.project.name)


def _salt_of(deployment: Mapping[str, object]) -> str:
    """The salt in a checkpoint. Raises StateError for a secrets provider that is not served."""
    provider = deployment.get("secrets_providers")
    if not isinstance(provider, dict) or not provider.get("type"):
        return ""
    if provider["type"] != "passphrase":
        raise StateError(
            f"the state's secrets provider is '{provider['type']}', and this engine has 'passphrase' only. Move the "
            "stack with the stock Pulumi: `pulumi stack change-secrets-provider passphrase`."
        )
    state = provider.get("state")
    return str(state.get("salt") or "") if isinstance(state, dict) else ""


def check_secrets_provider(name: str) -> None:
    """Raises UsageError for any but passphrase."""
    if name not in {"", "default", "passphrase"}:
        raise UsageError(f"the secrets provider '{name}' is not served; this engine has 'passphrase' only")


def check_passphrase(context: Context) -> None:
    """Raises SecretsError where no passphrase is given."""
    passphrase_from(context.environment, context.cwd)


def outputs_of_other(context: Context, name: str) -> PropertyMap | None:
    """Another stack's outputs; None where there is no such stack."""
    try:
        ref = parse_stack_ref(name, context.project.name)
    except UsageError:
        return None
    if not context.backend.exists(ref):
        return None
    other = Stack(context, ref)
    try:
        return other.outputs()
    except SecretsError as error:
        raise SecretsError(f"the outputs of stack '{ref}' cannot be read: {error}") from error
