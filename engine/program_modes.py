"""What a registration means where the program runs for the sake of `refresh` or `destroy` (`--run-program`). Pure.

A refresh reads what the program registers and takes over what the program now says of it. A destroy leaves it as it is
and deletes it afterwards, with the provider, the options and the hooks that the program gives it now. Neither makes a
custom resource: what is not in the state is skipped, and so is what cannot be had without it. Providers and components
are handled as in an update, so that they can be used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.journal import Journal
from engine.operation import Kind
from engine.refresh import RefreshStep, is_dangling, pruned
from engine.resource import State, StepOp, all_dependencies, contains_unknown, is_provider_type, split_provider_ref
from engine.steps import SameStep, SkippedStep, Step, StepContext, require


class ProgramMode:
    """An update: a registration means what it says, and what is not registered goes."""

    limited = True
    """Whether targets limit what registrations do; of a destroy, they limit what is deleted afterwards."""

    def __init__(self, *, preview: bool) -> None:
        self._preview = preview
        self.condemned: list[State] = []
        """New states that are deleted after the program."""
        self.skipped: set[str] = set()
        """URNs of what the program has registered and this operation has not made."""

    def instead(self, old: State | None, new: State) -> list[Step] | None:
        """The chain for a registration; None where it is the one of an update."""
        return None

    def before(self, old: State | None) -> list[Step]:
        """Steps in front of those of an update."""
        return []

    def read(self, new: State) -> list[Step] | None:
        """The chain for a read; None where it is the one of an update."""
        return None

    def settle(self, has_failed: Callable[[str], bool]) -> None:
        """The program has ended, and so have its steps: what has become of those that failed."""

    def gone(self) -> dict[State, State | None]:
        """What was registered and not found, as `refreshed` takes it."""
        return {}

    def _skip(self, old: State | None, new: State) -> list[Step]:
        """The program goes on without it; the state keeps what it has."""
        self.skipped.add(new.urn)
        if old is not None:
            new.outputs = old.outputs
        return [SkippedStep(old=old, new=new)]

    def _lacks_skipped(self, new: State) -> bool:
        """Whether it refers to something that was skipped, or to a value that nobody has because of that."""
        if any(urn in self.skipped for _, urn in all_dependencies(new)):
            return True
        return not self._preview and (contains_unknown(new.inputs) or (new.external and not new.id))


def _is_managed(state: State) -> bool:
    """Whether a provider makes and deletes it."""
    return state.custom and not is_provider_type(state.type)


class DestroyMode(ProgramMode):
    """`destroy --run-program`."""

    limited = False

    def instead(self, old: State | None, new: State) -> list[Step] | None:
        if self._lacks_skipped(new):
            return self._skip(old, new)
        if not _is_managed(new):
            self.condemned.append(new)
            return None
        if old is None or old.external or old.pending_replacement:
            # Not ours, or gone already: what the state says of it is what has to be undone.
            return self._skip(old, new)
        new.inputs, new.init_errors = old.inputs, old.init_errors
        self.condemned.append(new)
        return [SameStep(op=StepOp.SAME, old=old, new=new)]

    def read(self, new: State) -> list[Step] | None:
        if self._lacks_skipped(new):
            return self._skip(None, new)
        self.condemned.append(new)
        return None

    def settle(self, has_failed: Callable[[str], bool]) -> None:
        # What could not be had of the program is deleted as the state has it. Of an object that was read and is not
        # ready the state knows all the same.
        failed = (s for s in self.condemned if has_failed(s.urn) and not (s.external and s.init_errors))
        self.skipped.update(state.urn for state in failed)
        self.condemned = [state for state in self.condemned if state.urn not in self.skipped]


class RefreshMode(ProgramMode):
    """`refresh --run-program`. `reads` are the steps that read what the program has registered."""

    def __init__(self, *, preview: bool) -> None:
        ProgramMode.__init__(self, preview=preview)
        self.reads: list[RegisteredRefreshStep] = []
        self._present: set[str] = set()

    def instead(self, old: State | None, new: State) -> list[Step] | None:
        lacking = self._lacks_skipped(new)
        if old is None and (lacking or _is_managed(new)):
            return self._skip(old, new)
        if new.provider and split_provider_ref(new.provider)[0] in self.skipped:
            # There is no such provider. It stays where it is, with the one that it has, and is read with the rest.
            return self._skip(old, new)
        self._present.add(new.urn)
        if old is None or (not _is_managed(new) and not lacking):
            return None
        told = pruned(new, self._present) if is_dangling(new, self._present) else new
        if not _is_managed(new):
            told.inputs = old.inputs
            return [*self.before(old), SameStep(op=StepOp.SAME, old=old, new=told)]
        step = RegisteredRefreshStep(old=old, told=told)
        self.reads.append(step)
        return [step, SkippedStep(new=new, needless=step.found)]

    def before(self, old: State | None) -> list[Step]:
        return [] if old is None else [UnreadStep(old=old)]

    def read(self, new: State) -> list[Step] | None:
        if self._lacks_skipped(new):
            return self._skip(None, new)
        self._present.add(new.urn)
        return None

    def gone(self) -> dict[State, State | None]:
        return {step.told: None for step in self.reads if step.known and step.new is None}


@dataclass(slots=True, kw_only=True, eq=False)
class UnreadStep(RefreshStep):
    """The refresh of a component or a provider: nothing is read, and the step after it tells what becomes of it."""

    logical: bool = False

    def apply(self, context: StepContext) -> None:
        self.new, self.known = self.old, True

    def result_op(self) -> StepOp:
        # The program says something of it: to the stock engine, too, that is an update.
        return StepOp.UPDATE

    def stands_alone(self) -> bool:
        return False

    def answers(self) -> bool:
        return False


@dataclass(slots=True, kw_only=True, eq=False)
class RegisteredRefreshStep(RefreshStep):
    """Reads a resource that the program registers; `told` is what the program says of it.

    From here on it is in the state at its place in the program, also where it was not found: others may refer to it
    until everything has been read.
    """

    told: State

    def found(self) -> bool:
        return self.new is not None

    def stands_alone(self) -> bool:
        return False

    def answers(self) -> bool:
        return True

    def apply(self, context: StepContext) -> None:
        old, told = require(self.old), self.told
        told.id, told.created, told.modified = old.id, old.created, old.modified
        told.inputs, told.outputs, told.init_errors = old.inputs, old.outputs, old.init_errors
        told.external, told.pending_replacement = old.external, old.pending_replacement
        told.import_id = told.import_id or old.import_id
        # Read with the provider that the program gives it now: the one in the state may have expired.
        reading = RefreshStep(old=told)
        reading.apply(context)
        self.new, self.diff, self.known = reading.new, reading.diff, True

    def result_op(self) -> StepOp:
        return RefreshStep(old=self.told, new=self.new, diff=self.diff).result_op()

    def end(self, journal: Journal, *, ok: bool) -> None:
        old = require(self.old)
        journal.end(old, made=self.new or self.told, gone=[old])

    def answer(self) -> None:
        if self.new is not None:
            self.done(self.new, "done")


def mode_of(kind: Kind, *, run_program: bool, preview: bool) -> ProgramMode:
    """The mode of an operation."""
    if run_program and kind is Kind.DESTROY:
        return DestroyMode(preview=preview)
    if run_program and kind is Kind.REFRESH:
        return RefreshMode(preview=preview)
    return ProgramMode(preview=preview)
