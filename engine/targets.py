"""Which resources an operation is about: `--target`, `--exclude`, what depends on them, and `--replace`. Pure.

Resources are decided on in the order in which they are registered, or lie in the state: what a resource needs comes
before it, so a dependent of a dependent is found by remembering which ones counted. Providers and the root stack always
take part in an update. Nothing is read, deleted or told here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.errors import ResourceError
from engine.operation import Options
from engine.resource import STACK_TYPE, State, all_dependencies, is_provider_type, split_provider_ref
from engine.snapshot import DependencyGraph


class UrnSet:
    """URNs, and globs: `*` is any text without a colon, `**` any text. An empty set is false."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.literals: dict[str, None] = {}
        self._globs: list[re.Pattern[str]] = []
        for pattern in patterns:
            if "*" in pattern:
                self._globs.append(_matcher(pattern))
            else:
                self.literals[pattern] = None

    def __bool__(self) -> bool:
        return bool(self.literals or self._globs)

    def __contains__(self, urn: object) -> bool:
        return isinstance(urn, str) and (urn in self.literals or any(glob.fullmatch(urn) for glob in self._globs))


def _matcher(glob: str) -> re.Pattern[str]:
    parts = ("[^:]*".join(map(re.escape, part.split("*"))) for part in glob.split("**"))
    return re.compile(".*".join(parts), re.DOTALL)


class Selection:
    """What the options of one operation select. It learns as registrations come; one is made for each operation."""

    def __init__(self, options: Options, *, spared: Iterable[str] = ()) -> None:
        self._targets = UrnSet(options.targets)
        self._excludes = UrnSet((*options.excludes, *spared))
        self._target_dependents = options.target_dependents
        self._exclude_dependents = options.exclude_dependents
        self._replace = UrnSet(options.replace)
        self._counted: set[str] = set()
        self._left_out: set[str] = set()

    @property
    def limited(self) -> bool:
        """Whether anything at all is left out."""
        return bool(self._targets or self._excludes)

    @property
    def by_targets(self) -> bool:
        return bool(self._targets)

    def forces_replacement(self, urn: str) -> bool:
        return urn in self._replace

    # -------------------------------------------------------- registrations

    def includes(self, state: State) -> bool:
        """Whether a registration is acted upon; `state` is what the program asks for. Called once for each."""
        if not self.limited:
            return True
        chosen = self._chooses(state)
        return chosen or state.type == STACK_TYPE or is_provider_type(state.type)

    def _chooses(self, state: State) -> bool:
        if self._targets:
            follow = self._target_dependents
            chosen = state.urn in self._targets or (follow and _needs(state, self._targets, self._counted))
            if chosen:
                self._counted.add(state.urn)
            return chosen
        follow = self._exclude_dependents
        excluded = state.urn in self._excludes or (follow and _needs(state, self._excludes, self._left_out))
        if excluded:
            self._left_out.add(state.urn)
        return not excluded

    # -------------------------------------------------------- names that nothing has

    def unknown_targets(self, known: Callable[[str], bool]) -> list[str]:
        """Targets, globs apart, that `known` says there are none of."""
        return [urn for urn in self._targets.literals if not known(urn)]

    def unknown_excludes(self, known: Callable[[str], bool]) -> list[str]:
        return [urn for urn in self._excludes.literals if not known(urn)]

    def unknown_replacements(self, known: Callable[[str], bool]) -> list[str]:
        return [urn for urn in self._replace.literals if not known(urn)]

    # -------------------------------------------------------- refresh and delete

    def to_refresh(self, resources: Sequence[State]) -> list[State]:
        """The resources of the state that a refresh reads. Sharing a provider does not make a dependent here."""
        if self._targets:
            return _with_dependents(resources, self._targets, follow=self._target_dependents)
        if self._excludes:
            left_out = set(_with_dependents(resources, self._excludes, follow=self._exclude_dependents))
            return [state for state in resources if state not in left_out]
        return list(resources)

    def to_delete(self, resources: Sequence[State], graph: DependencyGraph) -> set[str] | None:
        """The URNs that may be deleted, None where all may be.

        Targets come with all that depends on them, which cannot stay; excluded resources with all that they need.
        """
        if self._targets:
            return {state.urn for state in _closure(resources, self._targets, graph)}
        if self._excludes:
            return {state.urn for state in resources} - self._kept(resources, graph)
        return None

    def _kept(self, resources: Sequence[State], graph: DependencyGraph) -> set[str]:
        if self._exclude_dependents:
            kept = {state.urn for state in _closure(resources, self._excludes, graph)}
        else:
            kept = {state.urn for state in resources if state.urn in self._excludes}
        count = -1
        # What a replacement left behind bears the same URN, stays along, and may need what nothing else needs any more.
        while count != len(kept):
            count = len(kept)
            for state in reversed(resources):
                if state.urn in kept:
                    kept |= {needed.urn for needed in graph.dependencies_of(state)}
        return kept

    def is_asked_for(self, urn: str) -> bool:
        """Whether a resource that has to be deleted along with a target was named, or all such ones were."""
        return not self._targets or self._target_dependents or urn in self._targets


