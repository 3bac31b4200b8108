"""The ways in which a secret stands in a text. Pure: decides what has to be masked, never where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

MASK = "[secret]"
SECRET_NAME = re.compile(
    r"(secret|password|passphrase|(^|_)pass|token|credentials?|dsn|(api|private|secret|access|_)_?key)$", re.IGNORECASE
)
"""What secrets are called: variables of an environment, and keys of a manifest."""
SECRET_PREFIX = "TENANTRY_BACKEND_"  # noqa: S105 - how variables are called
"""How the variables of a region's secrets begin (`providers.backends`), whatever follows."""
# Whoever put it there.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]+:)[^\s@/]+(?=@)", re.IGNORECASE)


def without_url_passwords(text: str) -> str:
    """`text` with the passwords of the URLs in it masked."""
    return _URL_PASSWORD.sub(rf"\g<head>{MASK}", text)


def shown_forms(secrets: Iterable[str]) -> list[str]:
    """Each secret as it is, without the blanks around it, and escaped as JSON and Python show it; longest first."""
    plain = {form for value in secrets for form in (value, value.strip())}
    escaped = {form[1:-1] for value in plain for form in (json.dumps(value), repr(value))}
    return sorted(filter(None, plain | escaped), key=len, reverse=True)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`."""
    for form in shown_forms(secrets):
        text = text.replace(form, MASK)
    return text
