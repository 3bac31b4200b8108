"""The sample as an ISP's application: customers in its database and in memory, and what each feature does for them.

It is one when ISP_CUSTOMERS says how many made-up customers it has. Decides what a customer is made of and what a
request does; the numbers below are the sample's definition, which `tenantry isp calibrate` measures the cost of.

ISP_CUSTOMERS     how many; those that its database has not are made when it starts
ISP_FEATURES      with commas: billing, customer_portal, technician_portal, analytics, bulk_operations
ISP_CONNECTIONS   the most connections to its database (100)

GET  /isp/account/N     a customer's account, out of the database
POST /isp/usage/N       what a customer used is counted
GET  /isp/portal/N      (customer_portal) the account as a page
GET  /isp/line/N        (technician_portal) how good a customer's line is
GET  /isp/report/N      (analytics) what a customer's month looks like
POST /isp/invoice/N     (billing) a customer's month is invoiced
POST /isp/bulk/N        (bulk_operations) N and the customers after it are given another tariff
"""

import json
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from sandbox.sample_app.page import table_page

CONNECT_SECONDS = 10
WAIT_SECONDS = 10.0
TICK_SECONDS = 5.0
DAYS = 30
BLOCK = 20
_RATE = Decimal("0.0004")
_STATE_BYTES = 1024
_ROW_BYTES = 120

