"""What is decided about policies without a pack: their configuration, what is hidden, what is shown."""

import json
from typing import Any

import pytest

from engine.display import Display, DisplayOptions
from engine.errors import UsageError
from engine.json_display import JsonDigest
from engine.json_schema import schema_errors
from engine.policy import (
    Level,
    PolicyConfig,
    PolicyInfo,
    config_errors,
    parse_config,
    reconciled,
    secret_texts,
    without,
)
from engine.resource import Secret

# ------------------------------------------------------------------ configuration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "should be an object"),
        ('{"a": 1}', "'a'.*must be a string or object"),
        ('{"a": "strict"}', '"a": "strict" is not a valid enforcement level'),
        ('{"a": {"enforcementLevel": 3}}', "is not a valid enforcement level"),
    ],
)
def test_a_configuration_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_config(text, "c.json")


def test_configuration_is_put_together_from_three_places() -> None:
    policies = [
        PolicyInfo(name="a", level=Level.ADVISORY, properties={"x": {"default": 1}, "y": {"type": "string"}}),
        PolicyInfo(name="b", level=Level.MANDATORY),
    ]
    initial = {"all": PolicyConfig(level=Level.DISABLED), "a": PolicyConfig(properties={"y": "i"})}
    given = parse_config('{"b": "mandatory", "a": {"x": 2}}', "c.json")
    assert reconciled(policies, initial, given) == {
        "a": PolicyConfig(level=Level.DISABLED, properties={"x": 2, "y": "i"}),
        "b": PolicyConfig(level=Level.MANDATORY),
    }
    assert reconciled(policies, {}, parse_config(" ", "c.json"))["a"].level is Level.ADVISORY


def test_what_is_required_must_be_there() -> None:
    policies = [PolicyInfo(name="a", level=Level.ADVISORY, properties={"x": {}}, required=("x",))]
    assert list(config_errors(policies, reconciled(policies, {}, {}))) == ["a: x is required"]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, "a", 1),
        ({"type": ["string", "null"]}, None, 1),
        ({"type": "integer"}, 3.0, 3.5),
        ({"type": "number"}, 3, True),
        ({"enum": [1, "a"]}, 1, True),
        ({"const": {"a": 1}}, {"a": 1}, {"a": 2}),
        ({"minimum": 2}, 2, 1),
        ({"maximum": 2}, 2, 3),
        ({"exclusiveMinimum": 2}, 2.5, 2),
        ({"exclusiveMaximum": 2}, 1, 2),
        ({"multipleOf": 3}, 9, 10),
        ({"minLength": 2}, "ab", "a"),
        ({"maxLength": 2}, "ab", "abc"),
        ({"pattern": "^a"}, "ab", "ba"),
        ({"items": {"type": "string"}}, ["a"], ["a", 1]),
        ({"minItems": 1}, [1], []),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"uniqueItems": True}, [1, 2], [1, 1]),
        ({"properties": {"a": {"type": "string"}}}, {"b": 1}, {"a": 1}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "string"}}, {"a": "b"}, {"a": 1}),
        ({"required": ["a"]}, {"a": 1}, {}),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 2, 3),
        ({"anyOf": [{"type": "string"}, {"minimum": 2}]}, "a", 1),
        ({"oneOf": [{"minimum": 1}, {"minimum": 5}]}, 2, 6),
        ({"not": {"type": "string"}}, 1, "a"),
        ({"properties": {"a": False}}, {}, {"a": 1}),
    ],
)
def test_schemas(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert not list(schema_errors(good, {**schema, "description": "a note"}))
    assert list(schema_errors(bad, schema))


@pytest.mark.parametrize("schema", [{"$ref": "#/a"}, {"if": {}}, {"exclusiveMinimum": True}])
def test_a_schema_that_says_more_than_is_served_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not served"):
        list(schema_errors(1, schema))


def test_secrets_are_hidden_in_messages() -> None:
    hidden = set(secret_texts({"a": Secret({"b": ["deep-one", 4711, True, None]}), "c": "plain", "d": Secret("x")}))
    assert hidden == {"deep-one", "4711", "x"}
    assert without("deep-one 4711 plain x", hidden) == "[secret] [secret] plain x"
    assert without("abcdef", ["abc", "abcdef"]) == "[secret]"


# ------------------------------------------------------------------ what is shown


class Out:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        return False


def _events() -> list[dict[str, Any]]:
    known = {"color": "raw", "policyPackName": "rules", "policyPackVersion": "1.2.3", "policyPackVersionTag": "1.2.3"}
    urn = "urn:pulumi:dev::proj::fake:index:Bucket::logs"
    corrected = {"policyName": "owned", "before": {"a": 1}, "after": {"a": 1, "owner": "me"}}
    return [
        {"policyLoadEvent": {}},
        {"policyLoadEvent": {}},
        {
            "policyEvent": {
                **known,
                "policyName": "small",
                "resourceUrn": urn,
                "message": "Small.\ntoo big\n",
                "enforcementLevel": "mandatory",
            }
        },
        {"policyEvent": {**known, "policyName": "few", "message": "Few.\n", "enforcementLevel": "advisory"}},
        {"policyRemediationEvent": {**known, **corrected, "resourceUrn": urn}},
        {
            "summaryEvent": {
                "resourceChanges": {},
                "PolicyPacks": {"rules|local|policies": "1.2.3", "others|local|more": "0.1.0"},
            }
        },
    ]


@pytest.mark.parametrize("detailed", [False, True])
def test_the_section_on_policies(detailed: bool) -> None:
    out = Out()
    options = DisplayOptions(kind="update", project="proj", stack="dev", preview=True, policy_remediations=detailed)
    display = Display(options, out)
    for event in _events():
        display.emit(event)
    display.finish(failed=True)
    lines = out.text.split("\n")
    begin = lines.index("Policies:")
    corrected = ["        - [remediate]  owned  (1 resource)"]
    if detailed:
        corrected = ["        - [remediate]  owned  (fake:index:Bucket: logs)", '            + owner: "me"']
    assert lines[begin:-3] == [
        "Policies:",
        "    ✓ others@v0.1.0 (local: more)",
        "    ✗ rules@v1.2.3 (local: policies)",
        *corrected,
        "        - [advisory]  few  (the stack)",
        "          Few.",
        "        - [mandatory]  small  (fake:index:Bucket: logs)",
        "          Small.",
        "          too big",
    ]
    assert out.text.count("Loading policy packs...") == 1


def test_a_preview_as_json_holds_the_violations() -> None:
    out = Out()
    digest = JsonDigest(out)
    for event in _events():
        digest.emit(event)
    digest.finish(failed=True)
    found = json.loads(out.text)["diagnostics"]
    assert [(d["severity"], d["prefix"]) for d in found] == [("error", "mandatory: "), ("warning", "advisory: ")]
