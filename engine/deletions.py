"""What is deleted, in which order, and who has to be replaced along with a resource that is deleted first.

It asks providers what they would do (Diff); it deletes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.diff import Changes, DiffResult, apply_replace_on_changes, compare_inputs
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
    root: State, graph: DependencyGraph, provider_of: Callable[[State], Provider], settled: Callable[[State], bool]
) -> list[DependentReplacement]:
    """Who must be replaced with `root`, in dependency order, without `root` itself.

    What is `settled` has been registered before `root`, so it cannot need it any more, whatever the old state says.
    """
    replaced = {root.urn}
    found: list[DependentReplacement] = []
    for state in graph.depending_on(root, settled):
        diff = _diff_against_unknown(state, replaced, provider_of)
        if diff is not None:
            replaced.add(state.urn)
            found.append(DependentReplacement(state, diff.replace_keys))
    return found


def _diff_against_unknown(
    state: State, replaced: set[str], provider_of: Callable[[State], Provider]
) -> DiffResult | None:
    """The diff that makes `state` go along, or None. dependsOn alone does not: only values that become unknown can."""
    if not state.custom or state.external:
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
    diff = provider_of(state).diff(state.urn, state.id, state.inputs, state.outputs, news, state.ignore_changes)
    if diff.changes is Changes.UNKNOWN:
        own = compare_inputs(state.inputs, news, state.ignore_changes)
        diff = replace(own, replace_keys=diff.replace_keys)
    diff = apply_replace_on_changes(diff, state.replace_on_changes, has_init_errors=False)
    return diff if diff.replace else None


def delete_steps(
    resources: Sequence[State],
    kept: Callable[[State], bool],
    already: Callable[[State], bool],
    may_go: Callable[[State], bool],
) -> tuple[list[State], list[Step]]:
    """What stays because it may not go, and the steps that remove the rest of what the program did not register and
    whatever is marked.

    `kept` says that the program registered the resource; `already` that this update has deleted it.
    """
    stays: list[State] = []
    steps: list[Step] = []
    for state in resources:
        # What was deleted for a replacement that the program then did not ask for is still in the state.
        if already(state) and (kept(state) or not state.pending_replacement):
            continue
        if not may_go(state):
            if state.delete or not kept(state):
                stays.append(state)
        elif state.delete:
            steps.append(delete_marked(state))
        elif not kept(state):
            steps.append(_delete_dropped(state))
    return stays, steps


def delete_condemned(states: Sequence[State]) -> list[Step]:
    """The steps that remove what the program of a destroy has registered."""
    return [_delete_dropped(state) for state in states]


def delete_marked(state: State) -> Step:
    """The step that removes what a replacement has left behind."""
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
