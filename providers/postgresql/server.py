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
from functools import cache
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty

from providers.postgresql import config as configuration
from providers.postgresql import operations
from providers.postgresql.client import Client
from providers.postgresql.errors import CancelledError, ProviderError, RefusedError
from providers.postgresql.properties import Change, Naming
from providers.postgresql.registry import type_of
from providers.postgresql.resource import Call as ResourceCall
from providers.postgresql.resource import ResourceType
from providers.postgresql.stubs import plugin_pb2, provider_pb2, provider_pb2_grpc
from providers.postgresql.wire import Bag, Plain, WireError, decode, encode, has_unknown

_CALLS_AT_ONCE = 16
_PARENT_CHECK_SECONDS = 1.0
_CONFIG_PREFIX = "postgresql:config:"

Context = grpc.ServicerContext


@cache
def package_version() -> str:
    """The version of the SDK package whose types these are, which is what the engine compares."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pulumi-postgresql")
    except PackageNotFoundError:
        return "0.0.0"


class PostgresqlProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process, configured once."""

    def __init__(self) -> None:
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
        return plugin_pb2.PluginInfo(version=package_version())

    def GetSchema(self, request: Any, context: Context) -> provider_pb2.GetSchemaResponse:
        with _answering(context):
            if request.version:
                raise RefusedError(f"schema version {request.version} is not served, only 0")
            return provider_pb2.GetSchemaResponse(schema=operations.schema_json(package_version()))

    # About its configuration.

    def CheckConfig(self, request: Any, context: Context) -> provider_pb2.CheckResponse:
        with _answering(context):
            news = decode(request.news)
            values, failures = configuration.check(news.values)
            inputs = encode(Bag(values=values, secret=(news.secret | {"password"}) & values.keys()))
            return provider_pb2.CheckResponse(inputs=inputs, failures=[_failure(*each) for each in failures])

    def DiffConfig(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with _answering(context):
            olds, news = decode(request.old_inputs).values or decode(request.olds).values, decode(request.news).values
            ignored = set(request.ignoreChanges) | {"version", "pluginDownloadURL"}
            changed = {
                name: _kind(Change.UPDATE if name in olds and name in news else _one_sided(name in news))
                for name in sorted(olds.keys() | news.keys())
                if olds.get(name) != news.get(name) and name not in ignored and not name.startswith("__")
            }
            return _diff_response(changed, replaces=[], delete_before_replace=False)

    def Configure(self, request: Any, context: Context) -> provider_pb2.ConfigureResponse:
        with _answering(context):
            args = decode(request.args).values if request.HasField("args") else {}
            if not args:
                args = {name.removeprefix(_CONFIG_PREFIX): value for name, value in request.variables.items()}
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
        with _answering(context):
            kind = _kind_of(request)
            naming = _naming(request)
            checked = operations.check_inputs(kind, decode(request.news), decode(request.olds), naming)
            failures = [_failure(each.property, each.reason) for each in checked.failures]
            return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=failures)

    def Diff(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with _answering(context):
            found = operations.difference(
                _kind_of(request), decode(request.olds), decode(request.news), list(request.ignoreChanges)
            )
            kinds = {name: _kind(change, replace=name in found.replaces) for name, change in found.by_name.items()}
            return _diff_response(kinds, sorted(found.replaces), delete_before_replace=found.delete_before_replace)

    def Create(self, request: Any, context: Context) -> provider_pb2.CreateResponse:
        with _answering(context):
            kind, inputs = _kind_of(request), decode(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=encode(operations.preview_create(kind, inputs)))
            object_id, outputs = operations.create(kind, self._call(request), inputs)
            return provider_pb2.CreateResponse(id=object_id, properties=encode(outputs))

    def Read(self, request: Any, context: Context) -> provider_pb2.ReadResponse:
        with _answering(context):
            state, inputs = decode(request.properties), decode(request.inputs)
            found = operations.read(_kind_of(request), self._call(request), request.id, state, inputs)
            if found is None:
                return provider_pb2.ReadResponse()
            outputs, now = found
            return provider_pb2.ReadResponse(id=request.id, properties=encode(outputs), inputs=encode(now))

    def Update(self, request: Any, context: Context) -> provider_pb2.UpdateResponse:
        with _answering(context):
            kind, olds, news = _kind_of(request), decode(request.olds), decode(request.news)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=encode(operations.preview_update(kind, olds, news)))
            outputs = operations.update(kind, self._call(request), olds, news, list(request.ignoreChanges))
            return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: Any, context: Context) -> Empty:
        with _answering(context):
            operations.delete(_kind_of(request), self._call(request), decode(request.properties))
        return Empty()

    def Cancel(self, request: Any, context: Context) -> Empty:
        self.cancel()
        return Empty()

    # What the stock plugin serves and this one does not.

    def Invoke(self, request: Any, context: Context) -> provider_pb2.InvokeResponse:
        with _answering(context):
            raise RefusedError(f"function {request.tok} is not served here: install the stock plugin for it")

    def Call(self, request: Any, context: Context) -> provider_pb2.CallResponse:
        with _answering(context):
            raise RefusedError(f"method {request.tok} is not served here: the package has none")

    def Construct(self, request: Any, context: Context) -> provider_pb2.ConstructResponse:
        with _answering(context):
            raise RefusedError(f"component {request.type} is not served here: the package has none")

    def Parameterize(self, request: Any, context: Context) -> provider_pb2.ParameterizeResponse:
        with _answering(context):
            raise RefusedError("the postgresql provider takes no parameters")

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
                raise CancelledError("cancelled: the engine asked the postgresql provider to stop")
            if self._client is None:
                self._client = Client(config=configuration.resolve(self._args))
            return self._client

    def _call(self, request: Any) -> ResourceCall:
        return ResourceCall(client=self._connectable(), urn=request.urn, timeout=getattr(request, "timeout", 0) or 0)


@contextmanager
def _answering(context: Context) -> Iterator[None]:
    """Errors as a status with one line. UNKNOWN, since the engine takes UNAVAILABLE for a plugin that died."""
    try:
        yield
    except (ProviderError, WireError) as error:
        _abort(context, str(error))
    except Exception as error:  # noqa: BLE001 - its text may quote a statement, and so a secret: only its place is told
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name, of whatever kind of path
        _abort(
            context, f"internal error in the postgresql provider ({type(error).__name__} at {where}): please report it"
        )


def _abort(context: Context, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("unreachable: abort raises")


def _kind_of(request: Any) -> ResourceType:
    # Older engines send the type only in the URN: urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME.
    return type_of(request.type or request.urn.split("::")[2].rpartition("$")[2])


def _naming(request: Any) -> Naming:
    logical_name = request.name or request.urn.split("::", 3)[3]
    seed = request.randomSeed or secrets.token_bytes(16)
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


def serve(stop: threading.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set or the process that started this one is gone."""
    # Asked before the engine knows the port: it may be gone the moment after.
    parent = os.getppid()
    provider = PostgresqlProvider()
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(_CALLS_AT_ONCE), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    announce(port)
    # While the engine connects: the driver would otherwise be loaded by the first call that needs it.
    threading.Thread(target=__import__, args=("psycopg",), daemon=True).start()
    while not stop.wait(_PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    provider.cancel()
    server.stop(grace=1.0).wait()


def main() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole group; it is for the engine to decide, which then calls Cancel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def announce(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serve(stop, announce)
    return 0
