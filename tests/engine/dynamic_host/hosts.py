"""A dynamic provider host in a process of its own, spoken to over gRPC: the SDK's, or the engine's."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dill
import grpc
from google.protobuf import json_format, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from engine.plugin_search import find_plugin
from engine.rpc import CHANNEL_OPTIONS

ROOT = Path(__file__).parents[3]
URN = "urn:pulumi:test::project::pulumi-python:dynamic:Thing::a"
REQUESTS = {
    "Check": provider_pb2.CheckRequest,
    "Diff": provider_pb2.DiffRequest,
    "Create": provider_pb2.CreateRequest,
    "Read": provider_pb2.ReadRequest,
    "Update": provider_pb2.UpdateRequest,
    "Delete": provider_pb2.DeleteRequest,
}


def pickled(provider: Any) -> str:
    """A provider as `__provider` holds it; its class is found by name."""
    return base64.b64encode(dill.dumps(provider)).decode()


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(dict(values))
    return made


def request(method: str, *, timeout: float = 0, id_: str = "", **structs: Mapping[str, Any]) -> Any:
    """A request of one of the six methods; the properties by the names of their fields."""
    more: dict[str, Any] = {name: struct(values) for name, values in structs.items()}
    if timeout:
        more["timeout"] = timeout
    if method != "Create" and method != "Check":
        more["id"] = id_
    return REQUESTS[method](urn=URN, **more)


@dataclass(frozen=True)
class Answer:
    """What came back: a message as plain values, or a status code, its text, and the messages in its details."""

    code: str
    text: str
    message: Any = None
    details: tuple[Any, ...] = ()

    @property
    def last_line(self) -> str:
        return self.text.strip().rsplit("\n", 1)[-1]

    @property
    def comparable(self) -> Any:
        """All but the frames of tracebacks, which name the hosts' own files."""
        last_line = re.sub("in thread '.*'", "in thread", self.last_line)
        return (self.code, self.text.startswith("Traceback"), last_line, self.message, self.details)

    def __str__(self) -> str:
        return f"{self.code} {self.text} {self.message}"


class Host:
    """A process that serves until `close`, or until it dies."""

    def __init__(self, kind: str, folder: Path, env: Mapping[str, str] | None = None) -> None:
        argv = {
            "sdk": (sys.executable, "-u", "-m", "pulumi.dynamic"),
            "ours": find_plugin("pulumi-python", "", {}, sys.executable).argv,
        }[kind]
        self.process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PULUMI_PROJECT": "project", **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = self.process.stdout.readline().strip()
        assert self.port.isdigit(), self.close()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=CHANNEL_OPTIONS)
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, **config: Any) -> Any:
        return self.stub.Configure(provider_pb2.ConfigureRequest(args=struct(config)), timeout=60)

    def ask(self, method: str, message: Any) -> Answer:
        return answer_of(self.start(method, message))

    def start(self, method: str, message: Any) -> Any:
        return getattr(self.stub, method).future(message, timeout=90)

    def close(self) -> tuple[str, str]:
        """Ends it as the engine does; what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def answer_of(future: Any) -> Answer:
    try:
        message = future.result()
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
        return Answer(error.code().name, error.details() or "", details=_unpacked(details))
    return Answer("OK", "", json_format.MessageToDict(message))


def _unpacked(details: bytes | None) -> tuple[Any, ...]:
    if details is None:
        return ()
    found = []
    for detail in status_pb2.Status.FromString(details).details:
        failed = provider_pb2.ErrorResourceInitFailed()
        assert detail.Unpack(failed)
        found.append(json_format.MessageToDict(failed))
    return tuple(found)
