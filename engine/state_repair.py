"""Mending a state that is not valid: order, and references to what is not there. Pure, and as `state repair` of the
stock Pulumi does it. What cannot be mended so (a circle, a missing provider, two of one name) stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.errors import EngineError, StateError
from engine.resource import State, all_dependencies, make_urn, provider_ref, split_provider_ref, urn_name, urn_type
from engine.snapshot import Snapshot, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was taken from a resource: (kind, urn) of each reference. `new_urn` differs where it has no parent now."""

    state: State
    new_urn: str
    removed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A valid snapshot, and what was done for it."""

    snapshot: Snapshot
    moved: Sequence[State] = field(default_factory=tuple)
    pruned: Sequence[Pruned] = field(default_factory=tuple)

    def described(self) -> str:
        """For who is asked whether to go on."""
        lines: list[str] = []
        if self.moved:
            lines += ["The following resources will be reordered to appear before their dependents:", ""]
            lines += [f"* {state.urn}{_deleted(state)}" for state in self.moved]
            lines.append("")
        if self.pruned:
            lines += ["The following resources will be modified to remove missing dependencies:", ""]
            for one in self.pruned:
                lines.append(f"~ {one.state.urn}{_deleted(one.state)}")
                if one.new_urn != one.state.urn:
                    lines.append(f"  ~ {one.new_urn} [urn]")
                lines += [f"  - {urn} [{kind}]" for kind, urn in one.removed]
        return "\n".join(lines)


def _deleted(state: State) -> str:
    return " (deleted)" if state.delete else ""


def repaired(snapshot: Snapshot) -> Repair:
    """The snapshot in order and without dangling references. Raises StateError where that does not make it valid."""
    ordered = _sorted(snapshot.resources)
    resources, pruned = _pruned(ordered)
    done = replace(snapshot, resources=resources, metadata=_without_complaint(snapshot))
    verify(done)
    return Repair(snapshot=done, moved=_moved(snapshot.resources, ordered), pruned=pruned)


def _without_complaint(snapshot: Snapshot) -> dict[str, object]:
    """The stock Pulumi notes in a checkpoint that it wrote an invalid one."""
    return {name: value for name, value in snapshot.metadata.items() if name != "integrity_error"}


# ------------------------------------------------------------------ order


def _sorted(resources: Sequence[State]) -> list[State]:
    """Each after what it needs, otherwise as they were. Of two with one URN, an old one needs the old one."""
    olds = {state.urn: state for state in resources if state.delete}
    news = {state.urn: state for state in resources if not state.delete}
    ordered: dict[State, None] = {}
    path: dict[State, None] = {}

    def needed(state: State) -> list[State]:
        first, second = (olds, news) if state.delete else (news, olds)
        found = (first.get(urn) or second.get(urn) for _, urn in all_dependencies(state))
        return [other for other in found if other is not None and other is not state]

    for root in resources:
        # Without recursion: a state may be a chain of thousands.
        waiting = [(root, iter(needed(root)))] if root not in ordered else []
        path[root] = None
        while waiting:
            state, rest = waiting[-1]
            following = next((other for other in rest if other not in ordered), None)
            if following is None:
                waiting.pop()
                path.pop(state, None)
                ordered[state] = None
            elif following in path:
                raise StateError(f"the state cannot be put in order: {state.urn} needs {following.urn}, which needs it")
            else:
                path[following] = None
                waiting.append((following, iter(needed(following))))
        path.pop(root, None)
    return list(ordered)


def _moved(before: Sequence[State], after: Sequence[State]) -> tuple[State, ...]:
    """Those with another neighbour on both sides; the others have only made room."""
    if list(before) == list(after):
        return ()
    sides = _neighbours(before)
    return tuple(
        state
        for state, (left, right) in _neighbours(after).items()
        if left is not sides[state][0] and right is not sides[state][1]
    )


def _neighbours(states: Sequence[State]) -> dict[State, tuple[State | None, State | None]]:
    padded: list[State | None] = [None, *states, None]
    return {state: (padded[place], padded[place + 2]) for place, state in enumerate(states)}


# ------------------------------------------------------------------ references


def _pruned(resources: Sequence[State]) -> tuple[list[State], list[Pruned]]:
    seen: dict[str, str] = {}
    kept, told = [], []
    for state in resources:
        new, removed = _prune_one(state, seen)
        if removed or new.urn != state.urn:
            told.append(Pruned(state=state, new_urn=new.urn, removed=tuple(removed)))
        seen[state.urn] = new.urn
        kept.append(new)
    return kept, told


def _prune_one(state: State, seen: dict[str, str]) -> tuple[State, list[tuple[str, str]]]:
    """A child whose parent is gone, or goes by another URN now, goes by another one itself."""
    removed = [
        (kind, urn) for kind, urn in _with_properties(state) if not kind.startswith("provider") and urn not in seen
    ]
    parent = seen.get(state.parent, "")
    urn = state.urn
    if state.parent and parent != state.parent:
        stack, project, _ = state.urn.removeprefix("urn:pulumi:").split("::", 2)
        urn = make_urn(stack, project, parent, urn_type(state.urn), urn_name(state.urn))
    new = replace(
        state,
        urn=urn,
        parent=parent,
        provider=_provider(state.provider, seen),
        dependencies=[seen[u] for u in state.dependencies if u in seen],
        property_dependencies={
            key: kept
            for key, urns in state.property_dependencies.items()
            if (kept := [seen[u] for u in urns if u in seen]) or not urns
        },
        deleted_with=seen.get(state.deleted_with, ""),
        replace_with=[seen[u] for u in state.replace_with if u in seen],
    )
    return new, removed


def _with_properties(state: State) -> list[tuple[str, str]]:
    plain = [(kind, urn) for kind, urn in all_dependencies(state) if kind != "property dependency"]
    names = {"deletedWith": "deleted with", "replaceWith": "replace with"}
    found = [(names.get(kind, kind), urn) for kind, urn in plain]
    return found + [
        (f"property dependency: {key}", urn) for key, urns in state.property_dependencies.items() for urn in urns
    ]


def _provider(ref: str, seen: dict[str, str]) -> str:
    if not ref:
        return ref
    urn, id_ = split_provider_ref(ref)
    return provider_ref(seen.get(urn, urn), id_)


def manual_advice(first: EngineError, second: EngineError) -> str:
    """What to do where nothing here helps; as the stock Pulumi says it."""
    return (
        f"Failed to repair the snapshot automatically: {second}\n\n"
        "This can happen if the snapshot contains cycles or corrupted or unparseable data. You may be able to manually "
        "repair your stack as follows:\n\n"
        "1. Manually export your stack's state to a file: pulumi stack export --file state.json\n"
        "2. Make a copy of it so that you have a backup: cp state.json state.json.backup\n"
        "3. Edit state.json to fix any issues, such as cyclic dependencies or corrupted data.\n"
        "4. Import it back into your stack: pulumi stack import --file state.json\n\n"
        f"What was wrong at first: {first}"
    )
