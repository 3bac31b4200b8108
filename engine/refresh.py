"""Refresh: what reading one resource found, and the state that follows from all that was found.

It decides nothing about the order of reads, and asks for nothing but Read and Diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from engine.diff import Changes, DiffKind, DiffResult, PropertyDiff
from engine.events import StepInfo
from engine.pending import PendingCreates
from engine.resource import State, StepOp, all_dependencies, is_provider_type, same_values
from engine.snapshot import Snapshot
from engine.steps import Step, StepContext, now, require, with_secret_outputs

_OPPOSITE: Final = {
    DiffKind.ADD: DiffKind.DELETE,
    DiffKind.ADD_REPLACE: DiffKind.DELETE_REPLACE,
    DiffKind.DELETE: DiffKind.ADD,
    DiffKind.DELETE_REPLACE: DiffKind.ADD_REPLACE,
}


@dataclass(slots=True, kw_only=True, eq=False)
class RefreshStep(Step):
    """Reads a resource's real state. `new` is None afterwards where the object is gone."""

    op: StepOp = StepOp.REFRESH
    diff: DiffResult = field(default_factory=DiffResult)
    known: bool = False
    """Whether it found out; only then does `new` say anything."""

    @property
    def state(self) -> State:
        return require(self.old)

    def apply(self, context: StepContext) -> None:
        self._read(context)
        self.known = True

    def stands_alone(self) -> bool:
        return True

    def info(self) -> StepInfo:
        """What is told of it: what the program would change back, the other way round."""
        return replace(Step.info(self), diffs=self.diff.changed_keys, detailed_diff=_inverted(self.diff.detailed))

    def _read(self, context: StepContext) -> None:
        old = require(self.old)
        if not old.custom or is_provider_type(old.type) or old.pending_replacement or not old.id:
            self.new = old
            return
        result = context.provider_of(old).read(old.urn, old.id, old.inputs, old.outputs, old.custom_timeouts.read)
        if not result.known:
            self.new = old
            return
        if not result.id:
            self.new = None
            return
        inputs = old.inputs if result.inputs is None else result.inputs
        self.new = replace(
            old,
            id=result.id,
            inputs=inputs,
            outputs=with_secret_outputs(old, result.outputs),
            init_errors=list(result.init_errors),
            refresh_before_update=result.refresh_before_update,
        )
        if not old.external:
            self._compare(context, old, self.new)
        if not (same_values(old.inputs, inputs) and same_values(old.outputs, self.new.outputs)):
            self.new.modified = now()

    def _compare(self, context: StepContext, old: State, new: State) -> None:
        # From what is there to what was asked for: what an update would have to do.
        provider = context.provider_of(old)
        self.diff = provider.diff(old.urn, new.id, new.inputs, new.outputs, old.inputs, old.ignore_changes)
        if self.diff.changes is Changes.UNKNOWN:
            same = same_values(old.inputs, new.inputs) and same_values(old.outputs, new.outputs)
            self.diff = replace(self.diff, changes=Changes.NONE if same else Changes.SOME)

    def result_op(self) -> StepOp:
        """What the refresh found, as an operation: same, update or delete."""
        if self.new is None:
            return StepOp.DELETE
        if self.new is self.old:
            return StepOp.SAME
        if self.new.external:
            return StepOp.SAME if same_values(require(self.old).outputs, self.new.outputs) else StepOp.UPDATE
        return StepOp.UPDATE if self.diff.some else StepOp.SAME


def found_by(steps: Iterable[RefreshStep]) -> dict[State, State | None]:
    """What each state has become, as far as the steps found out; None where the object is gone."""
    return {step.state: step.new for step in steps if step.known}


def _inverted(detailed: Mapping[str, PropertyDiff] | None) -> Mapping[str, PropertyDiff] | None:
    if detailed is None:
        return None
    return {path: PropertyDiff(_OPPOSITE.get(d.kind, d.kind), d.input_diff) for path, d in detailed.items()}


# ------------------------------------------------------------------ the state afterwards


def refreshed(base: Snapshot, found: Mapping[State, State | None], creates: PendingCreates) -> Snapshot:
    """The state with what the refresh found; references to what is gone are dropped."""
    resources: list[State] = []
    present: set[str] = set()
    looked_for = {state: state for state in creates.look_for.values() if state in found}
    for state in [*base.resources, *looked_for]:
        new = found.get(state, state)
        if new is not None:
            resources.append(pruned(new, present) if state in found or is_dangling(new, present) else new)
            present.add(new.urn)
    settled = {state.urn for state in looked_for}
    pending = [p for p in base.pending if creates.keeps(p) and p.resource.urn not in settled]
    return Snapshot(
        resources=resources, pending=pending, secrets_provider=base.secrets_provider, metadata=base.metadata
    )


def is_dangling(state: State, present: AbstractSet[str]) -> bool:
    """Whether a state refers to anything, but its provider, that is not there."""
    return any(urn not in present for kind, urn in all_dependencies(state) if kind != "provider")


def pruned(state: State, present: AbstractSet[str]) -> State:
    """The state with those of its references that lead to something."""
    dependencies = [urn for urn in state.dependencies if urn in present]
    by_property = {k: [urn for urn in urns if urn in present] for k, urns in state.property_dependencies.items()}
    by_property = {k: urns for k, urns in by_property.items() if urns}
    parent = state.parent if state.parent in present else ""
    deleted_with = state.deleted_with if state.deleted_with in present else ""
    replace_with = [urn for urn in state.replace_with if urn in present]
    before = (state.dependencies, state.property_dependencies, state.parent, state.deleted_with, state.replace_with)
    if (dependencies, by_property, parent, deleted_with, replace_with) == before:
        return state
    return replace(
        state,
        dependencies=dependencies,
        property_dependencies=by_property,
        parent=parent,
        deleted_with=deleted_with,
        replace_with=replace_with,
    )
