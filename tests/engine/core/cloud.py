"""A cloud that exists only in this process, and its provider plugin: a real gRPC server, which the engine attaches to.

Objects are buckets. `size` and other inputs change in place, `region` needs a replacement, `zone` one that deletes
first. A fault is set by method and resource name, and lasts until it has been met `times` times.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from engine.resource import (
    UNKNOWN,
    PropertyMap,
    Secret,
    contains_secret,
    contains_unknown,
    from_struct,
    same_values,
    to_struct,
    unsecret,
)

REPLACED_BY = frozenset({"region", "zone"})
FOREVER = 10**9


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong: `error` before anything has been done; after it, `unready`, `untold` (an error all the same) or
    `dies` (with the engine, before it has heard of it). A `create` may also give `no id`."""

    kind: str
    times: int = FOREVER


@dataclass(slots=True, kw_only=True)
class Gate:
    """Holds a call: `entered` is set by the call, which goes on when `open` is set."""

    entered: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


class Cloud(provider_pb2_grpc.ResourceProviderServicer):
    """`objects` by id: inputs, and what the cloud adds. `calls` are texts such as `create a`."""

    def __init__(self) -> None:
        self.objects: dict[str, PropertyMap] = {}
        self.names: dict[str, str] = {}
        self.refresh_before_update = False
        self.also_known_as: dict[str, str] = {}
        """Ids that objects can be read by, beside their own."""
        self.secrets: defaultdict[str, set[str]] = defaultdict(set)
        self.calls: list[str] = []
        self.configured: list[PropertyMap] = []
        self.configuring: list[str] = []
        """The calls that configure a provider, such as `CheckConfig`, in order."""
        self.requests: dict[str, Any] = {}
        """The last request of each kind, such as `diff a`."""
        self.blind_to: set[str] = set()
        """Inputs whose changes Diff does not see."""
        self.faults: dict[tuple[str, str], Fault] = {}
        self.gates: dict[tuple[str, str], Gate] = {}
        self.accept_secrets = True
        self.detailed = False
        self.tells_changes = True
        self.cancelled = threading.Event()
        self.dead = False
        self.untold: set[str] = set()
        """Ids of what has been done without the engine being told."""
        self.modern = True
        self.timeouts: dict[str, float] = {}
        self.holds: dict[str, str] = {}
        """What is made inside of what, by name: an object goes with the one that it was made in."""
        self._inside: dict[str, str] = {}
        self._made = 0
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=32, thread_name_prefix="cloud"))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        for gate in self.gates.values():
            gate.open.set()
        self._server.stop(grace=None).wait(5)

    # -------------------------------------------------------- what a test does to the cloud

    def fail(self, method: str, name: str, *, kind: str = "error", times: int = FOREVER) -> None:
        self.faults[method, name] = Fault(kind=kind, times=times)

    def heal(self) -> None:
        self.faults.clear()

    def hold(self, method: str, name: str) -> Gate:
        return self.gates.setdefault((method, name), Gate())

    def change(self, name: str, **values: Any) -> None:
        """Somebody changes an object by hand."""
        self.objects[self.id_of(name)].update(values)

    def lose(self, name: str) -> None:
        """Somebody deletes an object by hand."""
        self._remove(self.id_of(name))

    def _remove(self, id_: str) -> None:
        if self.objects.pop(id_, None) is not None:
            # A copy in one step: other calls make and delete objects meanwhile.
            for inner in [i for i in list(self.objects) if self._inside.get(i) == id_]:
                self._remove(inner)

    def id_of(self, name: str) -> str:
        (found,) = [id_ for id_ in list(self.objects) if self.names[id_] == name]
        return found

    def of(self, name: str) -> PropertyMap:
        return self.objects[self.id_of(name)]

    def count(self, name: str) -> int:
        return sum(self.names[id_] == name for id_ in list(self.objects))

    def put(self, name: str, id_: str, **values: Any) -> str:
        """Somebody makes an object by hand; its id."""
        self.objects[id_] = {**values, "arn": f"arn:{id_}"}
        self.names[id_] = name
        return id_

    # -------------------------------------------------------- the provider

    def _enter(self, method: str, name: str, context: Any) -> Fault | None:
        if self.dead:
            context.abort(grpc.StatusCode.UNKNOWN, "the engine is dead: nobody calls")
        with self._lock:
            self.calls.append(f"{method} {name}")
            fault = self.faults.get((method, name))
            if fault is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self.faults[method, name]
        gate = self.gates.get((method, name))
        if gate is not None:
            gate.entered.set()
            gate.open.wait(30)
        if fault is not None and fault.kind == "error":
            context.abort(grpc.StatusCode.UNKNOWN, f"the cloud refuses to {method} {name}")
        return fault

    def _leave(self, fault: Fault | None, id_: str, context: Any) -> None:
        """What has been done to an object is lost on the way back."""
        if fault is None or fault.kind not in {"untold", "dies"}:
            return
        self.untold.add(id_)
        self.dead = self.dead or fault.kind == "dies"
        context.abort(grpc.StatusCode.UNKNOWN, "the answer was lost")

    def Handshake(self, request: Any, context: Any) -> Any:
        if not self.modern:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "an older plugin")
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=self.accept_secrets, accept_resources=True)

    def Attach(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "an older plugin still")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        self.configuring.append("CheckConfig")
        news = from_struct(request.news)
        failures = []
        if unsecret(news.get("account")) == "forbidden":
            failures.append(provider_pb2.CheckFailure(property="account", reason="the account is closed"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        self.configuring.append("DiffConfig")
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        changed = [k for k in sorted(olds.keys() | news.keys()) if not same_values(olds.get(k), news.get(k))]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=[k for k in changed if k == "account"],
            diffs=changed,
        )

    def Configure(self, request: Any, context: Any) -> Any:
        self.configuring.append("Configure")
        self.configured.append(from_struct(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=self.accept_secrets, supportsPreview=True, acceptResources=True, acceptOutputs=False
        )

    def Check(self, request: Any, context: Any) -> Any:
        self._enter("check", request.name, context)
        self.requests[f"check {request.name}"] = request
        olds, news = from_struct(request.olds), from_struct(request.news)
        failures = []
        size = unsecret(news.get("size"))
        if isinstance(size, int | float) and size < 0:
            failures.append(provider_pb2.CheckFailure(property="size", reason="must not be negative"))
        if news.get("cursed"):
            failures.append(provider_pb2.CheckFailure(reason="nobody wants it"))
        if news.get("auto") and "label" not in news:
            news["label"] = olds.get("label") or f"auto-{request.randomSeed.hex()[:8]}"
        return provider_pb2.CheckResponse(inputs=to_struct(news), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        self._enter("diff", request.name, context)
        self.requests[f"diff {request.name}"] = request
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        ignored = {*request.ignoreChanges, *self.blind_to}
        changed = [
            k
            for k in sorted(olds.keys() | news.keys())
            if k not in ignored and not same_values(olds.get(k), news.get(k))
        ]
        replaces = [k for k in changed if k in REPLACED_BY]
        answer = provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            diffs=changed,
            deleteBeforeReplace="zone" in changed,
        )
        if self.detailed:
            answer.hasDetailedDiff = True
            for key in changed:
                answer.detailedDiff[key].kind = _diff_kind(key, olds, news)
        if not self.tells_changes:
            answer.changes = provider_pb2.DiffResponse.DIFF_UNKNOWN
        return answer

    def Create(self, request: Any, context: Any) -> Any:
        news = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct({**news, "arn": UNKNOWN}))
        fault = self._enter("create", request.name, context)
        if contains_unknown(news):
            context.abort(grpc.StatusCode.INTERNAL, "an unknown value in a create")
        self.timeouts[f"create {request.name}"] = request.timeout
        with self._lock:
            self._made += 1
            id_ = "" if fault is not None and fault.kind == "no id" else f"{request.name}-{self._made}"
            if id_:
                self.objects[id_] = {**unsecret(news), "arn": f"arn:{id_}"}
                self.names[id_] = request.name
                self.secrets[id_] = {k for k, v in news.items() if contains_secret(v)}
                holders = [i for i in list(self.objects) if self.names[i] == self.holds.get(request.name)]
                self._inside[id_] = holders[-1] if holders else ""
        self._leave(fault, id_, context)
        properties = to_struct({**news, "arn": f"arn:{id_}"})
        if fault is not None and fault.kind == "unready":
            _unready(context, id_, properties)
        return provider_pb2.CreateResponse(
            id=id_, properties=properties, refresh_before_update=self.refresh_before_update
        )

    def Update(self, request: Any, context: Any) -> Any:
        news = from_struct(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct({**news, "arn": from_struct(request.olds)["arn"]}))
        fault = self._enter("update", request.name, context)
        self.requests[f"update {request.name}"] = request
        if request.id not in self.objects:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no {request.id}")
        self.timeouts[f"update {request.name}"] = request.timeout
        self.objects[request.id] = {**unsecret(news), "arn": f"arn:{request.id}"}
        self.secrets[request.id] = {k for k, v in news.items() if contains_secret(v)}
        self._leave(fault, request.id, context)
        properties = to_struct({**news, "arn": f"arn:{request.id}"})
        if fault is not None and fault.kind == "unready":
            _unready(context, request.id, properties)
        return provider_pb2.UpdateResponse(properties=properties, refresh_before_update=self.refresh_before_update)

    def Read(self, request: Any, context: Any) -> Any:
        fault = self._enter("read", request.name, context)
        id_ = self.also_known_as.get(request.id, request.id)
        found = self.objects.get(id_)
        if found is None:
            return provider_pb2.ReadResponse()
        if self.accept_secrets:
            found = {k: Secret(v) if k in self.secrets[id_] else v for k, v in found.items()}
        inputs = {k: v for k, v in found.items() if k != "arn"}
        if fault is not None and fault.kind == "unready":
            _unready(context, id_, to_struct(found), to_struct(inputs))
        if fault is not None and fault.kind == "no inputs":
            return provider_pb2.ReadResponse(id=id_, properties=to_struct(found))
        return provider_pb2.ReadResponse(
            id=id_,
            properties=to_struct(found),
            inputs=to_struct(inputs),
            refresh_before_update=self.refresh_before_update,
        )

    def Delete(self, request: Any, context: Any) -> Any:
        fault = self._enter("delete", request.name, context)
        self.timeouts[f"delete {request.name}"] = request.timeout
        self._remove(request.id)
        self._leave(fault, request.id, context)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        args = from_struct(request.args)
        if request.tok != "fake:index:double":
            context.abort(grpc.StatusCode.UNKNOWN, f"no function {request.tok}")
        if args["value"] < 0:
            failure = provider_pb2.CheckFailure(property="value", reason="must not be negative")
            return provider_pb2.InvokeResponse(failures=[failure])
        return provider_pb2.InvokeResponse(**{"return": to_struct({"value": args["value"] * 2})})

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancelled.set()
        return empty_pb2.Empty()


def _diff_kind(key: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> int:
    word = "ADD" if key not in olds else "DELETE" if key not in news else "UPDATE"
    return provider_pb2.PropertyDiff.Kind.Value(f"{word}_REPLACE" if key in REPLACED_BY else word)


def _unready(context: Any, id_: str, properties: Any, inputs: Any = None) -> None:
    """Ends the call as a provider does whose object exists but is of no use yet."""
    detail = provider_pb2.ErrorResourceInitFailed(id=id_, properties=properties, reasons=["it did not become ready"])
    if inputs is not None:
        detail.inputs.CopyFrom(inputs)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message="not ready")
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, "not ready")
