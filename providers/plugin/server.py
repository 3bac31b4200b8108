"""The gRPC ResourceProvider: translates each call into an operation, and each error into one clear line.

Serves 16 calls at once, on loopback only, and ends when it is told to, or when the engine that started it is gone.
"""

import os
import secrets
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty

from providers.plugin import operations
from providers.plugin.errors import CancelledError, ProviderError, RefusedError
from providers.plugin.package import Package
from providers.plugin.properties import Change, Naming
from providers.plugin.resource import Call as ResourceCall
from providers.plugin.resource import Client, ResourceType
from providers.plugin.stubs import plugin_pb2, provider_pb2, provider_pb2_grpc
from providers.plugin.wire import Bag, Plain, WireError, decode, encode, has_unknown

_CALLS_AT_ONCE = 16
_PARENT_CHECK_SECONDS = 1.0

Context = grpc.ServicerContext


class PluginProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process, configured once."""

    def __init__(self, package: Package[Any]) -> None:
        self._package = package
        self._args: Plain = {}
        self._client: Client | None = None
        self._mutex = threading.Lock()
        self._cancelled = False

    # About the plugin.

    def Handshake(self, request: Any, context: Context) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Context) -> Empty:
        return Empty()

    def GetPluginInfo(self, request: Any, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._package.version)

    def GetSchema(self, request: Any, context: Context) -> provider_pb2.GetSchemaResponse:
        with self._answering(context):
            if request.version:
                raise RefusedError(f"schema version {request.version} is not served, only 0")
            return provider_pb2.GetSchemaResponse(schema=operations.schema_json(self._package))

    # About its configuration.

    def CheckConfig(self, request: Any, context: Context) -> provider_pb2.CheckResponse:
        with self._answering(context):
            news = decode(request.news)
            values, failures = self._package.check_config(news.values)
            inputs = encode(Bag(values=values, secret=(news.secret | self._package.secret_config) & values.keys()))
            return provider_pb2.CheckResponse(inputs=inputs, failures=[_failure(*each) for each in failures])

    def DiffConfig(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with self._answering(context):
            olds, news = decode(request.old_inputs).values or decode(request.olds).values, decode(request.news).values
            ignored = set(request.ignoreChanges) | {"version", "pluginDownloadURL"}
            changed = {
                name: _kind(Change.UPDATE if name in olds and name in news else _one_sided(name in news))
                for name in sorted(olds.keys() | news.keys())
                if olds.get(name) != news.get(name) and name not in ignored and not name.startswith("__")
            }
            return _diff_response(changed, replaces=[], delete_before_replace=False)

    def Configure(self, request: Any, context: Context) -> provider_pb2.ConfigureResponse:
        with self._answering(context):
            args = decode(request.args).values if request.HasField("args") else {}
            if not args:
                prefix = f"{self._package.name}:config:"
                args = {name.removeprefix(prefix): value for name, value in request.variables.items()}
            with self._mutex:
                self._args = args
                self._client = None
            if not has_unknown(args):
                self._connectable()
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=True,
        )

    # About one resource.

    def Check(self, request: Any, context: Context) -> provider_pb2.CheckResponse:
        with self._answering(context):
            kind = self._kind_of(request)
            naming = _naming(request, stable=self._package.stable_names)
            checked = operations.check_inputs(kind, decode(request.news), decode(request.olds), naming)
            failures = [_failure(each.property, each.reason) for each in checked.failures]
            return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=failures)

    def Diff(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with self._answering(context):
            found = operations.difference(
                self._kind_of(request), decode(request.olds), decode(request.news), list(request.ignoreChanges)
            )
            kinds = {name: _kind(change, replace=name in found.replaces) for name, change in found.by_name.items()}
            return _diff_response(kinds, sorted(found.replaces), delete_before_replace=found.delete_before_replace)

    def Create(self, request: Any, context: Context) -> provider_pb2.CreateResponse:
        with self._answering(context):
            kind, inputs = self._kind_of(request), decode(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=encode(operations.preview_create(kind, inputs)))
            object_id, outputs = operations.create(kind, self._call(request), inputs)
            return provider_pb2.CreateResponse(id=object_id, properties=encode(outputs))

    def Read(self, request: Any, context: Context) -> provider_pb2.ReadResponse:
        with self._answering(context):
            state, inputs = decode(request.properties), decode(request.inputs)
            found = operations.read(self._kind_of(request), self._call(request), state, inputs)
            if found is None:
                return provider_pb2.ReadResponse()
            object_id, outputs, now = found
            return provider_pb2.ReadResponse(id=object_id, properties=encode(outputs), inputs=encode(now))

    def Update(self, request: Any, context: Context) -> provider_pb2.UpdateResponse:
        with self._answering(context):
            kind, olds, news = self._kind_of(request), decode(request.olds), decode(request.news)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=encode(operations.preview_update(kind, olds, news)))
            outputs = operations.update(kind, self._call(request), olds, news, list(request.ignoreChanges))
            return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: Any, context: Context) -> Empty:
        with self._answering(context):
            operations.delete(self._kind_of(request), self._call(request), decode(request.properties))
        return Empty()

    def Cancel(self, request: Any, context: Context) -> Empty:
        self.cancel()
        return Empty()

    # What the stock plugin serves and this one does not.

    def Invoke(self, request: Any, context: Context) -> provider_pb2.InvokeResponse:
        with self._answering(context):
            raise RefusedError(f"function {request.tok} is not served here: install the stock plugin for it")

    def Call(self, request: Any, context: Context) -> provider_pb2.CallResponse:
        with self._answering(context):
            raise RefusedError(f"method {request.tok} is not served here: the package has none")

    def Construct(self, request: Any, context: Context) -> provider_pb2.ConstructResponse:
        with self._answering(context):
            raise RefusedError(f"component {request.type} is not served here: the package has none")

    def Parameterize(self, request: Any, context: Context) -> provider_pb2.ParameterizeResponse:
        with self._answering(context):
            raise RefusedError(f"the {self._package.name} provider takes no parameters")

    def GetMapping(self, request: Any, context: Context) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Context) -> provider_pb2.GetMappingsResponse:
        return provider_pb2.GetMappingsResponse()

    def cancel(self) -> None:
        with self._mutex:
            self._cancelled = True
            client = self._client
        if client is not None:
            client.cancel()

    def _connectable(self) -> Client:
        with self._mutex:
            if self._cancelled:
                raise CancelledError(f"cancelled: the engine asked the {self._package.name} provider to stop")
            if self._client is None:
                self._client = self._package.connect(self._args)
            return self._client

    def _call(self, request: Any) -> ResourceCall[Any]:
        return ResourceCall(
            client=self._connectable(),
            urn=request.urn,
            timeout=getattr(request, "timeout", 0) or 0,
            object_id=getattr(request, "id", ""),
        )

    def _kind_of(self, request: Any) -> ResourceType[Any]:
        # Older engines send the type only in the URN: urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME.
        return self._package.type_of(request.type or request.urn.split("::")[2].rpartition("$")[2])

    @contextmanager
    def _answering(self, context: Context) -> Iterator[None]:
        """Errors as a status with one line. UNKNOWN, since the engine takes UNAVAILABLE for a plugin that died."""
        try:
            yield
        except operations.PartialError as error:
            _abort(context, str(error), init_failed=error)
        except (ProviderError, WireError) as error:
            _abort(context, str(error))
        except Exception as error:  # noqa: BLE001 - its text may quote a secret: only its place is told
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - of whatever kind of path
            kind = type(error).__name__
            _abort(
                context, f"internal error in the {self._package.name} provider ({kind} at {where}): please report it"
            )


def _abort(context: Context, message: str, *, init_failed: operations.PartialError | None = None) -> NoReturn:
    if init_failed is not None:
        context.set_trailing_metadata((("grpc-status-details-bin", _details(init_failed)),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("unreachable: abort raises")


def _details(error: operations.PartialError) -> bytes:
    """The status as the engine reads it: the object exists and is to be kept, and why it is not as it should be."""
    from google.rpc import status_pb2

    failed = provider_pb2.ErrorResourceInitFailed(
        id=error.object_id,
        properties=encode(error.outputs),
        reasons=[str(error)],
        inputs=encode(error.inputs),
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(failed)
    return bytes(status.SerializeToString())


def _naming(request: Any, *, stable: bool) -> Naming:
    logical_name = request.name or request.urn.split("::", 3)[3]
    seed = request.urn.encode() if stable else request.randomSeed or secrets.token_bytes(16)
    if not request.HasField("autonaming"):
        return Naming(logical_name=logical_name, seed=seed)
    options = request.autonaming
    disabled = options.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE
    return Naming(logical_name=logical_name, seed=seed, fixed=options.proposed_name or None, disabled=disabled)


def _failure(name: str, reason: str) -> provider_pb2.CheckFailure:
    return provider_pb2.CheckFailure(property=name, reason=reason)


def _one_sided(is_new: bool) -> Change:
    return Change.ADD if is_new else Change.DELETE


def _kind(change: Change, *, replace: bool = False) -> Any:
    return provider_pb2.PropertyDiff.Kind.Value(f"{change.name}_REPLACE" if replace else change.name)


def _diff_response(
    kinds: dict[str, Any], replaces: list[str], *, delete_before_replace: bool
) -> provider_pb2.DiffResponse:
    response = provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if kinds else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted(kinds),
        replaces=replaces,
        deleteBeforeReplace=delete_before_replace,
        hasDetailedDiff=True,
    )
    for name, kind in kinds.items():
        response.detailedDiff[name].kind = kind
    return response


def serve(package: Package[Any], stop: threading.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set or the process that started this one is gone."""
    # Asked before the engine knows the port: it may be gone the moment after.
    parent = os.getppid()
    provider = PluginProvider(package)
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(_CALLS_AT_ONCE), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    announce(port)
    # While the engine connects: the driver would otherwise be loaded by the first call that needs it.
    threading.Thread(target=__import__, args=(package.preload,), daemon=True).start()
    while not stop.wait(_PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    provider.cancel()
    server.stop(grace=1.0).wait()


def main(package: Package[Any]) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole group; it is for the engine to decide, which then calls Cancel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def announce(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serve(package, stop, announce)
    return 0
