"""A bucket in memory, which can be looked at after each single thing that was done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class MemoryBucket:
    """A dictionary. `after_each` is called after every change, where a process may as well have been killed."""

    url = "memory://"

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}
        self.writes = 0
        self.bytes_written = 0
        self.after_each: Callable[[], None] = lambda: None

    def read(self, key: str) -> bytes | None:
        return self.items.get(key)

    def read_all(self, prefix: str) -> dict[str, bytes]:
        return {key: self.items[key] for key in self.keys(prefix)}

    def write(self, key: str, data: bytes, *, sync: bool = True) -> None:
        self.items[key] = data
        self.writes += 1
        self.bytes_written += len(data)
        self.after_each()

    def write_all(self, items: Mapping[str, bytes], *, sync: bool = True) -> None:
        for key, data in items.items():
            self.write(key, data, sync=sync)

    def delete(self, key: str) -> None:
        if self.items.pop(key, None) is not None:
            self.after_each()

    def delete_all(self, prefix: str) -> None:
        for key in self.keys(prefix):
            self.delete(key)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.items if key.startswith(prefix))

    def exists(self, key: str) -> bool:
        return key in self.items

    def copy(self, source: str, target: str) -> None:
        if source in self.items:
            self.items[target] = self.items[source]
            self.after_each()

    def move(self, source: str, target: str) -> None:
        if source in self.items:
            self.items[target] = self.items.pop(source)
            self.after_each()

    def claim(self, key: str, data: bytes, among: str) -> list[str]:
        others = [other for other in self.keys(among) if other != key]
        if not others:
            self.write(key, data)
        return others

    def place(self, key: str) -> str:
        return f"{self.url}{key}"

    def address(self, key: str) -> str:
        return f"{self.url}{key}"

    def close(self) -> None:
        """Nothing is held open."""
