"""A stack's name: what is one, and what it says. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.errors import UsageError

ORGANIZATION: Final = "organization"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRef:
    """A stack by name. This backend has one organization."""

    project: str
    name: str

    def __str__(self) -> str:
        return f"{ORGANIZATION}/{self.project}/{self.name}"


def parse_stack_ref(text: str, project: str) -> StackRef:
    """`STACK`, `ORG/STACK` or `ORG/PROJECT/STACK`. Raises UsageError for anything else."""
    parts = text.split("/")
    if len(parts) > 1 and parts[0] != ORGANIZATION:
        raise UsageError(f"stack '{text}': the organization of a file backend is '{ORGANIZATION}', not '{parts[0]}'")
    if len(parts) == 2:
        parts = [parts[0], project, parts[1]]
    if len(parts) == 3:
        project = parts[1]
    elif len(parts) > 3:
        raise UsageError(f"stack '{text}': a stack is named STACK or {ORGANIZATION}/PROJECT/STACK")
    if not project:
        raise UsageError(f"stack '{text}' has no project: run this in the folder of a Pulumi.yaml")
    if not all(map(_NAME.match, project)) or not project.strip("."):
        raise UsageError(f"stack '{text}': '{project}' is not the name of a project")
    check_stack_name(parts[-1])
    return StackRef(project=project, name=parts[-1])


def check_stack_name(name: str) -> None:
    """Raises UsageError for a name that would not be a good file name."""
    if not name:
        raise UsageError("a stack name may not be empty")
    if len(name) > 100:
        raise UsageError("a stack name cannot exceed 100 characters")
    for position, character in enumerate(name):
        if not _NAME.match(character):
            raise UsageError(
                "a stack name may only contain alphanumeric, hyphens, underscores, or periods: "
                f"invalid character {character!r} at position {position}"
            )
    if name.strip(".") == "":
        raise UsageError(f"a stack cannot be named '{name}'")
