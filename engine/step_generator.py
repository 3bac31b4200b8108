"""One registration or read -> its chain of steps. It asks providers (Check, Diff) and applies nothing.

Generation is serial: what was decided for one registration is known when the next one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from engine.aliases import Identities
from engine.bystanders import Bystanders
from engine.check_failures import check_message
from engine.deletions import DependentReplacement, delete_condemned, delete_steps, dependents_to_replace
from engine.departures import Departures
from engine.diff import reset_ignored
from engine.errors import BailError, ResourceError
from engine.import_steps import ImportStep
from engine.operation import Options
from engine.planning import Planning
from engine.policies import PolicyPacks
from engine.program_modes import ProgramMode
from engine.provider_client import Provider
from engine.providers import ProviderRegistry
from engine.replacement import Decided, Diagnose, Replacements
from engine.resource import (
    UNKNOWN,
    Goal,
    PropertyMap,
    State,
    StepOp,
    split_provider_ref,
)
from engine.snapshot import DependencyGraph
from engine.source import ReadResource, RegisterResource, ResourceImported
from engine.steps import (
    CreateStep,
    ReadStep,
    ReplaceStep,
    SameStep,
    Step,
    UpdateStep,
)
from engine.targets import Selection, carried_too_early

IMPORTED_REPLACE_MESSAGE: Final = (
    "previously-imported resources that still specify an ID may not be replaced; please remove the `import` "
    "declaration from your program"
)


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
        policies: PolicyPacks,
        diagnose: Diagnose,
        mode: ProgramMode,
        settle: Callable[[], None],
        has_failed: Callable[[str], bool],
        spared: Iterable[str] = (),
    ) -> None:
        self._mode = mode
        self._preview = options.dry_run
        self._settle = settle
        self._has_failed = has_failed
        self._registry = registry
        self._planning = planning
        self._policies = policies
        self._diagnose = diagnose
        self._resources = resources
        self._olds = {s.urn: s for s in resources if not s.delete}
        self._graph = DependencyGraph(resources)
        self.decided = Decided()
        self.identities = Identities(stack=stack, project=project, olds=self._olds)
        self.selection = Selection(options, spared=spared)
        self.departures = Departures(self.identities.aliased)
        self._replacements = Replacements(
            olds=self._olds,
            graph=self._graph,
            registry=registry,
            identities=self.identities,
            decided=self.decided,
            selection=self.selection,
            departures=self.departures,
            diagnose=diagnose,
            preview=options.dry_run,
        )
        self._bystanders = Bystanders(
            olds=self._olds,
            identities=self.identities,
            decided=self.decided,
            selection=self.selection,
            skipped=mode.skipped,
            diagnose=diagnose,
            settle=settle,
            preview=options.dry_run,
        )

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
        recreated = self.decided.recreate.get(old.urn if old is not None else urn)
        if recreated is not None and old is not None:
            self._is_deleted(old)
        included = not self._mode.limited or self.selection.includes(new)
        if conflict is None and not included and recreated is None:
            self._planning.registered(urn, goal, old, fresh=False, inputs=old.inputs if old is not None else {})
            return self._bystanders.untouched(event, old, new)
        if old is not None and old.urn in self.decided.carried:
            raise ResourceError(urn, carried_too_early(urn))
        if new.provider and self._has_failed(split_provider_ref(new.provider)[0]):
            return [CreateStep(new=new)]  # which is skipped: there is nobody to ask what else it might be
        instead = self._mode.instead(old, new)
        if instead is not None:
            if conflict is not None:
                raise conflict
            return instead
        if goal.custom and goal.import_id and not _has_imported(old, goal):
            if conflict is not None:
                raise conflict
            return self._bystanders.all_created(self._import(old, new))
        provider = self._checked(goal, old, new, recreated, included=included)
        if conflict is not None:
            raise conflict
        return self._bystanders.all_created(
            [*self._mode.before(old), *self._steps(goal, old, new, provider, recreated)]
        )

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
        if old is not None and not old.external and old.id != new.id and not self._is_deleted(old):
            if old.protect:
                # The stock engine deletes the object all the same; protection would not be worth its name.
                raise ResourceError(urn, _protected_from_read(urn))
            return [ReadStep(replacement=True, old=old, new=new), ReplaceStep(old=old, new=new)]
        return [ReadStep(old=old, new=new)]

    def deletes(self) -> tuple[list[Step], list[Step]]:
        """What is left alone though the program did not register it, and what goes after the program: all else that is
        not registered, and what replacements left behind. Raises BailError where that is more than was asked for."""
        self._mode.settle(self._has_failed)
        allowed = self.selection.to_delete([*self._mode.condemned, *self._resources], self.graph())
        self._ask_about_dependents(allowed)
        kept = self.kept()
        stays, steps = delete_steps(
            self._resources,
            lambda s: s.urn in kept,
            lambda s: s in self.decided.deleted,
            lambda s: allowed is None or s.urn in allowed,
        )
        steps.extend(delete_condemned([s for s in self._mode.condemned if allowed is None or s.urn in allowed]))
        self._bystanders.require_asked_for(steps)
        for step in steps:
            name = self.identities.aliased.get(step.urn, step.urn)
            self.departures.goes(step.state, replaced=name in self.decided.replaced)
        self.decided.deleted.update(step.state for step in steps)
        return [self._bystanders.carry(state) for state in stays], steps

    def _ask_about_dependents(self, allowed: set[str] | None) -> None:
        # The answers change nothing: whatever needs a target goes with it. But the stock engine asks, and providers may
        # be relied upon to be asked.
        if not self.selection.by_targets or allowed is None:
            return
        for state in self._resources:
            if state.urn in allowed and not state.delete:
                settled = self._replacements.settled
                dependents_to_replace(state, self._graph, self._replacements.provider_of_old, settled)

    def kept(self) -> set[str]:
        """URNs, old and new ones, of what the program has registered and this operation has dealt with."""
        skipped = self._mode.skipped
        renamed = {old for old, new in self.identities.aliased.items() if new not in skipped}
        return (self.identities.registered - skipped) | renamed | self.decided.carried.keys()

    def knows(self, urn: str) -> bool:
        """Whether there is such a resource: in the state, or in the program so far."""
        return urn in self._olds or urn in self.identities.registered

    def graph(self) -> DependencyGraph:
        if self._mode.condemned:
            return DependencyGraph([*self._mode.condemned, *self._resources])
        return self._graph

    def _is_deleted(self, old: State) -> bool:
        """Whether a resource was deleted before its registration came; a delete that is under way is waited for."""
        if old not in self.decided.deleted:
            return old.pending_replacement
        if not (self._preview or old.pending_replacement):
            self._settle()
        return self._preview or old.pending_replacement

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
        self._replacements.refuse_protected(old, new)
        return [ImportStep(new, original=old), ReplaceStep(old=old, new=new)]

    # -------------------------------------------------------- check

    def _checked(
        self,
        goal: Goal,
        old: State | None,
        new: State,
        recreated: DependentReplacement | None,
        *,
        included: bool = True,
    ) -> Provider | None:
        """Gives a new state its inputs as its provider wants them; the provider, None for a component."""
        if not included and old is not None:
            # No target, but replaced along with one: it becomes what it was.
            new.inputs = old.inputs
            return self._registry.get(new.provider, new.type) if new.custom else None
        new.inputs = goal.inputs if old is None else _ignoring(old, goal.inputs, goal.ignore_changes)
        provider = self._registry.get(new.provider, new.type) if new.custom else None
        fresh = recreated is not None or (old is not None and old.external)
        fresh = fresh or self._replacements.forced(old, new.urn)
        if provider is not None:
            olds = None if old is None or fresh else old.inputs
            new.inputs = self._check(provider, new.urn, old, olds, new.inputs)
        self._planning.registered(new.urn, goal, old, fresh=fresh, inputs=new.inputs)
        self._policies.inspect(goal, new, self.decided.states)
        return provider

    def _check(
        self, provider: Provider, urn: str, old: State | None, olds: PropertyMap | None, news: PropertyMap
    ) -> PropertyMap:
        seed = self._planning.seed(urn, old.id if old is not None else "")
        inputs, failures = provider.check(urn, olds, news, seed)
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
            return self._replacements.again(old, new, recreated)
        if old.external:
            return [CreateStep(replacement=True, keeps_old=True, old=old, new=new), ReplaceStep(old=old, new=new)]
        diff = self._replacements.diff(goal, old, new, provider)
        if old.pending_replacement or (diff.some and diff.replace):
            self._prepare_replacement(goal, old, new, provider)
            return self._replacements.chain(goal, old, new, diff)
        if diff.some:
            return [UpdateStep(op=StepOp.UPDATE, old=old, new=new, diffs=diff.changed_keys, detailed=diff.detailed)]
        return [SameStep(op=StepOp.SAME, old=old, new=new)]

    def _prepare_replacement(self, goal: Goal, old: State, new: State, provider: Provider | None) -> None:
        self._replacements.refuse_protected(old, new)
        if goal.import_id:
            # A replacement has another id than the one that the program names.
            if not self._preview:
                raise ResourceError(new.urn, IMPORTED_REPLACE_MESSAGE)
            self._diagnose("warning", new.urn, IMPORTED_REPLACE_MESSAGE)
        if provider is not None and not self._replacements.forced(old, new.urn):
            # The provider must choose names and defaults afresh: nothing of the old object counts.
            new.inputs = self._check(provider, new.urn, old, None, _ignoring(old, goal.inputs, goal.ignore_changes))
            self._policies.inspect(goal, new, self.decided.states)


# ------------------------------------------------------------------ helpers


def _protected_from_read(urn: str) -> str:
    return (
        f'unable to replace resource "{urn}" by one that is only read\nas it is currently marked for protection, and '
        f"the object that it owns would be deleted. To unprotect it, use the command:\n`pulumi state unprotect '{urn}'`"
    )


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
        replacement_trigger=goal.replacement_trigger,
        hide_diff=goal.hide_diff,
        resource_hooks=goal.resource_hooks,
        source_position=goal.source_position,
    )
