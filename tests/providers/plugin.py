"""A provider plugin process and its gRPC client, as an engine would hold them."""

import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

TOKENS = {
    name: f"postgresql:index/{name[0].lower()}{name[1:]}:{name}"
    for name in ("Database", "Role", "Schema", "Grant", "GrantRole", "DefaultPrivileges", "Extension")
} | {
    name: f"docker:index/{name[0].lower()}{name[1:]}:{name}"
    for name in ("Container", "Image", "Network", "RemoteImage", "Volume")
}


def secret(value: object) -> dict[str, object]:
    return {SIGNATURE: SECRET, "value": value}


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def plain(made: Struct) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(made)


@dataclass(frozen=True)
class Server:
    """A server to test against; `url` holds its password."""

    url: str = field(repr=False)

    @property
    def args(self) -> dict[str, str]:
        info = psycopg.conninfo.conninfo_to_dict(self.url)
        named = {"host": "host", "port": "port", "user": "username", "password": "password", "sslmode": "sslmode"}
        return {"sslmode": "disable"} | {wire: str(info[name]) for name, wire in named.items() if name in info}

    @property
    def password(self) -> str:
        return self.args["password"]

    def query(self, statement: str, *values: object, database: str = "postgres") -> Any:
        """The first column of the first row, if there is one."""
        url = psycopg.conninfo.make_conninfo(self.url, dbname=database, connect_timeout=10)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


class PluginError(Exception):
    """What the plugin answered instead; `partial` is what it says of an object that is there all the same."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())  # type: ignore[attr-defined]
        self.partial: Any = None
        for key, value in error.trailing_metadata() or ():  # type: ignore[attr-defined]
            if key == "grpc-status-details-bin":
                failed = provider_pb2.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(failed)
                self.partial = failed


class CheckError(Exception):
    """The failures of a check, by property."""

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__(str(failures))
        self.failures = failures


@dataclass
class Resource:
    """One resource as an engine's state has it."""

    kind: str
    name: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def urn(self) -> str:
        return f"urn:pulumi:dev::tests::{TOKENS.get(self.kind, self.kind)}::{self.name}"


@dataclass
class Plugin:
    """A running plugin. Every call has a deadline, so that a hanging plugin is a failing test."""

    process: "subprocess.Popen[str]"
    stub: Any
    channel: grpc.Channel
    started_in: float
    created: list[Resource] = field(default_factory=list)

    def call(self, method: str, request: Any, timeout: float = 60) -> Any:
        try:
            return getattr(self.stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise PluginError(error) from None

    def configure(self, **args: Any) -> Any:
        return self.call(
            "Configure", provider_pb2.ConfigureRequest(args=struct(args), acceptSecrets=True, acceptResources=True)
        )

    def check(self, kind: str, logical: str, /, olds: dict[str, Any] | None = None, **news: Any) -> dict[str, Any]:
        urn = Resource(kind=kind, name=logical, id="", inputs={}, outputs={}).urn
        request = provider_pb2.CheckRequest(urn=urn, olds=struct(olds or {}), news=struct(news), randomSeed=b"seed")
        answer = self.call("Check", request)
        if answer.failures:
            raise CheckError({failure.property: failure.reason for failure in answer.failures})
        return plain(answer.inputs)

    def create(self, kind: str, logical: str, /, *, keep: bool = True, timeout: float = 0, **inputs: Any) -> Resource:
        checked = self.check(kind, logical, **inputs)
        resource = Resource(kind=kind, name=logical, id="", inputs=checked, outputs={})
        request = provider_pb2.CreateRequest(urn=resource.urn, properties=struct(checked), timeout=timeout)
        answer = self.call("Create", request)
        resource.id, resource.outputs = answer.id, plain(answer.properties)
        if keep:
            self.created.append(resource)
        return resource

    def preview_create(self, kind: str, logical: str, /, **inputs: Any) -> dict[str, Any]:
        urn = Resource(kind=kind, name=logical, id="", inputs={}, outputs={}).urn
        checked = struct(self.check(kind, logical, **inputs))
        answer = self.call("Create", provider_pb2.CreateRequest(urn=urn, properties=checked, preview=True))
        assert answer.id == ""
        return plain(answer.properties)

    def diff(self, resource: Resource, /, ignore: tuple[str, ...] = (), **inputs: Any) -> Any:
        news = self.check(resource.kind, resource.name, olds=resource.inputs, **inputs)
        return self.call(
            "Diff",
            provider_pb2.DiffRequest(
                id=resource.id,
                urn=resource.urn,
                olds=struct(resource.outputs),
                news=struct(news),
                old_inputs=struct(resource.inputs),
                ignoreChanges=ignore,
            ),
        )

    def update(self, resource: Resource, /, *, preview: bool = False, **inputs: Any) -> dict[str, Any]:
        news = self.check(resource.kind, resource.name, olds=resource.inputs, **inputs)
        answer = self.call(
            "Update",
            provider_pb2.UpdateRequest(
                id=resource.id,
                urn=resource.urn,
                olds=struct(resource.outputs),
                news=struct(news),
                old_inputs=struct(resource.inputs),
                preview=preview,
            ),
        )
        if not preview:
            resource.inputs, resource.outputs = news, plain(answer.properties)
        return plain(answer.properties)

    def refresh(self, resource: Resource) -> bool:
        """Read it as `pulumi refresh` does; false when it is gone."""
        request = provider_pb2.ReadRequest(
            id=resource.id, urn=resource.urn, properties=struct(resource.outputs), inputs=struct(resource.inputs)
        )
        answer = self.call("Read", request)
        if not answer.id:
            return False
        resource.outputs, resource.inputs = plain(answer.properties), plain(answer.inputs)
        return True

    def read(self, kind: str, logical: str, object_id: str) -> Resource | None:
        """Read it as `pulumi import` does."""
        resource = Resource(kind=kind, name=logical, id=object_id, inputs={}, outputs={})
        answer = self.call("Read", provider_pb2.ReadRequest(id=object_id, urn=resource.urn))
        if not answer.id:
            return None
        resource.id, resource.outputs, resource.inputs = answer.id, plain(answer.properties), plain(answer.inputs)
        return resource

    def delete(self, resource: Resource, timeout: float = 0) -> None:
        request = provider_pb2.DeleteRequest(
            timeout=timeout,
            id=resource.id,
            urn=resource.urn,
            properties=struct(resource.outputs),
            old_inputs=struct(resource.inputs),
        )
        self.call("Delete", request)
        if resource in self.created:
            self.created.remove(resource)

    def cancel(self) -> None:
        self.call("Cancel", Empty())

    def stop(self) -> None:
        self.channel.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()


def launch(env: dict[str, str] | None = None, module: str = "providers.postgresql") -> Plugin:
    """Start `python -m MODULE` and connect to the port that it prints first."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 30)
    line = process.stdout.readline() if ready else ""
    if not line.strip().isdecimal():
        process.kill()
        process.wait()
        process.stdout.close()
        raise AssertionError(f"the plugin printed {line!r} instead of its port")
    channel = grpc.insecure_channel(f"127.0.0.1:{line.strip()}")
    stub = provider_pb2_grpc.ResourceProviderStub(channel)  # type: ignore[no-untyped-call]
    return Plugin(process=process, stub=stub, channel=channel, started_in=time.monotonic() - began)
