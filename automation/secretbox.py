"""Keeps secrets of our own tables encrypted: AES-256-GCM under a key that only the environment knows.

Decides which keys there are: those in TENANTRY_SECRET_KEY (several, with spaces between: the first encrypts, all
decrypt), and after them the passphrase of Pulumi's state, so that setting a key later loses nothing. It never shows
what it opens.

A sealed value is `version (1 byte) + salt (16) + nonce (12) + ciphertext and tag`. The salt is made once per process:
deriving a key takes some 60 ms on purpose, so each process derives one key per process that wrote, not one per value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from automation.errors import InputError, TenantryError
from automation.settings import passphrase_environment

VARIABLE = "TENANTRY_SECRET_KEY"
SHORTEST_KEY = 32
"""Characters that a key must have: 32 of `openssl rand -hex 32` are 128 bits."""

_VERSION = b"\x01"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_HEAD = len(_VERSION) + _SALT_BYTES + _NONCE_BYTES


class SecretBoxError(TenantryError):
    """A sealed value cannot be opened with the keys that there are."""

    exit_code = 8
    kind = "secret_key"


class SecretBox:
    """Seals and opens text. `bound_to` names the row it belongs to: a value copied to another row does not open."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise InputError("there is no key to encrypt secrets with", hint=f"set {VARIABLE}")
        self._keys = tuple(keys)
        self._salt = os.urandom(_SALT_BYTES)

    def __repr__(self) -> str:
        return f"SecretBox(<{len(self._keys)} keys>)"

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """`text`, encrypted with the first key."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(_derived(self._keys[0], self._salt))
        return _VERSION + self._salt + nonce + cipher.encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> str:
        """What was sealed. Raises SecretBoxError when no key fits, or the value was tampered with."""
        if len(sealed) > _HEAD and sealed.startswith(_VERSION):
            salt, nonce = sealed[1 : 1 + _SALT_BYTES], sealed[1 + _SALT_BYTES : _HEAD]
            for key in self._keys:
                try:
                    return AESGCM(_derived(key, salt)).decrypt(nonce, sealed[_HEAD:], bound_to.encode()).decode()
                except InvalidTag:
                    continue
        raise SecretBoxError(
            f"the secret of {bound_to} cannot be decrypted with any key that this process has",
            hint=f"add the key that it was encrypted with to {VARIABLE} (spaces between keys), or make a new secret",
        )


def secret_box(environment: Mapping[str, str] | None = None) -> SecretBox:
    """The box of this process. Raises InputError for a key that is too short, EngineError where there is no key."""
    environment = os.environ if environment is None else environment
    keys = environment.get(VARIABLE, "").split()
    for position, key in enumerate(keys, 1):
        if len(key) < SHORTEST_KEY:
            raise InputError(
                f"{VARIABLE}: key {position} has {len(key)} characters; it must have {SHORTEST_KEY} or more",
                hint="make one with `openssl rand -hex 32`",
            )
    if not keys or environment.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
        keys.append(_passphrase(environment))
    return SecretBox(keys)


def _passphrase(environment: Mapping[str, str]) -> str:
    found = passphrase_environment(environment)
    if "PULUMI_CONFIG_PASSPHRASE" in found:
        return found["PULUMI_CONFIG_PASSPHRASE"]
    path = Path(found["PULUMI_CONFIG_PASSPHRASE_FILE"])
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the passphrase file {path} cannot be read: {error}", hint=f"correct its rights, or set {VARIABLE}"
        ) from None


@lru_cache(maxsize=512)
def _derived(key: str, salt: bytes) -> bytes:
    # A passphrase may be a short one: scrypt with 16 MB makes guessing it from a stolen table slow.
    return Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(key.encode())
