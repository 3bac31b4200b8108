"""What a terminal shows while a run goes on: a row per step, its time and its error."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from automation import display
from automation.display import LiveTable, duration, table_lines
from automation.engine_events import called
from automation.steps import Ended, Failed, Said, Started, complete, new_run, reducer
from automation.tracking import LogLine

START = datetime(2026, 1, 1, tzinfo=UTC)


def shown(table: LiveTable) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(table._render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_row_per_step() -> None:
    table = LiveTable()
    reduce = reducer(lambda urn: urn)
    state = complete(
        new_run([("a", "First [x]"), ("b", "Second")]), "a", started=START, ended=START + timedelta(seconds=2)
    )
    table.changed(state)
    assert "First [x]" in shown(table)
    for event in (
        Started(urn="b", op="create", custom=True, at=START),
        Said(urn="b", severity="error", message="no [room] left", at=START),
        Failed(urn="b", op="create", at=START + timedelta(milliseconds=250)),
        Ended(ok=False, at=START),
    ):
        state = reduce(state, event)
    table.changed(state)
    table.said(LogLine(at=START, level="warning", step=None, message="stopping: too slow"))
    text = shown(table)
    assert all(said in text for said in ("✓", "✗", "2.0 s", "250 ms", "no [room] left", "stopping: too slow"))


def test_durations_and_columns() -> None:
    assert [duration(ms) for ms in (None, 0, 999, 1500, 125_000)] == ["", "0 ms", "999 ms", "1.5 s", "2 min 5 s"]
    assert list(table_lines(("A", "B"), [("long", None), ("x", "y")])) == ["A     B", "long", "x     y"]


def test_secrets_and_what_is_not_known_yet_have_names() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert [display.shown(one) for one in (secret, unknown, "text")] == ["[secret]", "known after apply", '"text"']
    assert display.shown({"a": [secret, 1], "b": unknown}) == '{"a": ["[secret]", 1], "b": "known after apply"}'


def test_a_tenants_resources_are_told_apart_by_their_types() -> None:
    urn = "urn:pulumi:sales::tenantry::tenantry:department:Container$pulumi-python:dynamic/tenantry:Process::sales"
    assert called(urn) == "Process sales"
