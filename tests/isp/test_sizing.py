"""Sizes, for whatever numbers a template has: they grow with what is asked for, and stay within what is allowed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from providers.errors import ConfigurationError
from stacks.isp.caps import caps_of
from stacks.isp.manifest import ISP_SHAPE
from stacks.isp.settings import FEATURES, PLANS, IspSettings, Resources, Rules, inconsistencies
from stacks.isp.sizing import CAPPED, Caps, ResourceRequirements, SizeError, need_of, share_of, size_of
from stacks.templates import TemplateStore

AMOUNTS = ("cpu_cores", "memory_gb", "storage_gb")
STEPS = {"cpu_cores": 1000, "memory_gb": 1024, "storage_gb": 1024}
customers = st.integers(50, 1_000_000)
features = st.sets(st.sampled_from(FEATURES))
plans = st.sampled_from(PLANS)
_small = st.floats(0, 4, allow_nan=False)


def _uses() -> st.SearchStrategy[dict[str, Any]]:
    names = ("baseCpu", "cpuMultiplier", "baseMemory", "memoryIncrement", "baseStorage", "storageIncrement")
    return st.fixed_dictionaries({**dict.fromkeys(names, _small), "connections": st.integers(0, 20)})


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Any rules in which each plan gives at least what the one before it gives."""

    def rising(low: float, high: float) -> list[float]:
        return sorted(draw(st.lists(st.floats(low, high), min_size=3, max_size=3)))

    columns = {"headroom": rising(1, 3), "cpuCores": rising(0.05, 8)}
    columns |= {"memoryGb": rising(0.0625, 16), "storageGb": rising(0.0625, 64)}
    most = sorted(draw(st.lists(st.integers(1, 5000), min_size=3, max_size=3)))
    given_by = {
        plan: {**{key: values[index] for key, values in columns.items()}, "maxConnections": most[index]}
        for index, plan in enumerate(PLANS)
    }
    own = {name: draw(_uses()) for name in ("billing", "customerPortal", "technicianPortal", "analytics")}
    return Rules.model_validate(
        {"core": draw(_uses()), "features": {**own, "bulkOperations": draw(_uses())}, "plans": given_by}
    )


def of(size: ResourceRequirements) -> tuple[float, ...]:
    return (*(getattr(size, name) for name in AMOUNTS), size.max_connections)


def at_least(more: ResourceRequirements, less: ResourceRequirements) -> bool:
    return all(a >= b for a, b in zip(of(more), of(less), strict=True))


@given(customers, customers, plans, features, rules())
def test_more_customers_never_get_less(one: int, other: int, plan: Any, wanted: set[Any], given_rules: Rules) -> None:
    few, many = sorted((one, other))
    assert at_least(need_of(many, plan, wanted, given_rules), need_of(few, plan, wanted, given_rules))


@given(customers, plans, features, features, rules())
def test_more_features_never_get_less(count: int, plan: Any, some: set[Any], more: set[Any], by: Rules) -> None:
    assert at_least(need_of(count, plan, some | more, by), need_of(count, plan, some, by))


@given(customers, features, rules())
def test_a_higher_plan_never_gets_less(count: int, wanted: set[Any], by: Rules) -> None:
    standard, premium, enterprise = (need_of(count, plan, wanted, by) for plan in PLANS)
    assert at_least(premium, standard)
    assert at_least(enterprise, premium)


@given(customers, plans, features, rules())
def test_nobody_gets_less_than_the_plan_promises(count: int, plan: Any, wanted: set[Any], by: Rules) -> None:
    size, promised = size_of(count, plan, wanted, rules=by), getattr(by.plans, plan)
    for name in AMOUNTS:
        assert Decimal(str(getattr(size, name))) >= Decimal(str(getattr(promised, name)))


