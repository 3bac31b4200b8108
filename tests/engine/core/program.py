"""Programs for the scenarios: lists of what they register, run by a client of the resource monitor without any SDK."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import alias_pb2, engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from engine.errors import ProgramError
from engine.operation import RunInfo
from engine.resource import SIG_KEY, UNKNOWN, UNKNOWN_SENTINEL, PropertyMap, from_struct, set_value, to_struct

BUCKET = "fake:index:Bucket"
GROUP = "test:index:Group"
STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of a resource that was registered earlier in the program."""

    name: str
    output: str = "arn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One registration. `opts` are fields of RegisterResourceRequest, or one of the words in `Run._options`."""

    name: str
    type: str = BUCKET
    custom: bool = True
    inputs: Mapping[str, Any] = field(default_factory=dict)
    opts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    name: str
    id: str | Ref
    type: str = BUCKET
    opts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Together:
    """Registrations that are all under way at once."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Do:
    """Anything else."""

    action: Callable[[Run], None]


def bucket(name: str, opts: Mapping[str, Any] | None = None, **inputs: Any) -> Resource:
    return Resource(name=name, inputs=inputs, opts=opts or {})


def group(name: str, opts: Mapping[str, Any] | None = None, **inputs: Any) -> Resource:
    """A component."""
    return Resource(name=name, type=GROUP, custom=False, inputs=inputs, opts=opts or {})


def provider(name: str, opts: Mapping[str, Any] | None = None, **inputs: Any) -> Resource:
    return Resource(name=name, type="pulumi:providers:fake", inputs=inputs, opts=opts or {})


def read(name: str, id_: str | Ref, type_: str = BUCKET, **opts: Any) -> Read:
    """A read. `opts` are fields of ReadResourceRequest; parent and provider go by name."""
    return Read(name=name, id=id_, type=type_, opts=opts)


def ref(name: str, output: str = "arn") -> Ref:
    return Ref(name, output)


def together(*items: Any) -> Together:
    return Together(items)


def crash(message: str = "the program is broken") -> Do:
    def action(_: Run) -> None:
        raise ProgramError(message, shown=False)

    return Do(action)


def outputs(name: str, **values: Any) -> Do:
    """A component says its outputs."""
    return Do(lambda run: run.outputs(run.urns[name], values))


def exports(**values: Any) -> Do:
    """The stack's outputs; without it, a program says that there are none."""
    return Do(lambda run: run.exported.update(values))


def log(severity: str, message: str) -> Do:
    return Do(lambda run: run.log(severity, message))


