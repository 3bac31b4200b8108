"""Edits of a state that are not updates: a stack's new name, a resource's, protection, forgetting. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.errors import EngineError
from engine.resource import STACK_TYPE, State, urn_name
from engine.snapshot import DependencyGraph, PendingOperation, Snapshot, rename_references

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


def set_protection(snapshot: Snapshot, urns: Iterable[str] | None, *, protect: bool) -> int:
    """Protects, or takes protection off; how many URNs. None is all of them, and what shares a URN is one.

    Raises EngineError, which names every URN that is not there.
    """
    present = {state.urn for state in snapshot.resources}
    wanted = present if urns is None else set(urns)
    if missing := sorted(wanted - present):
        raise EngineError("\n".join(f'No such resource "{urn}" exists in the current state' for urn in missing))
    for state in snapshot.resources:
        if state.urn in wanted:
            state.protect = protect
    return len(wanted)


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


Choose = Callable[[Sequence[State]], State | None]
"""Which of several resources with one URN is meant; None where nobody can be asked."""


def nobody(_: Sequence[State]) -> None:
    """For who cannot be asked."""


def located(snapshot: Snapshot, urn: str, choose: Choose = nobody) -> State:
    """The resource of a URN. Raises EngineError where there is none, and where several are and none is chosen."""
    found = [state for state in snapshot.resources if state.urn == urn]
    if not found:
        raise EngineError(f'No such resource "{urn}" exists in the current state')
    chosen = found[0] if len(found) == 1 else choose(found)
    if chosen is None:
        ids = "".join(f"  {state.id}{' (pending deletion)' if state.delete else ''}\n" for state in found)
        raise EngineError(f"Resource URN ambiguously referred to multiple resources. Did you mean:\n{ids}")
    return chosen


def forget(
    snapshot: Snapshot, urn: str, *, force: bool, dependents: bool, choose: Choose = nobody
) -> tuple[Snapshot, list[State]]:
    """(the snapshot without a resource, those of what went that were protected).

    Raises EngineError for one that is missing, ambiguous, protected or needed.
    """
    condemned = located(snapshot, urn, choose)
    _refuse_protected([condemned], force=force)
    gone = {condemned}
    # What is left over of a replacement is needed by nobody: they need the one that has its place.
    alone = not any(state.urn == urn and state is not condemned and not state.delete for state in snapshot.resources)
    needing = DependencyGraph(snapshot.resources).depending_on(condemned) if alone or not condemned.delete else []
    if needing and not dependents:
        names = "".join(f" * {_quoted(urn_name(state.urn)):<15} ({state.urn})\n" for state in needing)
        raise EngineError(
            f"{urn} can't be safely deleted because the following resources depend on it:\n{names}\n"
            "Delete those resources first or pass --target-dependents."
        )
    _refuse_protected(needing, force=force)
    gone.update(needing)
    kept = [state for state in snapshot.resources if state not in gone]
    return replace(snapshot, resources=kept), [state for state in snapshot.resources if state in gone and state.protect]


def forget_all(snapshot: Snapshot, *, force: bool) -> tuple[Snapshot, list[State]]:
    """The same for everything."""
    _refuse_protected(reversed(snapshot.resources), force=force)
    return replace(snapshot, resources=[]), [state for state in snapshot.resources if state.protect]


def _refuse_protected(states: Iterable[State], *, force: bool) -> None:
    for state in states:
        if state.protect and not force:
            raise EngineError(
                f"{state.urn} can't be safely deleted because it is protected. "
                "Re-run this command with --force to force deletion"
            )


def _quoted(name: str) -> str:
    return f'"{name}"'


def rename_resource(snapshot: Snapshot, urn: str, name: str) -> Snapshot:
    """The snapshot with one resource by another name, and everything that refers to it. Raises EngineError."""
    if not urn.startswith("urn:pulumi:") or urn.count("::") < 3:
        raise EngineError("The provided input URN is not valid")
    if not name:
        raise EngineError("a resource name may not be empty")
    if sum(state.urn == urn for state in snapshot.resources) != 1:
        raise EngineError(f"The input URN does not correspond to an existing resource: {urn}")
    new = urn.removesuffix(urn_name(urn)) + name
    if new == urn:
        return snapshot
    if any(state.urn == new for state in snapshot.resources):
        raise EngineError(f"The chosen new urn for the state corresponds to an already existing resource: {new}")
    for state in (*snapshot.resources, *(op.resource for op in snapshot.pending)):
        if state.urn == urn:
            state.urn = new
        rename_references(state, {urn: new})
        state.view_of = new if state.view_of == urn else state.view_of
    return snapshot