@given(customers, plans, features, rules())
def test_a_size_is_of_whole_units_that_platforms_take_and_less_than_one_too_much(
    count: int, plan: Any, wanted: set[Any], by: Rules
) -> None:
    size = need_of(count, plan, wanted, by)
    assert size.millicores == pytest.approx(size.cpu_cores * 1000)
    assert size.memory_mib == size.memory_gb * 1024
    assert size.storage_mib == size.storage_gb * 1024
    own = getattr(by.plans, plan)
    uses = [by.core, *(getattr(by.features, name) for name in wanted)]
    cpu = own.headroom * sum(use.base_cpu + count / 1000 * use.cpu_multiplier for use in uses)
    assert size.cpu_cores == pytest.approx(max(cpu, own.cpu_cores), abs=0.0011)


@given(customers, plans, features, rules(), st.floats(0.1, 40), st.floats(0.1, 40), st.floats(0.1, 40))
def test_what_is_computed_is_capped_and_a_promise_above_a_cap_is_refused(
    count: int, plan: Any, wanted: set[Any], by: Rules, cpu: float, memory: float, storage: float
) -> None:
    caps = Caps(cpu_cores=cpu, memory_gb=memory, storage_gb=storage)
    broken = [name for name in AMOUNTS if getattr(getattr(by.plans, plan), name) > getattr(caps, name)]
    if broken:
        with pytest.raises(SizeError) as caught:
            size_of(count, plan, wanted, rules=by, caps=caps)
        assert [problem.field for problem in caught.value.problems] == ["planType"] * len(broken)
        return
    size = size_of(count, plan, wanted, rules=by, caps=caps)
    need = need_of(count, plan, wanted, by)
    for name in AMOUNTS:
        assert getattr(size, name) <= getattr(caps, name)
        assert getattr(size, name) <= getattr(need, name)
        # Only what a whole unit takes is lost.
        assert getattr(size, name) > min(getattr(need, name), getattr(caps, name)) - 1 / STEPS[name]


@given(customers, plans, features, rules(), st.floats(0.05, 64), st.integers(1, 1000))
def test_an_override_is_exact_and_replaces_nothing_else(
    count: int, plan: Any, wanted: set[Any], by: Rules, cpu: float, connections: int
) -> None:
    need = need_of(count, plan, wanted, by)
    overrides = Resources.model_validate({"cpuCores": cpu, "maxConnections": connections})
    size = size_of(count, plan, wanted, rules=by, overrides=overrides)
    assert (size.cpu_cores, size.max_connections) == (cpu, connections)
    assert (size.memory_gb, size.storage_gb) == (need.memory_gb, need.storage_gb)


@given(st.floats(0.05, 64), st.floats(0.05, 64))
def test_an_override_above_a_cap_is_refused_with_its_field(cap: float, own: float) -> None:
    overrides = Resources.model_validate({"cpuCores": own})
    caps = Caps(cpu_cores=cap)
    if own <= cap:
        assert size_of(50, "standard", (), rules=Rules(), overrides=overrides, caps=caps).cpu_cores == own
        return
    with pytest.raises(SizeError) as caught:
        size_of(50, "standard", (), rules=Rules(), overrides=overrides, caps=caps)
    (problem,) = caught.value.problems
    assert problem.field == "customSettings.resources.cpuCores"
    assert problem.given == f"{own:g}"
    assert "MAX_CPU_CORES" in problem.valid


def test_an_override_within_the_cap_makes_up_for_a_promise_above_it() -> None:
    by = Rules.model_validate({"plans": {"standard": {"cpuCores": 4}}})
    with pytest.raises(SizeError) as caught:
        size_of(50, "standard", (), rules=by, caps=Caps(cpu_cores=2))
    assert "promises cpuCores 4" in str(caught.value)
    overrides = Resources.model_validate({"cpuCores": 1.5})
    assert size_of(50, "standard", (), rules=by, overrides=overrides, caps=Caps(cpu_cores=2)).cpu_cores == 1.5


