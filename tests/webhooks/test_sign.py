"""Signatures: what a receiver accepts, and what it must not."""

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from automation.webhooks.sign import SignatureError, new_secret, signature, verify
from tests.automation.helpers import ROOT

BODY = b'{"id":"1"}'


def test_a_receiver_that_follows_the_description_comes_to_the_same() -> None:
    expected = hmac.new(b"whsec_a", b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert signature(["whsec_a"], BODY, at=1_700_000_000) == f"t=1700000000,v1={expected}"


def test_either_secret_fits_while_one_is_rotated() -> None:
    header = signature(["new", "old"], BODY, at=1000)
    for key in ("new", "old"):
        verify(key, header, BODY, now=1000)
    with pytest.raises(SignatureError, match="not one of this secret"):
        verify("older", header, BODY, now=1000)


@pytest.mark.parametrize("now", [1000 - 300, 1000, 1000 + 300])
def test_within_five_minutes(now: int) -> None:
    verify("a", signature(["a"], BODY, at=1000), BODY, now=now)


@pytest.mark.parametrize("now", [1000 - 301, 1000 + 301])
def test_recorded_deliveries_cannot_be_sent_again(now: int) -> None:
    with pytest.raises(SignatureError, match="301 s ago or ahead"):
        verify("a", signature(["a"], BODY, at=1000), BODY, now=now)


def test_another_body_or_another_time_does_not_fit() -> None:
    header = signature(["a"], BODY, at=1000)
    with pytest.raises(SignatureError):
        verify("a", header, BODY + b" ", now=1000)
    with pytest.raises(SignatureError):
        verify("a", header.replace("t=1000", "t=1001"), BODY, now=1000)


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=1000", "v1=abc", "t=x,v1=a", "t=1000,t=1001,v1=a", "nonsense", "t=,v1=", "t=-5,v1=a", "t=²,v1=a"),
        f"t={'9' * 5000},v1=a",
    ],
)
def test_headers_that_are_none(header: str) -> None:
    with pytest.raises(SignatureError, match="t=<unix time>,v1="):
        verify("a", header, BODY, now=1000)


def test_a_signature_that_is_not_ascii_is_refused_and_does_not_break_the_receiver() -> None:
    with pytest.raises(SignatureError):
        verify("a", "t=1000,v1=é", BODY, now=1000)


def test_secrets_are_long_and_never_the_same() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert all(len(new_secret()) >= 49 and new_secret().startswith("whsec_") for _ in range(3))


@pytest.fixture(scope="module")
def sample() -> Callable[[str, str, bytes], bool]:
    """The receiver's check as docs/service.md gives it."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "service.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/service.md", "exec"), names)  # noqa: S102 - our own documentation
    found: Callable[[str, str, bytes], bool] = names["is_from_tenantry"]
    return found


def test_the_documented_sample_accepts_what_we_send(sample: Callable[[str, str, bytes], bool]) -> None:
    now = int(time.time())
    assert sample("new", signature(["new"], BODY, at=now), BODY)
    assert sample("old", signature(["new", "old"], BODY, at=now), BODY)


@pytest.mark.parametrize("header", ["", "t=1,v1=a", "nonsense", "t=,v1=", "t=²,v1=é", f"t={'9' * 5000},v1=a"])
def test_the_documented_sample_refuses_the_rest(sample: Callable[[str, str, bytes], bool], header: str) -> None:
    now = int(time.time())
    good = signature(["a"], BODY, at=now)
    assert not sample("a", header, BODY)
    assert not sample("b", good, BODY)
    assert not sample("a", good, BODY + b" ")
    assert not sample("a", signature(["a"], BODY, at=now - 400), BODY)
    assert not sample("a", good.replace(f"t={now}", f"t={now + 1}"), BODY)
