"""A webhook's secrets as they are kept: the one in use, and for a day after a rotation the one before it.

Decides for how long both sign. They are sealed with the webhook's id, so that no row opens with another's.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from automation.secretbox import SecretBox, SecretBoxError
from automation.webhooks.sign import new_secret

OVERLAP = timedelta(hours=24)
"""For how long a secret that was replaced still signs, so that a receiver can be changed without losing anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The secrets of one webhook. Not for printing."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def __repr__(self) -> str:
        return "Keys([secret])"

    @property
    def all(self) -> tuple[str, ...]:
        """Every one that somebody may still know."""
        return (self.current,) if self.previous is None else (self.current, self.previous)

    @classmethod
    def new(cls) -> Keys:
        """Fresh ones."""
        return cls(current=new_secret())

    def rotated(self, now: datetime) -> Keys:
        """A new secret beside the present one."""
        return Keys(current=new_secret(), previous=self.current, previous_until=now + OVERLAP)

    def signing(self, now: datetime) -> tuple[str, ...]:
        """Those that sign at `now`."""
        if self.previous is not None and self.previous_until is not None and now < self.previous_until:
            return (self.current, self.previous)
        return (self.current,)


def seal(box: SecretBox, webhook: uuid.UUID, keys: Keys) -> bytes:
    """The keys as the webhook's row holds them."""
    until = keys.previous_until.isoformat() if keys.previous_until else None
    text = json.dumps({"current": keys.current, "previous": keys.previous, "previous_until": until})
    return box.seal(text, bound_to=_row(webhook))


def unseal(box: SecretBox, webhook: uuid.UUID, sealed: bytes) -> Keys:
    """The keys of a webhook's row. Raises SecretBoxError when they cannot be decrypted."""
    document = json.loads(box.open(sealed, bound_to=_row(webhook)))
    if not isinstance(document, dict) or not isinstance(document.get("current"), str):
        raise SecretBoxError(f"the secret of {_row(webhook)} is not one of ours", hint="rotate its secret")
    until = document.get("previous_until")
    return Keys(
        current=document["current"],
        previous=document.get("previous"),
        previous_until=datetime.fromisoformat(until).astimezone(UTC) if until else None,
    )


def _row(webhook: uuid.UUID) -> str:
    return f"webhook {webhook}"
