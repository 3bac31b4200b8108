"""Property values in the stock engine's own wording, which its messages hold. Pure; a secret never shows."""

from __future__ import annotations

from engine.resource import UNKNOWN, Secret


def go_text(value: object) -> str:
    """A property value as Go's `%v` prints it; a secret never shows."""
    if value is UNKNOWN:
        return "output<string>{}"
    if isinstance(value, Secret):
        return "{&{[secret]}}"
    return "{" + _go_inner(value) + "}"


def _go_inner(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_text(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_text(v) for v in value) + "]"
    return str(value)
