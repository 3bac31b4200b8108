"""What a simulator knows: documents by kind and id in one SQLite file, which survives the process.

Decides nothing about what a document means. One thread at a time: the simulator's lock is the caller's.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Store:
    """Documents in the order in which they were first put. Without a path they live in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, "
            "id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id))"
        )

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, kind: str) -> Iterator[dict[str, Any]]:
        rows = self._db.execute("SELECT body FROM documents WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        return (json.loads(row[0]) for row in rows)

    def put(self, kind: str, key: str, body: dict[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, key, json.dumps(body)),
        )

    def delete(self, kind: str, key: str) -> None:
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, key))

    def count(self, kind: str) -> int:
        return int(self._db.execute("SELECT count(*) FROM documents WHERE kind = ?", (kind,)).fetchone()[0])

    def everything(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(kind, id, document) of all there is."""
        rows = self._db.execute("SELECT kind, id, body FROM documents ORDER BY number")
        return ((kind, key, json.loads(body)) for kind, key, body in rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is put and deleted inside is kept whole, or not at all where it ends with an error. Not nested."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()
