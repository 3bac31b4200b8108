"""The dynamic provider of the look at an engine that stands before all of a tenant's objects (POS-2), for any engine.

Decides that it stands only where the engine is online, and that it is looked at again with a new `revision`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from providers.props import diff_of, required


class EngineCheckProvider(ResourceProvider):
    serialize_as_secret_always = False
    engine: ClassVar[str]

    @abstractmethod
    def looked(self, region: str) -> Mapping[str, Any]:
        """What is told of the engine of a region. Raises ProviderError where it cannot be worked with."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, ("region",))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=("region",), owned=("ready", "revision"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{self.engine}/{props['region']}", self._checked(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, self._checked(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._checked(_news))

    def _checked(self, props: dict[str, Any]) -> dict[str, Any]:
        return {**props, **self.looked(str(props["region"])), "ready": True}
