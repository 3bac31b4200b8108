"""The gRPC side of the host: which method calls what of a provider, and how it is answered.

The methods of the service keep the names of their parameters and of `props` and `news`: a provider has no other way to
report an initialisation failure than to find `context` in the frame of Create or Update and to set status details.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2

from ..rpc import CHANNEL_OPTIONS, plugin_pb2, provider_pb2, provider_pb2_grpc  # noqa: TID252 - the engine has another name here
from .calls import Call, CallFailedError, Calls

VERSION = "0.1.0"
# The engine's --parallel bounds what runs at once; threads are made when they are needed. This bounds a mistake.
MAX_CALLS = 256
# A call may have to wait for a thread, as long as the SDK's host would let it.
_GRPC_OPTIONS = [*CHANNEL_OPTIONS, ("grpc.server_max_unrequested_time_in_server", 30 * 60)]
Method = Callable[..., Any]


def _sdk() -> Any:
    """The part that needs the SDK, imported when it is first asked for."""
    return importlib.import_module(f"{__package__}.providers")


def _answered(method: Method) -> Method:
    """The method as gRPC calls it: within its time, and with a traceback for an answer where it fails."""

    @functools.wraps(method)
    def handler(self: DynamicProviders, request: Any, context: Any) -> Any:
        call = Call(request.urn, method.__name__.lower())
        try:
            return self.calls.run(call, getattr(request, "timeout", 0), lambda: method(self, request, context, call))
        except CallFailedError as failure:
            code = grpc.StatusCode.UNKNOWN if failure.in_time else grpc.StatusCode.DEADLINE_EXCEEDED
            context.abort(code, str(failure))

    return handler


class DynamicProviders(provider_pb2_grpc.ResourceProviderServicer):
    """All dynamic providers of a program. What it has no method for is answered as not implemented."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._config: dict[str, Any] = {}

    def _load(self, call: Call, props: dict[str, Any]) -> Any:
        provider = _sdk().PROVIDERS.get(props, self._config)
        if call.answered:
            raise CallFailedError(f"{call.urn}: the {call.operation} did not begin in time", in_time=False)
        call.of(provider)
        return provider

    def Handshake(self, request: Any, context: Any) -> Any:
        """Keeps where the engine is, in the place where Pulumi tells it the SDK's host: so that providers find it.

        A whole handshake would say that providers can be asked in previews, which these cannot.
        """
        sys.argv[1:] = [request.engine_address]
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Handshake is not implemented by the dynamic provider")

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(self, request: Any, context: Any) -> Any:
        """Keeps the configuration for the providers that are loaded from now on."""
        self._config = _sdk().plain_config(request.args)
        return provider_pb2.ConfigureResponse(acceptSecrets=False)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.calls.give_up()
        return empty_pb2.Empty()

    @_answered
    def Check(self, request: Any, context: Any, call: Call) -> Any:
        sdk = _sdk()
        olds = sdk.from_struct(request.olds, keep_unknowns=True)
        news = sdk.from_struct(request.news, keep_unknowns=True)
        provider = self._load(call, olds if news[sdk.PROVIDER_KEY] == sdk.UNKNOWN else news)
        result = provider.check(olds, news)
        inputs, failures = result.inputs, result.failures
        inputs[sdk.PROVIDER_KEY] = news[sdk.PROVIDER_KEY]
        return provider_pb2.CheckResponse(
            inputs=sdk.to_struct(inputs),
            failures=[provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures],
        )

    @_answered
    def Diff(self, request: Any, context: Any, call: Call) -> Any:
        sdk = _sdk()
        olds = sdk.from_struct(request.olds, keep_unknowns=True)
        news = sdk.from_struct(request.news, keep_unknowns=True)
        provider = self._load(call, olds if news[sdk.PROVIDER_KEY] == sdk.UNKNOWN else news)
        result = provider.diff(request.id, olds, news)
        kinds = provider_pb2.DiffResponse
        changes = kinds.DIFF_UNKNOWN
        if result.changes is not None:
            changes = kinds.DIFF_SOME if result.changes else kinds.DIFF_NONE
        return kinds(changes=changes, replaces=result.replaces, deleteBeforeReplace=result.delete_before_replace)

    @_answered
    def Create(self, request: Any, context: Any, call: Call) -> Any:
        sdk = _sdk()
        props = sdk.from_struct(request.properties)
        provider = self._load(call, props)
        result = provider.create(props)
        outs = result.outs if result.outs is not None else {}
        outs[sdk.PROVIDER_KEY] = props[sdk.PROVIDER_KEY]
        return provider_pb2.CreateResponse(id=result.id, properties=sdk.to_struct(outs))

    @_answered
    def Read(self, request: Any, context: Any, call: Call) -> Any:
        sdk = _sdk()
        # A refresh gives the outputs of the state; a read that the program asks for has inputs at most.
        props = sdk.from_struct(request.properties) or sdk.from_struct(request.inputs)
        provider = self._load(call, props)
        result = provider.read(request.id, props)
        outs = result.outs
        outs[sdk.PROVIDER_KEY] = props[sdk.PROVIDER_KEY]
        answer = provider_pb2.ReadResponse(id=result.id, properties=sdk.to_struct(outs))
        if result.inputs is not None:
            inputs = {**result.inputs, sdk.PROVIDER_KEY: props[sdk.PROVIDER_KEY]}
            answer.inputs.CopyFrom(sdk.to_struct(inputs))
        return answer

    @_answered
    def Update(self, request: Any, context: Any, call: Call) -> Any:
        sdk = _sdk()
        olds = sdk.from_struct(request.olds)
        news = sdk.from_struct(request.news)
        provider = self._load(call, news)
        result = provider.update(request.id, olds, news)
        outs = result.outs if result.outs is not None else {}
        outs[sdk.PROVIDER_KEY] = news[sdk.PROVIDER_KEY]
        return provider_pb2.UpdateResponse(properties=sdk.to_struct(outs))

    @_answered
    def Delete(self, request: Any, context: Any, call: Call) -> Any:
        props = _sdk().from_struct(request.properties)
        self._load(call, props).delete(request.id, props)
        return empty_pb2.Empty()


def _not_implemented(name: str) -> Method:
    def handler(_self: Any, _request: Any, context: Any) -> None:
        # The generated method raises on top of this, which gRPC would print as if something had gone wrong.
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented by the dynamic provider")

    return handler


for _name in vars(provider_pb2_grpc.ResourceProviderServicer):
    if _name[0].isupper() and _name not in vars(DynamicProviders):
        setattr(DynamicProviders, _name, _not_implemented(_name))


def serve() -> None:
    """Says its port and serves until the process ends."""
    server = grpc.server(ThreadPoolExecutor(MAX_CALLS), options=_GRPC_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(DynamicProviders(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.buffer.write(f"{port}\n".encode())
    sys.stdout.buffer.flush()
    # The first provider will need the SDK: it is there by then, imported while the program is still starting.
    threading.Thread(target=_sdk, daemon=True).start()
    server.wait_for_termination()
