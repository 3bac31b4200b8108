"""What a program says by annotations: whether, how long and for what an object is waited for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.kubernetes.awaiting import problems_of, skips_await, timeout_of
from providers.kubernetes.awaiting.annotations import wishes_of
from providers.kubernetes.awaiting.custom import judge_wishes, parse_wish
from providers.kubernetes.awaiting.jsonpath import parse
from providers.kubernetes.awaiting.verdict import Ready, Waiting
from providers.kubernetes.seam import Document
from providers.plugin.errors import RefusedError
from tests.kubernetes.documents import conditions, doc


def annotated(kind: str = "Deployment", **annotations: str) -> Document:
    api_version = {"Deployment": "apps/v1", "Job": "batch/v1"}.get(kind, "v1")
    found = {f"pulumi.com/{name}": value for name, value in annotations.items()}
    return doc(api_version, kind, "x", metadata={"annotations": found})


@pytest.mark.parametrize(
    ("value", "skipped"), [("true", True), ("True", True), ("false", False), ("", False), ("yes", False)]
)
def test_skip_await(value: str, skipped: bool) -> None:
    assert skips_await(annotated(skipAwait=value)) is skipped
    assert skips_await(annotated()) is False


@pytest.mark.parametrize(
    ("obj", "asked", "seconds"),
    [
        (annotated(), 0, 600),
        (annotated("Pod"), 0, 600),
        (annotated("PersistentVolumeClaim"), 0, 300),
        (annotated("ConfigMap"), 0, 600),
        (annotated(timeoutSeconds="90"), 0, 90),
        (annotated(timeoutSeconds="1.5"), 0, 1.5),
        (annotated(timeoutSeconds="90"), 30, 30),
        (annotated(timeoutSeconds="no number"), 30, 30),
    ],
)
def test_how_long_an_object_is_waited_for(obj: Document, asked: float, seconds: float) -> None:
    assert timeout_of(obj, asked) == seconds


@pytest.mark.parametrize(("kind", "seconds"), [("Deployment", 600), ("Namespace", 300), ("Job", 300), ("Pod", 300)])
def test_how_long_a_deletion_is_waited_for(kind: str, seconds: float) -> None:
    assert timeout_of(annotated(kind), 0, deleting=True) == seconds
    assert timeout_of(annotated(kind, timeoutSeconds="7"), 0, deleting=True) == 7


@pytest.mark.parametrize("value", ["10m", "0", "-3", "", "nan", "inf"])
def test_a_time_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(
        RefusedError, match=r"Deployment shop/x: annotation pulumi\.com/timeoutSeconds is .*give seconds"
    ):
        timeout_of(annotated(timeoutSeconds=value), 0)
    assert len(problems_of(annotated(timeoutSeconds=value))) == 1


_WEB: dict[str, Any] = {
    "status": {
        "phase": "Running",
        "ready": True,
        "replicas": 3.0,
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 2},
            {"type": "Synced", "status": "False", "reason": "Busy", "message": "with others"},
            {"type": "Stale", "status": "True", "observedGeneration": 1},
        ],
        "hosts": [{"name": "a", "port": 80, "tls": {}}, {"name": "b", "port": 443}],
        "dotted.key": "yes",
        "empty": {},
    },
}


@pytest.mark.parametrize(
    ("wish", "missing"),
    [
        ("condition=Ready", ""),
        ("condition=ready", ""),
        ("condition=Ready=true", ""),
        ("condition=Ready=False", "condition Ready is True, not False"),
        ("condition=Synced", "condition Synced is False (Busy: with others)"),
        ("condition=Synced=False", ""),
        ("condition=Stale", "condition Stale: the controller has not seen the change yet"),
        ("condition=Other", "condition Other is not there yet"),
        ("jsonpath={.status.phase}", ""),
        ("jsonpath={.status.phase}=Running", ""),
        ("jsonpath='{.status.phase}'=Running", ""),
        ("jsonpath={.status.phase}=Done", "{.status.phase} to be 'Done': it is 'Running'"),
        ("jsonpath={.status.ready}=true", ""),
        ("jsonpath={.status.replicas}=3", ""),
        ("jsonpath={.status.empty}", ""),
        ("jsonpath={.status.other}", "{.status.other}: it is not there yet"),
        ("jsonpath={.status.phase}=a=b}c", "{.status.phase} to be 'a=b}c'"),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', ""),
        ("jsonpath={.status.hosts[*].name}=a", "to be 'a': it is 'a, b'"),
        ("jsonpath={$.status.hosts[0].port}=80", ""),
        ("jsonpath={.status['phase']}=Running", ""),
    ],
)
def test_what_a_program_waits_for(wish: str, missing: str) -> None:
    obj = doc("example.org/v1", "Web", "x", **_WEB)
    found = judge_wishes((parse_wish(wish),), obj)
    if missing:
        assert isinstance(found, Waiting)
        assert missing in found.message
    else:
        assert isinstance(found, Ready)


def test_a_controller_that_has_not_seen_the_object_has_said_nothing_of_it() -> None:
    status = {"observedGeneration": 1, "conditions": conditions(Ready="True")}
    found = judge_wishes((parse_wish("condition=Ready"),), doc("example.org/v1", "Web", "x", status=status))
    assert isinstance(found, Waiting)


def test_several_wishes_are_all_waited_for() -> None:
    wishes = wishes_of(
        annotated("Web", waitFor=json.dumps(["condition=Ready", "jsonpath={.status.ip}", "condition=B"]))
    )
    found = judge_wishes(wishes, doc("v1", "Web", "x", status={"conditions": conditions(Ready="True")}))
    assert isinstance(found, Waiting)
    assert found.message == ("[2/3] Waiting for {.status.ip}: it is not there yet; and condition B is not there yet")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("delete", "it begins with 'delete'"),
        ("condition=", "a condition's type, or its status, is missing"),
        ("condition=Ready=", "a condition's type, or its status, is missing"),
        ("jsonpath=.status", "the path is not in braces"),
        ("jsonpath={.status}.phase", "the path is not in braces, or something other than =value follows it"),
        ("jsonpath={.status}=", "there is no value"),
        ("jsonpath={}", "the path is empty"),
        ("jsonpath={range .items}", "not understood at"),
        ("jsonpath={.a[?(@.b==c)]}", "'c' in a filter is no number"),
        ("jsonpath={.a['b','c']}", "not understood at"),
        ("[]", "it is no list of expressions"),
        ("[1]", "it is no list of expressions"),
        ("[", "Expecting value"),
    ],
)
def test_words_that_are_not_understood_are_refused(written: str, why: str) -> None:
    with pytest.raises(RefusedError) as caught:
        wishes_of(annotated(waitFor=written))
    assert str(caught.value).startswith("Deployment shop/x: annotation pulumi.com/waitFor is ")
    assert why in str(caught.value)
    assert problems_of(annotated(waitFor=written)) == [str(caught.value)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".status.hosts[*].name", ["a", "b"]),
        (".status.hosts[-1].name", ["b"]),
        (".status.hosts[5].name", []),
        (".status.hosts[0:1].name", ["a"]),
        (".status.hosts[1:].name", ["b"]),
        ("..port", [80, 443]),
        (".status.hosts[?(@.port>80)].name", ["b"]),
        (".status.hosts[?(@.port<=443)].name", ["a", "b"]),
        (".status.hosts[?(@.port != 80)].name", ["b"]),
        (".status.hosts[?(@.tls)].name", ["a"]),
        (".status.hosts[?(@.name == 'b')].port", [443]),
        (".status.hosts[?(@.name>1)].port", []),
        (r".status.dotted\.key", ["yes"]),
        (".status['dotted.key']", ["yes"]),
        ("status.phase", ["Running"]),
        (".status.phase.more", []),
        (".status.empty.*", []),
    ],
)
def test_places_in_an_object(path: str, found: list[Any]) -> None:
    assert parse(path).find(_WEB) == found


_NAMES = st.text(st.characters(categories=("L", "N"), include_characters="-_/. "), min_size=1, max_size=8)


@given(names=st.lists(_NAMES, min_size=1, max_size=4), value=st.integers() | st.text())
def test_any_field_is_found_by_its_name(names: list[str], value: int | str) -> None:
    obj: Any = value
    for name in reversed(names):
        obj = {name: obj, f"not-{name}": 0}
    assert parse("".join(f"['{name}']" for name in names)).find(obj) == [value]


@given(written=st.text(alphabet=".[]*?@=<>!&'\"ab01:-{}()$ \\", max_size=20))
def test_any_text_is_a_path_or_refused(written: str) -> None:
    try:
        path = parse(written)
    except ValueError:
        return
    path.find({"a": [{"b": 1}, {"b": "0"}], "b": {"a": None}})
