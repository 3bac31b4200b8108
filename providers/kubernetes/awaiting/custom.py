"""What a program waits for by its own words: a condition, or a place in the object. Pure.

The words are those of `kubectl wait --for`: `condition=Ready`, `condition=Ready=False`, `jsonpath={.status.phase}`,
`jsonpath={.status.phase}=Running`.
"""

import re
from dataclasses import dataclass
from typing import Any

from providers.kubernetes.awaiting.documents import condition, missing, number, part, text
from providers.kubernetes.awaiting.jsonpath import Path, parse
from providers.kubernetes.awaiting.verdict import Ready, Related, Verdict, Waiting
from providers.kubernetes.seam import Document

_SHOWN = 80
_PATH = re.compile(r"['\"]?\{(.*?)\}['\"]?(?:=(.*))?")
"""Up to the first brace after which the path can be over: a filter may have one in it, and so may the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionWish:
    kind: str
    status: str = "True"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathWish:
    """Without a `value` it is enough that the place is there."""

    written: str
    path: Path
    value: str | None = None


Wish = ConditionWish | PathWish


def parse_wish(written: str) -> Wish:
    """Raises ValueError, which says what is wrong with it."""
    kind, _, rest = written.strip().partition("=")
    if kind == "condition":
        name, equals, status = rest.partition("=")
        if not name or (equals and not status):
            raise ValueError("a condition's type, or its status, is missing")
        return ConditionWish(kind=name, status=status or "True")
    if kind == "jsonpath":
        return _path_wish(rest.strip())
    raise ValueError(f"it begins with {kind!r}")


def _path_wish(rest: str) -> PathWish:
    found = _PATH.fullmatch(rest)
    if found is None:
        raise ValueError("the path is not in braces, or something other than =value follows it")
    inner, value = found[1], found[2]
    if value == "":
        raise ValueError("there is no value after the equals sign")
    return PathWish(written=f"{{{inner}}}", path=parse(inner), value=value)


def judge_wishes(wishes: tuple[Wish, ...], obj: Document) -> Verdict:
    missing_now = [reason for wish in wishes if (reason := _unmet(wish, obj))]
    if not missing_now:
        return Ready()
    met = len(wishes) - len(missing_now)
    step = (met + 1, len(wishes)) if len(wishes) > 1 else None
    return Waiting(reason=f"Waiting for {'; and '.join(missing_now)}", step=step)


def judge_with(wishes: tuple[Wish, ...]) -> Any:
    """As a rule takes it."""

    def judge(obj: Document, _related: Related, _first: Document) -> Verdict:
        return judge_wishes(wishes, obj)

    return judge


def _unmet(wish: Wish, obj: Document) -> str:
    if isinstance(wish, ConditionWish):
        return _unmet_condition(wish, obj)
    found = wish.path.find(obj)
    if not found:
        return f"{wish.written}: it is not there yet"
    if wish.value is None or all(_shown(each) == wish.value for each in found):
        return ""
    seen = ", ".join(_shown(each) for each in found)
    return f"{wish.written} to be {wish.value!r}: it is {seen[:_SHOWN]!r}"


def _unmet_condition(wish: ConditionWish, obj: Document) -> str:
    found = condition(obj, wish.kind)
    status = text(found, "status")
    # Both are optional; a status of an older generation says nothing of this one.
    observed = part(found, "observedGeneration") or part(obj, "status", "observedGeneration")
    if observed is not None and number({"seen": observed}, "seen") < number(obj, "metadata", "generation"):
        return f"condition {wish.kind}: the controller has not seen the change yet"
    if status.casefold() == wish.status.casefold():
        return ""
    wanted = "" if wish.status == "True" else f", not {wish.status}"
    return f"{missing(obj, wish.kind)}{wanted}"


def _shown(value: Any) -> str:
    """As kubectl compares it: a truth is `true`, a number has no needless fraction."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
