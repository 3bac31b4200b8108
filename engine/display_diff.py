"""The difference of two property maps as lines. Pure; values are masked before they come here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.resource import SECRET_SIG, SIG_KEY, UNKNOWN_SENTINEL

_LONG: Final = 200
Line = tuple[str, str]


def diff_lines(
    old: Mapping[str, Any], new: Mapping[str, Any], *, sames: bool = False, full: bool = False
) -> Iterator[Line]:
    """(mark, text) by property: `+` added, `-` removed, `~` changed, a space where it stays (with `sames`).

    Long values are cut, unless `full`.
    """
    # Names with two underscores are the SDK's own bookkeeping, such as a serialised provider.
    keys = [k for k in sorted({*old, *new}) if not k.startswith("__")]
    if not sames:
        keys = [k for k in keys if k not in old or k not in new or old[k] != new[k]]
    width = max(map(len, keys), default=0)
    for key in keys:
        name = f"{key:<{width}}"
        if key not in old:
            yield "+", f"{name}: {short(new[key], full=full)}"
        elif key not in new:
            yield "-", f"{name}: {short(old[key], full=full)}"
        elif old[key] != new[key]:
            yield from _changed(name, old[key], new[key], full=full)
        else:
            yield " ", f"{name}: {short(new[key], full=full)}"


def _changed(name: str, old: Any, new: Any, *, full: bool) -> Iterator[Line]:
    if _is_map(old) and _is_map(new):
        yield "~", f"{name}: {{"
        for mark, text in diff_lines(old, new, full=full):
            yield mark, f"    {text}"
        yield " ", "}"
    elif isinstance(old, list) and isinstance(new, list):
        yield "~", f"{name}: ["
        before = {f"[{i}]": v for i, v in enumerate(old)}
        after = {f"[{i}]": v for i, v in enumerate(new)}
        for mark, text in diff_lines(before, after, full=full):
            yield mark, f"    {text}"
        yield " ", "]"
    else:
        yield "~", f"{name}: {short(old, full=full)} => {short(new, full=full)}"


def _is_map(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIG_KEY) != SECRET_SIG


def short(value: Any, *, full: bool = False) -> str:
    """A value on one line, cut where it is very long, unless `full`."""
    if value == UNKNOWN_SENTINEL:
        return "[unknown]"
    text = json.dumps(_readable(value), ensure_ascii=False).replace('"\\u0000[secret]"', "[secret]")
    return text if full or len(text) <= _LONG else f"{text[:_LONG]}... ({len(text)} characters)"


def _readable(value: Any) -> Any:
    """The value with envelopes of secrets as `[secret]`, marked so that a text of that name keeps its quotes."""
    if isinstance(value, dict):
        if value.get(SIG_KEY) == SECRET_SIG:
            return "\0[secret]"
        return {k: _readable(v) for k, v in value.items()}
    return [_readable(v) for v in value] if isinstance(value, list) else value
