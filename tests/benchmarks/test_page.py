"""The benchmarks' page: what stands on it, and that it replaces only its own."""

from dataclasses import replace

import pytest

from benchmarks import page
from benchmarks.figures import (
    CommandFigure,
    EngineFigure,
    Figure,
    FleetFigure,
    LatencyFigure,
    Machine,
    QueueFigure,
    RecordedFigure,
    RequestsFigure,
    Section,
    StacksFigure,
    overtaken,
)
from benchmarks.service_page import taken

QUIET = Machine(
    cpu="Model X", cores=4, memory_gb=15.6, kernel="Linux 6.1", python="CPython 3.11.7", date="2026-01-02", load=0.1
)


def noop(engine: str, size: int, *seconds: float, mb: float | None = 120.0) -> EngineFigure:
    return EngineFigure(
        engine=engine,
        operation="no-op",
        shape="wide",
        size=size,
        seconds=seconds,
        engine_mb=mb,
        tree_mb=mb,
        state_mb=1.0,
        cpu={"root": 1.0, "engine": 2.0},
    )


def section(name: str, *figures: Figure) -> Section:
    return Section(name=name, machine=QUIET, quick=False, figures=figures)


def line(text: str, start: str) -> list[str]:
    """The cells of the only table row that starts so."""
    (found,) = (row for row in text.splitlines() if row.startswith(f"| {start} |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_block_is_replaced_and_the_words_around_it_stay() -> None:
    before = "# Title\n\nprose\n\n<!-- begin a -->\nold\n<!-- end a -->\n\nmore prose\n"
    assert page.replaced(before, "a", "new\n") == before.replace("old", "new")


def test_a_block_that_is_not_there_is_added_at_the_end_once() -> None:
    once = page.replaced("# Title\n", "a", "text")
    assert once == "# Title\n\n<!-- begin a -->\ntext\n<!-- end a -->\n"
    assert page.replaced(once, "a", "text") == once


@pytest.mark.parametrize(
    "broken", ["<!-- begin a -->", "<!-- end a -->", "<!-- end a -->\n<!-- begin a -->", "<!-- begin a -->" * 2]
)
def test_markers_that_do_not_pair_are_refused(broken: str) -> None:
    with pytest.raises(page.PageError, match="begin a"):
        page.replaced(broken, "a", "text")


def test_without_the_stock_engine_the_recorded_figures_are_labelled_as_measured_elsewhere() -> None:
    text = page.render(section("engine", noop("embedded", 500, 3.5, 3.0, 9.0)))
    assert "No stock `pulumi` was found here" in text
    assert "measured elsewhere" in " ".join(text.split())
    *_, comparison = [row for row in text.splitlines() if row.startswith("| no-op, 500 wide |")]
    assert [cell.strip() for cell in comparison.strip("|").split("|")][1:] == ["3.50", "7.00", "50%", "50%", "met"]


def test_with_the_stock_engine_medians_of_this_machine_are_compared() -> None:
    text = page.render(section("engine", noop("embedded", 5, 1.0), noop("stock", 5, 1.9)))
    assert "elsewhere" not in text
    assert "| no-op, 5 wide | 1.00 | 1.90 | 53% | 50% | **not met** |" in text


def test_memory_over_the_limit_is_not_met_and_unknown_memory_is_neither() -> None:
    over = page.render(section("engine", noop("embedded", 500, 1.0, mb=301.0)))
    assert "at 500 resources: 301 MB (target under 300): **not met**" in over
    unknown = page.render(section("engine", noop("embedded", 500, 1.0, mb=None)))
    assert "at 500 resources" not in unknown


def test_growth_is_of_each_further_resource() -> None:
    small, large = noop("embedded", 100, 1.0, mb=100.0), noop("embedded", 500, 3.0, mb=260.0)
    text = page.render(section("engine", small, large))
    assert line(text, "no-op, wide, 100 to 500")[1:] == ["5.0", "0.400", "**not met**"]


def test_recorded_steps_are_ratios_to_what_was_measured_elsewhere() -> None:
    figure = RecordedFigure(scenario="large", step="1. up (3 create)", resources=3, seconds=1.5, recorded=3.0)
    text = page.render(section("recorded", figure))
    assert line(text, "large, 1. up (3 create)")[1:] == ["1.50", "3.00", "50%"]
    assert "measured elsewhere" in text


def test_stacks_stand_beside_the_recorded_ones_where_there_are_any() -> None:
    four = StacksFigure(at_once=4, stacks=16, seconds=16.0, tree_mb=None)
    many = StacksFigure(at_once=16, stacks=16, seconds=12.0, tree_mb=900.0)
    text = page.render(section("stacks", many, four))
    assert line(text, "16 stacks, 4 at once")[1:] == ["16.0", "60.0", "43", "unknown"]
    assert line(text, "16 stacks, 16 at once")[1:] == ["12.0", "80.0", "-", "900"]


def test_the_median_of_a_command_is_held_against_its_target() -> None:
    text = page.render(
        section(
            "cabinets",
            CommandFigure(title="no-op", seconds=(1.4, 1.6, 1.5), target=1.5),
            CommandFigure(title="provision", seconds=(2.0, 2.9, 9.0), target=3.0, tree_mb=150.4),
            CommandFigure(title="change", seconds=(2.0,), target=None),
        )
    )
    assert line(text, "no-op")[1:] == ["1.40", "1.50", "1.60", "3", "1.5", "**not met**", "-"]
    assert line(text, "provision")[1:] == ["2.00", "2.90", "9.00", "3", "3.0", "met", "150"]
    assert line(text, "change")[5:7] == ["-", "-"]


def test_a_fleet_s_growth_is_relative_to_the_fewest_workers() -> None:
    four = FleetFigure(workers=4, cabinets=20, seconds=30.0, tree_mb=400.0)
    text = page.render(section("fleet", four, FleetFigure(workers=1, cabinets=20, seconds=60.0, tree_mb=None)))
    assert line(text, "20 cabinets, 1 worker")[1:] == ["60.0", "20.0", "1.00 x", "unknown"]
    assert line(text, "20 cabinets, 4 workers")[1:] == ["30.0", "40.0", "2.00 x", "400"]


def test_a_busy_machine_and_a_quick_run_are_admitted() -> None:
    assert "busy" not in page.circumstances(QUIET, quick=False)
    assert "was busy" in page.circumstances(replace(QUIET, load=3.0), quick=False)
    assert "--quick" in page.circumstances(QUIET, quick=True)


def test_a_latency_is_held_against_its_99th_percentile_and_counts_what_failed() -> None:
    taken = [1.0] * 98 + [40.0, 400.0]
    good = LatencyFigure.of("reads", taken, failed=0, target=50)
    assert (good.p50, good.p99, good.worst, good.met) == (1.0, 40.0, 400.0, True)
    assert not LatencyFigure.of("reads", taken, failed=1, target=50).met
    assert not LatencyFigure.of("reads", [60.0], failed=0, target=50).met
    text = page.render(section("service", good, LatencyFigure.of("accepts", [60.0], failed=2, target=50)))
    assert line(text, "reads") == ["reads", "100", "0", "1.0", "40.0", "400.0", "50", "met"]
    assert line(text, "accepts")[1:3] == ["3", "2"]
    assert line(text, "accepts")[-1] == "**not met**"


def test_how_many_younger_jobs_overtook_the_unluckiest() -> None:
    assert overtaken([]) == 0
    assert overtaken([0, 1, 2, 3]) == 0
    assert overtaken([1, 0, 2, 3]) == 1
    assert overtaken([1, 2, 3, 0]) == 3
    one = QueueFigure(
        title="previews",
        jobs=50,
        failed=0,
        workers=4,
        seconds=25.0,
        wait_median=10.0,
        wait_worst=20.0,
        overtaken=3,
        load=10.0,
        oldest=19.0,
    )
    assert line(page.render(section("service", one)), "previews") == [
        *("previews", "10 x", "50", "0", "25.0", "120.0", "10.0", "20.0", "19.0", "3")
    ]


def test_a_change_counts_as_shown_when_it_or_a_later_one_is() -> None:
    sent = {1: 100.0, 2: 200.0, 3: 300.0, 4: 400.0}
    # The second was never on the page by itself; the fourth was noted, but no frame had it.
    assert taken(sent, {1: 150.0, 3: 380.0, 4: 0.0}) == ([50.0, 180.0, 80.0], 1)
    assert taken(sent, {}) == ([], 4)


def test_a_gateways_changes_are_held_against_what_was_asked_for() -> None:
    fast = LatencyFigure.of("add a route", [40.0, 60.0], failed=0, target=100.0)
    slow = LatencyFigure.of("remove it", [40.0, 160.0], failed=0, target=100.0)
    text = page.render(section("gateway", fast, slow))
    assert line(text, "add a route") == ["add a route", "2", "0", "40.0", "60.0", "60.0", "100", "met"]
    assert line(text, "remove it")[-1] == "**not met**"
    assert "1,000 tenants" in text


def test_the_requests_of_each_point_of_sale_are_held_against_what_one_may_send() -> None:
    made = RequestsFigure(title="make a point of sale", requests=(26, 61, 27), target=60)
    again = RequestsFigure(title="no-op", requests=(0, 0), target=None)
    text = page.render(section("pos", CommandFigure(title="no-op", seconds=(2.0,), target=3.0), made, again))
    assert line(text, "make a point of sale") == ["make a point of sale", "27", "61", "60", "**not met**"]
    rows = [row for row in text.splitlines() if row.startswith("| no-op |")]
    assert rows[-1] == "| no-op | 0 | 0 | - | - |"
