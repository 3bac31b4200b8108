"""A stack's state in memory, its dependency order, and whether it is valid. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.errors import StateError
from engine.resource import State, all_dependencies, is_provider_type, provider_ref, split_provider_ref, urn_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOperation:
    """A step that had begun when the state was written. `type`: creating, updating, deleting, reading or importing."""

    type: str
    resource: State


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """All resources, each after everything it needs, and the operations that were under way.

    `secrets_provider` is the checkpoint's `{"type": ..., "state": {...}}`; `metadata` its own; neither is read here.
    """

    resources: list[State] = field(default_factory=list)
    pending: list[PendingOperation] = field(default_factory=list)
    secrets_provider: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def verify(snapshot: Snapshot) -> None:
    """Raises StateError at the first thing in a snapshot that no update may leave behind."""
    seen: set[str] = set()
    providers: set[str] = set()
    for state in snapshot.resources:
        _verify_provider(state, providers)
        for kind, urn in all_dependencies(state):
            if kind != "provider" and urn not in seen:
                raise StateError(_missing(state, kind, urn, snapshot.resources))
        if state.urn in seen and not state.delete and not _only_deleted(snapshot.resources, state):
            raise StateError(f"duplicate resource {state.urn} (not marked for deletion)")
        seen.add(state.urn)
        if is_provider_type(state.type):
            providers.add(provider_ref(state.urn, state.id))


def _verify_provider(state: State, providers: set[str]) -> None:
    if not state.provider:
        return
    split_provider_ref(state.provider)
    if state.provider not in providers:
        raise StateError(f"resource {state.urn} refers to unknown provider {state.provider}")


def _only_deleted(resources: Iterable[State], state: State) -> bool:
    return sum(1 for other in resources if other.urn == state.urn and not other.delete) <= 1


def _missing(state: State, kind: str, urn: str, resources: Iterable[State]) -> str:
    later = any(other.urn == urn for other in resources)
    what = "comes after it" if later else "refers to missing resource"
    if kind == "parent":
        return f"resource {state.urn}'s parent {urn} {what}" if later else f"resource {state.urn} refers to missing parent {urn}"
    if kind == "dependency":
        return f"resource {state.urn}'s dependency {urn} {what}"
    return f"resource {state.urn}'s {kind} {urn} {what}"


def outputs_of(snapshot: Snapshot) -> dict[str, Any] | None:
    """The stack's own outputs, None where no stack resource has been registered."""
    for state in snapshot.resources:
        if state.type == "pulumi:pulumi:Stack" and not state.delete:
            return state.outputs
    return None


def describe(state: State) -> str:
    return f"{state.type} '{urn_name(state.urn)}'"
