"""Run as a program: prints pickles of providers whose classes are in `__main__`, as a program's own classes are."""

import json
import sys
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

GREETING = "hello"


def greet(name: str) -> str:
    return f"{GREETING}, {name}"


class Base(ResourceProvider):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return CheckResult({**news, "greeting": greet(self.name)}, [])


class ByValue(Base):
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds.get("size") != _news.get("size"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{type(self).__module__}.{type(self).__name__}", {"greeting": greet(self.name)})


if __name__ == "__main__":
    json.dump([serialize_provider(ByValue(name)) for name in ("ann", "bob")], sys.stdout)
