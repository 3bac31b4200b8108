"""`tenantry isp calibrate`: its words, its progress, its tables. Imported only when it runs.

Decides what is shown and what it ends with; what is measured and how it is judged is `automation.calibration`'s.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from automation.calibration import measure
from automation.calibration.errors import MissedTargetError
from automation.calibration.measure import RESOURCES, Sample
from automation.calibration.points import Measured, Point, measure_all, points_of
from automation.calibration.results import TARGET, Calibration, Check, judged
from automation.calibration.subject import Subject
from automation.cli_support import Output, print_table
from automation.errors import CancelledError, InputError
from stacks.isp.settings import FEATURES
from stacks.problems import closest

OVERHEAD_SECONDS = 3.0
"""About what it takes to start an application with its customers, and to end it."""
_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for: counts with commas, and features, one of which may be `all`."""

    customers: str
    repeat: int
    seconds: float
    features: tuple[str, ...]
    write: Path | None


def run(output: Output, asked: Asked) -> None:
    """Measures, shows, writes. Raises InputError, CalibrationError, MissedTargetError, CancelledError."""
    measure.demand_linux()
    points = points_of(_counts(asked.customers), _features(asked.features), asked.repeat)
    if asked.write is not None:
        _demand_writable(asked.write)
    minutes = len(points) * (asked.seconds + OVERHEAD_SECONDS) / 60
    output.note(f"{len(points)} measurements of {asked.seconds:g} s each: about {minutes:.0f} min")
    with _ending_in_order(), Subject() as subject:
        found = measure_all(points, subject, asked.seconds, lambda index, one: _tell(output, points, index, one))
    calibration = judged(found)
    about = _about(calibration, asked)
    if asked.write is not None:
        asked.write.write_text(calibration.snippet(about), encoding="utf-8")
    _show(output, calibration, found, about, asked)
    if not calibration.met:
        worst = calibration.worst
        raise MissedTargetError(
            f"the sizing is off by {_percent(worst.error)} for {worst.resource} at {worst.point.customers} customers"
            f"{_with(worst.point)}; the target is {_percent(TARGET, sign='')}",
            hint="measure again on a machine with nothing else to do, with more --repeat and --seconds",
        )


def _counts(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isascii() or not word.isdigit() or len(word) > 9:
            raise InputError(f"--customers: {word!r} is no customer count", hint="such as --customers 1000,2000,3000")
    return [int(word) for word in words]


def _features(given: Sequence[str]) -> tuple[str, ...]:
    """In the order of FEATURES, each once."""
    for name in given:
        if name not in {*FEATURES, _ALL}:
            near = closest(name, [*FEATURES, _ALL])
            hint = f"one of {', '.join(FEATURES)}, or {_ALL}{f'; did you mean {near}?' if near else ''}"
            raise InputError(f"--feature: there is no feature {name!r}", hint=hint)
    return tuple(name for name in FEATURES if _ALL in given or name in given)


def _demand_writable(path: Path) -> None:
    """Before all the measuring, not after it."""
    folder = path.absolute().parent
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"--write: {path} cannot be written", hint="name a file in a folder that you can write to")


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """TERM ends it as Ctrl-C does. The second of either does not cut off what the first one began to end.

    Raises CancelledError for them, once all has ended.
    """

    def end(_sign: int, _frame: FrameType | None) -> None:
        for sign in signs:
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    signs = (signal.SIGINT, signal.SIGTERM)
    before = {sign: signal.signal(sign, end) for sign in signs}
    try:
        yield
    except KeyboardInterrupt:
        raise CancelledError("the calibration was cancelled", hint="nothing of it is left; start it again") from None
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _tell(output: Output, points: Sequence[Point], index: int, one: Measured) -> None:
    sample = one.sample
    output.note(
        f"{index + 1}/{len(points)}  {one.point.customers} customers{_with(one.point)}: "
        + ", ".join(_amount(key, float(getattr(sample, key))) for key in RESOURCES)
    )


def _about(calibration: Calibration, asked: Asked) -> list[str]:
    """How it was found, for whoever reads the coefficients later."""
    machine = measure.machine()
    worst = calibration.worst
    asked_for = f"{asked.customers} customers, {asked.seconds:g} s, {asked.repeat} times"
    verdict = f"the target of {_percent(TARGET, sign='')} is {'met' if calibration.met else 'missed'}"
    return [
        f"Measured by `tenantry isp calibrate`: {asked_for}.",
        f"On {machine['cores']} cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}.",
        f"At most {_percent(abs(worst.error), sign='')} off at held-out counts ({worst.resource}); {verdict}.",
    ]


def _show(
    output: Output, calibration: Calibration, found: Sequence[Measured], about: Sequence[str], asked: Asked
) -> None:
    if output.as_json:
        output.document(_document(calibration, found, asked))
        return
    print_table(output, ("HELD OUT", "FEATURES", "CPU", "MEMORY", "STORAGE", "CONNECTIONS"), _rows(calibration.checks))
    output.say()
    output.say(calibration.snippet(about).rstrip())
    if asked.write is not None:
        output.note(f"written to {asked.write}")


def _rows(checks: Sequence[Check]) -> list[tuple[str, ...]]:
    by_point: dict[Point, dict[str, Check]] = {}
    for check in checks:
        by_point.setdefault(check.point, {})[check.resource] = check
    return [
        (str(point.customers), " + ".join(("core", *point.features)), *(_cell(of[key]) for key in RESOURCES))
        for point, of in by_point.items()
    ]


def _cell(check: Check) -> str:
    """What was measured, and by how much the prediction is off."""
    return f"{_amount(check.resource, check.measured)} {_percent(check.error)}{'' if check.met else ' MISSED'}"


def _amount(resource: str, value: float) -> str:
    match resource:
        case "cpu_cores":
            return f"{value * 1000:.1f} millicores"
        case "memory_gb":
            return f"{value * 1024:.1f} MB memory"
        case "storage_gb":
            return f"{value * 1024:.1f} MB stored"
        case _:
            return f"{value:.0f} connections"


def _percent(part: float, *, sign: str = "+") -> str:
    return f"{part * 100:{sign}.1f} %"


def _with(point: Point) -> str:
    return f" with {', '.join(point.features)}" if point.features else ""


def _document(calibration: Calibration, found: Sequence[Measured], asked: Asked) -> dict[str, Any]:
    def sample(one: Measured) -> dict[str, Any]:
        own: Sample = one.sample
        point = one.point
        about = {"features": list(point.features), "customers": point.customers, "held_out": point.held_out}
        return {**about, **own.to_dict()}

    return {
        "type": "isp_calibration",
        "machine": measure.machine(),
        "seconds": asked.seconds,
        "repeat": asked.repeat,
        "target": TARGET,
        "met": calibration.met,
        "coefficients": calibration.coefficients(),
        "checks": [check.to_dict() for check in calibration.checks],
        "samples": [sample(one) for one in found],
    }
