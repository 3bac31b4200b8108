"""Secret configuration in what users read: every message of program, plugins and engine is shown without it. Pure.

As in the stock engine, values of the configuration are known to be secret, and nothing else is: what a program computes
and prints itself is its own affair.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_SHORTEST: Final = 3
"""Characters: what is shorter occurs by chance."""
_MASK: Final = "[secret]"


class Mask:
    """Hides the secret values of a configuration, given in plain text: JSON where a value has a structure."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for text in _texts(secret) for form in _forms(text)}
        self._forms = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without them."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """An engine event whose message, if it has one, is without them."""
        if not self._forms:
            return dict(event)
        return {
            kind: {**body, "message": self.text(body["message"])}
            if isinstance(body, Mapping) and isinstance(body.get("message"), str)
            else body
            for kind, body in event.items()
        }


def _texts(secret: str) -> Iterator[str]:
    yield secret
    if secret[:1] in {"{", "["}:
        try:
            yield from _leaves(json.loads(secret))
        except ValueError:
            return


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value


def _forms(text: str) -> set[str]:
    """As it is, and as it stands within quotes."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
