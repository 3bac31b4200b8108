"""Signatures of deliveries: HMAC-SHA256 over `<timestamp>.<body>`, as `Tenantry-Signature: t=<unix time>,v1=<hex>`.

Pure. `verify` is what a receiver does, and may be copied. While a secret is being rotated there is one `v1` for the new
secret and one for the old.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

HEADER = "Tenantry-Signature"
PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
"""How old a signature may be: an attacker cannot send a recorded delivery again later."""


class SignatureError(ValueError):
    """A delivery that is not to be trusted; the message says why."""


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def signature(keys: Sequence[str], body: bytes, *, at: int) -> str:
    """The header's value for `body`, sent at the unix time `at`, for each of `keys`."""
    return ",".join([f"t={at}", *(f"v1={_digest(key, at, body)}" for key in keys)])


def verify(key: str, header: str, body: bytes, *, now: float, tolerance: float = TOLERANCE_SECONDS) -> None:
    """Raises SignatureError unless the header fits the body, was made with `key`, and is not too old."""
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    stamps = [value for name, value in parts if name == "t"]
    given = [value for name, value in parts if name == "v1"]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12 or not given:
        raise SignatureError(f"the {HEADER} header is not t=<unix time>,v1=<signature>")
    at = int(stamps[0])
    expected = _digest(key, at, body)
    # Compared as bytes: text that is not ASCII is refused by compare_digest with a TypeError.
    if not any(hmac.compare_digest(expected.encode(), value.encode()) for value in given):
        raise SignatureError("the signature is not one of this secret and this body")
    if abs(now - at) > tolerance:
        raise SignatureError(f"the signature is of {abs(now - at):.0f} s ago or ahead; {tolerance:.0f} s are allowed")


def _digest(key: str, at: int, body: bytes) -> str:
    return hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