class ProgramOf:
    """The Program (see engine.operation) that registers `items` in order, under the stack resource."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items
        self.cancelled = threading.Event()
        self.last: Run | None = None

    def run(self, info: RunInfo) -> None:
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(info.monitor_address, options=options) as channel:
            self.last = run = Run(info, channel)
            try:
                run.all(self._items)
            except grpc.RpcError as error:
                run.export()
                raise ProgramError(error.details() or str(error.code()), shown=True) from error
            except ProgramError:
                run.export()
                raise
            run.export()

    def cancel(self) -> None:
        self.cancelled.set()


class Run:
    """One run of a program: what has come back so far, by resource name."""

    def __init__(self, info: RunInfo, channel: grpc.Channel) -> None:
        self.info = info
        self.monitor: Any = resource_pb2_grpc.ResourceMonitorStub(channel)
        self._engine: Any = engine_pb2_grpc.EngineStub(channel)
        self.urns: dict[str, str] = {}
        self.got: dict[str, PropertyMap] = {}
        self.failed: set[str] = set()
        self.unknown: set[str] = set()
        self.exported: dict[str, Any] = {}
        self.root = ""
        self._ended = False

    def all(self, items: Sequence[Any]) -> None:
        request = resource_pb2.RegisterResourceRequest(type=STACK, name=f"{self.info.project}-{self.info.stack}")
        self.root = self.monitor.RegisterResource(request).urn
        for item in items:
            self.one(item)

    def one(self, item: Any) -> None:
        if isinstance(item, Together):
            self._together(item.items)
        elif isinstance(item, Do):
            item.action(self)
        elif isinstance(item, Read):
            self._read(item)
        else:
            self._register(item)

    def _together(self, items: Sequence[Any]) -> None:
        errors: list[BaseException] = []

        def one(item: Any) -> None:
            try:
                self.one(item)
            except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
                errors.append(error)

        threads = [threading.Thread(target=one, args=(item,)) for item in items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def export(self) -> None:
        """Says the stack's outputs, as the SDK does also after an error."""
        if self.root and not self._ended:
            self.outputs(self.root, self.exported)

    def wait_for_end(self) -> None:
        """Says that there is nothing more to come, and waits for the end of the operation, as the SDK does."""
        self.export()
        self._ended = True
        self.monitor.SignalAndWaitForShutdown(empty_pb2.Empty())

    def outputs(self, urn: str, values: Mapping[str, Any]) -> None:
        values = {k: self.value(v) for k, v in values.items()}
        request = resource_pb2.RegisterResourceOutputsRequest(urn=urn, outputs=to_struct(values))
        self.monitor.RegisterResourceOutputs(request)

    def log(self, severity: str, message: str) -> None:
        level = engine_pb2.LogSeverity.Value(severity.upper())
        self._engine.Log(engine_pb2.LogRequest(severity=level, message=message))

    def value(self, value: Any) -> Any:
        """A value with every Ref in it followed."""
        if isinstance(value, dict):
            return {k: self.value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if not isinstance(value, Ref):
            return value
        unknown = UNKNOWN if self.info.dry_run else None
        return self.got[value.name].get(value.output, unknown)

    # -------------------------------------------------------- registrations

    def _register(self, item: Resource) -> None:
        by_property = {k: sorted({self.urns[r.name] for r in _refs(v)}) for k, v in item.inputs.items() if _refs(v)}
        request = resource_pb2.RegisterResourceRequest(
            type=item.type,
            name=item.name,
            custom=item.custom,
            object=to_struct({k: self.value(v) for k, v in item.inputs.items()}),
            parent=self.root,
            acceptSecrets=True,
            acceptResources=True,
            supportsResultReporting=True,
            supportsPartialValues=True,
            dependencies=sorted({urn for urns in by_property.values() for urn in urns}),
        )
        # As the SDK does: a word on every property, or else each would depend on all that the resource does.
        for key in item.inputs:
            request.propertyDependencies[key].urns.extend(by_property.get(key, ()))
        self._options(request, item.opts)
        answer = self.monitor.RegisterResource(request)
        self.urns[item.name] = answer.urn
        self.got[item.name] = from_struct(answer.object)
        if answer.id:
            self.got[item.name]["id"] = answer.id
        if answer.result != resource_pb2.SUCCESS:
            self.failed.add(item.name)
        if answer.unknown:
            self.unknown.add(item.name)

    def _options(self, request: Any, opts: Mapping[str, Any]) -> None:
        for word, value in opts.items():
            key = "deletedWith" if word == "deleted_with" else word
            if key in ("parent", "deletedWith"):
                setattr(request, key, self.urns[value])
            elif key == "depends_on":
                request.dependencies.extend(self.urns[name] for name in value)
            elif key == "replace_with":
                request.replace_with.extend(self.urns[name] for name in value)
            elif key == "provider":
                request.provider = self.provider(value)
            elif key == "providers":
                request.providers.update({"fake": self.provider(value)})
            elif key == "delete_before_replace":
                request.deleteBeforeReplace, request.deleteBeforeReplaceDefined = value, True
            elif key == "aliases":
                request.aliases.extend(_alias(alias) for alias in value)
            elif key == "trigger":
                set_value(request.replacement_trigger, self.value(value), secrets=True)
            elif key in _MESSAGES:
                field, message = _MESSAGES[key]
                getattr(request, field).CopyFrom(message(**value))
            elif isinstance(value, list):
                getattr(request, key).extend(value)
            else:
                setattr(request, key, value)

    def provider(self, name: str) -> str:
        return f"{self.urns[name]}::{self.got[name].get('id') or UNKNOWN_SENTINEL}"

    def _read(self, item: Read) -> None:
        id_ = self.value(item.id)
        request = resource_pb2.ReadResourceRequest(
            id=UNKNOWN_SENTINEL if id_ is UNKNOWN else id_,
            type=item.type,
            name=item.name,
            parent=self.root,
            acceptSecrets=True,
            acceptResources=True,
        )
        for key, value in item.opts.items():
            if key == "parent":
                request.parent = self.urns[value]
            elif key == "provider":
                request.provider = self.provider(value)
            elif key == "depends_on":
                request.dependencies.extend(self.urns[name] for name in value)
            elif key == "properties":
                request.properties.CopyFrom(to_struct({k: self.value(v) for k, v in value.items()}))
            else:
                getattr(request, key).extend(value)
        answer = self.monitor.ReadResource(request)
        self.urns[item.name] = answer.urn
        self.got[item.name] = from_struct(answer.properties)


_MESSAGES: dict[str, tuple[str, Any]] = {
    "timeouts": ("customTimeouts", resource_pb2.RegisterResourceRequest.CustomTimeouts),
    "hooks": ("hooks", resource_pb2.RegisterResourceRequest.ResourceHooksBinding),
}


def _alias(alias: Any) -> alias_pb2.Alias:
    """An alias is a URN, or the parts of one."""
    if isinstance(alias, str):
        return alias_pb2.Alias(urn=alias)
    return alias_pb2.Alias(spec=alias_pb2.Alias.Spec(**alias))


def _refs(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    if isinstance(value, dict):
        return [r for v in value.values() for r in _refs(v)]
    return [r for v in value for r in _refs(v)] if isinstance(value, list) else []


#: An input that is a resource reference, as programs send one for a resource that they pass as a value.
def reference(urn: str, id_: str) -> dict[str, Any]:
    return {SIG_KEY: "5cf8f73096256a8f31e491e813e4eb8e", "urn": urn, "id": id_}
