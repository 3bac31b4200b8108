"""What a process has used, as the kernel counts it. Linux only.

Decides which of the kernel's figures are taken: CPU time and not time that has passed, so that what else the machine
does matters little; and the peak of resident memory, which is what a limit of memory must bear.
"""

from __future__ import annotations

import platform
import re
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from automation.errors import InputError

GB = 1024**3
_CLOCK_OF_A_PROCESS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was used at a customer count: cores, peak GB of memory, GB in the database, and connections at once."""

    cpu_cores: float
    memory_gb: float
    storage_gb: float
    connections: int

    def to_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


RESOURCES: tuple[str, ...] = tuple(one.name for one in fields(Sample))


def demand_linux() -> None:
    """Raises InputError where nothing can be measured."""
    if sys.platform != "linux":
        raise InputError(
            f"a calibration reads Linux's figures of a process, which {platform.system()} has not",
            hint="run it on the kind of machine that ISPs run on",
        )


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and all its threads, those that have ended too. Raises OSError when it is gone."""
    # As clock_getcpuclockid(3) makes it; /proc has no more than hundredths of a second.
    return time.clock_gettime((~pid << 3) | _CLOCK_OF_A_PROCESS)


def peak_gb(pid: int) -> float:
    """The most memory that a process has had resident, in GB. Raises OSError when it is gone."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise ProcessLookupError(f"process {pid} has ended")
    return int(found[1]) * 1024 / GB


def machine() -> dict[str, Any]:
    """Which machine this is, as far as it changes what is measured."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = re.search(r"^model name\s*:\s*(.+)$", cpus, re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": cpus.count("\nprocessor") + cpus.startswith("processor"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