def _needs(state: State, chosen: UrnSet, urns: set[str]) -> bool:
    return any(urn in urns or urn in chosen for _, urn in all_dependencies(state))


def _with_dependents(resources: Sequence[State], chosen: UrnSet, *, follow: bool) -> list[State]:
    found: list[State] = []
    urns: set[str] = set()
    for state in resources:
        needed = (urn for kind, urn in all_dependencies(state) if kind != "provider")
        if state.urn in chosen or (follow and any(urn in urns or urn in chosen for urn in needed)):
            found.append(state)
            urns.add(state.urn)
    return found


def _closure(resources: Sequence[State], chosen: UrnSet, graph: DependencyGraph) -> list[State]:
    """The chosen and all that needs them, in the order of the state."""
    found: dict[State, None] = {}
    for state in resources:
        if state.urn in chosen or not graph.dependencies_of(state).isdisjoint(found):
            found[state] = None
    return list(found)


# ------------------------------------------------------------------ what stays as it is


def kept_with(state: State, olds: Mapping[str, State], has_step: Callable[[str], bool]) -> list[State]:
    """What has to be carried over for `state` to stay as it is: what it needs and no step has dealt with, then itself.

    What the program dropped comes after the resources that it has registered, unless something that stays needs it.
    `olds` is in the order of the state. Raises ResourceError where something that is referred to is not there.
    """
    found: dict[str, State] = {}
    waiting = [state]
    while waiting:
        one = waiting.pop()
        for kind, urn in all_dependencies(one):
            if urn in found or has_step(urn) or (one is state and kind == "provider"):
                continue
            needed = olds.get(urn)
            if needed is None:
                raise ResourceError(state.urn, f"{kind} {urn} of untargeted resource {state.urn} has no old state")
            found[urn] = needed
            waiting.append(needed)
    return [*(old for urn, old in olds.items() if urn in found), state] if found else [state]


def is_provider_of(state: State, now: State | None, before: State | None) -> bool:
    """Whether `now`, the registered state of a resource's provider, is the very one that the resource was made with;
    `before` is the provider's old state."""
    if now is None:
        return False
    # A provider whose step has not ended has no id yet: it will keep the one it had.
    id_ = now.id or (before.id if before is not None else "")
    return id_ == split_provider_ref(state.provider)[1]


def missing_provider(state: State) -> str:
    urn, id_ = split_provider_ref(state.provider)
    return (
        f"provider {urn}::{id_} for resource {state.urn} has not been registered yet, this is due to a change of "
        "providers mixed with --target. Change your program back to the original providers"
    )


# ------------------------------------------------------------------ messages, in the stock engine's words if it has any


def carried_too_early(urn: str) -> str:
    return (
        f"{urn} is a target, but a resource that is none needs it in the state, and was registered before it. Name "
        "that one as a target too, or register it after this one"
    )


def not_found(urn: str) -> str:
    hint = "" if "$" in urn else " Did you forget to escape $ in your shell?"
    return f"Target '{urn}' could not be found in the stack.{hint}"


def not_created(urn: str, needed: str, *, by_targets: bool) -> str:
    why = "which was was not specified in --target list." if by_targets else "which --exclude leaves out."
    return f"Resource '{urn}' depends on '{needed}' {why}"


def not_asked_for(urn: str) -> str:
    return (
        f"Resource '{urn}' will be destroyed but was not specified in --target list.\n"
        "Either include resource in --target list or pass --target-dependents to proceed."
    )
