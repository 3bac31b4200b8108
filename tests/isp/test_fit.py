"""The arithmetic of a calibration: lines, points, the judgement, and the load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from automation.calibration import load
from automation.calibration.fit import Line, error, fitted
from automation.calibration.measure import Sample
from automation.calibration.points import FEWEST, MOST, Measured, Point, measure_all, points_of
from automation.calibration.results import TARGET, judged
from automation.errors import InputError
from stacks.isp.manifest import ISP_SHAPE
from stacks.isp.settings import FEATURES, Rules
from stacks.templates import read_template

COUNTS = [1000, 2000, 3000, 4000, 5000]
amounts = st.floats(1e-6, 100)


class TestFit:
    @given(amounts, amounts, st.lists(st.integers(50, 100_000), min_size=2, max_size=9, unique=True))
    def test_points_on_a_line_give_the_line(self, base: float, each: float, counts: list[int]) -> None:
        line = fitted([(count, base + each * count) for count in counts])
        for count in counts:
            assert line.at(count) == pytest.approx(base + each * count, rel=1e-6)

    @given(st.lists(st.tuples(st.integers(50, 9000), amounts), min_size=2, max_size=9, unique_by=lambda one: one[0]))
    def test_no_line_beside_it_is_closer_and_none_is_below_zero(self, points: list[tuple[int, float]]) -> None:
        line = fitted(points)
        assert line.base >= 0
        assert line.each >= 0

        def off(base: float, each: float) -> float:
            return sum(error(base + each * count, value) ** 2 for count, value in points)

        best = off(line.base, line.each)
        for base in (line.base * 0.98, line.base, line.base * 1.02):
            for each in (line.each * 0.98, line.each, line.each * 1.02):
                assert off(base, each) >= best * (1 - 1e-6) - 1e-9

    def test_what_falls_with_customers_is_even_and_what_begins_below_zero_begins_at_it(self) -> None:
        assert fitted([(100, 2.0), (200, 1.0)]).each == 0
        assert fitted([(100, 1.0), (200, 3.0)]).base == 0

    @pytest.mark.parametrize("points", [[], [(100, 1.0)], [(100, 1.0), (100, 2.0)], [(100, 1.0), (200, 0.0)]])
    def test_what_no_line_can_be_fitted_to_is_refused(self, points: list[tuple[int, float]]) -> None:
        with pytest.raises(ValueError, match=r"line needs|above 0"):
            fitted(points)

    def test_what_a_feature_adds_is_never_below_zero(self) -> None:
        assert Line(base=1, each=2).minus(Line(base=3, each=0.5)) == Line(base=0, each=1.5)


class TestPoints:
    def test_every_second_count_is_held_out_and_neither_end(self) -> None:
        points = points_of([5000, 1000, 2000, 3000, 4000], (), 1)
        assert [(point.customers, point.held_out) for point in points] == [
            *((1000, False), (2000, True), (3000, False), (4000, True), (5000, False))
        ]
        assert not points_of([1000, 2000, 3000, 4000], (), 1)[-1].held_out

    def test_features_are_measured_each_and_together_where_nothing_is_fitted(self) -> None:
        points = points_of([100, 200, 300], ("billing", "analytics"), 2)
        together = [point for point in points if len(point.features) == 2]
        assert [(point.customers, point.held_out) for point in together] == [(200, True)] * 2
        assert len(points) == 2 * (3 * 3 + 1)

    @pytest.mark.parametrize("counts", [[], [100, 200], [100, 100, 200], [FEWEST - 1, 200, 300], [100, 200, MOST + 1]])
    def test_counts_that_cannot_be_used_are_refused(self, counts: list[int]) -> None:
        with pytest.raises(InputError, match=r"three customer counts|cannot be measured"):
            points_of(counts, (), 1)


class Made:
    """Something that uses what its lines say, but for what is given otherwise."""

    def __init__(self, **off: float) -> None:
        self.off = off

    def measured(self, customers: int, features: Sequence[str], seconds: float) -> Sample:
        extra = len(features)
        return Sample(
            cpu_cores=(0.01 + 0.005 * customers / 1000) * (1 + extra) * self.off.get(f"cpu{customers}", 1),
            memory_gb=0.04 + 0.001 * customers / 500 + 0.002 * extra,
            storage_gb=0.01 + 0.002 * customers / 1000,
            connections=-(-customers // 200) + 1 + 2 * extra,
        )


class TestJudgement:
    def test_what_is_on_its_lines_is_foretold_and_given_back_as_a_templates_rules(self) -> None:
        found = judged(measure_all(points_of(COUNTS, ("billing", "customer_portal"), 2), Made(), 1))
        assert found.met
        assert abs(found.worst.error) < 1e-6
        settings = yaml.safe_load(found.snippet(["how it was found"]))["settings"]
        rules = Rules.model_validate(settings["sizing"])
        assert rules.core.model_dump() == {
            "base_cpu": 0.01,
            "cpu_multiplier": 0.005,
            "base_memory": 0.04,
            "memory_increment": 0.001,
            "base_storage": 0.01,
            "storage_increment": 0.002,
            "connections": 0,
        }
        assert rules.features.customer_portal.connections == 2
        assert rules.features.customer_portal.base_cpu == pytest.approx(0.01)

    def test_what_is_written_is_read_as_a_template_reads_it_however_small(self, tmp_path: Path) -> None:
        tiny = Sample(cpu_cores=3e-8, memory_gb=0.7e-7, storage_gb=1e-7, connections=1)
        found = judged([Measured(point=point, sample=tiny) for point in points_of(COUNTS, ("billing",), 1)])
        text = "id: made\nversion: 1.0.0\nline: isp\ntitle: T\ndescription: D\n" + found.snippet(["about"])
        (tmp_path / "made.yaml").write_text(text, encoding="utf-8")
        settings = read_template(tmp_path / "made.yaml", builtin=False, shape=ISP_SHAPE).settings
        assert settings["sizing"]["core"]["baseCpu"] == 3e-8

    def test_a_held_out_point_that_is_further_off_than_the_target_misses_it(self) -> None:
        for factor, met in ((1 / (1 - TARGET * 0.9), True), (1 / (1 - TARGET * 1.1), False)):
            found = judged(measure_all(points_of(COUNTS, (), 1), Made(cpu2000=factor), 1))
            assert found.met is met
            assert (found.worst.resource, found.worst.point.customers) == ("cpu_cores", 2000)

    def test_features_that_do_not_add_up_miss_it(self) -> None:
        points = points_of([1000, 2000, 3000], ("billing", "analytics"), 1)
        measured = measure_all(points, Made(), 1)
        heavier = [
            Measured(point=one.point, sample=Made(cpu2000=1.2).measured(2000, one.point.features, 1))
            if len(one.point.features) == 2
            else one
            for one in measured
        ]
        assert judged(measured).met
        (missed,) = [check for check in judged(heavier).checks if not check.met]
        assert (missed.point.features, missed.resource) == (("billing", "analytics"), "cpu_cores")

    def test_of_repeated_measurements_one_that_was_disturbed_does_not_count(self) -> None:
        points = points_of(COUNTS, (), 3)
        found = measure_all(points, Made(), 1)
        disturbed = Sample(cpu_cores=9, memory_gb=9, storage_gb=9, connections=99)
        assert judged([Measured(point=points[0], sample=disturbed), *found[1:]]).met

    def test_of_many_measurements_noise_that_goes_both_ways_is_evened_out(self) -> None:
        points = points_of(COUNTS, (), 8)
        noise = (1, 1.06, 0.96, 1.04, 0.94, 9, 0.02, 1)  # two of them are disturbed, and of no use
        found = [
            Measured(point=point, sample=replace(sample, cpu_cores=sample.cpu_cores * noise[index // len(COUNTS)]))
            for index, point in enumerate(points)
            for sample in (Made().measured(point.customers, (), 1),)
        ]
        assert judged(found).met
        assert abs(judged(found).worst.error) < 1e-6


class TestLoad:
    @given(st.integers(FEWEST, MOST), st.sets(st.sampled_from(FEATURES)), st.floats(1, 20))
    def test_all_that_customers_ask_is_sent_in_time_by_as_many_sessions_as_there_are(
        self, customers: int, features: set[str], seconds: float
    ) -> None:
        sessions = load.schedule(customers, sorted(features), seconds)
        assert len(sessions) == load.sessions_of(customers)
        rates = [*load.CORE, *(rate for name in features for rate in load.OF_FEATURES[name])]
        expected = sum(rate.per_minute for rate in rates) * customers / 1000 * seconds / 60
        sent = [request for session in sessions for request in session]
        assert len(sent) == pytest.approx(expected, abs=len(rates))
        assert all(0 <= request.at <= seconds for request in sent)
        assert all(int(request.path.rpartition("/")[2]) < customers for request in sent)
        assert all(session == sorted(session, key=lambda request: request.at) for session in sessions)

    def test_every_feature_of_the_manifest_has_a_load(self) -> None:
        assert set(load.OF_FEATURES) == set(FEATURES)


def test_a_point_is_told_as_soon_as_it_is_measured() -> None:
    told: list[Any] = []
    points = [Point(features=(), customers=count, held_out=False) for count in (100, 200)]
    measure_all(points, Made(), 1, lambda index, one: told.append((index, one.point.customers)))
    assert told == [(0, 100), (1, 200)]
