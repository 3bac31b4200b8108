"""Which resource of the state a registration is about: by its URN, then by its aliases, own and inherited.

An alias is a URN, or the parts of one. A child inherits what its parent was found by: a component that is renamed takes
its children along, whatever their depth. Pure; it changes only its own book of who has claimed what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.errors import ResourceError
from engine.resource import AliasSpec, Goal, State, make_urn, unique, urn_name, urn_type


@dataclass(slots=True, kw_only=True)
class Identities:
    """The book of one operation. `olds` are the resources of the state by URN, without those that are to be deleted."""

    stack: str
    project: str
    olds: Mapping[str, State]
    registered: set[str] = field(default_factory=set)
    aliased: dict[str, str] = field(default_factory=dict)
    """Old URN -> new URN of all that was found by an alias."""
    found_by: dict[str, str] = field(default_factory=dict)
    """The other way round: new URN -> the URN in the state."""

    def claim(self, goal: Goal) -> str:
        """The URN of a registration, from here on taken. Raises ResourceError for one that is taken already."""
        urn = make_urn(self.stack, self.project, goal.parent, goal.type, goal.name)
        self._require_registered(urn, goal)
        if urn in self.registered:
            raise ResourceError(urn, f"Duplicate resource URN '{urn}'; try giving it a unique name")
        self.registered.add(urn)
        return urn

    def _require_registered(self, urn: str, goal: Goal) -> None:
        """Raises ResourceError for a reference to what the program has not registered: no state could hold it."""
        if goal.parent and goal.parent not in self.registered:
            raise ResourceError(urn, f"could not find parent resource {goal.parent}")
        needed = [*goal.dependencies, *(u for urns in goal.property_dependencies.values() for u in urns)]
        for other in [*needed, *([goal.deleted_with] if goal.deleted_with else []), *goal.replace_with]:
            if other not in self.registered:
                raise ResourceError(urn, f"resource {urn} refers to {other}, which the program has not registered")

    def old_of(self, urn: str, goal: Goal) -> tuple[State | None, ResourceError | None]:
        """The resource in the state that a registration is about, None for a new one.

        Two claimants of one resource are an error, which is told after the inputs have been checked.
        """
        conflict = None
        if urn in self.aliased:
            conflict = ResourceError(
                urn, f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{self.aliased[urn]}'"
            )
        # What has the very URN comes first: an alias may still be in a program whose resource has long moved.
        if urn in self.olds:
            return self.olds[urn], conflict
        for alias in self.aliases(goal):
            old = self.olds.get(alias)
            if old is None:
                continue
            conflict = conflict or self._contested(alias, urn)
            self.aliased[alias] = urn
            self.found_by[urn] = alias
            return old, conflict
        return None, conflict

    def keep_name(self, urn: str, old: str) -> None:
        """A resource that was found by an alias stays what it was, its URN in the state included."""
        self.registered.add(old)
        self.aliased.pop(old, None)
        self.found_by.pop(urn, None)

    def _contested(self, alias: str, urn: str) -> ResourceError | None:
        owner = self.aliased.get(alias)
        if owner is None and alias not in self.registered:
            return None
        # The stock engine names the claimant itself where the alias is a living resource; people search for its words.
        return ResourceError(
            urn,
            f"Duplicate resource alias '{alias}' applied to resource with URN '{urn}' conflicting with resource with "
            f"URN '{owner or urn}'",
        )

    # -------------------------------------------------------- aliases

    def aliases(self, goal: Goal) -> list[str]:
        """Every URN that a resource may have in the state, its own excepted, the most specific first."""
        own = [*goal.alias_urns, *(self._urn_of(spec, goal) for spec in goal.alias_specs)]
        return unique([*own, *self._inherited(goal, own)])

    def _urn_of(self, spec: AliasSpec, goal: Goal) -> str:
        # A parent that was itself found by an alias was called otherwise when this resource was made.
        parent = self.found_by.get(spec.parent_urn, spec.parent_urn) or goal.parent
        return make_urn(
            spec.stack or self.stack,
            spec.project or self.project,
            "" if spec.no_parent else parent,
            spec.type or goal.type,
            spec.name or goal.name,
        )

    def _inherited(self, goal: Goal, own: list[str]) -> Iterator[str]:
        parent = self.found_by.get(goal.parent)
        if parent is None:
            return
        kinds = [(goal.type, goal.name), *((urn_type(alias), urn_name(alias)) for alias in own)]
        # A parent that comes from another stack or project has brought its children along.
        stack, project = _stack_and_project(parent)
        for type_, name in kinds:
            old_name = _inherited_name(name, urn_name(goal.parent), urn_name(parent))
            yield make_urn(self.stack, self.project, parent, type_, old_name)
            yield make_urn(stack, project, parent, type_, old_name)


def _stack_and_project(urn: str) -> tuple[str, str]:
    stack, project, *_ = urn.removeprefix("urn:pulumi:").split("::", 2)
    return stack, project


def _inherited_name(name: str, parent: str, old_parent: str) -> str:
    """The name that a child had under its parent's old name, where it is named after the parent."""
    return old_parent + name[len(parent) :] if name.startswith(parent) else name
