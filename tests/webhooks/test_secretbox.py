"""Secrets of our own tables: who can open them, and what is said when nobody can."""

from pathlib import Path

import pytest

from automation.errors import EngineError, InputError
from automation.secretbox import SecretBoxError, secret_box

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def test_what_is_sealed_is_opened_by_another_process_with_the_same_key() -> None:
    sealed = secret_box({"TENANTRY_SECRET_KEY": KEY}).seal("whsec_x", bound_to="webhook 1")
    assert b"whsec_x" not in sealed
    assert secret_box({"TENANTRY_SECRET_KEY": KEY}).open(sealed, bound_to="webhook 1") == "whsec_x"


def test_two_seals_of_one_text_differ() -> None:
    box = secret_box({"TENANTRY_SECRET_KEY": KEY})
    assert box.seal("x", bound_to="a") != box.seal("x", bound_to="a")


@pytest.mark.parametrize(
    ("position", "row"), [(None, "webhook 2"), (0, "webhook 1"), (5, "webhook 1"), (20, "webhook 1"), (-1, "webhook 1")]
)
def test_a_value_of_another_row_or_with_a_changed_byte_does_not_open(position: int | None, row: str) -> None:
    box = secret_box({"TENANTRY_SECRET_KEY": KEY})
    sealed = bytearray(box.seal("whsec_x", bound_to="webhook 1"))
    if position is not None:
        sealed[position] ^= 1
    with pytest.raises(SecretBoxError, match=row) as caught:
        box.open(bytes(sealed), bound_to=row)
    assert "TENANTRY_SECRET_KEY" in caught.value.hint


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"x" * 28, b"plain text that nobody encrypted at all"])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SecretBoxError):
        secret_box({"TENANTRY_SECRET_KEY": KEY}).open(sealed, bound_to="webhook 1")


def test_keys_rotate_without_losing_anything(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("a passphrase\n")
    pulumi = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    by_passphrase = secret_box(pulumi).seal("one", bound_to="w")
    by_key = secret_box(pulumi | {"TENANTRY_SECRET_KEY": KEY}).seal("two", bound_to="w")
    rotated = secret_box({"PULUMI_CONFIG_PASSPHRASE": "a passphrase", "TENANTRY_SECRET_KEY": f"{OTHER} {KEY}"})
    assert (rotated.open(by_passphrase, bound_to="w"), rotated.open(by_key, bound_to="w")) == ("one", "two")
    by_new = rotated.seal("three", bound_to="w")
    with pytest.raises(SecretBoxError):
        secret_box({"TENANTRY_SECRET_KEY": KEY}).open(by_new, bound_to="w")


def test_no_key_and_short_keys_are_refused_by_name_and_never_shown() -> None:
    with pytest.raises(EngineError, match="no passphrase"):
        secret_box({})
    with pytest.raises(InputError, match="key 2 has 5 characters") as caught:
        secret_box({"TENANTRY_SECRET_KEY": f"{KEY} short"})
    assert "short" not in caught.value.message.split(":")[1]
    assert KEY not in repr(secret_box({"TENANTRY_SECRET_KEY": KEY}))
