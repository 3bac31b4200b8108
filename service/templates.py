"""Templates as the service reads them: from their files, but parsed again only when a file has changed.

Decides when to read. Which files are templates and what is valid is decided by `stacks.templates`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stacks import catalog
from stacks.lines import LINES, Line
from stacks.shape import Shape
from stacks.templates import Template, TemplateStore

Stamp = tuple[tuple[str, int, int], ...]


class CachedTemplates(TemplateStore):
    """A TemplateStore whose templates are kept until one of its files is added, changed or removed."""

    def __init__(self, dirs: Sequence[Path | str], shape: Shape[Any]) -> None:
        super().__init__(dirs, shape)
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._kept: dict[str, Sequence[Template]] = {}

    def _versions(self, template_id: str) -> Sequence[Template]:
        stamp = self._look()
        with self._lock:
            if stamp != self._stamp:
                self._stamp, self._kept = stamp, {}
            kept = self._kept.get(template_id)
        if kept is not None:
            return kept
        found = super()._versions(template_id)
        with self._lock:
            if stamp == self._stamp:
                self._kept[template_id] = found
        return found

    def _look(self) -> Stamp:
        found: list[tuple[str, int, int]] = []
        for directory in self.dirs:
            for path in self.files(directory):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # removed since the folder was listed
                found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)


class Templates:
    """The templates of every line."""

    def __init__(self) -> None:
        plain = {kind: line.templates() for kind, line in LINES.items()}
        self._stores = {kind: CachedTemplates(store.dirs, store.shape) for kind, store in plain.items()}

    def of(self, line: Line) -> TemplateStore:
        """The store of a line."""
        return self._stores[line.kind]

    def latest(self, line: str | None = None) -> list[Template]:
        """The newest version of each template, by id."""
        return [template for store in self._of(line) for template in store.latest()]

    def versions(self, template_id: str, line: str) -> list[Template]:
        """All versions of a line's template, oldest first; empty where there is none."""
        return [one for store in self._of(line) for one in store.list() if one.id == template_id]

    def get(self, template_id: str, version: str | None = None, line: str | None = None) -> Template:
        """One template, the newest version unless one is named. Raises TemplateError naming those that exist.

        Without a line, it is the first line's that has one of this id.
        """
        return catalog.get(self._of(line), template_id, version)

    def _of(self, line: str | None) -> list[CachedTemplates]:
        return [store for kind, store in self._stores.items() if line in {None, kind}]
