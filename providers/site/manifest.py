"""What a backup is: its files with their sizes and checksums, and the versions that they are of. Pure.

A backup is a folder in a store, named by its moment, and is there when its manifest is: that is written last.

    20261122T020000Z-1f3a/manifest.json, ...-database.sql.gz, ...-files.tar, ...-private-files.tar, ...-site_config...
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from providers.site.errors import BackupError
from providers.site.names import backup_folder
from providers.site.seam import WORDS, Kind

MANIFEST = "manifest.json"
MOST_BYTES = 1024 * 1024
"""Of a manifest; a larger one is none."""
_STAMP = "%Y%m%dT%H%M%SZ"
_ID = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-[0-9a-f]{4}")
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ManifestFile(_Model):
    """A file of a backup: `size` in bytes, `sha256` in hex."""

    kind: Kind
    name: _Name
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(_Model):
    """`made_at` is when it was begun; `apps` are the versions of the installed apps; `mark` says whose site it was."""

    format: Literal[1] = 1
    id: Annotated[str, Field(pattern=rf"^{_ID.pattern}$".replace("?P<stamp>", ""))]
    site: str
    mark: str
    made_at: datetime
    apps: dict[str, str]
    files: tuple[ManifestFile, ...]

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        kinds = [file.kind for file in self.files]
        if lost := [WORDS[kind] for kind in Kind if kind not in kinds]:
            raise ValueError(f"{' and '.join(lost)}: not among its files")
        if len(set(kinds)) < len(kinds) or len({file.name for file in self.files}) < len(kinds):
            raise ValueError("a file is named twice")
        return self

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def parsed(content: bytes, what: str) -> Manifest:
    """The manifest in `content`. Raises BackupError."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        rows = "; ".join(f"{'.'.join(map(str, row['loc'])) or 'all'}: {row['msg']}" for row in error.errors())
        raise BackupError(f"{what}: its manifest is not right ({rows}). Choose another backup.") from None


def backup_id(made_at: datetime) -> str:
    """The id of a backup begun then. Its last digits are the fraction of that second: ids sort as backups are made."""
    return f"{made_at.astimezone(UTC):{_STAMP}}-{made_at.microsecond * 0x10000 // 1_000_000:04x}"


def made_at(backup: str) -> datetime | None:
    """When a backup was begun, by its id; None for what is no id."""
    found = _ID.fullmatch(backup)
    try:
        return datetime.strptime(found["stamp"], _STAMP).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def place_of(mark: str, site: str, backup: str = "") -> str:
    """The prefix of a backup's keys, or of those of all backups of a site."""
    return f"{backup_folder(mark, site)}/" + (f"{backup}/" if backup else "")


def backups_in(keys: Iterable[str], prefix: str) -> dict[str, list[str]]:
    """By backup, its keys below `prefix`; what is no backup is left out."""
    found: dict[str, list[str]] = {}
    for key in keys:
        backup, slash, _ = key.removeprefix(prefix).partition("/")
        if slash and made_at(backup) is not None:
            found.setdefault(backup, []).append(key)
    return found


def is_whole(backup: str, keys: Iterable[str], prefix: str) -> bool:
    """Whether a backup has its manifest: one that was cut off has none."""
    return f"{prefix}{backup}/{MANIFEST}" in keys
