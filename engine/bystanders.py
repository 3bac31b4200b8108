"""What becomes of resources that are no targets of an operation: they stay as they are, or are not created.

A target may need one of them: one that stays is carried over before what needs it, one that is not created is told of.
It asks nobody and applies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine import source
from engine.aliases import Identities
from engine.errors import BailError, ResourceError
from engine.replacement import Decided, Diagnose
from engine.resource import State, StepOp, all_dependencies, split_provider_ref, unique
from engine.snapshot import rename_references
from engine.source import Registered, RegisterResource
from engine.steps import CarryStep, SameStep, SkippedStep, Step
from engine.targets import Selection, is_provider_of, kept_with, missing_provider, not_asked_for, not_created


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystanders:
    """Those of one operation. `olds` is the state by URN, without what is to be deleted, in the order of the state;
    `skipped` takes the URNs of what is not created; `settle` waits for all steps that are under way."""

    olds: Mapping[str, State]
    identities: Identities
    decided: Decided
    selection: Selection
    skipped: set[str]
    diagnose: Diagnose
    settle: Callable[[], None]
    preview: bool

    def untouched(self, event: RegisterResource, old: State | None, new: State) -> list[Step]:
        """The chain for a registration that is not acted upon, empty where it has been answered. Raises ResourceError
        where the resource cannot stay as it is."""
        if old is None:
            return self._not_created(new)
        del self.decided.states[new.urn]
        carried = self.decided.carried.get(old.urn)
        if carried is not None:
            self.decided.states[carried.urn] = carried
            source.settle(event.answer, Registered(state=carried))
            return []
        if old.provider and not self._has_its_provider(old):
            raise ResourceError(new.urn, missing_provider(old))
        self.identities.keep_name(new.urn, old.urn)
        states = kept_with(old, self.olds, self._has_step)
        if not set(all_dependencies(old)) <= set(all_dependencies(new)):
            # The program has not waited for what only the state says that it needs.
            self.settle()
        return [*map(self.carry, states[:-1]), self._carried(SameStep, old)]

    def _not_created(self, new: State) -> list[Step]:
        self.decided.not_created.add(new.urn)
        self.skipped.add(new.urn)
        if new.custom:
            new.inputs = {}  # nobody has checked them
        return [SkippedStep(old=replace(new), new=new)]

    def _has_its_provider(self, old: State) -> bool:
        urn, _ = split_provider_ref(old.provider)
        now = self.decided.states.get(self.identities.aliased.get(urn, urn))
        return is_provider_of(old, now, self.olds.get(urn))

    def _has_step(self, urn: str) -> bool:
        """Whether something has been decided about a resource of the state."""
        return urn in self.identities.registered or urn in self.identities.aliased or urn in self.decided.carried

    def carry(self, state: State) -> Step:
        """The step that takes over what the program has not registered."""
        return self._carried(CarryStep, state)

    def _carried(self, kind: type[SameStep], state: State) -> Step:
        """The step that takes a resource over as it is, but for the new names of what it refers to."""
        copy = replace(state)
        rename_references(copy, self.identities.aliased)
        self.decided.carried[state.urn] = self.decided.states[copy.urn] = copy
        return kind(op=StepOp.SAME, old=state, new=copy)

    # -------------------------------------------------------- what is refused

    def all_created(self, chain: list[Step]) -> list[Step]:
        """The chain, unless something in it needs what is not created. Raises BailError, except in a preview."""
        for step in chain if self.decided.not_created else ():
            if step.new is None:
                continue
            for urn in unique(urn for _, urn in all_dependencies(step.new)):
                if urn not in self.decided.not_created:
                    continue
                message = not_created(step.urn, urn, by_targets=self.selection.by_targets)
                self._refuse(step.urn, message)
                if not self.preview:
                    raise BailError("untargeted create")
                self.decided.not_created.discard(urn)  # said once
        return chain

    def require_asked_for(self, steps: Sequence[Step]) -> None:
        """Tells of deletes that nobody asked for. Raises BailError, except in a preview."""
        unasked = [step.urn for step in steps if not self.selection.is_asked_for(step.urn)]
        for urn in unasked:
            self._refuse(urn, not_asked_for(urn))
        if unasked and not self.preview:
            raise BailError("delete untargeted resource")

    def _refuse(self, urn: str, message: str) -> None:
        self.diagnose("error", urn, message)
        self.decided.errored = True
