"""The engine's own package `pulumi`: stack references and the functions behind them. It starts no plugin."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from engine.diff import DiffResult, compare_inputs
from engine.errors import ProviderCallError
from engine.provider_client import CheckFailure, Created, ReadResult, UpdateCall, Updated
from engine.resource import STACK_REFERENCE_TYPE, PropertyMap, contains_secret, unsecret, urn_type


class BuiltinProvider:
    """The engine's own package `pulumi`: stack references, and nothing else."""

    def __init__(self, stack_outputs: Callable[[str], PropertyMap | None]) -> None:
        self._stack_outputs = stack_outputs

    def _refuse(self, type_: str) -> ProviderCallError:
        return ProviderCallError(f"the built-in provider has no resource type '{type_}', only {STACK_REFERENCE_TYPE}")

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if urn_type(urn) != STACK_REFERENCE_TYPE:
            raise self._refuse(urn_type(urn))
        unknown = [key for key in news if key != "name"]
        failures = [CheckFailure(key, f'unknown property "{key}"') for key in unknown]
        if not isinstance(unsecret(news.get("name")), str):
            failures.append(CheckFailure("name", 'missing required property "name", the full name of a stack'))
        return news, failures

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult:
        changed = compare_inputs(old_inputs, news, ignored)
        return DiffResult(changes=changed.changes, replace_keys=("name",) if changed.some else ())

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> Created:
        outputs = self.read(urn, str(unsecret(news["name"])), news, {}).outputs
        return Created("" if preview else str(uuid.uuid4()), outputs)

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> Updated:
        raise self._refuse(urn_type(urn))

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        """A reference owns nothing."""

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap) -> ReadResult:
        if urn_type(urn) != STACK_REFERENCE_TYPE:
            raise self._refuse(urn_type(urn))
        name = str(unsecret(inputs.get("name", id_)))
        found = self._stack_outputs(name)
        if found is None:
            raise ProviderCallError(f'unknown stack "{name}"')
        secret_names = sorted(k for k, v in found.items() if contains_secret(v))
        return ReadResult(
            id=name,
            outputs={"name": name, "outputs": found, "secretOutputNames": secret_names},
            inputs=inputs,
        )

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        raise ProviderCallError(f"the built-in provider has no function '{token}'")
