"""The reads of one operation's refresh: which there are beside the chosen ones, and that all of them are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.operation import Options
from engine.pending import PendingCreates, pending_creates
from engine.refresh import RefreshStep, found_by, refreshed
from engine.resource import State
from engine.snapshot import Snapshot
from engine.step_executor import StepExecutor


class Refresher:
    """`diagnose` is told (severity, urn, message) of what the options say of interrupted creations in vain."""

    def __init__(self, options: Options, diagnose: Callable[[str, str, str], None]) -> None:
        self._options = options
        self._diagnose = diagnose
        self._creates = PendingCreates()

    def read(self, base: Snapshot, chosen: Sequence[State], executor: StepExecutor) -> dict[State, State | None]:
        """What the chosen states, and interrupted creations that an id is given for, have become; see `found_by`.

        They are read side by side, and one that fails keeps no other from being read. Raises EngineError where the
        options say of an interrupted creation what cannot be.
        """
        options = self._options
        self._creates = pending_creates(
            base,
            options.import_pending_creates,
            forget=options.forget_pending_creates,
            forget_all=options.clear_pending_creates,
        )
        for urn in self._creates.unknown:
            self._diagnose("warning", "", f'"{urn}" did not correspond to a pending create')
        steps = [RefreshStep(old=state) for state in [*chosen, *self._creates.look_for.values()]]
        for step in steps:
            executor.submit([step])
        executor.wait()
        return found_by(steps)

    def taken(self, base: Snapshot, found: Mapping[State, State | None]) -> Snapshot:
        """The state with all that was found."""
        return refreshed(base, found, self._creates)
