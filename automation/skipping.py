"""Skipping a step is a value in the manifest: which one, and whether a manifest skips a step. Pure.

Decides which steps can be skipped, as the line says. Whether the tenant has got too far for that is found out by the
run, in `checks`, where the stack is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automation.errors import InputError

if TYPE_CHECKING:
    from stacks.lines import Line


def skipped(line: Line, manifest: Mapping[str, Any], step: str) -> dict[str, Any]:
    """The manifest with `step` skipped. Raises InputError for a step that cannot be, naming those that can."""
    from stacks.skips import with_skip

    if step not in line.skips:
        can = ", ".join(sorted(line.skips)) or "none"
        raise InputError(
            f"step '{step}' of a {line.noun} cannot be skipped: the {line.noun} does not work without it",
            hint=f"steps that can be skipped: {can}",
            problems=[("step", step, f"one of {can}")],
        )
    return with_skip(manifest, line.skips[step])


def skipped_steps(line: Line, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps that a manifest leaves out."""
    from stacks.skips import skips

    return tuple(step for step, values in line.skips.items() if skips(manifest, values))
