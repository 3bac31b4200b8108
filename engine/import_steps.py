"""Taking an object that exists into the state: the step of the import option and of `pulumi import`.

It reads the object by its id and keeps what the provider told. What the program says of it is compared afterwards, by
the generator, as if the resource had been there all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.errors import ProviderCallError, ResourceError
from engine.journal import Journal
from engine.provider_client import ReadResult
from engine.resource import PropertyMap, State, StepOp, package_of
from engine.steps import Step, StepContext, now, require, with_secret_outputs

Chosen = Callable[[StepContext, State, PropertyMap], PropertyMap]
"""What the state is to hold of the inputs that were read: (context, the resource, these inputs)."""


def _all_of_them(_: StepContext, __: State, inputs: PropertyMap) -> PropertyMap:
    return inputs


class ImportStep(Step):
    """Reads an object into the state, under the id in `new.import_id`.

    `original` is what the stack has under that URN so far: it is replaced, and deleted at the end as replaced resources
    are, unless it is the very object that is imported. `keep_id` keeps the import id in the state.
    """

    def __init__(
        self, new: State, *, original: State | None = None, keep_id: bool = True, chosen: Chosen = _all_of_them
    ) -> None:
        replaces = original is not None and not original.pending_replacement
        op = StepOp.IMPORT_REPLACEMENT if replaces else StepOp.IMPORT
        Step.__init__(self, op=op, new=new, logical=not replaces)
        self.original = original
        self._keep_id = keep_id
        self._chosen = chosen
        self._superseded: Sequence[State] = ()

    __slots__ = ("_chosen", "_keep_id", "_superseded", "original")

    def apply(self, context: StepContext) -> None:
        new = require(self.new)
        if new.custom:
            self._take(context, new, self._read(context, new))
        new.created = new.modified = now()
        # Shown as the old state: between what was there and what is there now nothing differs.
        self.old = replace(new)
        if self.original is not None:
            self._let_go(self.original, new)

    def _read(self, context: StepContext, new: State) -> ReadResult:
        result = context.provider_of(new).read(new.urn, new.import_id, {}, {}, new.custom_timeouts.read)
        if result.missing:
            raise ResourceError(new.urn, f"resource '{new.import_id}' does not exist")
        if result.inputs is None:
            package = package_of(new.type)
            raise ProviderCallError(
                f"provider does not support importing resources; please try updating the '{package}' plugin"
            )
        return result

    def _take(self, context: StepContext, new: State, result: ReadResult) -> None:
        new.id = result.id or new.import_id
        new.outputs = with_secret_outputs(new, result.outputs)
        new.init_errors = list(result.init_errors)
        new.refresh_before_update = result.refresh_before_update
        new.inputs = self._chosen(context, new, dict(result.inputs or {}))
        if not self._keep_id:
            new.import_id = ""

    def _let_go(self, original: State, new: State) -> None:
        # An import id may be another name of the object that the stack has: to delete that would delete the import.
        same = original.id == new.id and not original.external
        if same or original.pending_replacement:
            self._superseded = (original,)
        else:
            original.delete = True

    def begin(self, journal: Journal) -> None:
        journal.begin("importing", require(self.new))

    def end(self, journal: Journal, *, ok: bool) -> None:
        new = require(self.new)
        if ok:
            journal.end(new, made=new, gone=self._superseded)
        else:
            journal.end(new)
