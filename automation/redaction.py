"""Takes secrets out of text before it is stored or shown. Knows values, not places; never decides what is logged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from providers.masking import MASK, SECRET_NAME, SECRET_PREFIX, shown_forms, without_url_passwords

# A DSN's password, whoever put it there.
_DSN_PASSWORD = re.compile(r"\b(?P<head>password\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;]+)", re.IGNORECASE)
# A JWT, whoever signed it: both of its first parts are JSON objects.
_JWT = re.compile(r"\beyJ[\w-]{6,}\.eyJ[\w-]{2,}\.[\w-]*")
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""How Pulumi marks a secret in states and events."""
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_SHORTEST = 4
"""A shorter secret is a word that occurs anywhere: masking it would only make messages unreadable."""


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of `secrets` in any form, passwords in URLs and DSNs, and JWTs, by `[secret]`."""
    known = [form for form in shown_forms(secrets) if len(form) >= _SHORTEST]

    def redact(text: str) -> str:
        for value in known:
            text = text.replace(value, MASK)
        text = without_url_passwords(text)
        return _JWT.sub(MASK, _DSN_PASSWORD.sub(rf"\g<head>{MASK}", text))

    return redact


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names say that they are secret: `..._PASSWORD`, `..._SECRET`, `..._TOKEN` ...

    And of those that a file of backends may name (`providers.backends`).
    """
    return tuple(
        value
        for name, value in environ.items()
        if value and (SECRET_NAME.search(name) or name.startswith(SECRET_PREFIX))
    )


def plain(text: str) -> str:
    """`text` without Pulumi's colour marks and terminal sequences."""
    return _COLOUR.sub("", text)
