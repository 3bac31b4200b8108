"""Whether a resource is replaced, in which order, and who has to go along with it.

It asks providers what they would do (Diff) and writes what it decided into `Decided`; it applies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.aliases import Identities
from engine.deletions import DependentReplacement, delete_marked, dependents_to_replace
from engine.departures import Departures
from engine.diff import Changes, DiffResult, apply_replace_on_changes, compare_inputs
from engine.errors import BailError, ResourceError
from engine.provider_client import Provider
from engine.providers import ProviderRegistry
from engine.resource import (
    Goal,
    State,
    StepOp,
    contains_unknown,
    is_provider_type,
    same_values,
    split_provider_ref,
    urn_type,
)
from engine.snapshot import DependencyGraph
from engine.steps import CreateStep, DeleteStep, ReplaceStep, Step, require
from engine.targets import Selection

Diagnose = Callable[[str, str, str], None]
"""(severity, urn, message)"""


@dataclass(slots=True)
class Decided:
    """What this operation has decided so far, by URN."""

    deleted: set[State] = field(default_factory=set)
    recreate: dict[str, DependentReplacement] = field(default_factory=dict)
    """Old resources that were deleted before their registration came."""
    states: dict[str, State] = field(default_factory=dict)
    """The new state of everything that was registered."""
    replaced: set[str] = field(default_factory=set)
    not_created: set[str] = field(default_factory=set)
    """What the program asked for and is no target."""
    carried: dict[str, State] = field(default_factory=dict)
    """What was carried over unchanged, perhaps before its registration came, with its new state."""
    errored: bool = False
    """A preview found what an update would stop at, and went on to show the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacements:
    """The replacements of one operation. `olds` is the state by URN, without what is to be deleted."""

    olds: Mapping[str, State]
    graph: DependencyGraph
    registry: ProviderRegistry
    identities: Identities
    decided: Decided
    selection: Selection
    departures: Departures
    diagnose: Diagnose
    preview: bool

    # -------------------------------------------------------- what changed

    def forced(self, old: State | None, urn: str) -> bool:
        """Whether a resource is replaced whatever its diff, because somebody said so: `--replace`, or `state taint`."""
        if self.selection.forces_replacement(urn):
            return True
        return old is not None and (old.taint or self.selection.forces_replacement(old.urn))

    def diff(self, goal: Goal, old: State, new: State, provider: Provider | None) -> DiffResult:
        """What an update would have to do; the first reason to replace ends the search. Raises ResourceError."""
        reason = self._reason(old, new)
        if reason:
            return DiffResult(changes=Changes.SOME, replace_keys=(reason,))
        if provider is None:
            return DiffResult(changes=compare_inputs(old.inputs, new.inputs).changes)
        diff = provider.diff(new.urn, old.id, old.inputs, old.outputs, new.inputs, new.ignore_changes)
        if diff.warning:
            self.diagnose("warning", new.urn, diff.warning)
        if diff.changes is Changes.UNKNOWN:
            own = compare_inputs(old.inputs, new.inputs, new.ignore_changes)
            diff = replace(own, replace_keys=diff.replace_keys, delete_before_replace=diff.delete_before_replace)
        if old.init_errors:
            # What never became ready is tried again, even where nothing else changed.
            diff = replace(diff, changes=Changes.SOME)
        return apply_replace_on_changes(diff, goal.replace_on_changes, has_init_errors=bool(old.init_errors))

    def _reason(self, old: State, new: State) -> str:
        """The key of a reason to replace that the provider has no say in; empty where there is none."""
        if self._triggered(old, new):
            return "replacementTrigger"
        if self.forced(old, new.urn):
            return "id"
        if not self.decided.replaced.isdisjoint(new.replace_with):
            return "replaceWith"
        if new.deleted_with in self.decided.replaced:
            # What is deleted with its holder is gone when the holder has been replaced.
            return "deletedWith"
        if old.type != new.type and new.custom:
            return "type"
        return "provider" if self._provider_changed(old, new) else ""

    def _triggered(self, old: State, new: State) -> bool:
        if not self.preview and contains_unknown(new.replacement_trigger):
            raise ResourceError(new.urn, f"replacement trigger contains unknowns for {new.urn}")
        if old.replacement_trigger is None or new.replacement_trigger is None:
            return False  # a trigger that is new, or dropped, has nothing to be compared with
        return not same_values(old.replacement_trigger, new.replacement_trigger)

    def _provider_changed(self, old: State, new: State) -> bool:
        """Whether the resource goes to another provider, and not to one that is the same in effect."""
        if not new.custom or old.provider == new.provider or not old.provider:
            return False
        old_urn, old_id = split_provider_ref(old.provider)
        new_urn, new_id = split_provider_ref(new.provider)
        if self.identities.aliased.get(old_urn, old_urn) == new_urn and old_id == new_id:
            return False
        before, after = self.olds.get(old_urn), self.decided.states.get(new_urn)
        if urn_type(old_urn) != urn_type(new_urn) or before is None or after is None:
            return True
        # Another provider of the same package, such as that of an upgraded SDK: only the provider itself can say
        # whether its configuration means other objects.
        return self.registry.replaces(new.provider, before, after)

    # -------------------------------------------------------- the steps

    def refuse_protected(self, old: State, new: State) -> None:
        """Raises BailError where a replacement is refused; a preview goes on, to show what it would be."""
        if not (old.protect and new.protect):
            return
        self.diagnose("error", new.urn, protected_message(new.urn))
        self.decided.errored = True
        if not self.preview:
            raise BailError(f"{new.urn} is protected")

    def chain(self, goal: Goal, old: State, new: State, diff: DiffResult) -> list[Step]:
        """The steps of a replacement, in the order that the option asks for, or else the provider."""
        self.decided.replaced.add(new.urn)
        first = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        known = _known(old, new, diff)
        if not first and not old.pending_replacement:
            return [CreateStep(replacement=True, keeps_old=True, **known), ReplaceStep(**known)]
        deletes = self._dependents_first(old, new)
        if not old.pending_replacement:
            deletes.append(self._delete_now(old))
        return [*deletes, ReplaceStep(**known), CreateStep(replacement=True, **known)]

    def again(self, old: State, new: State, dependent: DependentReplacement) -> list[Step]:
        """The steps of what was deleted with something that it needs, now that the program asks for it."""
        self.decided.replaced.add(new.urn)
        return [ReplaceStep(old=old, new=new), CreateStep(replacement=True, old=old, new=new, keys=dependent.keys)]

    def _dependents_first(self, old: State, new: State) -> list[Step]:
        dependents = dependents_to_replace(old, self.graph, self.provider_of_old, self.settled)
        steps: list[Step] = []
        for dependent in reversed(dependents):
            state = dependent.state
            if state in self.decided.deleted:
                continue
            if state.delete:
                # What an earlier replacement has left behind goes in its turn, not after what it needs.
                self.decided.deleted.add(state)
                steps.append(delete_marked(state))
                continue
            if state.protect:
                self.diagnose("error", new.urn, protected_dependent_message(state.urn, new.urn))
                raise BailError(f"{state.urn} is protected")
            self.decided.recreate[state.urn] = dependent
            steps.append(self._delete_now(state))
        return steps

    def settled(self, state: State) -> bool:
        """Whether a resource has been registered already: then it cannot need what is only now registered."""
        urn = self.identities.aliased.get(state.urn, state.urn)
        return urn in self.identities.registered or state.urn in self.decided.carried

    def _delete_now(self, state: State) -> Step:
        self.decided.deleted.add(state)
        self.departures.goes(state)
        return DeleteStep(op=StepOp.DELETE_REPLACED, recreated=True, old=state)

    def provider_of_old(self, state: State) -> Provider:
        """Who is asked about an old resource: the provider as it is registered now, or else as it was."""
        if is_provider_type(state.type):
            return self.registry
        ref = state.provider
        urn, _ = split_provider_ref(ref)
        current = self.decided.states.get(self.identities.aliased.get(urn, urn))
        if current is not None and current.id:
            ref = f"{current.urn}::{current.id}"
        return self.registry.get(ref, state.type)


def _known(old: State, new: State, diff: DiffResult) -> dict[str, Any]:
    """What both steps of a replacement, the deed and its announcement, tell of it."""
    return {
        "old": require(old),
        "new": new,
        "keys": diff.replace_keys,
        "diffs": diff.changed_keys,
        "detailed": diff.detailed,
    }


# ------------------------------------------------------------------ the stock engine's words: people search for them


def protected_message(urn: str) -> str:
    return (
        f'unable to replace resource "{urn}"\nas it is currently marked for protection. To unprotect the resource, '
        f"remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`"
    )


def protected_dependent_message(urn: str, replaced: str) -> str:
    return (
        f'unable to replace resource "{urn}" as part of replacing "{replaced}" as it is currently marked for '
        "protection. To unprotect the resource, remove the `protect` flag from the resource in your Pulumi program and "
        f'run `pulumi up`, or use the command:\n`pulumi state unprotect "{urn}"`'
    )
