"""Names the machine by what makes it fast or slow: never by its name, its user or its paths."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Machine


def describe() -> Machine:
    """This machine, now."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Machine(
        cpu=_field("cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
        memory_gb=_kilobytes(_field("meminfo", "MemTotal")) / 1e6,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    )


def _field(name: str, key: str) -> str:
    path = Path("/proc") / name
    if not path.is_file():
        return ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        label, _, value = line.partition(":")
        if label.strip() == key:
            return value.strip()
    return ""


def _kilobytes(text: str) -> float:
    return float(text.split(maxsplit=1)[0]) * 1.024 if text else 0.0
