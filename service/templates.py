"""Templates as the service reads them: from their files, but parsed again only when a file has changed.

Decides when to read. Which files are templates and what is valid is decided by `stacks.templates`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from stacks.lines import LINES, Line
from stacks.problems import TemplateError
from stacks.templates import Template, TemplateStore

Stamp = tuple[tuple[str, int, int], ...]


class CachedTemplates(TemplateStore):
    """A TemplateStore whose templates are kept until one of its files is added, changed or removed."""

    def __init__(self, dirs: Sequence[Path | str] | None = None) -> None:
        super().__init__(dirs)
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
            for pattern in ("*.yaml", "*/*.yaml"):
                for path in sorted(directory.glob(pattern)):
                    try:
                        stat = path.stat()
                    except FileNotFoundError:
                        continue  # removed since the folder was listed
                    found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)


class Templates:
    """The templates of every line."""

    def __init__(self) -> None:
        self._stores = {kind: CachedTemplates(line.templates().dirs) for kind, line in LINES.items()}

    def of(self, line: Line) -> TemplateStore:
        """The store of a line."""
        return self._stores[line.kind]

    def latest(self, line: str | None = None) -> list[Template]:
        """The newest version of each template, by id."""
        stores = [store for kind, store in self._stores.items() if line in {None, kind}]
        return [template for store in stores for template in store.latest()]

    def versions(self, template_id: str) -> list[Template]:
        """All versions of a template, oldest first; empty where there is none."""
        return [one for store in self._stores.values() for one in store.list() if one.id == template_id]

    def get(self, template_id: str, version: str | None = None) -> Template:
        """One template, the newest version unless one is named. Raises TemplateError naming those that exist."""
        error: TemplateError | None = None
        for store in self._stores.values():
            try:
                return store.get(template_id, version)
            except TemplateError as unknown:
                if unknown.source != "templates":
                    raise
                error = error or unknown
        raise error or TemplateError("templates", [])
