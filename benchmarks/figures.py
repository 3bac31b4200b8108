"""What was measured, and what it is held against. Plain data and its arithmetic; it measures nothing itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

SHAPES = ("wide", "deep", "mixed")
SIZES = (5, 100, 500, 2000)
FAT_SIZE = 200
# design/pulumi-facts.md: no-op `up` of the stock engine at these sizes, seconds, on another machine and day.
RECORDED_STOCK_NOOP = {5: 4.0, 100: 4.9, 500: 7.0}
NOOP_SHARE_OF_STOCK = 0.5
MEMORY_MB_AT_500 = 300.0
MEMORY_MB_PER_RESOURCE = 0.2
# conformance/public/golden: seconds that these steps took on the stock engine, on another machine and day.
RECORDED_SCENARIOS = ("large_deep", "large_wide", "basic_lifecycle", "diamond_parallel")
STACKS = 16
STACK_SIZE = 10
# design/pulumi-facts.md: stacks a minute of the stock engine, by threads, on another machine and day.
RECORDED_STOCK_STACKS = {1: 25.0, 4: 43.0}
AT_ONCE = (1, 4, 16)
FLEET_SIZE = 20
WORKERS = (1, 2, 4)
# What issue and page hold the service to: milliseconds, requests a second, and rows in the tables.
READ_MS = 50.0
ACCEPT_MS = 50.0
EVENT_MS = 500.0
READ_RATE = 200
SEEDED_TENANTS = 10_000
SEEDED_JOBS = 100_000
QUEUED_JOBS = 50
SERVICE_WORKERS = 4
OVERLOAD = 10.0
# The issue of departments: a route more, among so many, in milliseconds.
GATEWAY_ROUTES = 1000
GATEWAY_MS = 100.0
# The same issue: departments at once.
DEPARTMENTS_AT_ONCE = 10
# The issue of ISPs: tenants at once; runs with faults, and the share of them that succeeds.
ISPS_AT_ONCE = 50
ISP_RUNS = 1000
ISP_SUCCESS = 0.995
# The issue of points of sale: requests for one, and tenants at once.
POS_REQUESTS = 60
POS_AT_ONCE = 20


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
    """`up` or no-op of one program on one engine.

    `seconds` are those of `stack.up`; `cpu` the processor seconds of each process in the fastest run; `root` is the
    program's.
    """

    engine: str
    operation: str
    shape: str
    size: int
    seconds: tuple[float, ...]
    engine_mb: float | None
    tree_mb: float | None
    state_mb: float
    cpu: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFigure:
    """One step of a recorded scenario: seconds here, and those in the recording."""

    scenario: str
    step: str
    resources: int
    seconds: float
    recorded: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StacksFigure:
    """Stacks of light resources, created so many at once by one process."""

    at_once: int
    stacks: int
    seconds: float
    tree_mb: float | None

    @property
    def per_minute(self) -> float:
        return self.stacks * 60 / self.seconds


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
class SpanFigure:
    """One step of a run: when it began and how long it took, both in seconds, counted from the run's beginning."""

    title: str
    start: float
    seconds: float


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
class LatencyFigure:
    """One kind of request, or of event, made again and again. Times are milliseconds; `target` is for the p99."""

    title: str
    taken: int
    failed: int
    p50: float
    p99: float
    worst: float
    target: float

    @classmethod
    def of(cls, title: str, milliseconds: Sequence[float], *, failed: int, target: float) -> LatencyFigure:
        """From what was taken; at least one must have got through."""
        ordered = sorted(milliseconds)
        return cls(
            title=title,
            taken=len(ordered) + failed,
            failed=failed,
            p50=round(share(ordered, 0.5), 1),
            p99=round(share(ordered, 0.99), 1),
            worst=round(ordered[-1], 1),
            target=target,
        )

    @property
    def met(self) -> bool:
        """Whether all got through and the p99 is under the target."""
        return self.failed == 0 and self.p99 < self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigure:
    """Jobs queued on so many workers, until the last has ended. Times are seconds.

    `overtaken`: by how many younger jobs the unluckiest one was begun after. `load`: how many times as fast as the
    workers could take them the jobs came; None where they came at once. `oldest`: the greatest age of a waiting job.
    """

    title: str
    jobs: int
    failed: int
    workers: int
    seconds: float
    wait_median: float
    wait_worst: float
    overtaken: int
    load: float | None = None
    oldest: float | None = None

    @property
    def per_minute(self) -> float:
        return self.jobs * 60 / self.seconds


def share(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of the sorted values lie (nearest rank)."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def overtaken(begun: Sequence[int]) -> int:
    """`begun`: jobs, by their place in the order in which they were accepted, in the order in which they began.

    Returns the largest number of younger jobs that began before one job.
    """
    return max((sum(1 for other in begun[:at] if other > job) for at, job in enumerate(begun)), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFigure:
    """One phase of runs that succeeded, in seconds, and how long each may take."""

    title: str
    seconds: tuple[float, ...]
    budget: float

    @property
    def met(self) -> bool:
        """Whether all of them kept to it."""
        return max(self.seconds) < self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFigure:
    """How many requests an API server turned away for its own limits."""

    title: str
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityFigure:
    """Runs during which some requests met a fault: `faults` counts them by kind, of so many requests."""

    title: str
    runs: int
    succeeded: int
    faults: Mapping[str, int]
    requests: int

    @property
    def share(self) -> float:
        return self.succeeded / self.runs if self.runs else 0.0

    @property
    def met(self) -> bool:
        """Whether more of them succeed than asked for."""
        return self.share > ISP_SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsFigure:
    """How many requests runs of one kind sent. `target` is the most that each may, None where nothing is asked for."""

    title: str
    requests: tuple[int, ...]
    target: int | None

    @property
    def met(self) -> bool | None:
        """Whether all of them kept to it."""
        return None if self.target is None else max(self.requests) <= self.target


DepartmentFigure = CommandFigure | SpanFigure
PosFigure = CommandFigure | RequestsFigure
IspFigure = CommandFigure | PhaseFigure | RefusalFigure | ReliabilityFigure
Figure = (
    EngineFigure
    | RecordedFigure
    | StacksFigure
    | CommandFigure
    | FleetFigure
    | LatencyFigure
    | QueueFigure
    | SpanFigure
    | PhaseFigure
    | RefusalFigure
    | ReliabilityFigure
    | RequestsFigure
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One benchmark's run. `figures` are all of the kind that the benchmark of that name makes."""

    name: str
    machine: Machine
    quick: bool
    figures: Sequence[Figure] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "name": self.name,
            "quick": self.quick,
            "machine": asdict(self.machine),
            "figures": [asdict(one) for one in self.figures],
        }
