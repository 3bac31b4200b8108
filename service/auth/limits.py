"""How often a caller may ask, counted in the database, so that all processes count together.

Two limits: requests a minute, counted in two windows that slide into each other, and provisionings an hour, counted one
by one. A provisioning that did not come about is given back. Decides when it is enough; the answer is made elsewhere.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from automation.jobs.database import transaction
from automation.models_jobs import rate_limit_hits
from automation.settings import Settings
from service.auth.errors import Quota, RateLimitedError

MINUTE, HOUR = 60, 3600
_PROVISIONING = "provisioning"
_REQUEST = "request"
# A count that a crash of the database loses is not worth a wait for its disk.
_COUNT_REQUEST = text(
    """
    WITH moment AS (
        SELECT floor(extract(epoch FROM clock_timestamp()) / :window)::bigint AS number,
               extract(epoch FROM clock_timestamp())::float8 AS seconds,
               set_config('synchronous_commit', 'off', true) AS unsynchronised
    )
    INSERT INTO rate_limit_windows AS known (caller, kind, number, hits, before)
    SELECT :caller, :kind, number, 1, 0 FROM moment
    ON CONFLICT (caller, kind) DO UPDATE SET
        before = CASE WHEN known.number >= excluded.number THEN known.before
                      WHEN known.number = excluded.number - 1 THEN known.hits ELSE 0 END,
        hits = CASE WHEN known.number >= excluded.number THEN known.hits + 1 ELSE 1 END,
        number = greatest(known.number, excluded.number)
    RETURNING hits, before, greatest(0, (SELECT seconds FROM moment) - number * :window) AS passed
    """
)
_FORGET = text(
    "DELETE FROM rate_limit_windows WHERE kind = :kind "
    "AND number < floor(extract(epoch FROM clock_timestamp()) / :window)::bigint - 1"
)


@dataclass(slots=True, kw_only=True)
class Provisioning:
    """A counted provisioning. `give_back` where none came about, as when the same request had been made before."""

    quota: Quota | None = None
    hit: int | None = None
    kept: bool = field(default=True)

    def give_back(self) -> None:
        """Counts it no more, when the block ends."""
        self.kept = False


def used_in(window: int, *, passed: float, hits: int, before: int) -> float:
    """How many count, `passed` seconds into a window: those of the window before by how much of it is still recent."""
    return hits + before * (1 - passed / window)


def free_in(window: int, limit: int, *, passed: float, hits: int, before: int) -> int:
    """Seconds until one more is within `limit`, if none is made until then."""
    room = limit - hits - 1
    if room >= 0 and before:
        return max(1, math.ceil(window * (1 - room / before) - passed))
    late = window * (1 - (limit - 1) / hits) if hits >= limit else 0.0
    return max(1, math.ceil(window - passed + late))


class Limits:
    """The limits of one process, on the counts of all."""

    def __init__(
        self, engine: AsyncEngine, settings: Settings, *, requests_per_minute: int, provisionings_per_hour: int
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._requests = requests_per_minute
        self._provisionings = provisionings_per_hour

    @property
    def counts_requests(self) -> bool:
        """Whether there is a limit of requests at all."""
        return self._requests > 0

    async def request(self, connection: AsyncConnection, caller: str) -> Quota | None:
        """Counts a request, in one statement. None where there is no limit. Raises RateLimitedError."""
        return await self.counted(connection, caller, _REQUEST, self._requests)

    async def counted(self, connection: AsyncConnection, caller: str, kind: str, limit: int) -> Quota | None:
        """Counts one of `kind`, of which `limit` are allowed in a minute. None where there is no limit (0).

        Raises RateLimitedError.
        """
        if not limit:
            return None
        row = (await connection.execute(_COUNT_REQUEST, {"caller": caller, "kind": kind, "window": MINUTE})).one()
        passed = float(row.passed)
        used = used_in(MINUTE, passed=passed, hits=row.hits, before=row.before)
        if used > limit:
            wait = free_in(MINUTE, limit, passed=passed, hits=row.hits - 1, before=row.before)
            raise RateLimitedError(
                f"more than {limit} requests in a minute", limit=limit, window=MINUTE, retry_after=wait
            )
        reset = max(1, math.ceil(MINUTE - passed))
        return Quota(limit=limit, remaining=math.floor(limit - used), window=MINUTE, reset=reset)

    async def forget(self, connection: AsyncConnection, kind: str) -> None:
        """Deletes the counts of `kind` that count no more: of callers who need not come again, as addresses are."""
        await connection.execute(_FORGET, {"kind": kind, "window": MINUTE})

    @contextlib.asynccontextmanager
    async def provisioning(self, caller: str) -> AsyncIterator[Provisioning]:
        """Counts a provisioning before it is made. Raises RateLimitedError; an error in the block gives it back."""
        taken = await self._take(caller)
        try:
            yield taken
        except BaseException:
            taken.give_back()
            raise
        finally:
            if not taken.kept and taken.hit is not None:
                async with transaction(self._engine, self._settings) as connection:
                    await connection.execute(delete(rate_limit_hits).where(rate_limit_hits.c.id == taken.hit))

    async def _take(self, caller: str) -> Provisioning:
        limit = self._provisionings
        if not limit:
            return Provisioning()
        hits = rate_limit_hits.c
        async with transaction(self._engine, self._settings) as connection:
            # One caller's requests are counted one after another, whichever process they came to.
            key = func.hashtextextended(f"{_PROVISIONING} {caller}", 0)
            await connection.execute(select(func.pg_advisory_xact_lock(key)))
            mine = (hits.caller == caller) & (hits.kind == _PROVISIONING)
            await connection.execute(delete(rate_limit_hits).where(mine, hits.at <= _ago(HOUR)))
            used, oldest = (
                await connection.execute(
                    select(func.count(), func.extract("epoch", func.min(hits.at) - _ago(HOUR))).where(mine)
                )
            ).one()
            reset = max(1, math.ceil(oldest)) if used else HOUR
            if used >= limit:
                raise RateLimitedError(
                    f"more than {limit} provisionings in an hour", limit=limit, window=HOUR, retry_after=reset
                )
            hit = await connection.scalar(
                insert(rate_limit_hits)
                .values(caller=caller, kind=_PROVISIONING, at=func.clock_timestamp())
                .returning(hits.id)
            )
        quota = Quota(limit=limit, remaining=limit - used - 1, window=HOUR, reset=reset)
        return Provisioning(quota=quota, hit=hit)


def counted_as(address: str | None) -> str:
    """The caller that a network address is. Whoever has one address of IPv6 has a network of them."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _ago(seconds: int) -> object:
    return func.clock_timestamp() - text(f"interval '{seconds} seconds'")
