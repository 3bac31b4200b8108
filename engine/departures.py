"""What goes in one operation, and what goes along with it without a call: resources that are deleted with another one.

The one that holds them takes them away, so they count as gone when it has gone, and not before: should its delete fail,
they are still there, and the state must still know them.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.resource import State, all_dependencies

_Key = tuple[str, bool]
"""A URN, and whether the resource was marked to be deleted: one URN may have both, what is left of a replacement and
the resource itself."""


@dataclass(slots=True)
class Departures:
    """The book of one operation. `names` gives the new URN of what was renamed: either may be referred to."""

    names: Mapping[str, str] = field(default_factory=dict)
    _live: set[str] = field(default_factory=set)
    _marked: set[str] = field(default_factory=set)
    _waiting: defaultdict[_Key, list[tuple[State, bool]]] = field(default_factory=lambda: defaultdict(list))
    _over: set[_Key] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Deletes of one layer end side by side: held from what leaves the state to its having left."""

    def goes(self, state: State, *, replaced: bool = False) -> None:
        """Notes that a resource is going to go; `replaced` says that it was in use until now."""
        if state.delete:
            self._marked.add(self._name(state.urn))
        if replaced or not state.delete:
            self._live.add(self._name(state.urn))

    def goes_along(self, state: State) -> bool:
        """Whether a resource goes with the one that it is deleted with."""
        return self._name(state.deleted_with) in (self._marked if state.delete else self._live)

    def wait(self, state: State, *, recreated: bool) -> bool:
        """Notes that `state` goes when its holder does; False where that has gone already."""
        key = (self._name(state.deleted_with), state.delete)
        with self.lock:
            if key in self._over:
                return False
            self._waiting[key].append((state, recreated))
            return True

    def gone(self, state: State, *, recreated: bool, called: bool) -> list[tuple[State, bool]]:
        """What leaves the state with `state`, each with whether its replacement is to come; nothing where it has to
        wait too. `called` says that a provider has deleted it, so that it cannot."""
        with self.lock:
            return self._gone(state, recreated=recreated, called=called)

    def _gone(self, state: State, *, recreated: bool, called: bool) -> list[tuple[State, bool]]:
        along = self._along(state)
        if not recreated and not called:
            for key, waiting in self._waiting.items():
                if key not in along and any(self._needs(one, state) for one, again in waiting if not again):
                    # Nothing that stays in the state may refer to what does not.
                    waiting.append((state, recreated))
                    return []
        self._over |= along
        found = [(state, recreated), *(held for key in along for held in self._waiting.pop(key, ()))]
        for one, again in list(found):
            if not again:
                found += self._released(one)
        return found

    def _along(self, state: State) -> set[_Key]:
        """The keys of what goes with a resource, directly or not."""
        urn = self._name(state.urn)
        keys = {(urn, state.delete)}
        if state.delete and urn in self._live:
            keys.add((urn, False))  # marked only now: what it held was registered with what was then in use
        found: set[_Key] = set()
        while keys:
            key = keys.pop()
            found.add(key)
            held = {(self._name(one.urn), one.delete) for one, _ in self._waiting.get(key, ())}
            keys |= held - found
        return found

    def _released(self, state: State) -> list[tuple[State, bool]]:
        """Those that wait and need `state`, which does not: they cannot stay without it."""
        found: list[tuple[State, bool]] = []
        for held in self._waiting.values():
            found += [(one, again) for one, again in held if not again and self._needs(one, state)]
            held[:] = [(one, again) for one, again in held if again or not self._needs(one, state)]
        for one, _ in list(found):
            found += self._released(one)
        return found

    def _needs(self, state: State, other: State) -> bool:
        name = self._name(other.urn)
        return any(self._name(urn) == name for _, urn in all_dependencies(state))

    def _name(self, urn: str) -> str:
        return self.names.get(urn, urn)
