"""The plugin `raw_plugin.py` as an executable on a stack's PATH, and what it has been asked."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

from tests.engine.core.dsl import Stack
from tests.engine.core.program import Resource

PLUGIN = Path(__file__).with_name("raw_plugin.py")


class Raw:
    """A stack whose PATH has `pulumi-resource-raw` on it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._pids: list[int] = []
        self._log = folder / "log"
        self.executable = folder / "bin" / "pulumi-resource-raw"
        self.executable.parent.mkdir()
        self.executable.write_text(f"#!{sys.executable}\n{PLUGIN.read_text(encoding='utf-8')}", encoding="utf-8")
        self.executable.chmod(self.executable.stat().st_mode | stat.S_IXUSR)
        self.does()

    def does(self, **what: Any) -> None:
        """What the plugin does from now on; nothing is remembered of before."""
        self.stack.environment = {
            "PATH": str(self.executable.parent),
            "RAW_LOG": str(self._log),
            "RAW_PLUGIN": json.dumps(what),
        }

    def seen(self, method: str) -> list[dict[str, Any]]:
        """The requests of one method, oldest first."""
        return [body for body in self._all() if body["method"] == method]

    def order(self, *methods: str) -> list[str]:
        """Which of the methods were called, in order."""
        return [body["method"] for body in self._all() if body["method"] in methods]

    def _all(self) -> list[dict[str, Any]]:
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]

    def running(self) -> list[int]:
        """The plugins that have not ended."""
        self.forget()
        return [pid for pid in self._pids if Path(f"/proc/{pid}").exists()]

    def forget(self) -> None:
        self._pids += [body["pid"] for body in self.seen("start")]
        self._log.unlink(missing_ok=True)


def thing(name: str, opts: dict[str, Any] | None = None, **inputs: Any) -> Resource:
    return Resource(name=name, type="raw:index:Thing", inputs=inputs, opts=opts or {})
