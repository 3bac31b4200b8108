"""`pulumi:autonaming`: what providers are told of the names of objects, and what follows from it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engine.autonaming import Autonamer, Mode, Strategy, autonamer_of
from engine.errors import PluginError
from tests.engine.core.dsl import replace
from tests.engine.plugins.raw import Raw, thing

URN = "urn:pulumi:dev::proj::aws:s3/bucket:Bucket::logs"


def named(section: Any, **config: str) -> Autonamer:
    found = autonamer_of(
        {"pulumi:autonaming": json.dumps(section), **config}, organization="org", project="proj", stack="dev"
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, None),
        ({"mode": "default"}, None),
        ({"mode": "verbatim"}, ("logs", Mode.ENFORCE, False)),
        ({"mode": "disabled"}, ("", Mode.DISABLE, False)),
        ({"pattern": "${org}-${project}-${stack}-${name}"}, ("org-proj-dev-logs", Mode.PROPOSE, False)),
        ({"pattern": "${config.team}/${config.aws:region}", "enforce": True}, ("blue/eu", Mode.ENFORCE, False)),
        ({"providers": {"aws": {"pattern": "a-${name}"}}}, ("a-logs", Mode.PROPOSE, True)),
        ({"providers": {"azure": {"mode": "disabled"}}}, None),
        ({"mode": "verbatim", "providers": {"aws": {"mode": "default"}}}, None),
        ({"mode": "verbatim", "providers": {"aws": {"resources": {"aws:x:Y": {}}}}}, ("logs", Mode.ENFORCE, False)),
        (
            {"providers": {"aws": {"mode": "verbatim", "resources": {"aws:s3/bucket:Bucket": {"pattern": "b"}}}}},
            ("b", Mode.PROPOSE, True),
        ),
    ],
)
def test_which_setting_counts(section: Any, expected: tuple[str, Mode, bool] | None) -> None:
    namer = named(section, **{"proj:team": "blue", "aws:region": "eu"})
    naming = namer.naming(URN)
    if expected is None:
        assert naming is None
        assert not namer.needs_the_old_one_gone(URN)
    else:
        assert naming is not None
        assert (naming.strategy.name(URN, b"seed"), naming.strategy.mode, naming.particular) == expected
        assert namer.needs_the_old_one_gone(URN)


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("${name}-${hex(5)}", r"logs-[0-9a-f]{5}"),
        ("${alphanum(6)}${name}", r"[a-z0-9]{6}logs"),
        ("${string(7)}", r"[a-z]{7}"),
        ("${num(3)}_${num(3)}", r"\d{3}_\d{3}"),
        ("${uuid}", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ],
)
def test_random_parts_come_from_the_seed(pattern: str, form: str) -> None:
    strategy = Strategy(pattern)
    assert strategy.has_random
    assert re.fullmatch(form, strategy.name(URN, b"one"))
    assert strategy.name(URN, b"one") == strategy.name(URN, b"one")
    assert strategy.name(URN, b"one") != strategy.name(URN, b"two")
    assert not named({"pattern": pattern}).needs_the_old_one_gone(URN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "must be an object"),
        ('"verbatim"', "the setting of the stack must be an object"),
        ('{"modes": 1}', "unknown field 'modes' for the stack"),
        ('{"mode": "loud"}', "invalid naming mode: loud"),
        ('{"mode": "verbatim", "pattern": "x"}', "cannot specify both mode and pattern/enforce"),
        ('{"pattern": "${config.none}"}', "no value found for key 'none'"),
        ('{"providers": {"aws": {"resources": {"a:b:C": "x"}}}}', "of resource 'a:b:C' must be an object"),
    ],
)
def test_settings_that_are_none(text: str, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        autonamer_of({"pulumi:autonaming": text}, organization="o", project="p", stack="s")


def test_a_provider_is_told_of_names(raw: Raw) -> None:
    raw.stack.config = {"pulumi:autonaming": '{"pattern": "${stack}-${name}", "enforce": true}'}
    raw.does(abilities={"supports_autonaming_configuration": True})
    raw.stack.up(thing("a")).succeeds()
    assert raw.seen("Check")[0]["autonaming"] == {"proposed_name": "test-a", "mode": "ENFORCE"}
    raw.does(abilities={"supports_autonaming_configuration": True}, diff={"changes": "DIFF_SOME", "replaces": ["x"]})
    raw.forget()
    raw.stack.up(thing("a", x=2)).succeeds().expect(replace("a"))
    assert raw.order("Create", "Delete") == ["Delete", "Create"], "the name must be free"


def test_a_provider_that_cannot_heed_it(raw: Raw) -> None:
    raw.stack.config = {"pulumi:autonaming": '{"providers": {"raw": {"mode": "verbatim"}}}'}
    result = raw.stack.up(thing("a")).succeeds()
    result.warns("resource has a custom autonaming setting but the provider does not support autonaming")
    assert "autonaming" not in raw.seen("Check")[0]
    raw.stack.config = {"pulumi:autonaming": "{"}
    raw.stack.up(thing("a")).fails("failed to parse autonaming config")
