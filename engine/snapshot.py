"""A stack's state in memory, its dependency order, and whether it is valid. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    # One that was deleted to be replaced may have had its provider replaced before it.
    if state.provider not in providers and not state.pending_replacement:
        raise StateError(f"resource {state.urn} refers to unknown provider {state.provider}")


def _only_deleted(resources: Iterable[State], state: State) -> bool:
    return sum(1 for other in resources if other.urn == state.urn and not other.delete) <= 1


def _missing(state: State, kind: str, urn: str, resources: Iterable[State]) -> str:
    later = any(other.urn == urn for other in resources)
    what = "comes after it" if later else "refers to missing resource"
    if kind == "parent":
        return (
            f"resource {state.urn}'s parent {urn} {what}"
            if later
            else f"resource {state.urn} refers to missing parent {urn}"
        )
    if kind == "dependency":
        return f"resource {state.urn}'s dependency {urn} {what}"
    return f"resource {state.urn}'s {kind} {urn} {what}"


class DependencyGraph:
    """Who needs whom among the resources of a valid list, which is in dependency order."""

    def __init__(self, resources: Sequence[State]) -> None:
        self.resources = resources
        self._by_urn: dict[str, list[State]] = {}
        self._children: dict[str, list[State]] = {}
        for state in resources:
            self._by_urn.setdefault(state.urn, []).append(state)
            if state.parent:
                self._children.setdefault(state.parent, []).append(state)

    def rename(self, old: str, new: str) -> None:
        """References to `new` mean what is in the list as `old`: they are rewritten while the operation goes on."""
        self._by_urn.setdefault(new, []).extend(self._by_urn.get(old, ()))

    def dependencies_of(self, state: State) -> set[State]:
        """What a state needs directly: provider, parent, dependencies, deletedWith, and the children of components it
        depends on (depending on a component means depending on what is in it)."""
        found: set[State] = set()
        for kind, urn in all_dependencies(state):
            for needed in self._by_urn.get(urn, ()):
                found.add(needed)
                if kind in ("dependency", "property dependency") and not needed.custom:
                    self._add_children(needed, found)
        found.discard(state)
        return found

    def _add_children(self, component: State, found: set[State]) -> None:
        waiting = [component]
        while waiting:
            for child in self._children.get(waiting.pop().urn, ()):
                if child not in found:
                    found.add(child)
                    if not child.custom:
                        waiting.append(child)

    def depending_on(self, root: State, without: Callable[[State], bool] = lambda _: False) -> list[State]:
        """Everything that needs `root`, directly or not, in dependency order; nothing through those in `without`."""
        reached = {root}
        found: list[State] = []
        start = next((i for i, state in enumerate(self.resources) if state is root), len(self.resources))
        for state in self.resources[start + 1 :]:
            if not reached.isdisjoint(self.dependencies_of(state)) and not without(state):
                reached.add(state)
                found.append(state)
        return found

    def needed_by(self, states: Iterable[State]) -> set[State]:
        """Everything that the states need, directly or not."""
        found: set[State] = set()
        waiting = list(states)
        while waiting:
            new = self.dependencies_of(waiting.pop()) - found
            found |= new
            waiting.extend(new)
        return found


def protected_with_needs(resources: Sequence[State]) -> set[State]:
    """Everything that is protected, and all that it needs: what a destroy of the rest leaves."""
    graph = DependencyGraph(resources)
    spared: set[State] = set()
    for state in reversed(resources):
        if state.protect or state in spared:
            spared.add(state)
            spared |= graph.dependencies_of(state)
    return spared


def antichains(condemned: Sequence[State], graph: DependencyGraph) -> list[list[State]]:
    """The condemned in layers to delete one after another; members of a layer do not need each other."""
    depth: dict[State, int] = {}
    chosen = set(condemned)
    for state in graph.resources:
        if state in chosen:
            depth[state] = 1 + max((depth.get(d, -1) for d in graph.dependencies_of(state) if d in chosen), default=-1)
    layers: dict[int, list[State]] = {}
    for state in graph.resources:
        if state in chosen:
            layers.setdefault(depth[state], []).append(state)
    return [layers[level] for level in sorted(layers, reverse=True)]


def rename_references(state: State, renamed: Mapping[str, str]) -> None:
    """Follows renames in everything a state refers to, in place."""
    if state.provider:
        urn, id_ = split_provider_ref(state.provider)
        state.provider = provider_ref(renamed.get(urn, urn), id_)
    state.parent = renamed.get(state.parent, state.parent)
    state.deleted_with = renamed.get(state.deleted_with, state.deleted_with)
    state.dependencies = [renamed.get(urn, urn) for urn in state.dependencies]
    state.replace_with = [renamed.get(urn, urn) for urn in state.replace_with]
    state.property_dependencies = {
        key: [renamed.get(urn, urn) for urn in urns] for key, urns in state.property_dependencies.items()
    }


def outputs_of(snapshot: Snapshot) -> dict[str, Any] | None:
    """The stack's own outputs, None where no stack resource has been registered."""
    for state in snapshot.resources:
        if state.type == "pulumi:pulumi:Stack" and not state.delete:
            return state.outputs
    return None


def describe(state: State) -> str:
    return f"{state.type} '{urn_name(state.urn)}'"
