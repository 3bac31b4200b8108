"""The gRPC services that programs speak to: ResourceMonitor and Engine. It translates between the wire and `source`.

It decides nothing. What the engine does not serve is refused by name, through SupportsFeature or an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NoReturn, TypeVar, cast

import grpc
from google.protobuf import empty_pb2

from engine import remote
from engine.assets import with_hashes
from engine.builtin import GET_RESOURCE
from engine.callbacks import STATUS_OF
from engine.engine_service import EngineService
from engine.errors import CallbackError, EngineError, ProviderCallError, RequestError
from engine.hooks import Hooks
from engine.operation import Options, RunInfo, Target
from engine.packages import PluginSpec
from engine.provider_choice import ProviderChoice
from engine.provider_client import Provider
from engine.registration import goal_of, read_of, read_response, register_response
from engine.reporter import Reporter
from engine.resource import (
    UNKNOWN_SENTINEL,
    Goal,
    fill_struct,
    from_struct,
    is_provider_type,
    make_urn,
    plain_references,
)
from engine.rpc import CHANNEL_OPTIONS, engine_pb2_grpc, provider_pb2, resource_pb2, resource_pb2_grpc
from engine.source import Event, ProgramEnded, RegisterOutputs, RegisterResource, refuse
from engine.transforms import Transforms

Request = Any
T = TypeVar("T")
Context = grpc.ServicerContext
FEATURES: Final = frozenset(
    {
        *("secrets", "resourceReferences", "outputValues", "aliasSpecs", "deletedWith", "replaceWith"),
        *("replacementTrigger", "transforms", "invokeTransforms", "resourceHooks", "errorHooks", "parameterization"),
    }
)
SUPPORTED: Final = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_PARENT,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
)
_STOPPED: Final = "resource monitor shut down: the update has failed or was cancelled"


class MonitorStoppedError(EngineError):
    """The operation takes no more registrations."""

    def __init__(self) -> None:
        super().__init__(_STOPPED)


class MonitorServer:
    """The server of one operation, on loopback. `put` hands an event to the deployment."""

    def __init__(
        self,
        target: Target,
        options: Options,
        put: Callable[[Event], None],
        reporter: Reporter,
        provider_of: Callable[[str, str], Provider],
        prepare: Callable[[PluginSpec], None],
        hooks: Hooks,
        transforms: Transforms,
    ) -> None:
        # A registration holds its thread until its step has ended, so there must be one for each in flight.
        self._pool = ThreadPoolExecutor(max_workers=512, thread_name_prefix="rpc")
        self._server = grpc.server(self._pool, options=CHANNEL_OPTIONS)
        self._monitor = ResourceMonitor(
            target, options, put, provider_of, prepare, lambda: self.address, hooks, transforms
        )
        cast("Any", resource_pb2_grpc).add_ResourceMonitorServicer_to_server(self._monitor, self._server)
        cast("Any", engine_pb2_grpc).add_EngineServicer_to_server(
            EngineService(reporter, debug=options.debug), self._server
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def reject(self) -> None:
        """Answers all that is waiting, and all that comes, with an error that says the monitor is shut down."""
        self._monitor.reject()

    def let_go(self) -> None:
        """Lets a program end that waits for the end of the operation, which may still take its outputs."""
        self._monitor.finished.set()

    def release(self) -> None:
        """The operation is over: lets a program that waits for it go."""
        self._monitor.finished.set()
        self._monitor.close()

    def stop(self) -> None:
        self._server.stop(grace=1).wait(5)
        self._pool.shutdown(wait=False)


class ResourceMonitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Registrations of one program."""

    def __init__(
        self,
        target: Target,
        options: Options,
        put: Callable[[Event], None],
        provider_of: Callable[[str, str], Provider],
        prepare: Callable[[PluginSpec], None],
        address: Callable[[], str],
        hooks: Hooks,
        transforms: Transforms,
    ) -> None:
        self._address = address
        self._providers = ProviderChoice(target, lambda event: self._ask(event, event.answer), prepare)
        self._hooks = hooks
        self._transforms = transforms
        self._provider_of = provider_of
        self._target = target
        self._folder = target.program_dir or target.root
        self._options = options
        self._put = put
        self._waiting: set[Future[Any]] = set()
        self._saying: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._rejecting = False
        self._closed = False
        self._signalled = False
        self.finished = threading.Event()

    # -------------------------------------------------------- waiting

    def reject(self) -> None:
        with self._lock:
            self._rejecting = True
            waiting = list(self._waiting)
        for future in waiting:
            refuse(future, MonitorStoppedError())

    def close(self) -> None:
        """The operation is over: outputs, which a stopped program may still say, are rejected from here on too."""
        self.reject()
        with self._lock:
            self._closed = True
            saying = list(self._saying)
        for future in saying:
            refuse(future, MonitorStoppedError())

    def _ask(self, event: Event, answer: Future[T]) -> T:
        says = isinstance(event, RegisterOutputs)
        waiting: set[Future[Any]] = self._saying if says else self._waiting
        with self._lock:
            stopped = self._closed if says else self._rejecting
            if not stopped:
                waiting.add(answer)
        if stopped:
            refuse(answer, MonitorStoppedError())  # others may wait for it: a default provider is asked for once
            raise MonitorStoppedError
        self._put(event)
        try:
            return answer.result()
        finally:
            waiting.discard(answer)

    # -------------------------------------------------------- registrations

    def RegisterResource(self, request: Request, context: Context) -> resource_pb2.RegisterResourceResponse:
        own = request
        self._transforms.hand_over(own)
        if request.custom or request.remote:
            request.provider = self._providers.given(request)
        try:
            request = self._transforms.resource(own)
        except Exception as error:
            raise _abort(context, error) from error
        if request.state_migrations:
            what = f"{request.type} '{request.name}' has state migrations"
            _refuse(context, f"{what}: the embedded engine does not serve them yet")
        try:
            if request.custom or request.remote:
                self._providers.prepare(request)
            if request.remote:
                response = self._construct(request)
                self._providers.remember(request, response.urn)
                self._transforms.remember(own, response.urn)
                return response
            goal = goal_of(request, self._target.root)
            goal.inputs = with_hashes(goal.inputs, request.object, self._folder)
            if request.custom and not is_provider_type(request.type):
                goal.provider = self._providers.for_resource(request)
            elif request.custom:
                goal.inputs = self._providers.own_inputs(request, goal.inputs)
            event = RegisterResource(goal=goal)
            result = self._ask(event, event.answer)
        except Exception as error:
            raise _abort(context, error) from error
        self._transforms.remember(own, result.state.urn)
        self._providers.remember(request, result.state.urn)
        if (result.failed or result.skipped) and not request.supportsResultReporting:
            # It would take the answer for a success.
            context.abort(grpc.StatusCode.INTERNAL, "resource registration failed")
        return register_response(request, result)

    def _construct(self, request: Request) -> resource_pb2.RegisterResourceResponse:
        """Has the component's provider make it; where that is not configured yet, it is registered without content."""
        provider = self._provider_of(self._providers.for_resource(request), request.type)
        plugin = remote.plugin_of(provider, f"component '{request.type}'")
        if not plugin.ready():
            goal = Goal(type=request.type, name=request.name, custom=False, parent=request.parent)
            event = RegisterResource(goal=goal)
            return resource_pb2.RegisterResourceResponse(urn=self._ask(event, event.answer).state.urn)
        return remote.construct(plugin, request, self._info(), self._providers.all_of(request), self._folder)

    def _info(self) -> RunInfo:
        target = self._target
        return RunInfo(
            monitor_address=self._address(),
            engine_address=self._address(),
            project=target.project,
            stack=target.stack,
            organization=target.organization,
            config=target.config,
            secret_keys=target.secret_keys,
            dry_run=self._options.dry_run,
            parallel=self._options.parallel,
        )

    def ReadResource(self, request: Request, context: Context) -> resource_pb2.ReadResourceResponse:
        try:
            event = read_of(request, self._providers.for_resource(request), self._target.root)
            result = self._ask(event, event.answer)
        except Exception as error:
            raise _abort(context, error) from error
        return read_response(request, result, preview=self._options.dry_run)

    def ExistsResource(self, request: Request, context: Context) -> resource_pb2.ExistsResourceResponse:
        """Whether there is an object of that id; nothing is recorded of it."""
        try:
            if request.id == UNKNOWN_SENTINEL:
                return resource_pb2.ExistsResourceResponse(unknown=True)
            target = self._target
            urn = make_urn(target.stack, target.project, request.parent, request.type, request.id)
            provider = self._provider_of(self._providers.for_resource(request), request.type)
            found = provider.read(urn, request.id, {}, from_struct(request.properties))
        except Exception as error:
            raise _abort(context, error) from error
        return resource_pb2.ExistsResourceResponse(exists=not found.missing, unknown=not found.known)

    def RegisterResourceOutputs(self, request: Request, context: Context) -> empty_pb2.Empty:
        try:
            outputs = with_hashes(from_struct(request.outputs), request.outputs, self._folder)
            event = RegisterOutputs(urn=request.urn, outputs=outputs)
            self._ask(event, event.answer)
        except Exception as error:
            raise _abort(context, error) from error
        return empty_pb2.Empty()

    # -------------------------------------------------------- the rest

    def GetDeploymentInfo(self, request: Request, context: Context) -> resource_pb2.DeploymentInfo:
        target = self._target
        return resource_pb2.DeploymentInfo(
            project=target.project,
            stack=target.stack,
            organization=target.organization,
            config=dict(target.config),
            configSecretKeys=sorted(target.secret_keys),
            dryRun=self._options.dry_run,
            parallel=self._options.parallel,
            supportedFeatures=SUPPORTED,
        )

    def SupportsFeature(self, request: Request, context: Context) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def SignalAndWaitForShutdown(self, request: Request, context: Context) -> empty_pb2.Empty:
        with self._lock:
            waiting, self._signalled = self._signalled, True
        if waiting:
            context.abort(grpc.StatusCode.UNKNOWN, "Already waiting for shutdown")
        self._put(ProgramEnded(error=None))
        # Until then the program serves its hooks: those of the deletes are still to come.
        self.finished.wait()
        return empty_pb2.Empty()

    def Call(self, request: Request, context: Context) -> provider_pb2.CallResponse:
        """Calls a method of a resource."""
        try:
            provider = self._provider_of(self._providers.for_token(request), request.tok)
            return remote.call(remote.plugin_of(provider, f"method '{request.tok}'"), request, self._info())
        except Exception as error:
            raise _abort(context, error) from error

    def RegisterPackage(self, request: Request, context: Context) -> resource_pb2.RegisterPackageResponse:
        try:
            return resource_pb2.RegisterPackageResponse(ref=self._providers.register_package(request))
        except EngineError as error:
            raise _abort(context, error) from error

    def RegisterStackTransform(self, request: Request, context: Context) -> empty_pb2.Empty:
        return _registered(context, lambda: self._transforms.register(request))

    def RegisterStackInvokeTransform(self, request: Request, context: Context) -> empty_pb2.Empty:
        return _registered(context, lambda: self._transforms.register_invoke(request))

    def RegisterResourceHook(self, request: Request, context: Context) -> empty_pb2.Empty:
        return _registered(context, lambda: self._hooks.register(request))

    def RegisterErrorHook(self, request: Request, context: Context) -> empty_pb2.Empty:
        return _registered(context, lambda: self._hooks.register_error(request))

    def Invoke(self, request: Request, context: Context) -> resource_pb2.ResourceInvokeResponse:
        """Asks a provider plugin for a function's result."""
        try:
            request = self._transforms.invoke(request)
            ref = self._providers.for_token(request)
            provider = self._provider_of(ref, request.tok)
            args = from_struct(request.args)
            result, failures = provider.invoke(request.tok, args, preview=self._options.dry_run)
        except ProviderCallError as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {request.tok} returned an error: {error}")
        except Exception as error:
            raise _abort(context, error) from error
        answer = resource_pb2.ResourceInvokeResponse(
            failures=[provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures]
        )
        # Older SDKs ask for a resource and do not say that they take one.
        if not request.acceptResources and request.tok != GET_RESOURCE:
            result = {key: plain_references(value) for key, value in result.items()}
        fill_struct(getattr(answer, "return"), result, secrets=True)
        return answer


# ------------------------------------------------------------------ helpers


def _refuse(context: Context, what: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"not served: {what}. Use TENANTRY_ENGINE=stock.")
    raise AssertionError(what)  # abort has raised already; grpc does not say so in its types


def _registered(context: Context, register: Callable[[], None]) -> empty_pb2.Empty:
    try:
        register()
    except EngineError as error:
        raise _abort(context, error) from error
    return empty_pb2.Empty()


def _abort(context: Context, error: Exception) -> Exception:
    """Ends the call with what went wrong; what is raised by it stops the handler."""
    if isinstance(error, CallbackError):
        context.abort(STATUS_OF.get(error.code, grpc.StatusCode.UNKNOWN), error.details)
    if isinstance(error, MonitorStoppedError):
        context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPED)
    if isinstance(error, EngineError):
        invalid = isinstance(error, RequestError)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT if invalid else grpc.StatusCode.UNKNOWN, str(error))
    return error
