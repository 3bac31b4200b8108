"""Deep merge of overrides over a base. Pure: returns a new tree, changes and shares none of its arguments.

Decides only this: two mappings merge key by key; anything else (a list, a number, null) replaces what it stands over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def deep_merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`override` over `base`. Keys keep the order of `base`; new ones come after."""
    merged = {key: _copied(value) for key, value in base.items()}
    for key, value in override.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = deep_merge(below, value)
        else:
            merged[key] = _copied(value)
    return merged


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(child) for child in value]
    return value
