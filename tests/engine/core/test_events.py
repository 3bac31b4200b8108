"""Events as their readers know them: the Automation API's own classes, a file, and a gRPC stream."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.automation import events as sdk
from pulumi.runtime.proto import events_pb2_grpc

from engine import event_log, secrets
from engine.resource import StepOp
from tests.engine.core.cloud import Cloud
from tests.engine.core.dsl import Result, Stack, secret
from tests.engine.core.program import bucket, crash, exports, group, log, outputs, provider, read, ref
from tests.engine.core.site import Site, a_site

#: What each event may be, by its name in JSON, and the attribute that the Automation API reads it into.
KINDS = {
    "cancelEvent": "cancel_event",
    "stdoutEvent": "stdout_event",
    "diagnosticEvent": "diagnostic_event",
    "preludeEvent": "prelude_event",
    "summaryEvent": "summary_event",
    "resourcePreEvent": "resource_pre_event",
    "resOutputsEvent": "res_outputs_event",
    "resOpFailedEvent": "res_op_failed_event",
    "policyEvent": "policy_event",
}


def understood(event: dict[str, Any]) -> sdk.EngineEvent:
    """The event as the Automation API reads it; it must be of one kind, with nothing lost."""
    found = sdk.EngineEvent.from_json({"sequence": 1, "timestamp": 2, **event})
    (kind,) = event.keys() & KINDS.keys()
    assert [name for name in KINDS.values() if getattr(found, name) is not None] == [KINDS[kind]]
    return found


def a_life(stack: Stack) -> Iterator[Result]:
    """Operations of all sorts, some of which fail."""
    stack.cloud.detailed = True
    stack.config, stack.secret_keys = {"fake:token": "hunter2", "fake:account": "1"}, frozenset({"fake:token"})
    stack.cloud.objects["theirs"], stack.cloud.names["theirs"] = {"size": 5, "arn": "arn:theirs"}, "theirs"
    base = (
        group("g", x=1),
        provider("p", account="1"),
        bucket("a", {"parent": "g", "protect": True}, size=1, zone="x", password=secret("hunter2")),
        bucket("b", {"provider": "p", "retainOnDelete": True}, region=ref("a"), nested={"l": [1, secret("hunter2")]}),
        outputs("g", arn=ref("a")),
        exports(arn=ref("b"), password=secret("hunter2")),
    )
    yield stack.preview(*base)
    yield stack.up(*base, log("warning", "look here"), read("r", "theirs"))
    yield stack.up(*base, bucket("i", {"importId": "theirs"}, size=5))
    yield stack.preview(group("g", x=2), bucket("c", size=ref("g", "arn")))
    stack.cloud.fail("update", "c", kind="unready", times=1)
    moved = (group("g", x=2), bucket("c", size=1), bucket("d", region="x"))
    yield stack.up(*base, *moved[1:])
    yield stack.up(*base, bucket("c", size=2), bucket("d", region="y"))
    stack.cloud.fail("create", "e", times=1)
    yield stack.up(*base, bucket("c", size=2), bucket("e"), crash())
    stack.cloud.change("c", size=9)
    yield stack.refresh()
    yield stack.destroy(continue_on_error=True)


def _known(cls: type) -> set[str]:
    names = inspect.signature(cls.__init__).parameters.keys() - {"self"}
    camel = {name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in names}
    # The Automation API looks for `streamId`; the stock engine writes, as we do, `streamID`.
    return camel | {"streamID"} if "streamId" in camel else camel


def test_every_operation_is_one_that_the_automation_api_knows() -> None:
    known = {op.value for op in sdk.OpType}
    assert {op.value for op in StepOp} - known == set()


def test_the_automation_api_reads_every_event_and_every_field_of_it(stack: Stack) -> None:
    seen: set[str] = set()
    for result in a_life(stack):
        for event in result.events:
            found = understood(event)
            (kind,) = event
            seen.add(kind)
            if kind == "diagnosticEvent":
                assert event[kind].keys() <= _known(sdk.DiagnosticEvent)
            if kind not in {"resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"}:
                continue
            step = getattr(found, KINDS[kind]).metadata
            assert step.op == event[kind]["metadata"]["op"]
            assert event[kind]["metadata"].keys() <= _known(sdk.StepEventMetadata)
            for side in ("old", "new"):
                body, state = event[kind]["metadata"][side], getattr(step, side)
                assert (body is None) == (state is None)
                if body is not None:
                    assert body.keys() <= _known(sdk.StepEventStateMetadata)
                    assert (state.urn, state.inputs) == (body["urn"], body["inputs"])
            assert all(isinstance(d.diff_kind, sdk.DiffKind) for d in (step.detailed_diff or {}).values())
        assert "hunter2" not in json.dumps(result.events)
    assert seen == KINDS.keys() - {"cancelEvent", "stdoutEvent", "policyEvent"}


def test_events_come_in_the_order_in_which_things_happen(stack: Stack) -> None:
    for result in a_life(stack):
        kinds = [next(iter(event)) for event in result.events]
        assert kinds[0] == "preludeEvent"
        assert kinds.count("preludeEvent") == kinds.count("summaryEvent") == 1
        assert kinds[-1] == "summaryEvent"
        begun: list[tuple[str, str]] = []
        for event in result.events:
            (kind, body), *_ = event.items()
            if "metadata" not in body:
                continue
            step = (body["metadata"]["urn"], body["metadata"]["op"])
            if kind == "resourcePreEvent":
                begun.append(step)
            elif kind == "resOpFailedEvent":
                assert step in begun, f"{step} failed without having begun"
            else:
                assert step[0] in {urn for urn, _ in begun}, f"{step} ended without having begun"


def test_what_is_needed_is_told_to_be_done_before_what_needs_it_begins(stack: Stack) -> None:
    names = [f"n{i}" for i in range(6)]
    chain = [bucket(names[0]), *(bucket(b, source=ref(a)) for a, b in itertools.pairwise(names))]
    told = [
        (next(iter(event)), next(iter(event.values()))["metadata"]["urn"].rpartition("::")[2])
        for event in stack.up(*chain).succeeds().events
        if "metadata" in next(iter(event.values()))
    ]
    for before, after in itertools.pairwise(names):
        assert told.index(("resOutputsEvent", before)) < told.index(("resourcePreEvent", after))
    told = [
        (next(iter(event)), next(iter(event.values()))["metadata"]["urn"].rpartition("::")[2])
        for event in stack.destroy().succeeds().events
        if "metadata" in next(iter(event.values()))
    ]
    for needed, needing in itertools.pairwise(names):
        assert told.index(("resOutputsEvent", needing)) < told.index(("resourcePreEvent", needed))


def test_the_summary_counts_what_the_steps_did(stack: Stack) -> None:
    stack.up(bucket("same"), bucket("updated", size=1), bucket("replaced", region="x"), bucket("deleted"))
    result = stack.up(bucket("same"), bucket("updated", size=2), bucket("replaced", region="y"), bucket("new"))
    summary = sdk.EngineEvent.from_json({"sequence": 0, "timestamp": 0, **result.succeeds().events[-1]}).summary_event
    assert summary is not None
    # The stack is the second that stays the same.
    assert summary.resource_changes == {"same": 2, "update": 1, "replace": 1, "create": 1, "delete": 1}


def test_a_tainted_resource_is_told_to_be_one(stack: Stack) -> None:
    stack.up(bucket("a"))
    body = json.loads(stack.saved)
    body["resources"][-1]["taint"] = True
    stack.saved = json.dumps(body)
    (event,) = [
        e
        for e in stack.up(bucket("a")).events
        if e.get("resourcePreEvent", {}).get("metadata", {}).get("op") == "replace"
    ]
    step = understood(event).resource_pre_event
    assert step is not None
    assert step.metadata.old is not None
    assert step.metadata.old.taint
    assert not step.metadata.new.taint


# ------------------------------------------------------------------ over the command line


class Reader(events_pb2_grpc.EventsServicer):
    """What the Automation API runs for `--event-log tcp://`; it may go away in the middle, or never answer."""

    def __init__(self, *, takes: int = 10**9) -> None:
        self.events: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        self._takes = takes

    def StreamEvents(self, requests: Iterator[Any], context: Any) -> empty_pb2.Empty:  # noqa: N802 - gRPC's name
        for request in requests:
            self.events.append(json.loads(request.event))
            if len(self.events) == self._takes:
                context.abort(grpc.StatusCode.CANCELLED, "the reader has had enough")
        return empty_pb2.Empty()


@dataclasses.dataclass(slots=True)
class Listening:
    reader: Reader
    address: str
    server: grpc.Server


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(secrets, "ROUNDS", 1)
    (tmp_path / "Pulumi.yaml").write_text("name: told\nruntime: python\n", encoding="utf-8")
    with a_site(tmp_path, Cloud()) as found:
        assert found.command("stack", "init", "test")[0] == 0
        yield found


def listen(takes: int = 10**9) -> Listening:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    reader = Reader(takes=takes)
    events_pb2_grpc.add_EventsServicer_to_server(reader, server)  # type: ignore[no-untyped-call]
    address = f"tcp://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    return Listening(reader, address, server)


UP = ("up", "--yes", "--skip-preview", "--stack", "test")


def test_a_file_and_a_stream_tell_the_same_in_sequence(site: Site) -> None:
    site.language.items = (bucket("a", size=1), bucket("b", source=ref("a")))
    listening = listen()
    assert site.command(*UP, "--event-log", listening.address)[0] == 0
    listening.server.stop(None).wait(5)
    assert site.command("destroy", "--yes", "--skip-preview", "--stack", "test")[0] == 0
    assert site.command(*UP, "--event-log", "events.jsonl")[0] == 0
    streamed = listening.reader.events
    filed = [json.loads(line) for line in (site.folder / "events.jsonl").read_text().splitlines()]
    for events in (streamed, filed):
        assert [event["sequence"] for event in events] == list(range(len(events)))
        assert "cancelEvent" in events[-1]
        assert "summaryEvent" in events[-2]
        assert all(abs(event["timestamp"] - time.time()) < 60 for event in events)
    assert [sorted(event) for event in streamed] == [sorted(event) for event in filed]


def test_a_preview_before_the_update_is_not_in_its_log(site: Site) -> None:
    site.language.items = (bucket("a"),)
    assert site.command("up", "--yes", "--stack", "test", "--event-log", "events.jsonl")[0] == 0
    events = [json.loads(line) for line in (site.folder / "events.jsonl").read_text().splitlines()]
    assert sum("summaryEvent" in event for event in events) == 1
    assert sum("cancelEvent" in event for event in events) == 1
    assert not [e for e in events if e.get("resourcePreEvent", {}).get("planning")]


def test_a_failed_update_ends_its_log_too(site: Site) -> None:
    site.language.items = (bucket("a", size=-1),)
    code, _ = site.command(*UP, "--event-log", "events.jsonl")
    assert code == 1
    events = [json.loads(line) for line in (site.folder / "events.jsonl").read_text().splitlines()]
    assert "cancelEvent" in events[-1]
    assert [e["diagnosticEvent"]["severity"] for e in events if "diagnosticEvent" in e] == ["error"]


def test_a_reader_that_goes_away_in_the_middle_breaks_nothing_off(site: Site) -> None:
    site.language.items = (bucket("a"), bucket("b", source=ref("a")), bucket("c", source=ref("b")))
    listening = listen(takes=4)
    code, text = site.command(*UP, "--event-log", listening.address)
    listening.server.stop(None).wait(5)
    assert code == 0
    assert "did not take all events" in text
    assert set(site.cloud.names.values()) == {"a", "b", "c"}
    assert site.owned == set(site.cloud.objects)


def test_a_reader_that_is_not_there_breaks_nothing_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_CLOSE_SECONDS", 1.0)
    listening = listen()
    listening.server.stop(None).wait(5)
    site.language.items = (bucket("a"),)
    code, text = site.command(*UP, "--event-log", listening.address)
    assert (code, "did not take all events" in text) == (0, True)
    assert site.owned == set(site.cloud.objects)
