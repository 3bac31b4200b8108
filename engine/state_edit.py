"""Edits of a state that are not updates: a stack's new name, protection, forgetting a resource. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from engine.errors import EngineError
from engine.resource import STACK_TYPE, State, all_dependencies
from engine.snapshot import PendingOperation, Snapshot

_URN_LISTS: Final = ("dependencies", "aliases", "replace_with")
_URNS: Final = ("urn", "parent", "provider", "deleted_with", "view_of")


def renamed(snapshot: Snapshot, old: str, new: str) -> Snapshot:
    """The snapshot with every URN of one stack as if it had always had the other name; the root stack's own, too."""

    def urn(text: str) -> str:
        prefix = f"urn:pulumi:{old}::"
        if not text.startswith(prefix):
            return text
        rest = text[len(prefix) :]
        project, _, tail = rest.partition("::")
        if tail == f"{STACK_TYPE}::{project}-{old}":
            tail = f"{STACK_TYPE}::{project}-{new}"
        return f"urn:pulumi:{new}::{project}::{tail}"

    def state(one: State) -> State:
        changes: dict[str, Any] = {name: urn(getattr(one, name)) for name in _URNS}
        changes |= {name: [urn(u) for u in getattr(one, name)] for name in _URN_LISTS}
        changes["property_dependencies"] = {
            key: [urn(u) for u in urns] for key, urns in one.property_dependencies.items()
        }
        return replace(one, **changes)

    return Snapshot(
        resources=[state(one) for one in snapshot.resources],
        pending=[PendingOperation(type=op.type, resource=state(op.resource)) for op in snapshot.pending],
        secrets_provider=snapshot.secrets_provider,
        metadata=snapshot.metadata,
    )


def set_protection(snapshot: Snapshot, urns: Iterable[str], *, protect: bool) -> int:
    """Protects, or takes protection off; how many resources. Raises EngineError for a URN that is not there."""
    wanted = list(urns)
    for urn in wanted:
        if not any(state.urn == urn for state in snapshot.resources):
            raise EngineError(f"No such resource {urn!r} exists in the current state")
    count = 0
    for state in snapshot.resources:
        if state.urn in wanted:
            state.protect = protect
            count += 1
    return count


def set_taint(snapshot: Snapshot, urns: Iterable[str] | None, *, taint: bool) -> int:
    """Marks resources for replacement by the next update, or takes the mark off; how many. None is all of them.

    What is to be deleted anyway is no resource here. Raises EngineError, which names every URN that is not there.
    """
    present = {state.urn: state for state in snapshot.resources if not state.delete}
    wanted = list(present) if urns is None else list(urns)
    missing = [f'No such resource "{urn}" exists in the current state' for urn in wanted if urn not in present]
    if missing:
        raise EngineError("\n".join(missing))
    for urn in wanted:
        present[urn].taint = taint
    return len(wanted)


def forget(snapshot: Snapshot, urn: str, *, force: bool, dependents: bool) -> Snapshot:
    """The snapshot without a resource. Raises EngineError for one that is missing, protected or needed."""
    found = [state for state in snapshot.resources if state.urn == urn]
    if not found:
        raise EngineError(f"No such resource {urn!r} exists in the current state")
    gone = {urn}
    for state in snapshot.resources:
        if any(needed in gone for _, needed in all_dependencies(state)):
            gone.add(state.urn)
    needing = sorted(gone - {urn})
    if needing and not dependents:
        names = "\n".join(f" * {name}" for name in needing)
        raise EngineError(
            f"Can't delete resource {urn!r} as it is depended on by:\n{names}\n"
            "Delete those first, or use --target-dependents."
        )
    protected = [state.urn for state in snapshot.resources if state.urn in gone and state.protect]
    if protected and not force:
        raise EngineError(f"Resource {protected[0]!r} is protected. Unprotect it, or use --force.")
    return replace(snapshot, resources=[state for state in snapshot.resources if state.urn not in gone])