@pytest.mark.parametrize(
    ("count", "most", "granted"), [(50, 400, 100), (199, 400, 398), (200, 400, 400), (10**6, 7, 7)]
)
def test_connections_are_two_for_a_customer_up_to_the_plans_most(count: int, most: int, granted: int) -> None:
    by = Rules.model_validate({"plans": {"standard": {"maxConnections": most}}})
    assert need_of(count, "standard", (), by).max_connections == granted


def test_the_formula_of_the_requirement_by_hand() -> None:
    by = Rules.model_validate(
        {
            "core": {"baseCpu": 0.5, "cpuMultiplier": 0.25, "baseMemory": 1, "memoryIncrement": 0.5},
            "features": {"billing": {"baseCpu": 0.1, "memoryIncrement": 0.25, "storageIncrement": 2, "connections": 3}},
            "plans": {"standard": {"maxConnections": 100}},
        }
    )
    assert need_of(2000, "standard", ["billing"], by) == ResourceRequirements(
        cpu_cores=0.5 + 2 * 0.25 + 0.1, memory_gb=1 + 4 * 0.5 + 4 * 0.25, storage_gb=4, max_connections=103
    )


@given(st.integers(1, 20), st.integers(50, 64_000), st.integers(1, 1000))
def test_replicas_share_cpu_and_connections_and_each_has_all_the_memory(
    replicas: int, millicores: int, connections: int
) -> None:
    size = ResourceRequirements(cpu_cores=millicores / 1000, memory_gb=2, storage_gb=4, max_connections=connections)
    share = share_of(size, replicas)
    assert millicores <= share.millicores * replicas < millicores + replicas
    assert (share.memory_gb, share.storage_gb) == (2, 4)
    assert share.max_connections == max(1, connections // replicas)


@given(rules(), plans)
def test_rules_in_order_fit_together(by: Rules, plan: Any) -> None:
    assert list(inconsistencies(IspSettings.model_validate({"sizing": by.model_dump(by_alias=True)}), prefix="x")) == []
    assume(plan != "enterprise")
    more = by.model_dump(by_alias=True)
    more["plans"][plan]["headroom"] = 9
    found = list(inconsistencies(IspSettings.model_validate({"sizing": more}), prefix="x"))
    assert [one.field for one in found] == [f"x.sizing.plans.{PLANS[PLANS.index(plan) + 1]}.headroom"]


class TestCaps:
    def test_those_that_are_not_set_cap_nothing(self) -> None:
        assert caps_of({"MAX_CPU_CORES": " 16 ", "MAX_STORAGE_GB": ""}) == Caps(cpu_cores=16)

    def test_every_wrong_one_is_named_with_what_is_valid(self) -> None:
        wrong = {variable: text for (_, _, variable), text in zip(CAPPED, ("many", "-1", "nan"), strict=True)}
        with pytest.raises(ConfigurationError) as caught:
            caps_of(wrong)
        for variable, text in wrong.items():
            assert f"{variable} is '{text}'" in str(caught.value)
        assert "a number above 0" in str(caught.value)


def built_in() -> Rules:
    template = TemplateStore([ISP_SHAPE.folder], ISP_SHAPE).get("default-isp")
    return IspSettings.model_validate(dict(template.settings)).sizing


def test_the_built_in_template_has_a_number_for_all_that_customers_use() -> None:
    by = built_in()
    for use in (by.core, *(getattr(by.features, name) for name in FEATURES)):
        assert min(use.base_memory, use.cpu_multiplier, use.memory_increment, use.storage_increment) > 0


@given(customers, plans, features)
def test_the_built_in_template_sizes_ten_thousand_customers_and_more(count: int, plan: Any, wanted: Any) -> None:
    by = built_in()
    size, promised = size_of(count, plan, wanted, rules=by), getattr(by.plans, plan)
    assert size.cpu_cores >= promised.cpu_cores > 0
    own = sum(getattr(by.features, name).connections for name in wanted)
    assert size.max_connections == min(2 * count, promised.max_connections) + own
