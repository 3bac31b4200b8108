"""What the simulator knows: the store of documents, and where ids and times come from.

Decides nothing about what a document means.
"""

import secrets
import string
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.store import Store

_LETTERS = string.ascii_letters + string.digits


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
