"""A stack's state in memory, its dependency order, and whether it is valid. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


class Journal:
    """The state as it is after each step: what steps have made, then what is left of the old resources.

    `save` is called before a step begins and after it has ended; a step that changes nothing is not saved at once.
    """

    def __init__(self, base: Snapshot, save: Callable[[Snapshot], None]) -> None:
        self._base = base
        self._save = save
        self._new: list[State] = []
        self._made: set[State] = set()
        self._done: set[State] = set()
        self._pending: dict[State, PendingOperation] = {}
        self._found_by: Mapping[str, str] = {}
        self._renamed: dict[str, str] = {}
        self._referrers: dict[str, list[State]] | None = None
        self._moved: dict[State, State] = {}
        self._lock = threading.Lock()
        self._unsaved = False
        self._closed = False

    def rebase(self, base: Snapshot) -> None:
        """Takes a refreshed state, which holds whatever steps have made so far, as the one to go on from."""
        with self._lock:
            self._base = base
            self._referrers = None
            self._new, self._done = [], set()
            self._write()

    def rename(self, found_by: Mapping[str, str]) -> None:
        """New URN -> old URN, for references from resources that no step has touched yet.

        A reference is rewritten when what it refers to has been made under its new name, and not before.
        """
        self._found_by = found_by

    def begin(self, kind: str, state: State) -> None:
        """Records that an operation on `state` is under way."""
        with self._lock:
            self._pending[state] = PendingOperation(type=kind, resource=state)
            self._write()

    def end(self, state: State, *, made: State | None = None, gone: Sequence[State] = ()) -> None:
        """The operation on `state` has ended; `made` is in the state now, and those in `gone` are not."""
        with self._lock:
            self._pending.pop(state, None)
            self._done.update(gone)
            if any(map(self._made.__contains__, gone)):
                # What this operation made goes again: an import that differs from the program is updated, and a destroy
                # that runs the program deletes what that registered.
                self._new = [state for state in self._new if state not in self._done]
            if made is not None:
                self._make(made)
                self._move_to_new_provider(made, gone)
            self._write()

    def same(self, old: State, new: State, *, changed: bool) -> None:
        """A step without an operation of its own; it is saved at once only where it changed something."""
        with self._lock:
            self._done.add(old)
            self._make(new)
            if changed:
                self._write()
            else:
                self._unsaved = True

    def _make(self, made: State) -> None:
        self._new.append(made)
        self._made.add(made)
        old = self._found_by.get(made.urn)
        if old is not None:
            self._renamed[old] = made.urn
            for state in self._referring(old):
                rename_references(state, {old: made.urn})

    def _move_to_new_provider(self, made: State, gone: Sequence[State]) -> None:
        """What was deleted together with its provider waits for its replacement at the provider's own."""
        if not is_provider_type(made.type):
            return
        new = provider_ref(made.urn, made.id)
        for old in gone:
            ref = provider_ref(old.urn, old.id)
            for state in self._referring(old.urn) if ref != new else ():
                if state.provider == ref:
                    state.provider = new

    def _referring(self, urn: str) -> Sequence[State]:
        if self._referrers is None:
            self._referrers = {}
            for state in self._base.resources:
                for needed in {needed for _, needed in all_dependencies(state)}:
                    self._referrers.setdefault(needed, []).append(state)
        return self._referrers.get(urn, ())

    def touched(self) -> None:
        """A state that is in the journal has other outputs now."""
        with self._lock:
            self._write()

    def finish(self) -> None:
        """Writes what has not been written yet."""
        with self._lock:
            if self._unsaved:
                self._write()

    def close(self) -> None:
        """Nothing is written from here on: the second signal, whose handler may not wait for a lock."""
        self._closed = True

    def _write(self) -> None:
        self._unsaved = False
        if not self._closed:
            self._save(self._snapshot())

    def left(self) -> list[State]:
        """Which of the old resources are still in the state."""
        with self._lock:
            return [state for state in self._base.resources if state not in self._done]

    def snapshot(self) -> Snapshot:
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        left = [state for state in self._base.resources if state not in self._done]
        if self._renamed:
            left = [self._as_renamed(state) for state in left]
        # Nobody but `refresh --clear-pending-creates` can know what became of a create that was interrupted earlier.
        earlier = [p for p in self._base.pending if p.type == "creating"]
        return Snapshot(
            resources=self._new + left,
            pending=[*self._pending.values(), *earlier],
            secrets_provider=self._base.secrets_provider,
            metadata=self._base.metadata,
        )

    def _as_renamed(self, state: State) -> State:
        """What was replaced under a new name waits for its deletion under that; its steps still tell the old one."""
        if not state.delete or state.urn not in self._renamed:
            return state
        return self._moved.setdefault(state, replace(state, urn=self._renamed[state.urn]))


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
