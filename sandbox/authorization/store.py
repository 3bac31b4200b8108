"""The server's clients and revoked tokens, in SQLite. Decides what is kept; never whether a request is allowed."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS clients (
    client_id TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    registration_digest TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    software_id TEXT,
    metadata TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS clients_by_software ON clients (software_id);
CREATE TABLE IF NOT EXISTS revoked (jti TEXT PRIMARY KEY, expires_at INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A registered client. `metadata` are RFC 7591's; of its registration access token only a digest is known."""

    client_id: str
    secret: str = field(repr=False)
    registration_digest: str = field(repr=False)
    issued_at: int
    metadata: Mapping[str, Any]


class Store:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    def add(self, row: Row) -> None:
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?)",
                (
                    row.client_id,
                    row.secret,
                    row.registration_digest,
                    row.issued_at,
                    row.metadata.get("software_id"),
                    json.dumps(row.metadata),
                ),
            )

    def get(self, client_id: str) -> Row | None:
        with self._connected() as connection:
            found = connection.execute(f"{_SELECT} WHERE client_id = ?", (client_id,)).fetchone()
        return _row(found) if found else None

    def of_software(self, software_id: str) -> list[Row]:
        """Oldest first."""
        with self._connected() as connection:
            found = connection.execute(
                f"{_SELECT} WHERE software_id = ? ORDER BY issued_at, client_id", (software_id,)
            ).fetchall()
        return [_row(each) for each in found]

    def change(self, client_id: str, *, registration_digest: str, metadata: Mapping[str, Any] | None = None) -> bool:
        """False where the client is gone. Metadata that are None stay as they are."""
        with self._connected() as connection:
            if metadata is None:
                done = connection.execute(
                    "UPDATE clients SET registration_digest = ? WHERE client_id = ?", (registration_digest, client_id)
                )
            else:
                done = connection.execute(
                    "UPDATE clients SET registration_digest = ?, software_id = ?, metadata = ? WHERE client_id = ?",
                    (registration_digest, metadata.get("software_id"), json.dumps(metadata), client_id),
                )
            return done.rowcount == 1

    def delete(self, client_id: str) -> None:
        with self._connected() as connection:
            connection.execute("DELETE FROM clients WHERE client_id = ?", (client_id,))

    def revoke(self, jti: str, expires_at: int, now: int) -> None:
        """Tokens that have expired are forgotten: they work no more by themselves."""
        with self._connected() as connection:
            connection.execute("DELETE FROM revoked WHERE expires_at < ?", (now,))
            connection.execute("INSERT OR IGNORE INTO revoked VALUES (?, ?)", (jti, expires_at))

    def is_revoked(self, jti: str) -> bool:
        with self._connected() as connection:
            return connection.execute("SELECT 1 FROM revoked WHERE jti = ?", (jti,)).fetchone() is not None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # One for each use: requests are served by several threads. Autocommit, each statement for itself.
        with contextlib.closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            yield connection


_SELECT = "SELECT client_id, secret, registration_digest, issued_at, metadata FROM clients"


def digest_of(token: str) -> str:
    """How a random token is kept: it is long, so its plain digest tells nobody anything."""
    return hashlib.sha256(token.encode()).hexdigest()


def _row(found: tuple[Any, ...]) -> Row:
    return Row(
        client_id=found[0],
        secret=found[1],
        registration_digest=found[2],
        issued_at=found[3],
        metadata=json.loads(found[4]),
    )
