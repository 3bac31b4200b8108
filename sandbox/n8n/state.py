"""What the simulator knows: documents by kind and id in one SQLite file, and where ids and times come from.

Decides nothing about what a document means.
"""

import json
import secrets
import sqlite3
import string
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LETTERS = string.ascii_letters + string.digits


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

    def close(self) -> None:
        self._db.close()


@dataclass(slots=True, kw_only=True)
class World:
    """The store, the clock and the ids. A test sets the clock, and says which ids come next."""

    store: Store
    clock: Callable[[], float] = time.time
    next_ids: deque[str] = field(default_factory=deque)
    next_versions: deque[str] = field(default_factory=deque)

    def now(self) -> str:
        moment = datetime.fromtimestamp(self.clock(), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def new_id(self) -> str:
        return self.next_ids.popleft() if self.next_ids else "".join(secrets.choice(_LETTERS) for _ in range(16))

    def new_version(self) -> str:
        return self.next_versions.popleft() if self.next_versions else str(uuid.uuid4())

    def number(self, name: str) -> int:
        """1, 2, 3 ... for `name`."""
        last = (self.store.get("counter", name) or {"value": 0})["value"] + 1
        self.store.put("counter", name, {"value": last})
        return int(last)
