"""Whether a password is the one that a server keeps only as a verifier. Pure; nothing here is ever printed.

SCRAM-SHA-256 by RFC 5802 and 7677, as PostgreSQL stores it (SCRAM-SHA-256$rounds:salt$stored:server); md5 as before.
"""

import base64
import binascii
import hashlib
import hmac
import unicodedata

_SCRAM = "SCRAM-SHA-256$"


def is_verifier(password: str) -> bool:
    """Whether PostgreSQL would take it as a verifier made before, and keep it as it is."""
    return password.startswith(_SCRAM) or (password.startswith("md5") and len(password) == 35)


def matches(verifier: str, password: str, role: str) -> bool:
    """Whether the verifier was made from this password."""
    if is_verifier(password):
        return hmac.compare_digest(verifier, password)
    if verifier.startswith("md5"):
        digest = hashlib.md5(f"{password}{role}".encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(verifier, f"md5{digest}")
    try:
        rounds_and_salt, keys = verifier.removeprefix(_SCRAM).split("$")
        rounds, salt = rounds_and_salt.split(":")
        stored = keys.split(":")[0]
        salt_bytes, stored_key = (base64.b64decode(text, validate=True) for text in (salt, stored))
        # SASLprep is NFKC for what it allows; what it forbids (emoji, for one) PostgreSQL takes as it is.
        return any(
            hmac.compare_digest(_stored_key(prepared.encode(), salt_bytes, int(rounds)), stored_key)
            for prepared in {unicodedata.normalize("NFKC", password), password}
        )
    except (ValueError, binascii.Error):
        return False


def _stored_key(password: bytes, salt: bytes, rounds: int) -> bytes:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
    return hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