Answer = tuple[HTTPStatus, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a feature keeps in bytes: of its own, for each customer in memory, and for each in its table.

    `workers` are threads that look into the database every few seconds, each with a connection of its own.
    """

    own_bytes: int
    state_bytes: int
    row_bytes: int
    workers: int


FEATURES: Mapping[str, Feature] = {
    "billing": Feature(own_bytes=2 << 20, state_bytes=256, row_bytes=1200, workers=1),
    "customer_portal": Feature(own_bytes=4 << 20, state_bytes=512, row_bytes=200, workers=1),
    "technician_portal": Feature(own_bytes=2 << 20, state_bytes=600, row_bytes=400, workers=1),
    "analytics": Feature(own_bytes=16 << 20, state_bytes=2048, row_bytes=2000, workers=2),
    "bulk_operations": Feature(own_bytes=4 << 20, state_bytes=128, row_bytes=100, workers=3),
}
_CORE_WORKERS = 1
_MOST = 1_000_000
_TABLES = """
CREATE TABLE IF NOT EXISTS isp_customers (
    id integer PRIMARY KEY, name text NOT NULL, tariff integer NOT NULL DEFAULT 1, used bigint NOT NULL DEFAULT 0,
    details text NOT NULL
);
CREATE TABLE IF NOT EXISTS isp_usage (
    customer integer NOT NULL, day integer NOT NULL, bytes bigint NOT NULL, PRIMARY KEY (customer, day)
);
CREATE TABLE IF NOT EXISTS isp_feature (
    feature text NOT NULL, customer integer NOT NULL, data text NOT NULL, PRIMARY KEY (feature, customer)
);
"""
_CUSTOMER_SEED = (
    "INSERT INTO isp_customers (id, name, details) SELECT n, 'Customer ' || n, repeat('x', %(row)s)"
    " FROM generate_series(0, %(customers)s - 1) n ON CONFLICT DO NOTHING"
)
_USAGE_SEED = (
    "INSERT INTO isp_usage SELECT n, day, (n * 7919::bigint + day * 104729) %% 5000000000"
    " FROM generate_series(0, %(customers)s - 1) n, generate_series(1, %(days)s) day ON CONFLICT DO NOTHING"
)
# Random text, as real data is: PostgreSQL would compress what repeats.
_FEATURE_SEED = (
    "INSERT INTO isp_feature SELECT %(feature)s, n,"
    " (SELECT string_agg(md5(n::text || part), '') FROM generate_series(1, %(parts)s) part)"
    " FROM generate_series(0, %(customers)s - 1) n ON CONFLICT DO NOTHING"
)


class IspError(Exception):
    """It cannot be made: a wrong variable, or a database that does not work. Shows no secret."""


class RefusedError(Exception):
    """There is no connection to be had in time, or none that works."""


class Session:
    """A visitor's connection to the application. It takes one to the database when it first needs it, and keeps it."""

    def __init__(self, isp: "Isp") -> None:
        self._isp = isp
        self._connection: Any = None

    def rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The statement's rows; none of one that returns nothing. Raises RefusedError."""
        import psycopg

        try:
            if self._connection is None:
                self._connection = self._isp.connect()
            cursor = self._connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            raise RefusedError from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._isp.slots.release()


class Isp:
    """The customers of one ISP. Made once: all of them are in memory from then on."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Raises IspError."""
        self.customers = _number(env, "ISP_CUSTOMERS", "")
        self.features = tuple(filter(None, env.get("ISP_FEATURES", "").replace(" ", "").split(",")))
        if unknown := sorted(set(self.features) - set(FEATURES)):
            raise IspError(f"ISP_FEATURES has {', '.join(unknown)}; valid: {', '.join(FEATURES)}")
        self.slots = threading.BoundedSemaphore(_number(env, "ISP_CONNECTIONS", "100"))
        self._url = env.get("DATABASE_URL", "")
        self._ended = threading.Event()
        kept = [FEATURES[name] for name in self.features]
        self._own = [bytearray(feature.own_bytes) for feature in kept]
        for own in self._own:
            own[:: 1 << 12] = b"\1" * len(own[:: 1 << 12])  # memory that nobody has written to is not used
        self._seed()
        size = _STATE_BYTES + sum(feature.state_bytes for feature in kept)
        self._states = [bytearray(index % 251 for index in range(size))]
        self._states += [bytearray(self._states[0]) for _ in range(self.customers - 1)]
        workers = _CORE_WORKERS + sum(feature.workers for feature in kept)
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def connect(self) -> Any:
        """A connection, one of those there may be. Raises RefusedError, psycopg.Error."""
        import psycopg

        if not self.slots.acquire(timeout=WAIT_SECONDS):
            raise RefusedError
        try:
            return psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
        except BaseException:
            self.slots.release()
            raise

    def close(self) -> None:
        """End its own work."""
        self._ended.set()
        for worker in self._workers:
            worker.join(WAIT_SECONDS)

    def answer(self, session: Session, method: str, path: str) -> Answer | None:
        """What a path below /isp/ answers; None where there is nothing."""
        what, _, given = path.removeprefix("/isp/").partition("/")
        found = _REQUESTS.get((method, what))
        if found is None or not given.isascii() or not given.isdigit() or int(given) >= self.customers:
            return None
        feature, do = found
        if feature and feature not in self.features:
            return None
        try:
            return do(self, session, int(given))
        except RefusedError:
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", "There is no connection to the database.\n"

    def state(self, customer: int) -> bytearray:
        """What is kept of a customer in memory."""
        return self._states[customer]

    def _seed(self) -> None:
        import psycopg

        values = {"customers": self.customers, "days": DAYS, "row": _ROW_BYTES}
        try:
            with psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS) as connection:
                connection.execute(_TABLES)
                for statement in (_CUSTOMER_SEED, _USAGE_SEED):
                    connection.execute(statement, values)
                for name in self.features:
                    parts = max(1, FEATURES[name].row_bytes // 32)
                    connection.execute(_FEATURE_SEED, {**values, "feature": name, "parts": parts})
        except psycopg.Error as error:
            # Without its words: they may quote the URL.
            raise IspError(f"the database that DATABASE_URL names cannot be used: {type(error).__name__}") from None

    def _work(self) -> None:
        """A worker: looks whether there is something to do, with a connection of its own."""
        session = Session(self)
        customer = 0
        try:
            while True:
                with suppress(RefusedError):  # the next look is by another connection
                    session.rows("SELECT used FROM isp_customers WHERE id = %s", (customer,))
                customer = (customer + 1) % self.customers
                if self._ended.wait(TICK_SECONDS):
                    return
        finally:
            session.close()


def _number(env: Mapping[str, str], name: str, default: str) -> int:
    text = env.get(name) or default
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MOST:
        raise IspError(f"{name} is {text[:20]!r}; valid: a number from 1 to {_MOST}")
    return int(text)


def _account(_isp: Isp, session: Session, customer: int) -> Answer:
    return HTTPStatus.OK, "application/json", json.dumps(_read(session, customer))


def _read(session: Session, customer: int) -> dict[str, Any]:
    ((name, tariff, used),) = session.rows("SELECT name, tariff, used FROM isp_customers WHERE id = %s", (customer,))
    return {"customer": customer, "name": name, "tariff": tariff, "used": used, "days": _days(session, customer)}


def _days(session: Session, customer: int) -> list[int]:
    rows = session.rows("SELECT bytes FROM isp_usage WHERE customer = %s ORDER BY day", (customer,))
    return [row[0] for row in rows]


def _usage(isp: Isp, session: Session, customer: int) -> Answer:
    state = isp.state(customer)
    state[0] = (state[0] + 1) % 256
    session.rows("UPDATE isp_customers SET used = used + %s WHERE id = %s", (state[0], customer))
    return HTTPStatus.OK, "application/json", "{}"


def _portal(_isp: Isp, session: Session, customer: int) -> Answer:
    account = _read(session, customer)
    rows = [(f"Day {index}", f"{used / 1e6:.1f} MB") for index, used in enumerate(account["days"], 1)]
    return HTTPStatus.OK, "text/html", table_page(account["name"], rows)


def _line(isp: Isp, session: Session, customer: int) -> Answer:
    samples = isp.state(customer)[:300]
    found = {"mean": statistics.fmean(samples), "spread": statistics.pstdev(samples), "best": max(samples)}
    _one(session, "technician_portal", customer)
    return HTTPStatus.OK, "application/json", json.dumps(found)


def _report(isp: Isp, session: Session, customer: int) -> Answer:
    _one(session, "analytics", customer)
    counted = Counter(isp.state(customer))
    days = _days(session, customer)
    found = {"common": counted.most_common(20), "mean": statistics.fmean(days), "median": statistics.median(days)}
    return HTTPStatus.OK, "application/json", json.dumps(found)


def _invoice(_isp: Isp, session: Session, customer: int) -> Answer:
    lines = [str(used / 1_000_000 * _RATE) for used in map(Decimal, _days(session, customer))]
    text = json.dumps({"lines": lines, "total": str(sum(map(Decimal, lines)))})
    session.rows(
        "UPDATE isp_feature SET data = %s WHERE feature = 'billing' AND customer = %s",
        (text[: FEATURES["billing"].row_bytes], customer),
    )
    return HTTPStatus.OK, "application/json", text


def _bulk(isp: Isp, session: Session, customer: int) -> Answer:
    block = [index % isp.customers for index in range(customer, customer + BLOCK)]
    session.rows("UPDATE isp_customers SET tariff = 3 - tariff WHERE id = ANY(%s)", (block,))
    _one(session, "bulk_operations", customer)
    return HTTPStatus.OK, "application/json", json.dumps({"changed": block})


def _one(session: Session, feature: str, customer: int) -> str:
    ((data,),) = session.rows("SELECT data FROM isp_feature WHERE feature = %s AND customer = %s", (feature, customer))
    return str(data)


_REQUESTS: Mapping[tuple[str, str], tuple[str, Callable[[Isp, Session, int], Answer]]] = {
    ("GET", "account"): ("", _account),
    ("POST", "usage"): ("", _usage),
    ("POST", "invoice"): ("billing", _invoice),
    ("GET", "portal"): ("customer_portal", _portal),
    ("GET", "line"): ("technician_portal", _line),
    ("GET", "report"): ("analytics", _report),
    ("POST", "bulk"): ("bulk_operations", _bulk),
}
