"""The passphrase secrets manager: Pulumi's format exactly, one derivation a process, and no secret in an error."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from engine import secrets
from engine.errors import SecretsError

PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "correct horse"}


def manager(salt: str, environment: dict[str, str] | None = None) -> secrets.PassphraseManager:
    return secrets.PassphraseManager(salt, PASSPHRASE if environment is None else environment, Path.cwd())


@pytest.fixture(scope="module")
def salt() -> str:
    return secrets.new_salt("correct horse")


def independent_key(salt_text: str, passphrase: str) -> bytes:
    salt = base64.b64decode(salt_text.split(":")[1])
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, 1_000_000, 32)


def test_salt_holds_the_word_pulumi(salt: str) -> None:
    version, encoded, inner, nonce, ciphertext = salt.split(":")
    assert (version, inner) == ("v1", "v1")
    assert len(base64.b64decode(encoded)) == 8
    assert len(base64.b64decode(nonce)) == 12
    key = independent_key(salt, "correct horse")
    assert AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None) == b"pulumi"


def test_reads_what_the_same_algorithm_wrote() -> None:
    salt, nonce = b"8 bytes!", b"twelve bytes"
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", salt, 1_000_000, 32)

    def text(plain: bytes) -> str:
        ciphertext = AESGCM(key).encrypt(nonce, plain, None)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(ciphertext).decode()}"

    found = manager(f"v1:{base64.b64encode(salt).decode()}:{text(b'pulumi')}")
    assert found.decrypt(text("grüße".encode())) == "grüße"


@given(st.text())
def test_round_trip(plain: str) -> None:
    key = bytes(range(32))
    first, second = secrets.encrypt(key, plain), secrets.encrypt(key, plain)
    assert first != second
    assert secrets.decrypt(key, first) == secrets.decrypt(key, second) == plain


@given(st.text())
def test_a_damaged_text_is_refused_without_its_content(text: str) -> None:
    with pytest.raises(SecretsError) as failure:
        secrets.decrypt(bytes(32), text)
    assert len(text) < 5 or text not in str(failure.value)


def test_wrong_passphrase_is_noticed(salt: str) -> None:
    wrong = manager(salt, {"PULUMI_CONFIG_PASSPHRASE": "battery staple"})
    with pytest.raises(SecretsError, match="incorrect passphrase") as failure:
        wrong.verify()
    assert "battery" not in str(failure.value)
    with pytest.raises(SecretsError, match="incorrect passphrase"):
        wrong.encrypt("x")


def test_missing_passphrase_says_what_to_set(salt: str) -> None:
    with pytest.raises(SecretsError, match="PULUMI_CONFIG_PASSPHRASE_FILE"):
        manager(salt, {}).verify()


def test_passphrase_from_a_file(salt: str, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("correct horse\n")
    environment = {"PULUMI_CONFIG_PASSPHRASE_FILE": "phrase"}
    found = secrets.PassphraseManager(salt, environment, tmp_path)
    assert found.decrypt(manager(salt).encrypt("hush")) == "hush"
    (tmp_path / "phrase").unlink()
    with pytest.raises(SecretsError, match="phrase"):
        found.verify()


def test_an_empty_passphrase_is_one() -> None:
    assert secrets.passphrase_from({"PULUMI_CONFIG_PASSPHRASE": ""}, Path.cwd()) == ""


def test_the_key_is_derived_once(salt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manager(salt).verify()
    monkeypatch.setattr(secrets, "derive_key", lambda *_: pytest.fail("derived again"))
    text = manager(salt).encrypt("hush")
    assert manager(salt).decrypt(text) == "hush"


def test_no_key_is_derived_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "derive_key", lambda *_: pytest.fail("derived"))
    text = f"v1:{base64.b64encode(os.urandom(8)).decode()}:v1:AAAA:AAAA"
    assert manager(text).provider() == {"type": "passphrase", "state": {"salt": text}}


@pytest.mark.parametrize("text", ["v2:AAAA:v1:x:y", "nonsense", "v1:AAAA:v1:x:y", "v1:!!!:v1:x:y"])
def test_a_damaged_salt_is_named(text: str) -> None:
    with pytest.raises(SecretsError, match=r"salt is damaged|not base64"):
        manager(text).verify()
