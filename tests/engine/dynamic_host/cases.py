"""Dynamic providers for the tests of the hosts: imported by a test and, by reference, by the hosts."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import pulumi
from google.rpc import status_pb2
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.runtime.proto import provider_pb2

Props = dict[str, Any]
TOGETHER = threading.Barrier(16)
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "s"}
RELEASED = threading.Event()
TOLD: list[tuple[str, str]] = []


class Echo(ResourceProvider):
    """Answers with what it was given; `say` chooses an answer."""

    def __init__(self, mark: str = "") -> None:
        super().__init__()
        self.mark = mark
        self.calls = 0
        self.config: Any = None

    def configure(self, req: ConfigureRequest) -> None:
        self.config = req.config

    def check(self, _olds: Props, news: Props) -> CheckResult:
        failures = [CheckFailure("size", "too small")] if news.get("say") == "failures" else []
        kinds = {key: type(value).__name__ for key, value in news.items()}
        return CheckResult({**news, "kinds": kinds, "olds": sorted(_olds)}, failures)

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        return {
            "same": DiffResult(changes=False),
            "changed": DiffResult(changes=True, replaces=["size"], stables=["arn"], delete_before_replace=True),
        }.get(_news.get("say", ""), DiffResult())

    def create(self, props: Props) -> CreateResult:
        says = {
            "nothing": lambda: None,
            "object": lambda: {"out": object()},
            "output": lambda: {"out": pulumi.Output.from_input(1)},
            "awaitable": lambda: {"out": _later("at last")},
            "tuple": lambda: {"out": (1, {"a": (2.5, None)}), "none": None},
            "secret": lambda: {"out": SECRET},
            "asset": lambda: {"out": pulumi.StringAsset("text"), "kind": type(props["asset"]).__name__},
            "config": lambda: {"asked": [self.config.get("region"), self.config.require("other:token")]},
            "require": lambda: self.config.require("absent"),
            "count": self.count,
            "project": lambda: {"names": [pulumi.get_project(), pulumi.get_stack()]},
            "unready": lambda: _unready({**props, "arn": "arn"}),
        }
        return CreateResult("the-id", says.get(props.get("say", ""), lambda: dict(props))())

    def count(self) -> Props:
        self.calls += 1
        return {"calls": self.calls, "mark": self.mark}

    def read(self, id_: str, props: Props) -> ReadResult:
        if props.get("say") == "gone":
            return ReadResult("", {})
        inputs = {"size": 3} if props.get("say") == "inputs" else None
        return ReadResult(id_, {**props, "read": True}, inputs)

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        if _news.get("say") == "nothing":
            return UpdateResult()
        return UpdateResult({**_news, "was": _olds.get("size")})

    def delete(self, _id: str, _props: Props) -> None:
        if _props.get("say") == "refuse":
            raise PermissionError(f"{_id} is not yours")


class Broken(ResourceProvider):
    """Every method raises, some in ways of their own."""

    def check(self, _olds: Props, news: Props) -> CheckResult:
        raise ValueError(f"cannot check {sorted(news)}")

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        raise KeyError("size")

    def create(self, props: Props) -> CreateResult:
        if props.get("say") == "exit":
            sys.exit("enough")
        if props.get("say") == "die":
            os._exit(3)
        if props.get("say") == "long":
            raise RuntimeError("x" * 100_000)
        raise RuntimeError("the cloud is closed") from OSError("no route")

    def read(self, id_: str, props: Props) -> ReadResult:
        raise TimeoutError("too slow")

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        raise AssertionError

    def delete(self, _id: str, _props: Props) -> None:
        raise LookupError("it has\ntwo lines")


class BadConfigure(ResourceProvider):
    def configure(self, req: ConfigureRequest) -> None:
        req.config.require("token")


class Patient(ResourceProvider):
    """Its calls wait for one another, or until somebody lets them go."""

    def create(self, props: Props) -> CreateResult:
        if props.get("say") == "together":
            return CreateResult(str(TOGETHER.wait(60)))
        if props.get("say") == "told":
            return CreateResult("told", {"told": [list(call) for call in TOLD]})
        if not RELEASED.wait(60):
            raise TimeoutError("nobody let it go")
        return CreateResult("released")

    def delete(self, _id: str, _props: Props) -> None:
        RELEASED.set()


class Slow(Patient):
    """Waits in every method."""

    def read(self, id_: str, props: Props) -> Any:
        return self.create(props)

    def update(self, _id: str, _olds: Props, _news: Props) -> Any:
        return self.create(_news)

    def delete(self, _id: str, _props: Props) -> None:
        self.create(_props)


class SlowToConfigure(ResourceProvider):
    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def configure(self, req: ConfigureRequest) -> None:
        RELEASED.wait(60)

    def create(self, props: Props) -> CreateResult:
        self.made += 1
        return CreateResult("released", {"made": self.made})


class Obliging(Patient):
    """Gives up when it is told to."""

    def give_up(self, urn: str, operation: str) -> None:
        TOLD.append((urn, operation))
        RELEASED.set()


class Clumsy(Patient):
    def give_up(self, urn: str, operation: str) -> None:
        RELEASED.set()
        raise RuntimeError("not even that works")


async def _later(value: str) -> str:
    return value


def _unready(outs: Props) -> None:
    """Sets the status details of an initialisation failure on the calling host's context, and raises."""
    frame: Any = sys._getframe()
    while frame.f_code.co_name != "Create" or "context" not in frame.f_locals:
        frame = frame.f_back
    failed = provider_pb2.ErrorResourceInitFailed(id="the-id", reasons=["not ready"])
    failed.properties.update({**outs, "__provider": frame.f_locals["props"]["__provider"]})
    status = status_pb2.Status(code=2, message="not ready")
    status.details.add().Pack(failed)
    frame.f_locals["context"].set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    raise RuntimeError("not ready")
