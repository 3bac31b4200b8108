"""Pulumi's passphrase secrets manager: PBKDF2-SHA256 (1,000,000 rounds, 32 bytes), AES-256-GCM, `v1:nonce:cipher`.

The state of a manager is its salt text, `v1:<salt>:<the word "pulumi", encrypted>`, by which a wrong passphrase is
noticed. The key is derived once per process for a salt and a passphrase, and only when something needs it. Nothing here
reads files of the project or shows what it decrypts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.errors import SecretsError

ROUNDS: Final = 1_000_000
KEY_BYTES: Final = 32
SALT_BYTES: Final = 8
NONCE_BYTES: Final = 12
CANARY: Final = "pulumi"

MISSING: Final = (
    "unable to find either `PULUMI_CONFIG_PASSPHRASE` nor `PULUMI_CONFIG_PASSPHRASE_FILE` when trying to access the "
    "Passphrase Secrets Provider; please ensure one of these environment variables is set to allow the operation to "
    "continue"
)
WRONG: Final = (
    "incorrect passphrase, please set PULUMI_CONFIG_PASSPHRASE to the correct passphrase or set "
    "PULUMI_CONFIG_PASSPHRASE_FILE to a file containing the passphrase"
)


def passphrase_from(environment: Mapping[str, str], cwd: Path) -> str:
    """The passphrase; an empty PULUMI_CONFIG_PASSPHRASE is one. Raises SecretsError where there is none."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return environment["PULUMI_CONFIG_PASSPHRASE"]
    name = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not name:
        raise SecretsError(MISSING)
    try:
        return (cwd / Path(name).expanduser()).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsError(f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE {name}: {error}") from error


# ------------------------------------------------------------------ the cipher


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretsError("an encrypted value is damaged: it is not base64") from error


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """The key of a passphrase; takes some tenths of a second, without holding the interpreter."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    # Twice as fast as hashlib's.
    return PBKDF2HMAC(SHA256(), KEY_BYTES, salt, ROUNDS).derive(passphrase.encode("utf-8"))


def encrypt(key: bytes, plaintext: str) -> str:
    """`v1:<base64 nonce>:<base64 ciphertext>`; never twice the same."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return f"v1:{_b64(nonce)}:{_b64(AESGCM(key).encrypt(nonce, plaintext.encode('utf-8'), None))}"


def decrypt(key: bytes, text: str) -> str:
    """The plain text. Raises SecretsError for another key, and for a text that is not of this form."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    parts = text.split(":")
    if len(parts) != 3 or parts[0] != "v1":
        raise SecretsError("an encrypted value is damaged: it should read v1:<nonce>:<ciphertext>")
    nonce, ciphertext = _unb64(parts[1]), _unb64(parts[2])
    if len(nonce) != NONCE_BYTES:
        raise SecretsError(f"an encrypted value is damaged: its nonce has {len(nonce)} bytes, not {NONCE_BYTES}")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, None).decode("utf-8")
    except (InvalidTag, UnicodeDecodeError) as error:
        raise SecretsError(WRONG) from error


# ------------------------------------------------------------------ the keys of this process


@dataclass(slots=True, eq=False)
class _Key:
    """One derivation, shared by all that need it. `failure` is kept, so that everybody hears of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    key: bytes | None = None
    failure: str = ""


_keys: dict[tuple[str, bytes], _Key] = {}
_keys_lock: Final = threading.Lock()


def _key_for(salt_text: str, passphrase: str) -> bytes:
    """The verified key for a salt text and a passphrase. The passphrase itself is not kept, only its digest."""
    digest = hashlib.sha256(salt_text.encode() + b"\0" + passphrase.encode()).digest()
    with _keys_lock:
        entry = _keys.setdefault((salt_text, digest), _Key())
    with entry.lock:
        if entry.key is None and not entry.failure:
            salt, canary = _split_salt(salt_text)
            key = derive_key(passphrase, salt)
            try:
                if decrypt(key, canary) != CANARY:
                    raise SecretsError(WRONG)
                entry.key = key
            except SecretsError as error:
                entry.failure = str(error)
        if entry.key is None:
            raise SecretsError(entry.failure)
        return entry.key


def _split_salt(text: str) -> tuple[bytes, str]:
    parts = text.split(":", 2)
    if len(parts) != 3 or parts[0] != "v1":
        raise SecretsError("the encryption salt is damaged: it should read v1:<salt>:v1:<nonce>:<ciphertext>")
    salt = _unb64(parts[1])
    if len(salt) != SALT_BYTES:
        raise SecretsError(f"the encryption salt is damaged: it has {len(salt)} bytes, not {SALT_BYTES}")
    return salt, parts[2]


def new_salt(passphrase: str) -> str:
    """A salt text for a new stack."""
    salt = os.urandom(SALT_BYTES)
    key = derive_key(passphrase, salt)
    text = f"v1:{_b64(salt)}:{encrypt(key, CANARY)}"
    digest = hashlib.sha256(text.encode() + b"\0" + passphrase.encode()).digest()
    with _keys_lock:
        _keys[text, digest] = _Key(key=key)
    return text


class PassphraseManager:
    """Encrypts and decrypts for one stack; the key is derived at the first use, or in the background by `warm`.

    Where `salt` is empty, the first use makes one. `environment` and `cwd` say where the passphrase is.
    """

    def __init__(self, salt: str, environment: Mapping[str, str], cwd: Path) -> None:
        self._salt = salt
        self._environment = environment
        self._cwd = cwd
        self._lock = threading.Lock()

    @property
    def salt(self) -> str:
        """The salt text; made now where there was none."""
        with self._lock:
            if not self._salt:
                self._salt = new_salt(passphrase_from(self._environment, self._cwd))
            return self._salt

    @property
    def has_salt(self) -> bool:
        """Whether there is a salt already."""
        return bool(self._salt)

    def provider(self) -> dict[str, object]:
        """The checkpoint's `secrets_providers`."""
        return {"type": "passphrase", "state": {"salt": self.salt}}

    def verify(self) -> None:
        """Raises SecretsError unless the passphrase is there and is the right one."""
        _key_for(self.salt, passphrase_from(self._environment, self._cwd))

    def warm(self) -> None:
        """Begins to derive the key in the background. What goes wrong is told at the first use."""
        threading.Thread(target=self._quietly_verify, name="derive-key", daemon=True).start()

    def encrypt(self, plaintext: str) -> str:
        return encrypt(_key_for(self.salt, passphrase_from(self._environment, self._cwd)), plaintext)

    def decrypt(self, text: str) -> str:
        return decrypt(_key_for(self.salt, passphrase_from(self._environment, self._cwd)), text)

    def _quietly_verify(self) -> None:
        try:
            self.verify()
        except SecretsError:
            # Kept with the key: whoever needs the key gets this error, and a stack without secrets needs none.
            return
