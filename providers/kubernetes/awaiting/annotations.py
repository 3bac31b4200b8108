"""The annotations of pulumi.com by which a program says how its object is waited for. Pure.

As the stock provider reads them: skipAwait comes before everything, waitFor before what is built in; customTimeouts
come before timeoutSeconds, and that before the default of the kind.
"""

import json
from collections.abc import Callable

from providers.kubernetes.awaiting.custom import Wish, parse_wish
from providers.kubernetes.awaiting.documents import annotations_of, title
from providers.kubernetes.awaiting.rules import deletion_seconds, rule_of
from providers.kubernetes.awaiting.verdict import DEFAULT_SECONDS
from providers.kubernetes.seam import Document
from providers.plugin.errors import RefusedError

SKIP = "pulumi.com/skipAwait"
SECONDS = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"


def skips_await(obj: Document) -> bool:
    return str(annotations_of(obj).get(SKIP, "")).lower() == "true"


def timeout_of(obj: Document, asked: float, *, deleting: bool = False) -> float:
    """Seconds. `asked` is what customTimeouts say; 0 where they say nothing. Raises RefusedError."""
    if asked > 0:
        return asked
    written = annotations_of(obj).get(SECONDS)
    if written is None:
        rule = rule_of(obj)
        if deleting:
            return deletion_seconds(obj)
        return rule.seconds if rule else DEFAULT_SECONDS
    try:
        seconds = float(str(written))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise RefusedError(
            f"{title(obj)}: annotation {SECONDS} is {str(written)!r}: give seconds, as a positive number"
        )
    return seconds


def wishes_of(obj: Document) -> tuple[Wish, ...]:
    """What the program waits for instead of what is built in. Raises RefusedError."""
    written = annotations_of(obj).get(WAIT_FOR)
    if written is None:
        return ()
    text = str(written).strip()
    try:
        asked = json.loads(text) if text.startswith("[") else [text]
        if not asked or not all(isinstance(each, str) for each in asked):
            raise ValueError("it is no list of expressions")
        return tuple(parse_wish(each) for each in asked)
    except ValueError as error:
        raise RefusedError(
            f"{title(obj)}: annotation {WAIT_FOR} is {text!r}: {error}. Give jsonpath={{.path}}, "
            "jsonpath={.path}=value, condition=Type or condition=Type=Status, or a JSON list of such"
        ) from None


def problems_of(obj: Document) -> list[str]:
    """What is wrong with these annotations, before anything is made."""
    checks: tuple[Callable[[], object], ...] = (lambda: timeout_of(obj, 0), lambda: wishes_of(obj))
    found = []
    for check in checks:
        try:
            check()
        except RefusedError as error:
            found.append(str(error))
    return found
