"""Passwords as they are kept, and what one must be."""

import pytest

from service.auth.passwords import fits, hashed, wanting

GOOD = "Grüße aus Nairobi"


def test_a_password_fits_its_own_hash_only() -> None:
    kept = hashed(GOOD)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in kept
    assert fits(GOOD, kept)
    assert not fits(GOOD.lower(), kept)
    assert hashed(GOOD) != kept  # two people with one password cannot be told by it


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    assert fits("Gru\u0308ße aus Nairobi", hashed(GOOD))


def test_nobodys_password_fits_nothing() -> None:
    assert not fits(GOOD, None)


@pytest.mark.parametrize(
    ("password", "word"),
    [("", "10 to 128"), ("a" * 9, "10 to 128"), ("a" * 129, "10 to 128"), ("NJERI@shop.example", "something else")],
)
def test_what_a_password_must_be(password: str, word: str) -> None:
    assert word in (wanting(password, others=("njeri@shop.example",)) or "")


def test_a_long_one_will_do() -> None:
    assert wanting(GOOD, others=("njeri@shop.example",)) is None
