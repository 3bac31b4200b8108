"""The engine's own package `pulumi`: stack references, stashes, and what resource references are filled from.

It starts no plugin and owns no object outside the state.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from engine.diff import Changes, DiffResult, compare_inputs
from engine.errors import ProviderCallError
from engine.provider_client import CheckFailure, Created, ReadResult, UpdateCall, Updated
from engine.resource import (
    STACK_REFERENCE_TYPE,
    UNKNOWN,
    PropertyMap,
    State,
    contains_secret,
    same_values,
    unsecret,
    urn_type,
)

STASH_TYPE: Final = "pulumi:index:Stash"
_READ_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"
GET_RESOURCE: Final = "pulumi:pulumi:getResource"
_PROPERTY: Final = {STACK_REFERENCE_TYPE: "name", STASH_TYPE: "input"}


class BuiltinProvider:
    """`stack_outputs` gives another stack's outputs, None for an unknown one; `lookup` what this operation has made."""

    def __init__(
        self,
        stack_outputs: Callable[[str], PropertyMap | None],
        lookup: Callable[[str], State | None],
    ) -> None:
        self._stack_outputs = stack_outputs
        self._lookup = lookup

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        known = _property_of(urn)
        for key in news:
            if key != known:
                return news, [CheckFailure(key, f'unknown property "{key}"')]
        if known not in news:
            return news, [CheckFailure(known, f'missing required property "{known}"')]
        name = unsecret(news[known])
        if known == "name" and not isinstance(name, str) and name is not UNKNOWN:
            return news, [CheckFailure("name", 'property "name" must be a string')]
        return news, ()

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult:
        key = _property_of(urn)
        if same_values(old_inputs.get(key), news.get(key)):
            return DiffResult(changes=Changes.NONE)
        if urn_type(urn) == STASH_TYPE:
            return DiffResult(changes=Changes.SOME, changed_keys=compare_inputs(old_inputs, news, ignored).changed_keys)
        return DiffResult(changes=Changes.SOME, replace_keys=("name",))

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> Created:
        id_ = "" if preview else str(uuid.uuid4())
        if _property_of(urn) == "input":
            return Created(id_, {"input": news["input"], "output": news["input"]})
        return Created(id_, self._reference(news))

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> Updated:
        if urn_type(urn) != STASH_TYPE:
            raise _unrecognized(urn)
        # A stash keeps the first value that it was given; only what the program says changes.
        return Updated({"input": call.news["input"], "output": call.old_outputs.get("output")})

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        """Nothing outside the state belongs to these resources."""

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float = 0) -> ReadResult:
        key = _property_of(urn)
        if key == "input":
            empty = {"input": None, "output": None}
            return ReadResult(id=id_, outputs=outputs or empty, inputs=inputs or {"input": None})
        for other in inputs:
            if other != key:
                raise ProviderCallError(f'unknown property "{other}"')
        if key not in inputs:
            raise ProviderCallError("stack reference can not be imported")
        return ReadResult(id=id_, outputs=self._reference(inputs), inputs=inputs)

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if token == _READ_OUTPUTS:
            return self._reference(args), ()
        if token == GET_RESOURCE:
            return self._resource(args), ()
        raise ProviderCallError(f"unrecognized function name: '{token}'")

    # -------------------------------------------------------- what they give

    def _reference(self, inputs: PropertyMap) -> PropertyMap:
        name = unsecret(inputs.get("name"))
        if name is UNKNOWN:
            return {"name": UNKNOWN, "outputs": UNKNOWN, "secretOutputNames": UNKNOWN}
        found = self._stack_outputs(str(name))
        if found is None:
            raise ProviderCallError(f'unknown stack "{name}"')
        secret_names = sorted(key for key, value in found.items() if contains_secret(value))
        return {"name": name, "outputs": found, "secretOutputNames": secret_names}

    def _resource(self, args: PropertyMap) -> PropertyMap:
        """What a reference to a resource stands for: only what this operation has registered or read is known."""
        urn = unsecret(args.get("urn"))
        state = self._lookup(urn) if isinstance(urn, str) else None
        if state is None:
            raise ProviderCallError(f"unknown resource {urn}")
        return {"urn": state.urn, "id": state.id, "provider": state.provider, "state": state.outputs}


def _property_of(urn: str) -> str:
    """The one property that a resource of the package has."""
    known = _PROPERTY.get(urn_type(urn))
    if known is None:
        raise _unrecognized(urn)
    return known


def _unrecognized(urn: str) -> ProviderCallError:
    return ProviderCallError(f"unrecognized resource type '{urn_type(urn)}'")
