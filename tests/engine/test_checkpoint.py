"""The checkpoint's JSON: nothing is lost, secrets stay encrypted and keep their ciphertext, nonsense is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoint import Codec, features
from engine.errors import StateError
from engine.resource import SECRET_SIG, SIG_KEY, Secret, State, Timeouts
from engine.snapshot import PendingOperation, Snapshot

CORPUS = Path(os.environ.get("TENANTRY_CONFORMANCE") or Path(__file__).parents[3] / "shared" / "conformance")
GOLDENS = sorted((CORPUS / "public" / "golden").glob("*.json"))
URN = "urn:pulumi:dev::proj::pkg:mod:Type::a"
PROVIDER = "urn:pulumi:dev::proj::pulumi:providers:pkg::default::0-1"


class CountingCipher:
    """Encrypts by counting: every ciphertext is another."""

    def __init__(self) -> None:
        self.plain: dict[str, str] = {}

    def encrypt(self, plaintext: str) -> str:
        text = f"c{len(self.plain)}"
        self.plain[text] = plaintext
        return text

    def decrypt(self, text: str) -> str:
        return self.plain[text]


FULL: dict[str, Any] = {
    "urn": URN,
    "custom": True,
    "delete": True,
    "id": "i-1",
    "type": "pkg:mod:Type",
    "inputs": {"n": 1, "nothing": None, "list": [1, {"x": True}], "s": {SIG_KEY: SECRET_SIG, "plaintext": '{"a":[1]}'}},
    "outputs": {"n": 1.5},
    "parent": "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev",
    "protect": True,
    "taint": True,
    "external": True,
    "dependencies": ["urn:pulumi:dev::proj::pkg:mod:Type::b"],
    "initErrors": ["not ready"],
    "provider": PROVIDER,
    "propertyDependencies": {"n": ["urn:pulumi:dev::proj::pkg:mod:Type::b"], "list": []},
    "pendingReplacement": True,
    "additionalSecretOutputs": ["pw"],
    "aliases": ["urn:pulumi:dev::proj::pkg:mod:Type::old"],
    "customTimeouts": {"create": 30, "delete": 5400},
    "importID": "i-0",
    "retainOnDelete": True,
    "deletedWith": "urn:pulumi:dev::proj::pkg:mod:Type::box",
    "replaceWith": ["urn:pulumi:dev::proj::pkg:mod:Type::box"],
    "created": "2026-01-02T03:04:05.000006Z",
    "modified": "2026-01-02T03:04:05.000006Z",
    "sourcePosition": "project:///__main__.py#1",
    "ignoreChanges": ["n"],
    "hideDiff": ["list"],
    "replaceOnChanges": ["*"],
    "replacementTrigger": {"v": 1},
    "refreshBeforeUpdate": True,
    "viewOf": "urn:pulumi:dev::proj::pkg:mod:Type::box",
    "resourceHooks": {"BeforeCreate": ["h"]},
}


def test_every_field_comes_back_in_order() -> None:
    codec = Codec(CountingCipher())
    body = codec.state_to_dict(codec.state_from_dict(FULL), show_secrets=True)
    assert list(body.items()) == list(FULL.items())


def test_a_bare_resource_has_no_empty_fields() -> None:
    codec = Codec(CountingCipher())
    assert codec.state_to_dict(State(urn=URN, type="pkg:mod:Type", custom=False)) == {
        "urn": URN,
        "custom": False,
        "type": "pkg:mod:Type",
    }


def test_timeouts_are_seconds() -> None:
    state = Codec(CountingCipher()).state_from_dict(FULL)
    assert (state.custom_timeouts.create, state.custom_timeouts.update, state.custom_timeouts.delete) == (30, 0, 5400)
    assert isinstance(state.custom_timeouts, Timeouts)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6).filter(lambda k: k != SIG_KEY), inner, max_size=3)
        | inner.filter(lambda v: not isinstance(v, Secret)).map(Secret)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6).filter(lambda k: k != SIG_KEY), VALUES, max_size=4))
def test_values_round_trip_encrypted_and_shown(values: dict[str, Any]) -> None:
    cipher = CountingCipher()
    snapshot = Snapshot(resources=[State(urn=URN, type="pkg:mod:Type", custom=True, inputs=values)])
    text = Codec(cipher).dumps(snapshot)
    again = Codec(cipher).from_dict(json.loads(text))
    shown = Codec(cipher).to_dict(snapshot, show_secrets=True)
    assert Codec(cipher).to_dict(again, show_secrets=True)["resources"] == shown["resources"]
    assert Codec(cipher).to_dict(Codec(cipher).from_dict(shown), show_secrets=True)["resources"] == shown["resources"]


def test_no_secret_in_what_is_written() -> None:
    state = State(
        urn=URN, type="t:m:T", custom=True, inputs={"pw": Secret("hunter2"), "deep": [{"x": Secret({"y": "hunter2"})}]}
    )
    assert "hunter2" not in Codec(CountingCipher()).dumps(Snapshot(resources=[state]))


def test_unchanged_secrets_keep_their_ciphertext() -> None:
    cipher = CountingCipher()
    first = Snapshot(
        resources=[State(urn=URN, type="t:m:T", custom=True, inputs={"pw": Secret("a"), "other": Secret("a")})]
    )
    before = json.loads(Codec(cipher).dumps(first))["resources"]
    codec = Codec(cipher)
    again = codec.from_dict(json.loads(Codec(cipher).dumps(first)) | {"resources": before})
    again.resources[0].inputs = {"pw": Secret("a"), "other": Secret("b")}
    after = json.loads(codec.dumps(again, fresh=True))["resources"]
    assert after[0]["inputs"]["pw"] == before[0]["inputs"]["pw"]
    assert after[0]["inputs"]["other"] != before[0]["inputs"]["other"]
    # Two places with one value must not show that they are equal.
    assert before[0]["inputs"]["pw"] != before[0]["inputs"]["other"]


def test_a_replaced_attribute_is_written_anew() -> None:
    codec = Codec(CountingCipher())
    state = State(urn=URN, type="t:m:T", custom=True, inputs={"a": 1})
    snapshot = Snapshot(resources=[state])
    codec.dumps(snapshot)
    state.outputs = {"arn": "x"}
    assert json.loads(codec.dumps(snapshot))["resources"][0]["outputs"] == {"arn": "x"}
    state.dependencies.append("urn:pulumi:dev::proj::t:m:T::b")
    assert json.loads(codec.dumps(snapshot))["resources"][0]["dependencies"]
    state.outputs["arn"] = "changed in place"
    assert json.loads(codec.dumps(snapshot, fresh=True))["resources"][0]["outputs"] == {"arn": "changed in place"}


def test_pending_operations_and_metadata_stay() -> None:
    codec = Codec(CountingCipher())
    state = State(urn=URN, type="t:m:T", custom=True)
    snapshot = Snapshot(
        pending=[PendingOperation(type="creating", resource=state)], metadata={"integrity_error": {"x": 1}}
    )
    again = codec.from_dict(json.loads(codec.dumps(snapshot)))
    assert [(op.type, op.resource.urn) for op in again.pending] == [("creating", URN)]
    assert again.metadata == {"integrity_error": {"x": 1}}


def test_features_make_it_version_four() -> None:
    plain, tainted = State(urn=URN, type="t:m:T", custom=True), State(urn=URN, type="t:m:T", custom=True, taint=True)
    assert features(Snapshot(resources=[plain])) == []
    assert features(Snapshot(resources=[plain, tainted])) == ["taint"]


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({"resources": 3}, "not a list"),
        ({"resources": [{}]}, "no urn"),
        ({"resources": [{"urn": "nonsense"}]}, "not a URN"),
        ({"resources": [{"urn": URN, "inputs": []}]}, "inputs is a list"),
        ({"resources": [{"urn": URN, "protect": "yes"}]}, "protect is a str"),
        ({"resources": [{"urn": URN, "inputs": {"s": {SIG_KEY: SECRET_SIG}}}]}, "neither ciphertext nor plaintext"),
        ({"resources": [{"urn": URN, "inputs": {"s": {SIG_KEY: SECRET_SIG, "plaintext": "{"}}}]}, "does not hold JSON"),
        ({"pending_operations": [{"resource": {"urn": URN}}]}, "no type"),
    ],
)
def test_nonsense_is_refused_by_name(deployment: dict[str, Any], words: str) -> None:
    with pytest.raises(StateError, match=words):
        Codec(CountingCipher()).from_dict(deployment)


def _on_the_wire(value: Any) -> Any:
    """A recorded value as `stack export --show-secrets` had it."""
    if isinstance(value, dict):
        if set(value) == {"$secret"}:
            text = json.dumps(_on_the_wire(value["$secret"]), separators=(",", ":"))
            return {SIG_KEY: SECRET_SIG, "plaintext": text}
        return {key: _on_the_wire(item) for key, item in value.items()}
    return [_on_the_wire(item) for item in value] if isinstance(value, list) else value


@pytest.mark.skipif(not GOLDENS, reason="the conformance corpus is not here")
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
def test_states_of_the_stock_engine_come_back_as_they_were(golden: Path) -> None:
    states = [step["state"] for step in json.loads(golden.read_text())["steps"] if step.get("state")]
    assert states
    for state in states:
        deployment = _on_the_wire(state)
        cipher = CountingCipher()
        codec = Codec(cipher)
        snapshot = codec.from_dict(deployment)
        shown = codec.to_dict(snapshot, show_secrets=True)
        assert shown.get("resources", []) == deployment["resources"]
        assert shown.get("pending_operations", []) == deployment["pending_operations"]
        again = Codec(cipher).from_dict(json.loads(codec.dumps(snapshot)))
        assert codec.to_dict(again, show_secrets=True).get("resources", []) == deployment["resources"]
