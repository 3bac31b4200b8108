"""The load of a calibration: what the customers of an ISP ask of its application in a busy hour. Pure.

Decides how often which request comes, from how many visitors at once, and when each is sent. The rates are assumptions,
and part of what a calibration's result means: another application, or another habit, needs its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CUSTOMERS_OF_A_SESSION = 200
"""Of so many customers one is connected at any time in a busy hour; each session is one connection to the database."""
_SPREAD = 7919
"""A prime: requests go through all customers, and not in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One kind of request, and how many of it 1000 customers send in a minute."""

    method: str
    path: str
    per_minute: float


CORE: tuple[Rate, ...] = (
    # Interim accounting of RADIUS (RFC 2866), each five minutes for each customer who is online.
    Rate(method="POST", path="/isp/usage", per_minute=200),
    Rate(method="GET", path="/isp/account", per_minute=100),
)
OF_FEATURES: Mapping[str, tuple[Rate, ...]] = {
    "billing": (Rate(method="POST", path="/isp/invoice", per_minute=60),),
    "customer_portal": (Rate(method="GET", path="/isp/portal", per_minute=120),),
    "technician_portal": (Rate(method="GET", path="/isp/line", per_minute=60),),
    "analytics": (Rate(method="GET", path="/isp/report", per_minute=60),),
    "bulk_operations": (Rate(method="POST", path="/isp/bulk", per_minute=60),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, `at` so many seconds after the load's begin."""

    at: float
    method: str
    path: str


def sessions_of(customers: int) -> int:
    """How many visitors are connected at once."""
    return -(-customers // CUSTOMERS_OF_A_SESSION)


def schedule(customers: int, features: Iterable[str], seconds: float) -> list[list[Request]]:
    """The requests of each session in the order of sending, spread evenly over `seconds`."""
    sent: list[Request] = []
    for rate in (*CORE, *(rate for feature in features for rate in OF_FEATURES[feature])):
        count = round(customers * rate.per_minute * seconds / 60 / 1000)
        for index in range(count):
            customer = (index * _SPREAD) % customers
            at = (index + 0.5) * seconds / count
            sent.append(Request(at=at, method=rate.method, path=f"{rate.path}/{customer}"))
    sent.sort(key=lambda request: request.at)
    sessions = sessions_of(customers)
    return [sent[first::sessions] for first in range(sessions)]
