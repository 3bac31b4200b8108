"""What a webhook's fields may hold, and how they are written into the audit trail. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automation.errors import InputError
from automation.models_jobs import DeliveryStatus
from automation.webhooks.outbox import EVERY, SELECTABLE

LONGEST_DESCRIPTION = 500


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, valid. Raises InputError naming each field that is not, what was given, and what is valid."""
    checks = {"url": _url, "events": _events, "description": _description, "active": _active}
    problems = []
    for name, value in values.items():
        valid = checks[name](value) if name in checks else f"one of {', '.join(checks)}"
        if valid:
            problems.append((name, str(value)[:200], f"must be {valid}"))
    if problems:
        named = ", ".join(name for name, _, _ in problems)
        raise InputError(f"the webhook is not valid: {named}", hint="correct it and send it again", problems=problems)
    return dict(values) | ({"events": list(dict.fromkeys(values["events"]))} if "events" in values else {})


def delivery_status(value: str) -> str:
    """`value`, one of DeliveryStatus. Raises InputError."""
    if value not in set(DeliveryStatus):
        valid = f"must be one of {', '.join(DeliveryStatus)}"
        raise InputError(f"'{value}' is no status of a delivery", problems=[("status", value, valid)])
    return value


def for_audit(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`values` as the audit trail keeps them: of a URL only where it goes, since its path and query may be a secret."""
    if values is None or "url" not in values:
        return None if values is None else dict(values)
    head, _, rest = str(values["url"]).partition("://")
    host = rest.partition("/")[0].partition("?")[0]
    return {**values, "url": f"{head}://{host}" + ("" if rest in {host, f"{host}/"} else "/...")}


def _url(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "an https:// URL"


def _events(value: Any) -> str | None:
    words = {*SELECTABLE, EVERY}
    if isinstance(value, list) and value and len(value) <= 100 and all(isinstance(one, str) for one in value):
        return None if words.issuperset(value) else f"a list of words from {', '.join((*SELECTABLE, EVERY))}"
    return f"a list with at least one of {', '.join((*SELECTABLE, EVERY))}"


def _description(value: Any) -> str | None:
    plain = isinstance(value, str) and len(value) <= LONGEST_DESCRIPTION and value.isprintable()
    return None if plain else f"text of up to {LONGEST_DESCRIPTION} characters in one line"


def _active(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"
