"""The gRPC ResourceProvider: translates each call into one of the package's, and each error into one clear line.

Serves 16 calls at once and Cancel beside them, on loopback only, and ends when it is told to, or when the engine that
started it is gone.
"""

import os
import re
import secrets
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty

from providers.plugin.engine_log import EngineLog, Voice
from providers.plugin.errors import ProviderError, RefusedError
from providers.plugin.properties import Change, Naming
from providers.plugin.service import Ask, Before, PartialError, Service
from providers.plugin.stubs import plugin_pb2, provider_pb2, provider_pb2_grpc
from providers.plugin.wire import WireError, decode, encode

_CALLS_AT_ONCE = 16
_PARENT_CHECK_SECONDS = 1.0
LAST_SECONDS = 30.0
"""How long calls that heed no Cancel keep the process from ending: a command for credentials may hang for ever."""

Context = grpc.ServicerContext


class PluginProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider process, configured once."""

    def __init__(self, service: Service, log: EngineLog) -> None:
        self._service = service
        self._log = log

    # About the plugin.

    def Handshake(self, request: Any, context: Context) -> provider_pb2.ProviderHandshakeResponse:
        self._log.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Context) -> Empty:
        self._log.connect(request.address)
        return Empty()

    def GetPluginInfo(self, request: Any, context: Context) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._service.version)

    def GetSchema(self, request: Any, context: Context) -> provider_pb2.GetSchemaResponse:
        with self._answering(context):
            if request.version:
                raise RefusedError(f"schema version {request.version} is not served, only 0")
            return provider_pb2.GetSchemaResponse(schema=self._service.schema())

    # About its configuration.

    def CheckConfig(self, request: Any, context: Context) -> provider_pb2.CheckResponse:
        with self._answering(context):
            inputs, failures = self._service.check_config(decode(request.news))
            return provider_pb2.CheckResponse(inputs=encode(inputs), failures=[_failure(*each) for each in failures])

    def DiffConfig(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with self._answering(context):
            olds, news = decode(request.old_inputs).values or decode(request.olds).values, decode(request.news).values
            ignored = set(request.ignoreChanges) | {"version", "pluginDownloadURL"}
            changed = {
                name: Change.UPDATE if name in olds and name in news else _one_sided(name in news)
                for name in sorted(olds.keys() | news.keys())
                if olds.get(name) != news.get(name) and name not in ignored and not name.startswith("__")
            }
            replaces = self._service.config_replaces(olds, news, list(changed))
            return _diff_response(changed, replaces, delete_before_replace=False)

    def Configure(self, request: Any, context: Context) -> provider_pb2.ConfigureResponse:
        with self._answering(context):
            args = decode(request.args).values if request.HasField("args") else {}
            if not args:
                prefix = f"{self._service.name}:config:"
                args = {name.removeprefix(prefix): value for name, value in request.variables.items()}
            self._service.configure(args, self._log)
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
            naming = _naming(request, stable=self._service.stable_names)
            checked = self._service.check(self._ask(request), decode(request.news), decode(request.olds), naming)
            failures = [_failure(each.property, each.reason) for each in checked.failures]
            return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=failures)

    def Diff(self, request: Any, context: Context) -> provider_pb2.DiffResponse:
        with self._answering(context):
            before = Before(inputs=decode(request.old_inputs), outputs=decode(request.olds))
            found = self._service.diff(self._ask(request), before, decode(request.news), list(request.ignoreChanges))
            return _diff_response(found.by_name, found.replaces, delete_before_replace=found.delete_before_replace)

    def Create(self, request: Any, context: Context) -> provider_pb2.CreateResponse:
        with self._answering(context):
            ask, inputs = self._ask(request), decode(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=encode(self._service.preview_create(ask, inputs)))
            object_id, outputs = self._service.create(ask, inputs)
            return provider_pb2.CreateResponse(id=object_id, properties=encode(outputs))

    def Read(self, request: Any, context: Context) -> provider_pb2.ReadResponse:
        with self._answering(context):
            before = Before(inputs=decode(request.inputs), outputs=decode(request.properties))
            found = self._service.read(self._ask(request), before)
            if found is None:
                return provider_pb2.ReadResponse()
            object_id, outputs, now = found
            return provider_pb2.ReadResponse(id=object_id, properties=encode(outputs), inputs=encode(now))

    def Update(self, request: Any, context: Context) -> provider_pb2.UpdateResponse:
        with self._answering(context):
            ask, news = self._ask(request), decode(request.news)
            before = Before(inputs=decode(request.old_inputs), outputs=decode(request.olds))
            if request.preview:
                return provider_pb2.UpdateResponse(properties=encode(self._service.preview_update(ask, before, news)))
            outputs = self._service.update(ask, before, news, list(request.ignoreChanges))
            return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: Any, context: Context) -> Empty:
        with self._answering(context):
            before = Before(inputs=decode(request.old_inputs), outputs=decode(request.properties))
            self._service.delete(self._ask(request), before)
        return Empty()

    def Cancel(self, request: Any, context: Context) -> Empty:
        self._service.cancel()
        return Empty()

    # Behind calls that wait for minutes it would itself wait, until its time is over and it is dropped.
    vars()["Cancel"].experimental_thread_pool = ThreadPoolExecutor(1)

    def Invoke(self, request: Any, context: Context) -> provider_pb2.InvokeResponse:
        with self._answering(context):
            answer = self._service.invoke(request.tok, decode(request.args))
            response = provider_pb2.InvokeResponse()
            # Its name is a word of Python's.
            getattr(response, "return").CopyFrom(encode(answer))
            return response

    # What the stock plugin serves and this one does not.

    def Call(self, request: Any, context: Context) -> provider_pb2.CallResponse:
        with self._answering(context):
            raise RefusedError(f"method {request.tok} is not served here: the package has none")

    def Construct(self, request: Any, context: Context) -> provider_pb2.ConstructResponse:
        with self._answering(context):
            raise RefusedError(self._service.no_component(request.type))

    def Parameterize(self, request: Any, context: Context) -> provider_pb2.ParameterizeResponse:
        with self._answering(context):
            raise RefusedError(f"the {self._service.name} provider takes no parameters")

    def GetMapping(self, request: Any, context: Context) -> provider_pb2.GetMappingResponse:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Context) -> provider_pb2.GetMappingsResponse:
        return provider_pb2.GetMappingsResponse()

    def _ask(self, request: Any) -> Ask:
        return Ask(
            urn=request.urn,
            # Older engines send the type only in the URN: urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME.
            type=request.type or request.urn.split("::")[2].rpartition("$")[2],
            voice=Voice(log=self._log, urn=request.urn),
            timeout=getattr(request, "timeout", 0) or 0,
            object_id=getattr(request, "id", ""),
        )

    @contextmanager
    def _answering(self, context: Context) -> Iterator[None]:
        """Errors as a status with one line. UNKNOWN, since the engine takes UNAVAILABLE for a plugin that died."""
        try:
            yield
        except PartialError as error:
            _abort(context, str(error), init_failed=error)
        except (ProviderError, WireError) as error:
            _abort(context, str(error))
        except Exception as error:  # noqa: BLE001 - its text may quote a secret: only its place is told
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - of whatever kind of path
            kind = type(error).__name__
            _abort(
                context, f"internal error in the {self._service.name} provider ({kind} at {where}): please report it"
            )
        finally:
            self._log.settle()


def _abort(context: Context, message: str, *, init_failed: PartialError | None = None) -> NoReturn:
    if init_failed is not None:
        context.set_trailing_metadata((("grpc-status-details-bin", _details(init_failed)),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("unreachable: abort raises")


def _details(error: PartialError) -> bytes:
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


def _diff_response(
    by_name: Mapping[str, Change], replaces: Collection[str], *, delete_before_replace: bool
) -> provider_pb2.DiffResponse:
    response = provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if by_name else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted({re.split(r"[.[]", path, maxsplit=1)[0] for path in by_name}),
        replaces=sorted(replaces),
        deleteBeforeReplace=delete_before_replace,
        hasDetailedDiff=True,
    )
    for path, change in by_name.items():
        name = f"{change.name}_REPLACE" if path in replaces else change.name
        response.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.Value(name)
    return response


def serve(service: Service, stop: threading.Event, announce: Callable[[int], None]) -> None:
    """Serve until `stop` is set or the process that started this one is gone."""
    # Asked before the engine knows the port: it may be gone the moment after.
    parent = os.getppid()
    # The engine gives its address as the first argument, and again when it says hello.
    log = EngineLog(sys.argv[1] if len(sys.argv) > 1 else "")
    provider = PluginProvider(service, log)
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(_CALLS_AT_ONCE), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    announce(port)
    # While the engine connects: the driver would otherwise be loaded by the first call that needs it.
    threading.Thread(target=__import__, args=(service.preload,), daemon=True).start()
    while not stop.wait(_PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    service.cancel()
    server.stop(grace=1.0).wait()
    log.close()


def main(service: Service) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole group; it is for the engine to decide, which then calls Cancel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def announce(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serve(service, stop, announce)
    last = threading.Timer(LAST_SECONDS, os._exit, (1,))
    last.daemon = True
    last.start()
    return 0
