"""Differences, paths, quantities, replacements. Pure."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.kubernetes.quantity import quantity
from providers.kubernetes.replacing import replaced_blindly, replaced_by_refusal, replaced_contents
from providers.kubernetes.trees import (
    differences,
    lies_under,
    steps_of,
    taken_from,
    with_known_parts,
    written,
)
from providers.plugin.properties import Change
from providers.plugin.wire import UNKNOWN

_KEYS = st.text(max_size=6)
_STEP = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5) | st.integers(0, 20)
_LEAF = st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
_TREE = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))
_DOCUMENT = st.dictionaries(_KEYS, _TREE, max_size=4)


@given(_DOCUMENT)
def test_nothing_differs_from_itself(document: dict[str, Any]) -> None:
    assert differences(document, document) == {}
    assert with_known_parts(document, document) == document


@given(_DOCUMENT, _DOCUMENT)
def test_the_differences_are_all_there_is_to_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = differences(old, new)
    assert bool(found) == (repr(_sorted(old)) != repr(_sorted(new)))
    assert differences(new, old).keys() == found.keys()
    for steps in found:
        if len(steps) == 1:
            old = taken_from(old, new, steps)
    assert not any(len(steps) == 1 for steps in differences(old, new))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(st.lists(_STEP, min_size=1, max_size=4))
def test_a_path_is_read_as_it_is_written(steps: list[str | int]) -> None:
    if isinstance(steps[0], int):
        steps = ["spec", *steps]
    assert [str(step) for step in steps_of(written(tuple(steps)))] == [str(step) for step in steps]


def test_differences_are_told_by_their_deepest_place() -> None:
    old = {"spec": {"a": [{"x": 1}, {"x": 2}], "b": True, "gone": 1}}
    new = {"spec": {"a": [{"x": 1}, {"x": 3}, {}], "b": 1, "new.key": UNKNOWN}}
    assert {written(steps): change for steps, change in differences(old, new).items()} == {
        "spec.a[1].x": Change.UPDATE,
        "spec.a[2]": Change.ADD,
        "spec.b": Change.UPDATE,
        "spec.gone": Change.DELETE,
        'spec["new.key"]': Change.ADD,
    }
    assert differences({"a": UNKNOWN}, {"a": UNKNOWN})


def test_what_is_ignored_is_taken_as_it_is() -> None:
    sent = {"spec": {"replicas": 2, "list": [{"image": "a", "name": "x"}], "labels": {"a": 1, "b": 2}}}
    live = {"spec": {"replicas": 5, "list": [{"image": "b", "name": "y"}], "labels": {"a": 7}}}
    assert taken_from(sent, live, steps_of("spec.replicas"))["spec"]["replicas"] == 5
    assert taken_from(sent, live, steps_of("spec.list[0].image"))["spec"]["list"] == [{"image": "b", "name": "x"}]
    assert taken_from(sent, live, steps_of("spec.list[*].image"))["spec"]["list"] == [{"image": "b", "name": "x"}]
    assert taken_from(sent, live, steps_of("spec.labels.b"))["spec"]["labels"] == {"a": 1}
    assert taken_from(sent, live, steps_of("spec.none.deep")) == sent
    assert lies_under(("spec", "list", 0, "image"), steps_of("spec.list[*]"))
    assert not lies_under(("spec",), steps_of("spec.list"))


def test_only_what_was_asked_for_counts() -> None:
    asked = {"containers": [{"name": "b", "image": "1"}, {"name": "a"}], "tags": ["x", "y"], "gone": 1}
    live = {
        "containers": [{"name": "injected"}, {"name": "a", "tty": True}, {"name": "b", "image": "2", "tty": False}],
        "tags": ["x"],
        "more": 1,
    }
    assert with_known_parts(asked, live) == {
        "containers": [{"name": "b", "image": "2"}, {"name": "a"}],
        "tags": ["x"],
    }


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("0.5", "500m"),
        (2, "2"),
        ("2", "2000m"),
        ("1Gi", "1024Mi"),
        ("1G", "1000M"),
        ("1e3", "1k"),
        (0.25, "250m"),
        ("5E-1", "500m"),
        ("+1.", "1"),
        (".5", "500000u"),
        ("-1Ki", "-1024"),
    ],
)
def test_equal_quantities(one: object, same: object) -> None:
    assert quantity(one) == quantity(same) is not None


def test_what_is_no_quantity() -> None:
    assert [quantity(each) for each in ("", "x", "1 Gi", "1gi", True, None, "1e", [], "1E5E")] == [None] * 9
    assert quantity("1E") == Fraction(10**18)


def steps(*paths: str) -> set[tuple[str | int, ...]]:
    return {steps_of(path) for path in paths}


@pytest.mark.parametrize(
    ("kind", "path", "replaces"),
    [
        ("Deployment", "spec.selector.matchLabels.app", True),
        ("Deployment", "spec.replicas", False),
        ("StatefulSet", "spec.volumeClaimTemplates[0].spec.resources", True),
        ("StatefulSet", "spec.template.spec", False),
        ("Job", "spec.template.spec.containers[0].image", True),
        ("Job", "spec.parallelism", False),
        ("PersistentVolumeClaim", "spec.accessModes", True),
        ("PersistentVolumeClaim", "metadata.labels.a", False),
        ("Service", "spec.clusterIP", True),
        ("Service", "spec.ports[0].port", False),
        ("StorageClass", "parameters.type", True),
        ("RoleBinding", "roleRef.name", True),
        ("ConfigMap", "data.a", True),
        ("Secret", "stringData.a", True),
        ("Widget", "spec.anything", False),
    ],
)
def test_what_is_replaced_where_nobody_can_be_asked(kind: str, path: str, replaces: bool) -> None:
    assert bool(replaced_blindly(kind, steps(path), ())) is replaces


def test_contents_that_may_change_in_place() -> None:
    assert not replaced_contents("ConfigMap", steps("data.a"), {"ConfigMap"})
    assert replaced_contents("ConfigMap", steps("data.a"), {"Secret"}) == steps("data.a")
    assert not replaced_contents("Secret", steps("metadata.labels.a"), ())


def test_what_the_server_refuses_to_change() -> None:
    changes = steps("spec.replicas", "spec.volumeClaimTemplates[0].spec", "metadata.labels.a")
    assert replaced_by_refusal("StatefulSet", changes, ["spec"]) == steps("spec.volumeClaimTemplates[0].spec")
    assert replaced_by_refusal("Widget", steps("spec.size", "spec.name"), ["spec.size"]) == steps("spec.size")
    # It must be something.
    assert replaced_by_refusal("Widget", steps("spec.size"), ["spec"]) == steps("spec.size")
