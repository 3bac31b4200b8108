"""Limits count for all processes together, and a provisioning that did not come about does not count."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.jobs.database import transaction
from service.auth.deps import Auth
from service.auth.errors import RateLimitedError
from service.auth.limits import MINUTE, Limits, free_in, used_in
from tests.auth.helpers import bearer, token
from tests.conftest import MainDatabase


def limits(auth: Auth, *, requests: int = 0, provisionings: int = 0) -> Limits:
    return Limits(auth.engine, auth.settings, requests_per_minute=requests, provisionings_per_hour=provisionings)


async def provision(of: Limits, caller: str = "ada") -> bool:
    try:
        async with of.provisioning(caller):
            return True
    except RateLimitedError:
        return False


async def test_the_eleventh_provisioning_of_an_hour_is_refused(auth: Auth, main_db: MainDatabase) -> None:
    of = limits(auth, provisionings=10)
    assert [await provision(of) for _ in range(11)] == [True] * 10 + [False]
    assert await provision(of, "bob")
    with pytest.raises(RateLimitedError, match="more than 10 provisionings in an hour") as caught:
        async with of.provisioning("ada"):
            pytest.fail("it got through")
    assert 3500 < caught.value.retry_after <= 3600
    with main_db.connect() as connection:  # the window slides: the oldest leaves it one by one
        connection.execute(
            "UPDATE rate_limit_hits SET at = at - interval '1 hour' "
            "WHERE id IN (SELECT id FROM rate_limit_hits WHERE caller = 'ada' ORDER BY id LIMIT 2)"
        )
    assert [await provision(of) for _ in range(3)] == [True, True, False]


async def test_many_at_once_get_no_more_than_the_limit(auth: Auth) -> None:
    of = limits(auth, provisionings=5)
    assert sum(await asyncio.gather(*(provision(of) for _ in range(30)))) == 5


async def test_what_did_not_come_about_is_given_back(auth: Auth) -> None:
    of = limits(auth, provisionings=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with of.provisioning("ada"):
                raise ZeroDivisionError
        async with of.provisioning("ada") as taken:
            taken.give_back()
    async with of.provisioning("ada") as taken:
        assert taken.quota is not None
        assert taken.quota.headers() == {
            "RateLimit-Policy": "1;w=3600",
            "RateLimit-Limit": "1",
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": "3600",
        }
    assert not await provision(of)


_OTHER_PROCESS = """
import asyncio
from automation.jobs.database import async_engine_for
from automation.settings import load_settings
from service.auth.errors import RateLimitedError
from service.auth.limits import Limits

async def main():
    settings = load_settings()
    engine = async_engine_for(settings, application="tenantry test")
    limits = Limits(engine, settings, requests_per_minute=40, provisionings_per_hour=10)
    passed = asked = 0
    for _ in range(10):
        try:
            async with limits.provisioning("ada"):
                passed += 1
        except RateLimitedError:
            pass
    for _ in range(40):
        try:
            async with engine.begin() as connection:
                await limits.request(connection, "ada")
                asked += 1
        except RateLimitedError:
            pass
    await engine.dispose()
    print(passed, asked)

asyncio.run(main())
"""


def test_two_processes_share_the_limits(auth: Auth) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", _OTHER_PROCESS], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    counts = [[int(word) for word in process.communicate(timeout=60)[0].split()] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert counts[0][0] + counts[1][0] == 10
    # A new window may have begun in between; then a few more have got through.
    assert 40 <= counts[0][1] + counts[1][1] < 80


async def test_requests_are_limited_and_answers_say_how_many_are_left(
    auth: Auth, client: httpx.AsyncClient, main_db: MainDatabase
) -> None:
    auth.limits = limits(auth, requests=3)
    ada, bob = bearer(token("ada", roles=["admin"])), bearer(token("bob", roles=["admin"]))
    with main_db.connect() as connection:
        _wait_for_a_window(connection)
    statuses = [(await client.get("/list", headers=ada)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert (await client.get("/list", headers=bob)).status_code == 200
    refused = (await client.get("/list", headers=ada)).json()
    assert refused["kind"] == "rate_limited"
    assert 1 <= refused["details"]["retry_after"] <= 2 * MINUTE


def _wait_for_a_window(connection: object) -> None:
    """So that a test's few requests do not fall into two windows."""
    execute = connection.execute  # type: ignore[attr-defined]
    left = MINUTE - float(execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0]) % MINUTE
    if left < 5:
        execute("SELECT pg_sleep(%s)", (left + 0.1,))


async def test_no_limit_writes_nothing(auth: Auth, main_db: MainDatabase) -> None:
    of = limits(auth)
    async with transaction(auth.engine, auth.settings) as connection:
        assert await of.request(connection, "ada") is None
    assert await provision(of)
    with main_db.connect() as connection2:
        for table in ("rate_limit_hits", "rate_limit_windows"):
            assert connection2.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.parametrize(("windows_ago", "passes"), [(1, False), (3, True)])
async def test_the_window_before_counts_and_older_ones_do_not(
    auth: Auth, main_db: MainDatabase, windows_ago: int, passes: bool
) -> None:
    of = limits(auth, requests=100)
    with main_db.connect() as connection:
        connection.execute(
            "INSERT INTO rate_limit_windows SELECT 'ada', 'request', "
            "floor(extract(epoch FROM clock_timestamp()) / 60)::bigint - %s, 1000000000, 0",
            (windows_ago,),
        )
    async with transaction(auth.engine, auth.settings) as database:
        if passes:
            quota = await of.request(database, "ada")
            assert quota is not None
            assert quota.remaining == 99
        else:
            with pytest.raises(RateLimitedError):
                await of.request(database, "ada")


@given(limit=st.integers(1, 1000), hits=st.integers(0, 2000), before=st.integers(0, 2000), passed=st.floats(0, 59.99))
def test_after_the_time_that_a_caller_is_told_to_wait_one_more_is_let_through(
    limit: int, hits: int, before: int, passed: float
) -> None:
    wait = free_in(MINUTE, limit, passed=passed, hits=hits, before=before)
    assert 1 <= wait <= 2 * MINUTE + 1
    later = passed + wait
    if later < MINUTE:
        assert used_in(MINUTE, passed=later, hits=hits + 1, before=before) <= limit + 1e-6
    elif later < 2 * MINUTE:
        assert used_in(MINUTE, passed=later - MINUTE, hits=1, before=hits) <= limit + 1e-6
