"""Settings files that people write by hand: what a command changes is changed, and nothing else."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.yaml_edit import edited

TEXT = """\
# Settings of dev.
encryptionsalt: abc   # do not touch

config:
  # how big
  proj:size: 3  # in metres
  proj:name: "quoted"

  # a list
  proj:list:
    - a   # first
    - b
  proj:text: |
    one
    two
  # last
other: {x: 1}
# the end
"""


def change(source: str, **config: Any) -> str:
    body = yaml.safe_load(source)
    for key, value in config.items():
        if value is None:
            del body["config"][f"proj:{key}"]
        else:
            body["config"][f"proj:{key}"] = value
    result = edited(source, body)
    assert result is not None
    assert yaml.safe_load(result) == body
    return result


def test_only_the_line_of_a_value_changes() -> None:
    assert change(TEXT, size=4) == TEXT.replace("proj:size: 3", "proj:size: 4")
    assert change(TEXT, name="other") == TEXT.replace('"quoted"', "other")
    assert change(TEXT, text="x") == TEXT.replace("|\n    one\n    two", "x")


def test_a_value_is_removed_with_its_line() -> None:
    assert change(TEXT, name=None) == TEXT.replace('  proj:name: "quoted"\n', "")
    assert change(TEXT, list=None) == TEXT.replace("  proj:list:\n    - a   # first\n    - b\n", "")


def test_a_new_value_comes_last_and_before_what_follows() -> None:
    assert change(TEXT, new=True) == TEXT.replace("    two\n", "    two\n  proj:new: true\n")


def test_a_list_that_changes_is_written_anew_and_its_neighbours_are_not() -> None:
    text = change(TEXT, list=["a", "c"])
    assert "  # a list\n  proj:list:\n  - a\n  - c\n" in text
    assert "# in metres" in text


def test_other_entries_of_the_file() -> None:
    body = yaml.safe_load(TEXT)
    body["encryptionsalt"] = "def"
    assert edited(TEXT, body) == TEXT.replace("abc ", "def ")
    del body["config"]
    body["added"] = {"y": [1]}
    text = edited(TEXT, body)
    assert text is not None
    assert yaml.safe_load(text) == body
    assert "# the end" in text


def test_a_number_is_not_a_truth_value() -> None:
    assert edited("a: true\n", {"a": 1}) == "a: 1\n"
    assert edited("a: 1\n", {"a": 1.0}) == "a: 1.0\n"
    assert edited("a: 1\n", {"a": "1"}) == "a: '1'\n"


def test_without_a_last_line_end_and_without_configuration() -> None:
    assert edited("a: 1", {"a": 1, "config": {"p:k": "v"}}) == "a: 1\nconfig:\n  p:k: v\n"


@pytest.mark.parametrize("text", ["{a: 1}", "- a", "a: [", "", "? [1]\n: 2\n", "a: &x 1\nb: *x\nc: !!set {}\n: :"])
def test_what_is_not_written_as_a_block_is_left_to_the_caller(text: str) -> None:
    assert edited(text, {"a": 2}) is None


def test_a_flow_map_of_values_is_written_anew() -> None:
    assert edited("# c\nconfig: {p:a: 1}\n", {"config": {"p:a": 2}}) == "# c\nconfig:\n  p:a: 2\n"


KEYS = st.text("abc:- #'\"é", min_size=1, max_size=4)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
FILES = st.dictionaries(
    st.sampled_from(["encryptionsalt", "config", "other"]),
    st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=4)),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(FILES, FILES, st.integers(2, 4))
def test_the_result_says_what_is_wanted_or_there_is_none(before: Any, after: Any, indent: int) -> None:
    text = "# first\n" + yaml.safe_dump(before, indent=indent, allow_unicode=True) + "# last\n"
    result = edited(text, after)
    if result is not None:
        assert yaml.safe_load(result) == after
        assert result.startswith("# first\n")
