"""Each row of POS-3 in either engine: made, adopted, drifted and mended, failed by its severity, retried, taken back.

The component and the providers are the real ones, the engines are simulated, and no Pulumi engine is in between
(`stand_in`): what only one shows is in test_point_of_sale, test_pos_faults and test_odoo.
"""

from __future__ import annotations

import pytest

from providers.errors import NotReadyError, ProviderError
from stacks.pos.steps import STEPS
from tests.erpnext.running import Engine, engine
from tests.erpnext.running import here as erpnext
from tests.erpnext.running import quick as quick_erpnext
from tests.odoo.running import here as odoo
from tests.odoo.running import quick as quick_odoo
from tests.pos.by_hand import BY_HAND
from tests.pos.place import SHARED, Place, bare, known, undone
from tests.pos.rows import TABLE, Row

__all__ = ["engine", "erpnext", "odoo", "quick_erpnext", "quick_odoo"]
BOTH = tuple(TABLE)
CRITICAL = [(name, row) for name, rows in TABLE.items() for row in rows if not row.optional]
critical = pytest.mark.parametrize(
    ("place", "row"), CRITICAL, indirect=["place"], ids=lambda given: getattr(given, "made", given)
)


@pytest.fixture
def quick(quick_erpnext: None, quick_odoo: None) -> None:
    """Of both: their sites ask for one of this name."""


@pytest.fixture
def place(engine: Engine, request: pytest.FixtureRequest) -> Place:
    return Place(request.param, request.getfixturevalue(request.param))


def test_every_step_has_its_rows() -> None:
    severe = {step.key: step.optional for step in STEPS}
    for rows in TABLE.values():
        assert {row.step for row in rows} == severe.keys()
        # A step is optional where all of it is: of the warehouses only one is.
        assert {key: all(row.optional for row in rows if row.step == key) for key in severe} == severe


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_each_is_made_and_one_that_is_there_is_adopted(place: Place) -> None:
    first, told = place.run()
    assert told["status"] == "PROVISIONED"
    assert {row.made for row in place.rows} <= first.made.keys()
    assert all(place.doc(row) for row in place.rows if row.kind)
    state, written = place.site.state(), place.written()
    # Its state is lost: all is found again, and nothing is made or changed.
    second, told_again = place.run()
    assert told_again == told
    assert {key: known(made) for key, made in second.made.items()} == {
        key: known(made) for key, made in first.made.items()
    }
    assert (place.site.state(), place.written()) == (state, written)


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_what_others_have_made_is_adopted_and_what_is_everybodys_stays(place: Place) -> None:
    BY_HAND[place.name](place.site)
    there, shared = place.found(), place.everybodys()
    made, told = place.run()
    assert (told["status"], place.found()) == ("PROVISIONED", there)
    undone(made)
    assert place.everybodys() == shared
    kinds = {row.kind for row in place.rows if row.kind} - set(SHARED)
    assert {kind for kind in kinds if place.counts().get(kind, 0) != place.before.get(kind, 0)} == set()


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_drift_is_seen_by_a_refresh_and_mended_by_an_up(place: Place) -> None:
    made, _ = place.run()
    kept = made.state
    for row in place.rows:
        if not row.drift or row.over:
            continue
        before = bare(place.doc(row), row.drift)
        place.set(row, **row.drift)
        assert bare(place.doc(row), row.drift) != before, row.made
        assert all(one.refresh() for one in kept.values()), row.made
        drifted = {key for key, one in kept.items() if one.provider.diff(one.id, one.outs, one.inputs).changes}
        assert drifted == {row.made}
        again, told = place.run(kept)
        assert (told.get("status"), bare(place.doc(row), row.drift)) == ("PROVISIONED", before), row.made
        kept = again.state


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_a_session_that_is_over_is_gone_and_another_is_opened(place: Place) -> None:
    made, _ = place.run()
    [row] = [row for row in place.rows if row.over]
    place.set(row, **row.drift)
    kept = {key: one for key, one in made.state.items() if one.refresh()}
    assert made.state.keys() - kept.keys() == {row.made}
    again, told = place.run(kept)
    assert told["status"] == "PROVISIONED"
    assert known(again.made[row.made]) != known(made.made[row.made])
    assert place.doc(row)


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_too_few_accounts_are_drift_and_what_makes_none_says_so(place: Place) -> None:
    made, _ = place.run()
    chart = next(one for key, one in made.made.items() if "ChartOfAccounts" in key)
    kind = {"erpnext": "Account", "odoo": "account.account"}[place.name]
    records = place.site.site.records
    taken = [dict(each) for each in records.each(kind) if not each.get("is_group")][4:]
    with place.site.alone():
        for each in taken:
            records.delete(kind, str(each.get("id", each["name"])))
    assert chart.refresh()
    with pytest.raises(NotReadyError, match="4 accounts, and 5 are the least"):
        chart.up()
    with place.site.alone():
        for each in taken:
            records.put(kind, str(each.get("id", each["name"])), each)
    assert chart.up()
    assert not chart.up()


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_an_engine_that_is_away_is_no_drift_of_what_is_there(place: Place) -> None:
    made, _ = place.run()
    outs = {key: dict(one.outs) for key, one in made.made.items()}
    place.site.stop()
    for key, one in made.made.items():
        if key != "ErpNextCountry shop":
            with pytest.raises(ProviderError):
                one.refresh()
    assert {key: one.outs for key, one in made.made.items()} == outs


