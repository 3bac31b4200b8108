"""What a reader sees: what will change and why, errors with their resource, never a secret."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from engine.display import Display, DisplayOptions
from engine.display_diff import diff_lines
from engine.display_tree import Row, tree_lines
from engine.json_display import JsonEvents
from engine.resource import SECRET_SIG, SIG_KEY

ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
GROUP = "urn:pulumi:dev::proj::my:index:Group::g"
THING = "urn:pulumi:dev::proj::my:index:Group$pkg:mod:Thing::a"
SECRET = {SIG_KEY: SECRET_SIG, "ciphertext": "[secret]"}
OPTIONS = DisplayOptions(kind="update", project="proj", stack="dev", preview=True)


def metadata(op: str, urn: str, parent: str = "", **more: Any) -> dict[str, Any]:
    old, new = more.pop("old", {}), more.pop("new", {})
    type_ = urn.split("::")[2].rsplit("$", 1)[-1]
    body = {"op": op, "urn": urn, "type": type_, "old": None, "new": None, **more}
    if op != "create":
        body["old"] = {"parent": parent, "inputs": old, "outputs": old}
    if op != "delete":
        body["new"] = {"parent": parent, "inputs": new, "outputs": new}
    return body


def shown(options: DisplayOptions, *events: dict[str, Any], failed: bool = False) -> str:
    out = io.StringIO()
    display = Display(options, out)
    display.begin()
    for event in events:
        display.emit(event)
    display.finish(failed=failed)
    return out.getvalue()


def outputs(*args: Any, **more: Any) -> dict[str, Any]:
    return {"resOutputsEvent": {"metadata": metadata(*args, **more)}}


SUMMARY = {"summaryEvent": {"resourceChanges": {"create": 1, "same": 2, "replace": 1, "delete": 0}}}


def test_a_preview_is_a_tree_with_reasons() -> None:
    text = shown(
        OPTIONS,
        outputs("same", ROOT),
        outputs("create", GROUP, ROOT),
        outputs("create-replacement", THING, GROUP, keys=["name"]),
        outputs("replace", THING, GROUP, keys=["name"]),
        outputs("delete-replaced", THING, GROUP),
        outputs("same", ROOT, new={"pw": SECRET, "n": 1}),
        SUMMARY,
    )
    assert text.splitlines() == [
        "Previewing update (dev):",
        "    pulumi:pulumi:Stack proj-dev unchanged",
        " +  └─ my:index:Group g create",
        " +-    └─ pkg:mod:Thing a replace [diff: name]",
        "",
        "Outputs:",
        "  + n : 1",
        "  + pw: [secret]",
        "",
        "Resources:",
        "    + 1 to create",
        "    +- 1 to replace",
        "    2 unchanged",
    ]


def test_an_update_tells_each_step_and_its_diff() -> None:
    text = shown(
        replace(OPTIONS, preview=False, diff=True),
        {"resourcePreEvent": {"metadata": metadata("update", THING)}},
        outputs("update", THING, old={"n": 1, "pw": SECRET}, new={"n": 2, "pw": SECRET, "__provider": "x"}),
        {"resOpFailedEvent": {"metadata": metadata("create", GROUP)}},
        SUMMARY,
        failed=True,
    )
    assert " ~  pkg:mod:Thing a update...\n" in text
    assert " ~  pkg:mod:Thing a updated (" in text
    assert "      ~ n: 1 => 2\n" in text
    assert "**create failed**" in text
    assert "__provider" not in text
    assert "Outputs:" not in text
    assert "Duration: 1s" in text


def test_diagnostics_stand_with_their_resource() -> None:
    def diagnostic(severity: str, message: str, urn: str = "", **more: Any) -> dict[str, Any]:
        return {
            "diagnosticEvent": {"severity": severity, "prefix": f"{severity}: ", "message": message, "urn": urn, **more}
        }

    text = shown(
        replace(OPTIONS, preview=False),
        diagnostic("error", "no good\n", THING),
        diagnostic("error", "update failed\n"),
        diagnostic("info", "waiting for a pod", THING, ephemeral=True),
        diagnostic("debug", "detail"),
        failed=True,
    )
    assert "  pkg:mod:Thing (a):\n    error: no good\n" in text
    assert "  pulumi:pulumi:Stack (proj-dev):\n    error: update failed\n" in text
    before, _, after = text.partition("Diagnostics:")
    assert "    pkg:mod:Thing a: waiting for a pod\n" in before
    assert "waiting" not in after
    assert "detail" not in text


def test_colours_change_nothing_but_the_colour() -> None:
    import re

    events = (outputs("create", GROUP), SUMMARY)
    coloured = shown(replace(OPTIONS, colour=True), *events)
    assert "\x1b[32m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == shown(OPTIONS, *events)


def test_a_reader_that_goes_away_breaks_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    display = Display(OPTIONS, Closed())
    display.begin()
    display.emit(outputs("create", GROUP))
    display.finish(failed=False)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3, "c": SECRET}, [("-", "a: 1"), ("~", "b: 2 => 3"), ("+", "c: [secret]")]),
        ({"t": {"x": 1, "y": 1}}, {"t": {"x": 2, "y": 1}}, [("~", "t: {"), ("~", "    x: 1 => 2"), (" ", "}")]),
        ({"l": [1]}, {"l": [1, 2]}, [("~", "l: ["), ("+", "    [1]: 2"), (" ", "]")]),
        ({"s": SECRET}, {"s": "[secret]"}, [("~", 's: [secret] => "[secret]"')]),
        ({"s": {"a": 1}}, {"s": SECRET}, [("~", 's: {"a": 1} => [secret]')]),
    ],
)
def test_differences(old: dict[str, Any], new: dict[str, Any], lines: list[tuple[str, str]]) -> None:
    assert list(diff_lines(old, new)) == lines


def test_a_long_value_is_cut() -> None:
    [(_, text)] = diff_lines({}, {"x": "y" * 1000})
    assert len(text) < 300
    assert "1002 characters" in text


def test_a_tree_keeps_order_and_survives_a_missing_parent() -> None:
    rows = [
        Row(urn="b", parent="gone", mark="+", text="b"),
        Row(urn="c", parent="b", mark="+", text="c"),
        Row(urn="d", parent="c", mark="-", text="d"),
        Row(urn="e", parent="b", mark="+", text="e"),
    ]
    assert [line for _, line in tree_lines(rows)] == [" +  b", " +  ├─ c", " -  │  └─ d", " +  └─ e"]


def test_events_as_lines_of_json() -> None:
    out = io.StringIO()
    display = JsonEvents(out)
    display.begin()
    display.emit({"a": 1})
    display.emit({"b": 2})
    display.finish(failed=False)
    assert [json.loads(line)["sequence"] for line in out.getvalue().splitlines()] == [0, 1]
