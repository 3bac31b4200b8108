"""Judges a calibration: coefficients out of what was measured, and how far off they are where nothing was fitted. Pure.

Decides the verdict: the target is met when every resource at every held-out point is within it (ISP-3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from automation.calibration import fit
from automation.calibration.fit import Line
from automation.calibration.measure import RESOURCES
from automation.calibration.points import Measured, Point
from stacks.isp.settings import Use
from stacks.isp.sizing import CUSTOMERS_OF_CPU, CUSTOMERS_OF_MEMORY, CUSTOMERS_OF_STORAGE

TARGET = 0.05
"""ISP-3: within 5 % of what is really used."""
_LIKE_NOISE = 6
Lines = Mapping[str, Line]


class _Plain(yaml.SafeDumper):
    """Writes small numbers without an exponent: our reader of YAML does not take 5e-05 for a number."""


_Plain.add_representer(
    float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", f"{Decimal(str(value)):f}")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One resource at one held-out point, in the sample's unit."""

    point: Point
    resource: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """By which part of what was measured the prediction is off."""
        return fit.error(self.predicted, self.measured)

    @property
    def met(self) -> bool:
        return abs(self.error) <= TARGET

    def to_dict(self) -> dict[str, Any]:
        return {
            "features": list(self.point.features),
            "customers": self.point.customers,
            "resource": self.resource,
            "measured": self.measured,
            "predicted": self.predicted,
            "error": round(self.error, 6),
            "met": self.met,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What came of it: by resource the core's line, by feature what it adds, and the checks."""

    core: Lines
    features: Mapping[str, Lines]
    checks: tuple[Check, ...]

    @property
    def met(self) -> bool:
        return all(check.met for check in self.checks)

    @property
    def worst(self) -> Check:
        return max(self.checks, key=lambda check: abs(check.error))

    def coefficients(self) -> dict[str, Any]:
        """What a template has at `settings.sizing`: `core`, and `features` if there are any, with keys as in YAML."""
        core = _use(self.core)
        # The core's own connection is one of its customers' (customers*2, ISP-3).
        core.pop("connections", None)
        found: dict[str, Any] = {"core": core}
        if self.features:
            found["features"] = {to_camel(name): _use(lines) for name, lines in self.features.items()}
        return found

    def snippet(self, about: Sequence[str]) -> str:
        """The coefficients as YAML for a template; each line of `about` is a comment before it."""
        comments = "".join(f"# {line}\n" for line in about)
        return comments + yaml.dump({"settings": {"sizing": self.coefficients()}}, Dumper=_Plain, sort_keys=False)


def judged(measured: Iterable[Measured]) -> Calibration:
    """Fits the core and each feature, and checks them at the held-out points.

    Raises ValueError where there is nothing to fit to.
    """
    found = list(measured)
    arms = list(dict.fromkeys(one.point.features for one in found))
    core = _lines(found, ())
    single = {arm[0]: _lines(found, arm) for arm in arms if len(arm) == 1}
    features = {name: {key: lines[key].minus(core[key]) for key in RESOURCES} for name, lines in single.items()}
    held_out = dict.fromkeys(one.point for one in found if one.point.held_out)
    checks = [_check(found, point, key, core, features) for point in held_out for key in RESOURCES]
    return Calibration(core=core, features=features, checks=tuple(checks))


def _lines(found: Sequence[Measured], arm: tuple[str, ...]) -> dict[str, Line]:
    points = dict.fromkeys(one.point for one in found if one.point.features == arm and not one.point.held_out)
    return {key: fit.fitted([(point.customers, _measured(found, point, key)) for point in points]) for key in RESOURCES}


def _measured(found: Sequence[Measured], point: Point, resource: str) -> float:
    """Of repeated measurements the middle: one that something disturbed does not count.

    The median of up to four, the mean of the inner half of more: that is nearer to what is used mostly, as what is left
    of the noise goes both ways.
    """
    values = sorted(float(getattr(one.sample, resource)) for one in found if one.point == point)
    cut = min(math.ceil(len(values) / 4), (len(values) - 1) // 2)
    return fmean(values[cut : len(values) - cut])


def _check(found: Sequence[Measured], point: Point, resource: str, core: Lines, features: Mapping[str, Lines]) -> Check:
    line = core[resource]
    for feature in point.features:
        line = line.plus(features[feature][resource])
    predicted = line.at(point.customers)
    if resource == "connections":
        # There are no halves; and the last digits of a sum are none either.
        predicted = float(math.ceil(round(predicted, _LIKE_NOISE)))
    return Check(point=point, resource=resource, measured=_measured(found, point, resource), predicted=predicted)


def _use(lines: Lines) -> dict[str, Any]:
    """The lines as the sizing's coefficients; a number that comes to nothing is left out."""
    use = Use.model_validate(
        {
            "baseCpu": _short(lines["cpu_cores"].base),
            "cpuMultiplier": _short(lines["cpu_cores"].each * CUSTOMERS_OF_CPU),
            "baseMemory": _short(lines["memory_gb"].base),
            "memoryIncrement": _short(lines["memory_gb"].each * CUSTOMERS_OF_MEMORY),
            "baseStorage": _short(lines["storage_gb"].base),
            "storageIncrement": _short(lines["storage_gb"].each * CUSTOMERS_OF_STORAGE),
            "connections": round(lines["connections"].base),
        }
    )
    return use.model_dump(by_alias=True, exclude_defaults=True)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
