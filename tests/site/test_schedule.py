"""When a backup is due, and which ones are to go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.site.retention import CUT_OFF_AFTER, Keep, Kept, to_delete
from providers.site.schedule import RETRY_AFTER, Schedule, is_due

NIGHTLY = Schedule(cron="30 2 * * *", timezone="Africa/Nairobi")
"""2:30 in Nairobi is 23:30 UTC of the day before."""
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_moments_are_those_of_the_time_zone() -> None:
    assert NIGHTLY.last_before(at("2026-11-22 12:00")) == at("2026-11-21 23:30")
    assert NIGHTLY.last_before(at("2026-11-21 23:30")) == at("2026-11-21 23:30")
    assert NIGHTLY.last_before(at("2026-11-21 23:29:59")) == at("2026-11-20 23:30")
    assert NIGHTLY.next_after(at("2026-11-21 23:30")) == at("2026-11-22 23:30")


def test_a_night_that_the_clock_skips_has_its_backup() -> None:
    berlin = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    # 2026-03-29: 2:00 becomes 3:00.
    day = at("2026-03-29 12:00")
    assert berlin.last_before(day) > at("2026-03-29 00:00")
    assert is_due(berlin, day, since=LONG_AGO, last=at("2026-03-28 01:30"))
    # 2026-10-25: 2:30 is twice, and is made once.
    assert not is_due(berlin, at("2026-10-25 12:00"), since=LONG_AGO, last=berlin.last_before(at("2026-10-25 12:00")))


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        ("2026-11-22 12:00", None, True),
        ("2026-11-22 12:00", "2026-11-21 23:31", False),
        ("2026-11-22 12:00", "2026-11-21 23:30", False),
        ("2026-11-22 12:00", "2026-11-21 12:00", True),
        # The machine was off for a week: one is made up for.
        ("2026-11-22 12:00", "2026-11-14 12:00", True),
        ("2026-11-22 23:29", "2026-11-21 23:31", False),
        ("2026-11-22 23:30", "2026-11-21 23:31", True),
    ],
)
def test_what_is_due(now: str, last: str | None, due: bool) -> None:
    assert is_due(NIGHTLY, at(now), since=LONG_AGO, last=at(last) if last else None) is due


def test_a_schedule_makes_up_for_nothing_before_it() -> None:
    assert not is_due(NIGHTLY, at("2026-11-22 12:00"), since=at("2026-11-22 11:00"), last=None)
    assert is_due(NIGHTLY, at("2026-11-22 23:30"), since=at("2026-11-22 11:00"), last=None)


def test_a_failed_one_is_tried_again_after_a_while() -> None:
    tried = at("2026-11-22 23:31")
    for passed, due in ((timedelta(), False), (RETRY_AFTER - timedelta(seconds=1), False), (RETRY_AFTER, True)):
        assert is_due(NIGHTLY, tried + passed, since=LONG_AGO, last=at("2026-11-21 23:30"), tried=tried) is due


def test_each_further_one_waits_longer_until_the_next_planned_moment() -> None:
    tried, last = at("2026-11-22 23:31"), at("2026-11-21 23:30")
    for tries, minutes in ((1, 15), (2, 30), (3, 60)):
        for passed, due in ((minutes - 1, False), (minutes, True)):
            moment = tried + timedelta(minutes=passed)
            assert is_due(NIGHTLY, moment, since=LONG_AGO, last=last, tried=tried, tries=tries) is due
    assert not is_due(NIGHTLY, tried + timedelta(hours=23), since=LONG_AGO, last=last, tried=tried, tries=4)
    assert is_due(NIGHTLY, tried + timedelta(hours=24), since=LONG_AGO, last=last, tried=tried, tries=4)


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "daily", "@daily"])
def test_what_is_no_schedule(cron: str) -> None:
    with pytest.raises(ValueError, match="is no schedule: give cron's five fields, such as '30 2"):
        Schedule(cron=cron)


@pytest.mark.parametrize(
    ("cron", "often"),
    [
        ("* * * * *", True),
        ("*/30 * * * *", True),
        ("0,59 2 * * *", True),
        ("0,30 2 1 1 *", True),
        ("0 * * * *", False),
        ("30 2,3 * * 1-5", False),
        ("30 2 * * *", False),
        ("0 0 29 2 *", False),
    ],
)
def test_what_is_too_often(cron: str, often: bool) -> None:
    assert Schedule(cron=cron).too_often is often


def test_what_is_no_time_zone() -> None:
    for zone in ("Nairobi", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="is no time zone"):
            Schedule(cron="0 2 * * *", timezone=zone)
        with pytest.raises(ValueError, match="is no time zone"):
            Keep(timezone=zone)


# ------------------------------------------------------------------ retention

NOW = at("2026-11-22 12:00")
NOTHING = Keep(last=0, daily=0, weekly=0, monthly=0, yearly=0)


def kept(*moments: str) -> list[Kept]:
    return [Kept(id=moment, made_at=at(moment)) for moment in moments]


def test_the_last_of_each_day_stays() -> None:
    there = kept("2026-11-19 02:00", "2026-11-20 02:00", "2026-11-20 14:00", "2026-11-22 02:00")
    assert to_delete(there, Keep(last=0, daily=2, weekly=0, monthly=0), NOW) == ["2026-11-19 02:00", "2026-11-20 02:00"]


def test_days_are_those_of_the_time_zone() -> None:
    # 22:00 UTC is the next day in Nairobi.
    there = kept("2026-11-20 20:00", "2026-11-20 22:00", "2026-11-22 02:00")
    assert to_delete(there, Keep(last=0, daily=2, weekly=0, monthly=0), NOW) == ["2026-11-20 20:00"]
    assert to_delete(there, Keep(last=0, daily=3, weekly=0, monthly=0, timezone="Africa/Nairobi"), NOW) == []


def test_weeks_months_and_years() -> None:
    there = kept("2024-12-31 02:00", "2025-12-31 02:00", "2026-09-30 02:00", "2026-10-31 02:00", "2026-11-15 02:00")
    there += kept("2026-11-16 02:00", "2026-11-22 02:00")
    assert to_delete(there, Keep(last=0, daily=0, weekly=2, monthly=0), NOW) == [
        "2024-12-31 02:00",
        "2025-12-31 02:00",
        "2026-09-30 02:00",
        "2026-10-31 02:00",
        "2026-11-16 02:00",
    ]
    assert to_delete(there, Keep(last=0, daily=0, weekly=0, monthly=2, yearly=2), NOW) == [
        "2024-12-31 02:00",
        "2026-09-30 02:00",
        "2026-11-15 02:00",
        "2026-11-16 02:00",
    ]


def test_the_newest_whole_one_stays_whatever_is_asked_for() -> None:
    there = [*kept("2020-01-01 02:00", "2020-01-02 02:00"), Kept(id="cut", made_at=NOW, whole=False)]
    assert to_delete(there, NOTHING, NOW) == ["2020-01-01 02:00"]


def test_what_was_cut_off_goes_once_it_cannot_be_under_way() -> None:
    old = Kept(id="old", made_at=NOW - CUT_OFF_AFTER, whole=False)
    new = Kept(id="new", made_at=NOW - CUT_OFF_AFTER + timedelta(seconds=1), whole=False)
    assert to_delete([old, new], Keep(), NOW) == ["old"]
    assert to_delete([], Keep(), NOW) == []


def test_a_number_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="weekly: give 0 or more"):
        Keep(weekly=-1)


@given(
    hours=st.lists(st.integers(min_value=0, max_value=24 * 400), unique=True, max_size=40),
    keep=st.builds(
        Keep,
        last=st.integers(0, 5),
        daily=st.integers(0, 5),
        weekly=st.integers(0, 5),
        monthly=st.integers(0, 5),
        yearly=st.integers(0, 2),
    ),
)
def test_clearing_away_twice_is_clearing_away_once(hours: list[int], keep: Keep) -> None:
    there = [Kept(id=str(hour), made_at=NOW - timedelta(hours=hour)) for hour in hours]
    gone = to_delete(there, keep, NOW)
    left = [one for one in there if one.id not in gone]
    assert to_delete(left, keep, NOW) == []
    assert len(left) >= min(len(there), max(1, keep.last, keep.daily and 1))
    if there:
        assert max(there, key=lambda one: one.made_at) in left
