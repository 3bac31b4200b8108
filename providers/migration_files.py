"""The SQL migrations shipped with Tenantry: which there are, in which order, with which checksums. Pure reading.

A file, once released, never changes: databases remember its checksum.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from providers.errors import ProviderError

SQL_DIR = Path(__file__).resolve().parent / "sql"
_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file, `<version>_<name>.sql`. `checksum` is the SHA-256 of its text with newlines as \\n."""

    version: int
    name: str
    sql: str
    checksum: str


@cache
def load_bundle(bundle: str, directory: Path = SQL_DIR) -> tuple[Migration, ...]:
    """The migrations of a folder, numbered 1, 2, 3 without a gap. Raises ProviderError when they are not."""
    found = []
    for path in sorted((directory / bundle).glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ProviderError(f"migrations {bundle!r}: {path.name} is misnamed. Call it like 0001_tables.sql.")
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        found.append(Migration(version=int(match[1]), name=match[2], sql=text, checksum=checksum))
    if not found or [migration.version for migration in found] != list(range(1, len(found) + 1)):
        numbers = ", ".join(f"{migration.version:04d}" for migration in found) or "none"
        raise ProviderError(
            f"migrations {bundle!r}: the files are numbered {numbers}. Number them 0001, 0002, 0003 without a gap."
        )
    return tuple(found)


def digest_of(checksums: list[str]) -> str:
    """One short text that changes when any of the checksums does."""
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()[:16]
