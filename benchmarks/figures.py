"""What was measured, and what it is held against. Plain data and its arithmetic; it measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

SIZES = (5, 100, 500)
# design/pulumi-facts.md: no-op `up` of the stock engine at these sizes, seconds, on another machine and day.
RECORDED_STOCK_NOOP = {5: 4.0, 100: 4.9, 500: 7.0}
NOOP_SHARE_OF_STOCK = 0.5
MEMORY_MB_AT_500 = 300.0
FLEET_SIZE = 20
WORKERS = (1, 2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and when: what a reader needs to compare, and nothing that tells whose machine it is."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    date: str
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFigure:
    """`up` or no-op of one size on one engine. `seconds` are those of `stack.up`, `whole` those of its process."""

    engine: str
    operation: str
    size: int
    seconds: tuple[float, ...]
    whole: tuple[float, ...]
    engine_mb: float | None
    tree_mb: float | None

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFigure:
    """One kind of `tenantry` command, from command to prompt. `target` is in seconds, None where there is none."""

    title: str
    seconds: tuple[float, ...]
    target: float | None
    tree_mb: float | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def met(self) -> bool | None:
        """Whether the median is under the target."""
        return None if self.target is None else self.median < self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigure:
    """A fleet provisioned by one command with so many workers."""

    workers: int
    cabinets: int
    seconds: float
    tree_mb: float | None

    @property
    def per_minute(self) -> float:
        return self.cabinets * 60 / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One benchmark's run. `figures` are all of the kind that the benchmark of that name makes."""

    name: str
    machine: Machine
    quick: bool
    figures: Sequence[EngineFigure | CommandFigure | FleetFigure] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "name": self.name,
            "quick": self.quick,
            "machine": asdict(self.machine),
            "figures": [asdict(one) for one in self.figures],
        }
