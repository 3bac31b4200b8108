"""Values of a manifest by which a step is left out: put into one, and looked for in one. Pure.

Decides that a list of such a value is joined to the manifest's own: leaving out one step lets no other one in again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.merge import deep_merge


def with_skip(manifest: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with `values`, by which a step is left out."""
    return deep_merge(manifest, {key: _joined(manifest.get(key), value) for key, value in values.items()})


def skips(manifest: Any, values: Mapping[str, Any]) -> bool:
    """Whether a manifest leaves out the step that `values` leave out."""
    return isinstance(manifest, Mapping) and all(_holds(manifest.get(key), value) for key, value in values.items())


def _joined(own: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        known = own if isinstance(own, Mapping) else {}
        return {key: _joined(known.get(key), child) for key, child in value.items()}
    if isinstance(value, list) and isinstance(own, (list, tuple)):
        return [*own, *(one for one in value if one not in own)]
    return value


def _holds(own: Any, value: Any) -> bool:
    if isinstance(value, Mapping):
        return skips(own, value)
    if isinstance(value, list):
        return isinstance(own, (list, tuple)) and all(one in own for one in value)
    return bool(own == value)
