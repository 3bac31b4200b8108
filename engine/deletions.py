"""What is deleted, in which order, and who has to be replaced along with a resource that is deleted first.

It asks providers what they would do (Diff); it deletes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.diff import DiffResult
from engine.provider_client import Provider
from engine.providers import unknown_inputs
from engine.resource import State, StepOp, split_provider_ref
from engine.snapshot import DependencyGraph, antichains
from engine.steps import DeleteStep, RemovePendingReplaceStep, Step


@dataclass(frozen=True, slots=True)
class DependentReplacement:
    """A resource that must be replaced because something it needs is deleted first, and the properties that say so."""

    state: State
    keys: tuple[str, ...]


def dependents_to_replace(
    root: State, graph: DependencyGraph, provider_of: Callable[[State], Provider]
) -> list[DependentReplacement]:
    """Who must be replaced with `root`, in dependency order, without `root` itself."""
    replaced = {root.urn}
    found: list[DependentReplacement] = []
    for state in graph.depending_on(root):
        diff = _diff_against_unknown(state, replaced, provider_of)
        if diff is not None:
            replaced.add(state.urn)
            found.append(DependentReplacement(state, diff.replace_keys))
    return found


def _diff_against_unknown(
    state: State, replaced: set[str], provider_of: Callable[[State], Provider]
) -> DiffResult | None:
    """The diff that makes `state` go along, or None. dependsOn alone does not: only values that become unknown can."""
    if not state.custom or state.external or state.delete:
        return None
    if state.provider and split_provider_ref(state.provider)[0] in replaced:
        return DiffResult()
    if state.deleted_with in replaced or not replaced.isdisjoint(state.replace_with):
        return DiffResult()
    unknown = frozenset(
        key
        for key, urns in state.property_dependencies.items()
        if key in state.inputs and not replaced.isdisjoint(urns)
    )
    if not unknown:
        return None
    news = unknown_inputs(state.inputs, unknown)
    diff = provider_of(state).diff(state.urn, state.id, state.inputs, state.outputs, news, ())
    return diff if diff.replace else None


def delete_steps(
    resources: Sequence[State], kept: Callable[[State], bool], already: Callable[[State], bool]
) -> list[Step]:
    """The steps that remove whatever the program did not register and whatever is marked, dependents first.

    `kept` says that the program registered the resource; `already` that this update has deleted it.
    """
    steps: list[Step] = []
    for state in reversed(resources):
        # What was deleted for a replacement that the program then did not ask for is still in the state.
        if already(state) and (kept(state) or not state.pending_replacement):
            continue
        if state.delete:
            steps.append(_delete_marked(state))
        elif not kept(state):
            steps.append(_delete_dropped(state))
    return steps


def delete_condemned(states: Sequence[State]) -> list[Step]:
    """The steps that remove what the program of a destroy has registered."""
    return [_delete_dropped(state) for state in states]


def _delete_marked(state: State) -> Step:
    op = StepOp.DISCARD_REPLACED if state.external else StepOp.DELETE_REPLACED
    return DeleteStep(op=op, old=state)


def _delete_dropped(state: State) -> Step:
    if state.pending_replacement:
        return RemovePendingReplaceStep(old=state)
    return DeleteStep(op=StepOp.READ_DISCARD if state.external else StepOp.DELETE, old=state)


def in_layers(steps: Sequence[Step], graph: DependencyGraph) -> list[list[Step]]:
    """The steps in layers: each has to end before the next begins."""
    by_state = {step.state: step for step in steps}
    return [[by_state[state] for state in layer] for layer in antichains([s.state for s in steps], graph)]
