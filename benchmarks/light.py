"""Programs of resources that cost next to nothing, so that what is measured is the engine. They never do any I/O."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import ComponentResource, Output, ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

GROUP = 10
FAT_BYTES = 50_000


class LightProvider(ResourceProvider):
    """Stateless and importable, so the state holds only its name."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds.get("value") != _news.get("value"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"light-{props['value']}", props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """There is nothing to delete."""


class Light(Resource, module="benchmarks", name="Light"):
    """One such resource. Each has a secret."""

    value: Output[int]

    def __init__(
        self, name: str, value: pulumi.Input[int], fill: str = "", opts: ResourceOptions | None = None
    ) -> None:
        token = Output.secret(f"token of {name}")
        super().__init__(LightProvider(), name, {"value": value, "token": token, "fill": fill}, opts)


class Group(ComponentResource):
    """A base, all but one of the rest on it, and one on all of these."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__("benchmarks:index:Group", name)
        child = ResourceOptions(parent=self)
        made = [Light(f"{name}-base", 0, opts=child)] if size else []
        for number in range(1, size - 1):
            made.append(Light(f"{name}-{number}", made[0].value.apply(lambda value, n=number: value + n), opts=child))
        if size > 1:
            total = Output.all(*(one.value for one in made)).apply(sum)
            Light(f"{name}-last", total, opts=child)
        self.register_outputs({})


def _wide(size: int) -> None:
    for number in range(size):
        Light(f"light-{number}", number)


def _deep(size: int) -> None:
    value: pulumi.Input[int] = 0
    for number in range(size):
        value = Light(f"light-{number}", value).value.apply(lambda before: before + 1)


def _mixed(size: int) -> None:
    for start in range(0, size, GROUP):
        Group(f"group-{start}", min(GROUP, size - start) - 1)


def _fat(size: int) -> None:
    for number in range(size):
        Light(f"light-{number}", number, fill="x" * FAT_BYTES)


SHAPES = {"wide": _wide, "deep": _deep, "mixed": _mixed, "fat": _fat}


def program(shape: str, size: int) -> None:
    """A program of `size` resources: none needing another (wide), each the one before (deep), in components (mixed)."""
    SHAPES[shape](size)
