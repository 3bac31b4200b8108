"""What a tenant costs: a price table, and what is used. Pure, but for reading the table.

Decides how use becomes money: hours times what a tenant may use (and not what it does use of it), and workflow runs one
by one. Amounts are Decimals: prices are written in decimal. It never decides what a tenant's size is: its line does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from stacks.problems import InputError, problems_of
from stacks.yaml_source import read_yaml

BUILTIN = Path(__file__).resolve().parent.parent / "templates" / "pricing" / "default.yaml"
VARIABLE = "TENANTRY_PRICES"
HOURS_OF_A_MONTH = 730
"""A year's 8,760 hours by its twelve months."""
_SHOWN = Decimal("0.0001")
_MB_OF_A_GB = 1024

Price = Annotated[Decimal, Field(ge=0, le=1_000_000, strict=False)]


class PriceError(InputError):
    """A price table that cannot be used."""

    noun = "price table"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class PerHour(_Model):
    """Prices of an hour of one core, of a GB of memory, of a GB of storage, and of a database connection."""

    cpu: Price
    memory_gb: Price
    storage_gb: Price = Decimal(0)
    connection: Price


class PerRun(_Model):
    workflow: Price


class Prices(_Model):
    """A price table."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_hour: PerHour
    per_run: PerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What a tenant may use at any time, and how many workflow runs are expected of it in a month."""

    cpu: float = 0
    memory_mb: int = 0
    storage_mb: int = 0
    connections: int = 0
    runs_per_month: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A time in which a tenant had one size. None: its size is not known."""

    start: datetime
    end: datetime
    sizing: Sizing | None

    @property
    def hours(self) -> Decimal:
        span = self.end - self.start
        seconds = Decimal(span.days * 86_400 + span.seconds) + Decimal(span.microseconds) / 1_000_000
        return max(Decimal(0), seconds / 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that costs: so much of it, at a price."""

    what: str
    unit: str
    quantity: Decimal
    price: Decimal

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price

    def to_dict(self) -> dict[str, str]:
        """Numbers are text: in JSON, 0.1 is not a tenth."""
        return {
            "what": self.what,
            "unit": self.unit,
            "quantity": str(_rounded(self.quantity)),
            "price": str(self.price),
            "amount": str(_rounded(self.amount)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some hours cost, item by item; an item that is not used is left out."""

    currency: str
    hours: Decimal
    items: tuple[Item, ...]

    @property
    def amount(self) -> Decimal:
        return sum((item.amount for item in self.items), Decimal(0))

    def to_dict(self) -> dict[str, Any]:
        return {
            "hours": str(_rounded(self.hours)),
            "amount": str(_rounded(self.amount)),
            "items": [item.to_dict() for item in self.items],
        }


def load_prices(path: Path | str | None = None, environ: Mapping[str, str] = os.environ) -> Prices:
    """The table in `path`, else in the file that TENANTRY_PRICES names, else the built-in one. Raises PriceError."""
    chosen = Path(path or environ.get(VARIABLE) or BUILTIN)
    mapping = read_yaml(chosen, PriceError)
    try:
        return Prices.model_validate(mapping)
    except ValidationError as error:
        raise PriceError(str(chosen), problems_of(error, Prices)) from None


def estimate(sizing: Sizing, prices: Prices) -> Cost:
    """What a month costs."""
    hours = Decimal(HOURS_OF_A_MONTH)
    return _cost([(hours, sizing)], Decimal(sizing.runs_per_month), prices)


def accrued(periods: Iterable[Period], runs: int, prices: Prices) -> Cost:
    """What the periods have cost, with the workflow runs that there were in them."""
    sized = [(period.hours, period.sizing) for period in periods if period.sizing is not None]
    return _cost(sized, Decimal(runs), prices)


def _cost(spans: Iterable[tuple[Decimal, Sizing]], runs: Decimal, prices: Prices) -> Cost:
    used = dict.fromkeys(("cpu", "memory", "storage", "connections"), Decimal(0))
    hours = Decimal(0)
    for span, sizing in spans:
        hours += span
        used["cpu"] += span * Decimal(str(sizing.cpu))
        used["memory"] += span * sizing.memory_mb / _MB_OF_A_GB
        used["storage"] += span * sizing.storage_mb / _MB_OF_A_GB
        used["connections"] += span * sizing.connections
    rates = prices.per_hour
    items = (
        Item(what="cpu", unit="core hours", quantity=used["cpu"], price=rates.cpu),
        Item(what="memory", unit="GB hours", quantity=used["memory"], price=rates.memory_gb),
        Item(what="storage", unit="GB hours", quantity=used["storage"], price=rates.storage_gb),
        Item(what="connections", unit="connection hours", quantity=used["connections"], price=rates.connection),
        Item(what="workflow runs", unit="runs", quantity=runs, price=prices.per_run.workflow),
    )
    return Cost(currency=prices.currency, hours=hours, items=tuple(item for item in items if item.quantity))


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_SHOWN, rounding=ROUND_HALF_UP)
