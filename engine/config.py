"""A stack's settings file, Pulumi.<stack>.yaml: its configuration and its salt. Keys it does not know stay as they are.

A value is a text, a number, a truth value, a list or a map; `{secure: v1:...}` anywhere in it is encrypted. A program
gets texts: lists and maps as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from engine.checkpoint import Cipher
from engine.config_path import Part, contains_secure, get_path, is_secure, parse_path, remove_path, set_path, typed
from engine.errors import SecretsError, UsageError
from engine.files import write_atomic
from engine.project import Project, load_yaml
from engine.yaml_edit import edited


def full_key(text: str, project: str) -> str:
    """`project:key` for `key`; `ns:config:key` is the old spelling of `ns:key`. Raises UsageError."""
    parts = text.split(":")
    if len(parts) == 1:
        parts = [project, text]
    if len(parts) == 3 and parts[1] == "config":
        parts = [parts[0], parts[2]]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"could not parse {text} as a configuration key (configuration keys should be of the form "
            "`<namespace>:<name>`)"
        )
    return ":".join(parts)


def split_key(text: str, project: str, *, path: bool) -> tuple[str, list[Part]]:
    """(full key, path inside its value); the path is empty unless `path`."""
    if not path:
        return full_key(text, project), []
    namespace, separator, rest = text.partition(":")
    if not separator or any(c in namespace for c in '.["'):
        namespace, rest = project, text
    parts = parse_path(rest)
    return full_key(f"{namespace}:{parts[0]}", project), parts[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigValue:
    """One value in plain text. `data` is the value itself where it is a list or a map."""

    text: str
    secret: bool
    data: Any = None

    def to_json(self, *, show: bool) -> dict[str, Any]:
        """As `config --json` and the history show it; a hidden secret has no value."""
        body: dict[str, Any] = {}
        if show or not self.secret:
            body["value"] = self.text
            if self.data is not None:
                body["objectValue"] = self.data
        body["secret"] = self.secret
        return body


class StackSettings:
    """One settings file. `save` writes it; nothing else does."""

    def __init__(self, path: Path, body: dict[str, Any]) -> None:
        self.path = path
        self._body = body

    @classmethod
    def load(cls, path: Path) -> StackSettings:
        """The settings in a file; none where there is no file. Raises StateError."""
        settings = cls(path, load_yaml(path) if path.exists() else {})
        config = settings._body.get("config")
        if config is not None and not isinstance(config, dict):
            raise UsageError(f"{path}: 'config' should be a map, not a {type(config).__name__}")
        return settings

    @property
    def salt(self) -> str:
        return str(self._body.get("encryptionsalt") or "")

    @salt.setter
    def salt(self, text: str) -> None:
        self._body["encryptionsalt"] = text

    @property
    def secrets_provider(self) -> str:
        return str(self._body.get("secretsprovider") or "")

    @property
    def config(self) -> dict[str, Any]:
        """Stored values by key as it is written in the file."""
        return dict(self._body.get("config") or {})

    @config.setter
    def config(self, values: Mapping[str, Any]) -> None:
        if values:
            self._body["config"] = dict(sorted(values.items()))
        else:
            self._body.pop("config", None)

    def save(self) -> None:
        if self.path.suffix == ".json":
            text = json.dumps(self._body, indent=4) + "\n"
        else:
            text = self._edited() or yaml.safe_dump(self._body, sort_keys=False, allow_unicode=True, width=2**31)
        # Readable as the project's other sources are; what is secret in it is encrypted.
        write_atomic(self.path, text.encode("utf-8"), mode=0o644)

    def _edited(self) -> str | None:
        """The file's text with the changes in it and nothing else touched; None where there is no such text."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return edited(text, self._body) if text.strip() else None

    # -------------------------------------------------------------- one value

    def stored(self, project: str) -> dict[str, Any]:
        """Stored values by full key."""
        return {full_key(str(key), project): value for key, value in self.config.items()}

    def set(self, key: str, parts: list[Part], value: Any, project: str) -> None:
        """Sets what is to be stored at a key, or at a path in its value."""
        stored = self.stored(project)
        if parts:
            value = set_path(stored.get(key), parts, value, key)
        stored[key] = value
        self.config = stored

    def remove(self, key: str, parts: list[Part], project: str) -> None:
        stored = self.stored(project)
        if key not in stored:
            return
        if parts:
            stored[key] = remove_path(stored[key], parts)
        else:
            del stored[key]
        self.config = stored


def to_store(text: str, *, secret: bool, path: bool, cipher: Cipher) -> Any:
    """A text from the command line as it is stored."""
    if secret:
        return {"secure": cipher.encrypt(text)}
    return typed(text) if path else text


def plain(stored: Any, cipher: Cipher, key: str) -> Any:
    """A stored value with everything in it decrypted. Raises SecretsError that names the key."""
    if is_secure(stored):
        try:
            return cipher.decrypt(stored["secure"])
        except SecretsError as error:
            raise SecretsError(f"failed to decrypt configuration key '{key}': {error}") from error
    if isinstance(stored, dict):
        return {str(k): plain(v, cipher, key) for k, v in stored.items()}
    if isinstance(stored, list):
        return [plain(v, cipher, key) for v in stored]
    return stored.isoformat() if isinstance(stored, (date, datetime)) else stored


def as_text(value: Any) -> str:
    """A value as a program reads it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def reveal(stored: Mapping[str, Any], cipher: Cipher) -> dict[str, ConfigValue]:
    """Stored values by full key, in plain text."""
    return {key: revealed(value, cipher, key) for key, value in sorted(stored.items())}


def revealed(stored: Any, cipher: Cipher, key: str) -> ConfigValue:
    value = plain(stored, cipher, key)
    data = value if isinstance(value, (dict, list)) else None
    return ConfigValue(text=as_text(value), secret=contains_secure(stored), data=data)


def lookup(values: Mapping[str, Any], key: str, parts: list[Part]) -> tuple[bool, Any]:
    """(found, stored value) of a key or of a path in its value."""
    return get_path(values.get(key), parts) if key in values else (False, None)


# ------------------------------------------------------------------ Pulumi.yaml


def project_defaults(project: Project) -> tuple[dict[str, Any], frozenset[str], list[str]]:
    """(values by full key, secret keys, keys that a stack must set) of the project's `config`."""
    values: dict[str, Any] = {}
    secret: set[str] = set()
    required: list[str] = []
    for name, declared in project.config.items():
        key = full_key(str(name), project.name)
        if not isinstance(declared, dict):
            values[key] = declared
            continue
        if declared.get("secret"):
            secret.add(key)
        for field in ("value", "default"):
            if field in declared:
                values[key] = declared[field]
                break
        else:
            required.append(key)
    return values, frozenset(secret), required