@pytest.mark.parametrize(
    ("place", "row"), CRITICAL, indirect=["place"], ids=lambda given: getattr(given, "made", given)
)
def test_what_is_critical_and_fails_ends_the_run_and_is_retried(place: Place, row: Row) -> None:
    place.stop(row)
    failed, told = place.run()
    assert told == {}
    after = [one.step for one in place.rows if one.made in failed.made]
    assert row.made not in failed.made
    assert "step_9_pos_session" not in after
    # What depends on it is not asked for.
    order = [step.key for step in STEPS]
    assert all(order.index(step) <= max(order.index(row.step), order.index("step_7_customer")) for step in after)
    place.heal()
    before = {key: known(one) for key, one in failed.made.items() if one.outs.get("ready", True)}
    again, told = place.run(failed.state)
    assert told["status"] == "PROVISIONED"
    assert before.items() <= {key: known(one) for key, one in again.made.items()}.items()
    assert all(place.doc(each) for each in place.rows if each.kind)
    undone(again)
    assert place.counts() == place.before


@pytest.mark.parametrize(
    ("place", "row"), CRITICAL, indirect=["place"], ids=lambda given: getattr(given, "made", given)
)
def test_what_is_critical_and_fails_is_taken_back(place: Place, row: Row) -> None:
    place.stop(row)
    failed, _ = place.run()
    undone(failed)
    assert place.counts() == place.before


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_what_is_optional_and_fails_leaves_it_partial_and_heals_step_by_step(place: Place) -> None:
    lacking = [row for row in place.rows if row.optional]
    for row in lacking:
        place.stop(row)
    made, told = place.run()
    assert told["status"] == "PARTIAL"
    assert {key for key, one in made.made.items() if not one.outs.get("ready", True)} == {row.made for row in lacking}
    assert all(made.made[row.made].outs["reason"] for row in lacking)
    for step in dict.fromkeys(row.step for row in lacking):
        place.heal()
        for row in lacking:
            if row.step > step:
                place.stop(row)
        made, told = place.run(made.state)
        assert {row.made for row in lacking if not made.made[row.made].outs["ready"]} == {
            row.made for row in lacking if row.step > step
        }
    assert told["status"] == "PROVISIONED"
    assert all(place.doc(row) for row in place.rows if row.kind)
    undone(made)
    assert place.counts() == place.before


@pytest.mark.parametrize("place", BOTH, indirect=True)
def test_what_is_partial_is_taken_back_too(place: Place) -> None:
    for row in place.rows:
        if row.optional:
            place.stop(row)
    made, told = place.run()
    assert told["status"] == "PARTIAL"
    # A removal is not optional: it has to see what is there.
    place.heal()
    undone(made)
    assert place.counts() == place.before
