"""The simulator against a real n8n 2.41.1: every recorded exchange, in order, has the same status and body.

The recordings lie beside the repository (or where TENANTRY_N8N_RECORDINGS says). Times and random ids differ; that one
id stands for the same thing throughout is checked. Between some recordings something happened that was not recorded:
SETTLED and `Session` say what.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.http import Answer, Request
from sandbox.n8n.api import N8n
from sandbox.n8n.owner import SCOPES
from sandbox.store import Store

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("TENANTRY_N8N_RECORDINGS") or ROOT.parent / "shared" / "facts" / "n8n" / "recordings")
RECORDINGS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DEFAULT_HEADERS = {"X-N8N-API-KEY": "<api-key>"}
IDS_OF_PROJECTS = (".projectId", ".project.id", ".shared[0].id")
CUT = re.compile(r"…\[\d+ (?:chars|items)\]$")

# What had taken effect when these were sent: all that was published, or only up to the named one.
SETTLED = {
    **dict.fromkeys(("032", "106", "138", "181", "186", "205", "302", "303", "316", "319", "322", "325", "328")),
    **dict.fromkeys(("330", "333", "334", "346", "402", "404", "608", "611", "705")),
    "072": "065",
    "197": "186",
}


class Replay:
    """A simulator that is asked what the recorder asked, with the ids that the recorder saw."""

    def __init__(self, delay: float = 1.0) -> None:
        self.seconds = 1_000_000.0
        self.n8n = N8n(Store(), delay=delay, clock=lambda: self.seconds)
        self.keys = {"<bad>": "not-a-key"}
        self.cookie = ""
        self.known: dict[str, str] = {}
        self.sent_at: dict[str, float] = {}

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        sent = dict(headers or {})
        raw = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        self.seconds += 0.001
        return self.n8n.handle(Request(method=method, target=path, headers=sent, body=raw))

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.send(method, f"/api/v1{path}", body, {"x-n8n-api-key": self.keys["<api-key>"]})
        assert answer.status in {200, 201}, answer
        return answer.body

    def settle(self, last: str | None = None) -> None:
        """All that was published takes effect, or what was published until `last` was sent."""
        self.seconds = self.seconds + 5 if last is None else self.sent_at[last] + 0.9995
        self.n8n.publisher.settle()

    def restart(self, startup: float) -> None:
        self.n8n = N8n(self.n8n.store, delay=1.0, startup=startup, clock=lambda: self.seconds)

    def prepare(self) -> None:
        """An owner and a key."""
        for name in ("004", "014"):
            self.play(_numbered(name))

    def make(self, workflow: dict[str, Any], *, publish: bool = True) -> None:
        """A workflow that is in a recording, but whose creation is not."""
        self.n8n.world.next_ids.clear()
        self.n8n.world.next_ids.append(workflow["id"])
        if UUID.fullmatch(str(workflow.get("versionId"))):
            self.n8n.world.next_versions.append(workflow["versionId"])
        names = ("name", "nodes", "connections", "settings")
        self.admin("POST", "/workflows", {name: workflow[name] for name in names})
        for tag in workflow.get("tags", []):
            if self.n8n.store.get("tag", tag["id"]) is None:
                self.n8n.world.next_ids.append(tag["id"])
                self.admin("POST", "/tags", {"name": tag["name"]})
        self.admin("PUT", f"/workflows/{workflow['id']}/tags", [{"id": tag["id"]} for tag in workflow.get("tags", [])])
        if publish:
            self.admin("POST", f"/workflows/{workflow['id']}/publish", {})

    def play(self, recording: dict[str, Any]) -> Answer:
        request, body = recording["request"], recording["body"]
        self._expect(request, body)
        headers = {
            key.lower(): self._header(value) for key, value in (request.get("headers", DEFAULT_HEADERS) or {}).items()
        }
        sent = request.get("body", {"msg": "x"} if request["method"] == "POST" else None)
        if isinstance(sent, dict) and CUT.search(str((sent.get("scopes") or [""])[-1])):
            sent = sent | {"scopes": list(SCOPES)}
        answer = self.send(request["method"], request["path"], sent, headers)
        if (cookie := answer.headers.get("Set-Cookie")) is not None:
            self.cookie = cookie.partition(";")[0]
        if isinstance(answer.body, dict) and "rawApiKey" in (answer.body.get("data") or {}):
            self.keys[body["data"]["rawApiKey"]] = answer.body["data"]["rawApiKey"]
        return answer

    def _header(self, value: str) -> str:
        if value.startswith("n8n-auth="):
            return self.cookie
        for name, key in self.keys.items():
            value = value.replace(name, key)
        return value

    def _expect(self, request: dict[str, Any], body: Any) -> None:
        """The ids that this exchange made in the real server are those that it makes here."""
        world = self.n8n.world
        world.next_ids.clear()
        world.next_versions.clear()
        if not isinstance(body, dict):
            return
        for made in (body, body.get("data")):
            if request["method"] == "POST" and isinstance(made, dict) and "id" in made and "email" not in made:
                world.next_ids.append(made["id"])
        if "versionId" in body and world.store.get("version", body["versionId"]) is None:
            world.next_versions.append(body["versionId"])

    def differences(self, wanted: Any, given: Any, where: str = "body") -> Iterator[str]:
        if isinstance(wanted, dict) and isinstance(given, dict):
            if set(wanted) != set(given):
                yield f"{where}: keys {sorted(set(wanted) ^ set(given))} are on one side only"
            for key in set(wanted) & set(given):
                yield from self.differences(wanted[key], given[key], f"{where}.{key}")
        elif isinstance(wanted, list) and isinstance(given, list):
            yield from self._lists(wanted, given, where)
        elif isinstance(wanted, str) and isinstance(given, str):
            yield from self._texts(wanted, given, where)
        elif wanted != given or type(wanted) is not type(given):
            yield f"{where}: {given!r}, recorded {wanted!r}"

    def _lists(self, wanted: list[Any], given: list[Any], where: str) -> Iterator[str]:
        if wanted and isinstance(wanted[-1], str) and CUT.search(wanted[-1]):
            # Only the kind of what is in it is known.
            if not given or any(type(each) is not type(wanted[0]) for each in given):
                yield f"{where}: {given!r}, recorded a list such as {wanted!r}"
            return
        if len(wanted) != len(given):
            yield f"{where}: {len(given)} entries, recorded {len(wanted)}"
        for number, (one, other) in enumerate(zip(wanted, given, strict=False)):
            yield from self.differences(one, other, f"{where}[{number}]")

    def _texts(self, wanted: str, given: str, where: str) -> Iterator[str]:
        if DATE.fullmatch(wanted):
            if not DATE.fullmatch(given):
                yield f"{where}: {given!r} is no time"
        elif UUID.fullmatch(wanted) or where.endswith(IDS_OF_PROJECTS):
            if (
                bool(UUID.fullmatch(wanted)) != bool(UUID.fullmatch(given))
                or self.known.setdefault(wanted, given) != given
            ):
                yield f"{where}: {given!r}, recorded {wanted!r}, which is {self.known.get(wanted)!r} here"
        elif where.endswith("stacktrace"):
            return  # where in n8n's own code it was
        elif CUT.search(wanted):
            if _first_line(wanted) != _first_line(given):
                yield f"{where}: {given!r}, recorded {wanted!r}"
        elif not where.endswith(("rawApiKey", "apiKey", "lastActiveAt")) and wanted != given:
            yield f"{where}: {given!r}, recorded {wanted!r}"


def _drop_the_temporary(replay: Replay) -> None:
    for each in ("061", "062", "063"):
        replay.admin("DELETE", f"/workflows/{_numbered(each)['body']['id']}")


def _make_two_of_one_path(replay: Replay) -> None:
    for each in ("328", "329"):
        replay.make(_numbered(each)["body"], publish=False)


def _make_and_publish(replay: Replay) -> None:
    replay.make(_numbered("345")["body"] | {"versionId": None})
    replay.settle()


def _make_the_page(replay: Replay) -> None:
    rows = _numbered("400")["body"]["data"]
    more = {"id": "3zzzzzzzzzzzzzzz", "versionId": None, "nodes": [], "connections": {}}
    for row in (*rows, rows[0] | more):
        replay.make(row, publish=bool(row["nodes"]))
    replay.settle()


def _publish_it(replay: Replay) -> None:
    replay.admin("POST", f"/workflows/{_numbered('401')['body']['id']}/publish", {})


def _make_two_for_a_race(replay: Replay) -> None:
    body = _numbered("505")["body"]
    for each in (body, body | {"id": _id_in("506"), "versionId": None}):
        replay.make(each, publish=False)


def _tag_both(replay: Replay) -> None:
    row, tagged = _numbered("604")["body"]["data"][0], _numbered("605")["body"]
    replay.admin("DELETE", f"/workflows/{row['id']}")
    replay.make(row, publish=False)
    replay.admin("PUT", f"/workflows/{tagged['id']}/tags", [{"id": tag["id"]} for tag in tagged["tags"]])


def _restart(replay: Replay) -> None:
    replay.restart(startup=10.0)
    replay.seconds += 6


def _wait(replay: Replay) -> None:
    replay.seconds += 10


# What happened before these, and was not recorded.
BEFORE: dict[str, Callable[[Replay], object]] = {
    "065": _drop_the_temporary,
    "326": _make_two_of_one_path,
    "330": lambda replay: replay.make(_dynamic()),
    "342": _make_and_publish,
    "400": _make_the_page,
    "402": _publish_it,
    "505": _make_two_for_a_race,
    "604": _tag_both,
    "609": lambda replay: replay.send("POST", "/webhook/x1", {"msg": "x"}),
    "700": _restart,
    "704": _wait,
}


class Session:
    """The replay that goes on from recording to recording."""

    def __init__(self) -> None:
        self.replay = Replay()

    def play(self, name: str) -> Answer:
        number = name[:3]
        if number in {"500", "600"}:  # other servers, the first without the publication service
            self.replay = Replay(delay=0.0 if number == "500" else 1.0)
            self.replay.prepare()
        if number in BEFORE:
            BEFORE[number](self.replay)
        if number in SETTLED:
            self.replay.settle(SETTLED[number])
        answer = self.replay.play(RECORDINGS[name])
        self.replay.sent_at[number] = self.replay.seconds
        return answer


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def test_the_recordings_are_there() -> None:
    assert len(RECORDINGS) == 299, f"no recordings of n8n in {FOLDER}: set TENANTRY_N8N_RECORDINGS"


@pytest.mark.parametrize("name", RECORDINGS)
def test_recording(name: str, session: Session) -> None:
    """In order: each recording builds on those before."""
    recording = RECORDINGS[name]
    answer = session.play(name)
    assert answer.status == recording["status"], answer.body
    assert answer.content_type == recording["response_content_type"]
    loose = LOOSE.get(name[:3])
    if loose is not None:
        loose(recording["body"], answer.body)
    else:
        assert list(session.replay.differences(recording["body"], answer.body)) == []


def _numbered(number: str) -> dict[str, Any]:
    return next(recording for name, recording in RECORDINGS.items() if name.startswith(number))


def _first_line(text: str) -> str:
    return re.split(r"<br>|</pre>|\n {4}at", text, maxsplit=1)[0]


def _id_in(number: str) -> str:
    return str(_numbered(number)["request"]["path"].split("/")[4])


def _dynamic() -> dict[str, Any]:
    workflow = json.loads(json.dumps(_numbered("300")["request"]["body"]))
    workflow["nodes"][0] |= {"webhookId": "44444444-4444-4444-8444-444444444444"}
    workflow["nodes"][0]["parameters"]["path"] = "user/:id"
    return workflow | {"id": "dynamic000000001", "name": "dynamic"}


def _same_form(wanted: Any, given: Any) -> None:
    """Lists were cut, or hold what was not recorded: the keys of an entry are those of an entry."""
    for key in wanted:
        assert type(wanted[key]) is type(given[key])
    assert set(wanted["data"][0]) == set(given["data"][0])


def _discovery(wanted: Any, given: Any) -> None:
    """The simulator tells what it serves itself, in the same form."""
    assert set(wanted["data"]) == set(given["data"])
    assert set(wanted["data"]["filters"]) == set(given["data"]["filters"])
    resource = wanted["data"]["resources"]["tags"]
    for each in given["data"]["resources"].values():
        assert set(each) == set(resource)
        assert set(each["endpoints"][0]) == set(resource["endpoints"][0])


LOOSE: dict[str, Callable[[Any, Any], None]] = {"022": _discovery, "354": _same_form}
