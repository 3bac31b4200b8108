"""Passwords as they are kept: hashed with Argon2id (RFC 9106), by the `cryptography` package. Never in clear text.

Decides the parameters and what a password must be. Whose a hash is, is `accounts`'s. A hash says its own parameters, so
that those of tomorrow change nothing about the accounts of today.
"""

from __future__ import annotations

import functools
import hashlib
import os
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SHORTEST, LONGEST = 10, 128
_SALT_BYTES, _HASH_BYTES = 16, 32
# OWASP's cheat sheet on password storage: 19 MiB, two passes, one lane.
_KIB, _PASSES, _LANES = 19_456, 2, 1


def hashed(password: str) -> str:
    """The hash of a password, in the PHC string format. Takes tens of milliseconds, on purpose."""
    kdf = Argon2id(salt=os.urandom(_SALT_BYTES), length=_HASH_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_KIB)
    return kdf.derive_phc_encoded(_bytes(password))


def fits(password: str, known: str | None) -> bool:
    """Whether the password is that of the hash. Without one it takes as long, and is not."""
    try:
        Argon2id.verify_phc_encoded(_bytes(password), known or _nobodys())
    except InvalidKey:
        return False
    return known is not None


def wanting(password: str, *, others: tuple[str, ...] = ()) -> str | None:
    """What a password must be and this one is not, None where it will do. `others` are what it must not be."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"{SHORTEST} to {LONGEST} characters"
    if password.casefold() in {one.casefold() for one in others}:
        return "something else than the name or the e-mail address"
    return None


def mark(known: str) -> str:
    """What a session has of the password that it began with: of another one it is another, and it tells neither."""
    # The hash has a salt of its own each time: the same password set anew is another one here, and ends sessions too.
    return hashlib.sha256(b"tenantry session 1 " + known.encode()).hexdigest()[:32]


@functools.cache
def _nobodys() -> str:
    return hashed(os.urandom(_SALT_BYTES).hex())


def _bytes(password: str) -> bytes:
    # The same letters from another keyboard are the same password (RFC 8265).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
