"""The pure parts: paths and diffs, the wire, dependency order, durations and Go's texts; and running plugins."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diff import (
    Changes,
    DiffKind,
    DiffResult,
    PropertyDiff,
    apply_replace_on_changes,
    changed_paths,
    compare_inputs,
    format_path,
    parse_path,
    path_contains,
    reset_ignored,
)
from engine.errors import ResourceError, StateError
from engine.go_text import go_text
from engine.journal import Journal
from engine.registration import parse_duration
from engine.resource import (
    OUTPUT_SIG,
    SIG_KEY,
    UNKNOWN,
    Secret,
    State,
    contains_secret,
    contains_unknown,
    from_struct,
    from_struct_with_dependencies,
    make_urn,
    masked,
    package_of,
    same_values,
    secret_of,
    split_provider_ref,
    to_struct,
    unsecret,
    urn_name,
    urn_type,
)
from engine.snapshot import DependencyGraph, Snapshot, antichains, describe, outputs_of, verify

KEYS = st.text(min_size=1, max_size=6).filter(lambda k: k != "*")
NUMBERS = st.one_of(
    st.integers(-(2**52), 2**52),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2.0**70, 1e300, 0.1]),
)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
VALUES = st.recursive(
    st.one_of(PLAIN, st.just(UNKNOWN), PLAIN.map(Secret)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)
PLAIN_MAPS = st.dictionaries(KEYS, PLAIN, max_size=4)


# ------------------------------------------------------------------ diff


@given(st.lists(st.one_of(st.integers(0, 99), KEYS), min_size=1, max_size=4).filter(lambda p: isinstance(p[0], str)))
def test_paths_survive_being_written_and_read(path: list[str | int]) -> None:
    assert parse_path(format_path(path)) == tuple(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ('a["x.y"]', ("a", "x.y")),
        (r'["q\"\\"]', ('q"\\',)),
        ("a[*].b", ("a", "*", "b")),
        ("*", ("*",)),
        ("a[", ("a[",)),
    ],
)
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path


def test_a_path_contains_what_is_under_it() -> None:
    assert path_contains(("a", "*"), ("a", 3, "b"))
    assert not path_contains(("a", "b"), ("a",))
    assert not path_contains(("b",), ("a",))


@given(VALUES, VALUES)
def test_nothing_changed_if_and_only_if_the_values_are_the_same(a: Any, b: Any) -> None:
    assert (not changed_paths(a, b)) == same_values(a, b)


@given(VALUES)
def test_a_known_value_is_the_same_as_itself_and_its_secret(value: Any) -> None:
    assert same_values(value, value) == (not contains_unknown(value))
    assert same_values(secret_of(value), value) == (not contains_unknown(value))


@given(PLAIN_MAPS, PLAIN_MAPS, st.lists(st.one_of(KEYS.map(lambda k: format_path([k])), st.just("*")), max_size=3))
def test_ignoring_twice_is_ignoring_once(old: Any, new: Any, ignored: list[str]) -> None:
    once = reset_ignored(old, new, ignored)
    assert reset_ignored(old, once, ignored) == once
    assert not [
        path for path in changed_paths(old, once) if any(path_contains(parse_path(text), path) for text in ignored)
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "expected"),
    [
        ({"a": 1}, {"a": 2}, "a", {"a": 1}),
        ({"a": 1}, {}, "a", {"a": 1}),
        ({}, {"a": 2}, "a", {}),
        ({"a": [1, 2]}, {"a": [3, 4]}, "a[1]", {"a": [3, 2]}),
        ({"a": [1, 2]}, {"a": [3, 4]}, "a[*]", {"a": [1, 2]}),
        ({"a": [1]}, {"a": [3, 4]}, "a[1]", {"a": [3, 4]}),
        ({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, "a.*", {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {}, "a.b", {}),
        ({"a": Secret({"b": 1})}, {"a": {"b": 2}}, "a.b", {"a": {"b": 1}}),
        ({"a": 1}, {"a": 2}, "a.b", {"a": 2}),
        ({"a": 1}, {"a": 2}, "x.y", {"a": 2}),
        ({"a": 1}, {"a": {"b": 1}}, "a.*", {"a": {"b": 1}}),
    ],
)
def test_ignored_paths(old: Any, new: Any, path: str, expected: Any) -> None:
    assert reset_ignored(old, new, [path]) == expected


def test_comparing_inputs_leaves_out_internal_and_ignored_names() -> None:
    diff = compare_inputs({"a": 1, "__x": 1, "i": 1}, {"a": 2, "__x": 2, "i": 2, "n": [1]}, ["i"])
    assert diff.changed_keys == ("a", "n")
    assert diff.detailed == {"a": PropertyDiff(DiffKind.UPDATE, True), "n": PropertyDiff(DiffKind.ADD, True)}
    assert compare_inputs({"__x": 1}, {"__x": 2}).changes is Changes.NONE


def test_replace_on_changes_of_names_and_of_details() -> None:
    named = DiffResult(changes=Changes.SOME, changed_keys=("a", "b"))
    assert apply_replace_on_changes(named, ["b"], has_init_errors=False).replace_keys == ("b",)
    assert apply_replace_on_changes(named, ["#initerror"], has_init_errors=True).replace_keys == ("#initerror",)
    detailed = DiffResult(changes=Changes.SOME, detailed={"a.b": PropertyDiff(DiffKind.ADD)})
    assert apply_replace_on_changes(detailed, ["a"], has_init_errors=False).replace
    assert not apply_replace_on_changes(detailed, ["c"], has_init_errors=False).replace
    nothing = DiffResult(changes=Changes.NONE)
    assert apply_replace_on_changes(nothing, ["a"], has_init_errors=False) is nothing
    assert DiffKind.ADD_REPLACE.as_replace() is DiffKind.ADD_REPLACE


# ------------------------------------------------------------------ values


def exactly(value: Any) -> Any:
    """A form in which values are equal only when they are the same in kind too."""
    if isinstance(value, Secret):
        return ("secret", exactly(value.value))
    if isinstance(value, dict):
        return {k: exactly(v) for k, v in value.items()}
    if isinstance(value, list):
        return [exactly(v) for v in value]
    return (isinstance(value, bool), value)


@given(MAPS)
def test_values_survive_the_wire(properties: dict[str, Any]) -> None:
    assert exactly(from_struct(to_struct(properties))) == exactly(properties)


@given(MAPS)
def test_without_secrets_the_wire_is_plain(properties: dict[str, Any]) -> None:
    assert exactly(from_struct(to_struct(properties, secrets=False))) == exactly(unsecret(properties))


@given(MAPS)
def test_nothing_secret_is_left_after_masking(properties: dict[str, Any]) -> None:
    assert not contains_secret(masked(properties))
    assert not contains_unknown(masked(properties))
    assert not contains_secret(unsecret(properties))


def test_output_values_are_flattened() -> None:
    known = {SIG_KEY: OUTPUT_SIG, "value": 1, "dependencies": ["urn:x"], "secret": True}
    unknown = {SIG_KEY: OUTPUT_SIG, "dependencies": ["urn:y"]}
    values, dependencies = from_struct_with_dependencies(to_struct({"a": [known], "b": unknown, "c": 1}))
    assert isinstance(values["a"][0], Secret)
    assert (values["a"][0].value, values["b"], values["c"]) == (1, UNKNOWN, 1)
    assert dependencies == {"a": {"urn:x"}, "b": {"urn:y"}}


def test_what_is_no_property_value() -> None:
    with pytest.raises(TypeError, match="a object is not a property value"):
        to_struct({"a": object()})


def test_a_secret_never_shows() -> None:
    assert "hunter2" not in repr(Secret("hunter2"))
    assert repr(UNKNOWN) == "UNKNOWN"


def test_urns() -> None:
    stack = make_urn("s", "p", "", "pulumi:pulumi:Stack", "p-s")
    outer = make_urn("s", "p", stack, "a:b:C", "o")
    inner = make_urn("s", "p", outer, "d:e:F", "x::y")
    assert inner == "urn:pulumi:s::p::a:b:C$d:e:F::x::y"
    assert (urn_type(inner), urn_name(inner)) == ("d:e:F", "x::y")
    assert package_of("pulumi:providers:aws") == "aws"
    with pytest.raises(ResourceError, match="not a provider reference"):
        split_provider_ref("nonsense")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "{1}"),
        (1.5, "{1.5}"),
        ("x", "{x}"),
        (True, "{true}"),
        (None, "{<nil>}"),
        ([1, "a"], "{[{1} {a}]}"),
        ({"b": 1, "a": Secret(2)}, "{map[a:{&{[secret]}} b:{1}]}"),
        (UNKNOWN, "output<string>{}"),
    ],
)
def test_values_as_go_prints_them(value: Any, text: str) -> None:
    assert go_text(value) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), (".5h", 1800), ("20ms", 0.02), ("3us", 3e-6), ("7ns", 7e-9)],
)
def test_durations(text: str, seconds: float) -> None:
    assert math.isclose(parse_duration(text), seconds)


@pytest.mark.parametrize("text", ["5", "m", "5 m", "5mx", "-5m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ResourceError, match="unable to parse"):
        parse_duration(text)


# ------------------------------------------------------------------ snapshots


def state(name: str, *needs: str, **more: Any) -> State:
    urn = f"urn:pulumi:s::p::t:t:T::{name}"
    return State(
        urn=urn,
        type="t:t:T",
        custom=True,
        id=name,
        dependencies=[f"urn:pulumi:s::p::t:t:T::{n}" for n in needs],
        **more,
    )


@given(st.integers(0, 12).flatmap(lambda n: st.lists(st.sets(st.integers(0, 11)), min_size=n, max_size=n)), st.data())
def test_antichains_delete_dependents_first(needs: list[set[int]], data: st.DataObject) -> None:
    states = [state(str(i), *(str(n) for n in sorted(of) if n < i)) for i, of in enumerate(needs)]
    graph = DependencyGraph(states)
    condemned = [s for s in states if data.draw(st.booleans())]
    layers = antichains(condemned, graph)
    assert sorted(s.id for layer in layers for s in layer) == sorted(s.id for s in condemned)
    place = {s: i for i, layer in enumerate(layers) for s in layer}
    for each in condemned:
        for needed in graph.dependencies_of(each):
            assert needed not in place or place[needed] > place[each]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ([state("a", "b")], "dependency .* refers to missing resource"),
        ([state("a", "b"), state("b")], "comes after it"),
        ([state("a", parent="urn:pulumi:s::p::t:t:T::b")], "refers to missing parent"),
        ([state("a", parent="urn:pulumi:s::p::t:t:T::b"), state("b")], "comes after it"),
        ([state("a", deleted_with="urn:pulumi:s::p::t:t:T::b")], "deletedWith .* refers to missing resource"),
        ([state("a"), state("a")], "duplicate resource"),
        ([state("a", provider="urn:pulumi:s::p::pulumi:providers:x::d::1")], "refers to unknown provider"),
    ],
)
def test_what_no_update_may_leave_behind(resources: list[State], message: str) -> None:
    with pytest.raises(StateError, match=message):
        verify(Snapshot(resources=resources))


def test_an_old_one_to_be_deleted_may_stand_beside_the_new_one() -> None:
    verify(Snapshot(resources=[state("a"), state("a", delete=True)]))
    verify(Snapshot(resources=[state("a", delete=True), state("a")]))


def test_the_journal_writes_what_changes_and_only_that() -> None:
    saved: list[Snapshot] = []
    old, gone = state("old"), state("gone")
    journal = Journal(Snapshot(resources=[old, gone]), lambda change: saved.append(change.snapshot()))
    same, made = state("old"), state("made")
    journal.same(old, same, changed=False)
    assert not saved
    journal.begin("creating", made)
    assert [p.type for p in saved[-1].pending] == ["creating"]
    journal.end(made, made=made)
    assert saved[-1].resources == [same, made, gone]
    journal.begin("deleting", gone)
    journal.end(gone, gone=[gone])
    assert saved[-1].resources == [same, made]
    count = len(saved)
    journal.finish()
    assert len(saved) == count
    journal.close()
    journal.touched(made)
    assert len(saved) == count
    assert outputs_of(journal.snapshot()) is None
    assert describe(made) == "t:t:T 'made'"
