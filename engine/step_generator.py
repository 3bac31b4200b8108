"""One registration or read -> its chain of steps. It asks providers (Check, Diff) and applies nothing.

Generation is serial: what was decided for one registration is known when the next one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.aliases import Identities
from engine.check_failures import check_message
from engine.deletions import DependentReplacement, delete_condemned, delete_steps, dependents_to_replace
from engine.diff import Changes, DiffResult, apply_replace_on_changes, compare_inputs, reset_ignored
from engine.errors import BailError, ResourceError
from engine.import_steps import ImportStep
from engine.operation import Options
from engine.planning import Planning
from engine.program_modes import ProgramMode
from engine.provider_client import Provider
from engine.providers import ProviderRegistry
from engine.resource import (
    UNKNOWN,
    Goal,
    PropertyMap,
    State,
    StepOp,
    split_provider_ref,
    urn_type,
)
from engine.snapshot import DependencyGraph
from engine.source import ReadResource, RegisterResource, ResourceImported
from engine.steps import (
    CreateStep,
    DeleteStep,
    ReadStep,
    ReplaceStep,
    SameStep,
    Step,
    UpdateStep,
    protected_message,
    require,
)

IMPORTED_REPLACE_MESSAGE: Final = (
    "previously-imported resources that still specify an ID may not be replaced; please remove the `import` "
    "declaration from your program"
)
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


class StepGenerator:
    """Decides for one stack. `olds` is the state that the program is compared with."""

    def __init__(
        self,
        *,
        project: str,
        stack: str,
        options: Options,
        resources: Sequence[State],
        registry: ProviderRegistry,
        planning: Planning,
        diagnose: Diagnose,
        mode: ProgramMode,
    ) -> None:
        self._mode = mode
        self._options = options
        self._registry = registry
        self._planning = planning
        self._diagnose = diagnose
        self._resources = resources
        self._olds = {s.urn: s for s in resources if not s.delete}
        self._graph = DependencyGraph(resources)
        self.decided = Decided()
        self.identities = Identities(stack=stack, project=project, olds=self._olds)

    # -------------------------------------------------------- entry points

    def register(self, event: RegisterResource) -> list[Step]:
        """The chain for one registration. Raises ResourceError; BailError where diagnostics have said it all."""
        goal = event.goal
        self._inherit(goal)
        urn = self.identities.claim(goal)
        old, conflict = self.identities.old_of(urn, goal)
        if old is not None and old.urn != urn:
            self._graph.rename(old.urn, urn)
        new = self._remember(_state_of(urn, goal))
        instead = self._mode.instead(old, new)
        if instead is not None:
            if conflict is not None:
                raise conflict
            return instead
        if goal.custom and goal.import_id and not _has_imported(old, goal):
            if conflict is not None:
                raise conflict
            return self._import(old, new)
        recreated = self.decided.recreate.get(urn)
        provider = self._checked(goal, old, new, recreated)
        if conflict is not None:
            raise conflict
        return [*self._mode.before(old), *self._steps(goal, old, new, provider, recreated)]

    def imported(self, event: ResourceImported) -> list[Step]:
        """What is to be done to an object that has been imported; nothing where it is what the program says."""
        goal, old = event.event.goal, event.state
        new = self._remember(_state_of(old.urn, goal))
        # The import id says something only where it is not the id.
        new.import_id = goal.import_id if goal.import_id != old.id else ""
        steps = self._steps(goal, old, new, self._checked(goal, old, new, None), None)
        if isinstance(steps[0], SameStep):
            self._remember(old)
            return []
        return steps

    def read(self, event: ReadResource) -> list[Step]:
        """The chain for one read of an object that the stack does not own."""
        goal = event.goal
        urn = self.identities.claim(goal)
        old = self._olds.get(urn)
        new = self._remember(_state_of(urn, goal))
        new.external = True
        new.id = "" if event.id is UNKNOWN else str(event.id)
        instead = self._mode.read(new)
        if instead is not None:
            return instead
        if event.id == "":
            raise ResourceError(urn, f"Expected an ID for {urn}")
        if old is not None and not old.external and old.id != new.id:
            return [ReadStep(replacement=True, old=old, new=new), ReplaceStep(old=old, new=new)]
        return [ReadStep(old=old, new=new)]

    def deletes(self) -> list[Step]:
        """What goes after the program: all that is not registered, and what replacements left behind."""
        kept = self.kept()
        steps = delete_steps(self._resources, lambda s: s.urn in kept, lambda s: s in self.decided.deleted)
        steps.extend(delete_condemned(self._mode.condemned))
        self.decided.deleted.update(step.state for step in steps)
        return steps

    def kept(self) -> set[str]:
        """URNs, old and new ones, of what the program has registered and this operation has dealt with."""
        skipped = self._mode.skipped
        return (self.identities.registered - skipped) | {
            old for old, new in self.identities.aliased.items() if new not in skipped
        }

    def graph(self) -> DependencyGraph:
        if self._mode.condemned:
            return DependencyGraph([*self._mode.condemned, *self._resources])
        return self._graph

    # -------------------------------------------------------- inheritance

    def _inherit(self, goal: Goal) -> None:
        """Takes from the parent what the registration leaves open."""
        parent = self.decided.states.get(goal.parent)
        if parent is None:
            return
        if goal.protect is None:
            goal.protect = parent.protect
        if goal.retain_on_delete is None:
            goal.retain_on_delete = parent.retain_on_delete
        goal.deleted_with = goal.deleted_with or parent.deleted_with

    def _remember(self, new: State) -> State:
        self.decided.states[new.urn] = new
        return new

    # -------------------------------------------------------- import

    def _import(self, old: State | None, new: State) -> list[Step]:
        if old is None:
            return [ImportStep(new)]
        self._must_not_be_protected(old, new)
        return [ImportStep(new, original=old), ReplaceStep(old=old, new=new)]

    # -------------------------------------------------------- check

    def _checked(
        self, goal: Goal, old: State | None, new: State, recreated: DependentReplacement | None
    ) -> Provider | None:
        """Gives a new state its inputs as its provider wants them; the provider, None for a component."""
        new.inputs = goal.inputs if old is None else _ignoring(old, goal.inputs, goal.ignore_changes)
        provider = self._registry.get(new.provider, new.type) if new.custom else None
        fresh = recreated is not None or (old is not None and old.external) or new.urn in self._options.replace
        if provider is not None:
            new.inputs = self._check(provider, new.urn, None if old is None or fresh else old.inputs, new.inputs)
        self._planning.registered(new.urn, goal, old, fresh=fresh, inputs=new.inputs)
        return provider

    def _check(self, provider: Provider, urn: str, olds: PropertyMap | None, news: PropertyMap) -> PropertyMap:
        inputs, failures = provider.check(urn, olds, news, self._planning.seed(urn))
        for failure in failures:
            self._diagnose("error", urn, check_message(urn, failure, news))
        if failures:
            raise BailError(f"{urn} was refused by its provider")
        return inputs

    # -------------------------------------------------------- decisions

    def _steps(
        self,
        goal: Goal,
        old: State | None,
        new: State,
        provider: Provider | None,
        recreated: DependentReplacement | None,
    ) -> list[Step]:
        if old is None:
            return [CreateStep(new=new)]
        if recreated is not None:
            return [
                ReplaceStep(old=old, new=new),
                CreateStep(replacement=True, old=old, new=new, keys=recreated.keys),
            ]
        if old.external:
            return [CreateStep(replacement=True, keeps_old=True, old=old, new=new), ReplaceStep(old=old, new=new)]
        diff = self._diff(old, new, provider, goal)
        if old.pending_replacement or (diff.some and diff.replace):
            return self._replace(goal, old, new, provider, diff)
        if diff.some:
            return [UpdateStep(op=StepOp.UPDATE, old=old, new=new, diffs=diff.changed_keys, detailed=diff.detailed)]
        return [SameStep(op=StepOp.SAME, old=old, new=new)]

    def _diff(self, old: State, new: State, provider: Provider | None, goal: Goal) -> DiffResult:
        if old.urn in self._options.replace or new.urn in self._options.replace:
            return DiffResult(changes=Changes.SOME, replace_keys=("id",))
        if old.type != new.type and new.custom:
            return DiffResult(changes=Changes.SOME, replace_keys=("type",))
        moved = self._provider_change(old, new)
        if moved is not None:
            return moved
        if provider is None:
            compared = compare_inputs(old.inputs, new.inputs)
            return DiffResult(changes=compared.changes)
        diff = provider.diff(new.urn, old.id, old.inputs, old.outputs, new.inputs, new.ignore_changes)
        if diff.changes is Changes.UNKNOWN:
            own = compare_inputs(old.inputs, new.inputs, new.ignore_changes)
            diff = replace(own, replace_keys=diff.replace_keys, delete_before_replace=diff.delete_before_replace)
        if old.init_errors:
            # What never became ready is tried again, even where nothing else changed.
            diff = replace(diff, changes=Changes.SOME)
        return apply_replace_on_changes(diff, goal.replace_on_changes, has_init_errors=bool(old.init_errors))

    def _provider_change(self, old: State, new: State) -> DiffResult | None:
        """A replacement where the resource goes to another provider; None where its provider is the same in effect."""
        if not new.custom or old.provider == new.provider or not old.provider:
            return None
        old_urn, old_id = split_provider_ref(old.provider)
        new_urn, new_id = split_provider_ref(new.provider)
        if self.identities.aliased.get(old_urn, old_urn) == new_urn and old_id == new_id:
            return None
        before, after = self._olds.get(old_urn), self.decided.states.get(new_urn)
        comparable = urn_type(old_urn) == urn_type(new_urn) and before is not None and after is not None
        # Another provider of the same package, such as that of an upgraded SDK: only the provider itself can say
        # whether its configuration means other objects.
        if comparable and not self._registry.replaces(new.provider, require(before), require(after)):
            return None
        return DiffResult(changes=Changes.SOME, replace_keys=("provider",))

    def _replace(self, goal: Goal, old: State, new: State, provider: Provider | None, diff: DiffResult) -> list[Step]:
        self._must_not_be_protected(old, new)
        if goal.import_id:
            # A replacement has another id than the one that the program names.
            if not self._options.dry_run:
                raise ResourceError(new.urn, IMPORTED_REPLACE_MESSAGE)
            self._diagnose("warning", new.urn, IMPORTED_REPLACE_MESSAGE)
        if provider is not None and new.urn not in self._options.replace:
            # The provider must choose names and defaults afresh: nothing of the old object counts.
            new.inputs = self._check(provider, new.urn, None, _ignoring(old, goal.inputs, goal.ignore_changes))
        first = goal.delete_before_replace
        if first is None:
            first = diff.delete_before_replace or old.pending_replacement
        if first or old.pending_replacement:
            return self._delete_first(old, new, diff)
        known = _replacement(old, new, diff)
        return [CreateStep(replacement=True, keeps_old=True, **known), ReplaceStep(**known)]

    def _must_not_be_protected(self, old: State, new: State) -> None:
        # Lifting protection and replacing in one update is allowed, so both sides count.
        if old.protect and new.protect:
            self._diagnose("error", new.urn, protected_replace_message(new.urn))
            raise BailError(f"{new.urn} is protected")

    def _delete_first(self, old: State, new: State, diff: DiffResult) -> list[Step]:
        steps: list[Step] = []
        dependents = dependents_to_replace(old, self._graph, self._provider_of_old)
        for dependent in reversed(dependents):
            if dependent.state in self.decided.deleted:
                continue
            if dependent.state.protect:
                raise ResourceError(dependent.state.urn, protected_message(dependent.state.urn))
            self.decided.recreate[dependent.state.urn] = dependent
            steps.append(self._delete_for_replacement(dependent.state))
        if not old.pending_replacement:
            steps.append(self._delete_for_replacement(old))
        known = _replacement(old, new, diff)
        return [*steps, ReplaceStep(**known), CreateStep(replacement=True, **known)]

    def _delete_for_replacement(self, state: State) -> Step:
        self.decided.deleted.add(state)
        return DeleteStep(op=StepOp.DELETE_REPLACED, recreated=True, old=state)

    def _provider_of_old(self, state: State) -> Provider:
        ref = state.provider
        urn, _ = split_provider_ref(ref)
        current = self.decided.states.get(self.identities.aliased.get(urn, urn))
        if current is not None and current.id:
            ref = f"{current.urn}::{current.id}"
        return self._registry.get(ref, state.type)


# ------------------------------------------------------------------ helpers


def _replacement(old: State, new: State, diff: DiffResult) -> dict[str, Any]:
    """What both steps of a replacement, the deed and its announcement, tell of it."""
    return {
        "old": old,
        "new": new,
        "keys": diff.replace_keys,
        "diffs": diff.changed_keys,
        "detailed": diff.detailed,
    }


def _has_imported(old: State | None, goal: Goal) -> bool:
    """Whether what was to be imported, or has that very id, is in the state: then the option says nothing new."""
    return old is not None and not old.external and goal.import_id in (old.id, old.import_id)


def _ignoring(old: State, inputs: PropertyMap, ignored: Sequence[str]) -> PropertyMap:
    if not ignored:
        return inputs
    return reset_ignored(old.inputs, inputs, ignored)


def _state_of(urn: str, goal: Goal) -> State:
    return State(
        urn=urn,
        type=goal.type,
        custom=goal.custom,
        inputs=goal.inputs,
        parent=goal.parent,
        protect=bool(goal.protect),
        dependencies=goal.dependencies,
        provider=goal.provider,
        property_dependencies=goal.property_dependencies,
        additional_secret_outputs=goal.additional_secret_outputs,
        custom_timeouts=goal.custom_timeouts,
        import_id=goal.import_id,
        retain_on_delete=bool(goal.retain_on_delete),
        deleted_with=goal.deleted_with,
        replace_with=goal.replace_with,
        ignore_changes=goal.ignore_changes,
        replace_on_changes=goal.replace_on_changes,
        hide_diff=goal.hide_diff,
        resource_hooks=goal.resource_hooks,
        source_position=goal.source_position,
    )


def protected_replace_message(urn: str) -> str:
    return (
        f"unable to replace resource {urn}\nas it is currently marked for protection. To unprotect the resource, "
        f"remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`"
    )
