"""A resource that costs next to nothing, so that what is measured is the engine. It never does any I/O."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class LightProvider(ResourceProvider):
    """Stateless and importable, so the state holds only its name."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds.get("value") != _news.get("value"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"light-{props['value']}", {"value": props["value"]})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult({"value": _news["value"]})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """There is nothing to delete."""


class Light(Resource, module="benchmarks", name="Light"):
    """One such resource."""

    value: pulumi.Output[int]

    def __init__(self, name: str, value: int) -> None:
        super().__init__(LightProvider(), name, {"value": value})


def program(size: int) -> None:
    """A program of `size` resources that do not depend on each other."""
    for number in range(size):
        Light(f"light-{number}", number)
