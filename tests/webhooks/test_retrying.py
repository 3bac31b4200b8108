"""What follows a try: a day of patience, and an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.settings import Settings
from automation.webhooks.retrying import JITTER, LONGEST_RETRY_AFTER, Verdict, disable_reason, verdict
from automation.webhooks.sending import Answer

DELAYS = Settings().webhook_retry_delays


def got(status: int | None, **values: float) -> Answer:
    return Answer(status=status, duration_ms=1, error="" if status else "it broke", **values)


def test_the_default_schedule_is_eleven_tries_within_about_a_day() -> None:
    assert len(DELAYS) + 1 == 11
    assert list(DELAYS) == sorted(DELAYS)
    assert 22 * 3600 < sum(DELAYS) < 25 * 3600


@given(st.integers(1, 30), st.floats(0, 1), st.sampled_from([None, 199, 301, 404, 429, 500, 503]))
def test_every_delivery_ends(tries: int, chance: float, status: int | None) -> None:
    then = verdict(got(status), tries=tries, delays=DELAYS, chance=chance)
    if tries > len(DELAYS):
        assert then == Verdict(status="failed")
    else:
        base = DELAYS[tries - 1]
        assert then.status == "pending"
        assert base * (1 - JITTER) <= then.delay <= base * (1 + JITTER)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_taken(status: int) -> None:
    assert verdict(got(status), tries=1, delays=DELAYS, chance=0.5) == Verdict(status="delivered")


@pytest.mark.parametrize(("asked", "delay"), [(60, 60), (1, 5), (1e9, LONGEST_RETRY_AFTER), (None, 5)])
def test_a_receiver_may_ask_for_time_but_not_for_ever(asked: float | None, delay: float) -> None:
    answer = Answer(status=429, duration_ms=1, retry_after=asked)
    assert verdict(answer, tries=1, delays=DELAYS, chance=0.5).delay == delay


def test_what_is_sent_once_is_not_sent_again_and_switches_nothing_off() -> None:
    assert verdict(got(500), tries=1, delays=DELAYS, chance=0, once=True) == Verdict(status="failed")
    assert verdict(got(410), tries=1, delays=DELAYS, chance=0, once=True) == Verdict(status="failed")


def test_gone() -> None:
    assert verdict(got(410), tries=1, delays=DELAYS, chance=0) == Verdict(status="failed", gone=True)


def test_when_a_webhook_is_switched_off() -> None:
    assert disable_reason(got(500), failures=4, limit=5, gone=False) is None
    assert disable_reason(got(None), failures=5, limit=5, gone=False) == (
        "5 deliveries in a row failed after all their tries; the last answer: it broke"
    )
    assert "410" in (disable_reason(got(410), failures=1, limit=5, gone=True) or "")
