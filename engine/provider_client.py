"""One configured provider, spoken to over gRPC (pulumirpc.ResourceProvider). It translates; it decides nothing.

Secrets go to those plugins only that accept them. From others they come back plain: an output or checked input with the
name of a secret input is then made secret again, as in the stock engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.rpc import status_pb2

from engine.diff import Changes, DiffKind, DiffResult, PropertyDiff
from engine.errors import InitFailedError, PluginError, ProviderCallError
from engine.plugins import Plugin
from engine.resource import (
    PropertyMap,
    Secret,
    contains_unknown,
    from_struct,
    package_of,
    to_struct,
    unsecret,
    urn_name,
    urn_type,
)
from engine.rpc import CHANNEL_OPTIONS, plugin_pb2, provider_pb2, provider_pb2_grpc

INTERNAL_KEYS: Final = frozenset({"version", "pluginDownloadURL", "__internal"})


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """An input that the provider refuses; `property` may be empty."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What Read found; an empty id says that the object is gone. `inputs` is None where the provider told none."""

    id: str
    outputs: PropertyMap
    inputs: PropertyMap | None
    init_errors: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """Whether there is no such object. A dynamic provider that gives properties without an id has found one."""
        return not self.id and not self.outputs


class Provider(Protocol):
    """What the steps need of a provider. Every call may raise ProviderCallError."""

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]: ...

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult: ...

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> tuple[str, PropertyMap]: ...

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap) -> ReadResult: ...

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> PropertyMap: ...

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None: ...

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCall:
    """The properties of one Update; `timeout` in seconds, 0 for the provider's own."""

    old_inputs: PropertyMap
    old_outputs: PropertyMap
    news: PropertyMap
    ignored: Sequence[str] = ()
    timeout: float = 0


class PluginProvider:
    """A plugin process and its connection: unconfigured until `configure`."""

    def __init__(self, process: Plugin, handshake: provider_pb2.ProviderHandshakeRequest) -> None:
        self._process = process
        self._handshake = handshake
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._cancelling: Any = None
        self._accept_secrets = False
        self._supports_preview = False
        self._config_unknown = False
        self.configured = False

    # -------------------------------------------------------- connection

    def _connect(self) -> Any:
        if self._stub is None:
            self._channel = grpc.insecure_channel(self._process.address(), options=CHANNEL_OPTIONS)
            stub = cast("Any", provider_pb2_grpc.ResourceProviderStub)(self._channel)
            try:
                answer = stub.Handshake(self._handshake, timeout=60)
                self._accept_secrets = answer.accept_secrets
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise self._failure("Handshake", error) from error
                self._attach(stub)
            self._stub = stub
        return self._stub

    def _attach(self, stub: Any) -> None:
        try:
            stub.Attach(plugin_pb2.PluginAttach(address=self._handshake.engine_address), timeout=60)
        except grpc.RpcError as error:
            # Attach is newer than many plugins (the SDK's dynamic host has none); it tells them nothing they must know.
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise self._failure("Attach", error) from error

    def _call(self, method: str, request: Any) -> Any:
        stub = self._connect()
        try:
            return getattr(stub, method)(request)
        except grpc.RpcError as error:
            raise self._failure(method, error) from error

    def _failure(self, method: str, error: grpc.RpcError) -> PluginError:
        init = _init_failure(error)
        if init is not None:
            return init
        if error.code() is grpc.StatusCode.UNAVAILABLE and self._ended():
            return PluginError(
                f"the provider plugin for '{self._process.package}' ended during {method}. Run the command again; "
                f"if it ends again, the plugin's own log says why."
            )
        failure = ProviderCallError(error.details() or f"{method} failed: {error.code().name}")
        failure.__cause__ = error
        return failure

    def _ended(self) -> bool:
        """Whether the plugin has ended: its connection breaks a moment before its process is gone."""
        deadline = time.monotonic() + 1
        while self._process.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._process.alive()

    def _unimplemented(self, error: ProviderCallError) -> bool:
        cause = error.__cause__
        return isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNIMPLEMENTED

    def _struct(self, properties: PropertyMap) -> struct_pb2.Struct:
        return to_struct(properties, secrets=self._accept_secrets)

    def cancel(self) -> None:
        """Asks the plugin to give up its running calls. What it answers does not matter: it may know no Cancel."""
        if self._stub is not None:
            # A call that nobody holds is dropped, perhaps before it has been sent.
            self._cancelling = self._stub.Cancel.future(empty_pb2.Empty(), timeout=5)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._process.stop()

    # -------------------------------------------------------- configuration

    def check_config(
        self, urn: str, olds: PropertyMap, news: PropertyMap
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        request = provider_pb2.CheckRequest(
            urn=urn, olds=to_struct(olds), news=to_struct(news), name=urn_name(urn), type=urn_type(urn)
        )
        try:
            answer = self._call("CheckConfig", request)
        except ProviderCallError as error:
            if self._unimplemented(error):
                return news, ()
            raise
        failures = tuple(CheckFailure(f.property, f.reason) for f in answer.failures)
        return _with_secrets_of(from_struct(answer.inputs), news), failures

    def diff_config(
        self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignored: Sequence[str]
    ) -> DiffResult:
        request = provider_pb2.DiffRequest(
            urn=urn,
            old_inputs=to_struct(old_inputs),
            olds=to_struct(old_outputs),
            news=to_struct(news),
            ignoreChanges=ignored,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        try:
            return _diff_result(self._call("DiffConfig", request))
        except ProviderCallError as error:
            if self._unimplemented(error):
                return DiffResult()
            raise

    def configure(self, urn: str, id_: str, inputs: PropertyMap) -> None:
        """Configures it with a provider resource's inputs."""
        config = {k: v for k, v in inputs.items() if k not in INTERNAL_KEYS}
        # A plugin must not be configured with values that nobody knows yet; its previews then know nothing either.
        self._config_unknown = contains_unknown(config)
        package = package_of(urn_type(urn))
        plain = unsecret(config)
        variables = {f"{package}:config:{k}": v for k, v in plain.items() if isinstance(v, str)}
        self._connect()
        request = provider_pb2.ConfigureRequest(
            variables=variables,
            args=to_struct(config),
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            id=id_,
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._call("Configure", request)
        self._accept_secrets = answer.acceptSecrets or self._accept_secrets
        self._supports_preview = answer.supportsPreview
        self.configured = True

    # -------------------------------------------------------- resources

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if self._config_unknown:
            return news, ()
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=self._struct(olds or {}),
            news=self._struct(news),
            randomSeed=seed,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._call("Check", request)
        inputs = self._annotate(from_struct(answer.inputs), news)
        return inputs, tuple(CheckFailure(f.property, f.reason) for f in answer.failures)

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult:
        if self._config_unknown:
            return DiffResult()
        request = provider_pb2.DiffRequest(
            urn=urn,
            id=id_,
            olds=self._struct(old_outputs),
            old_inputs=self._struct(old_inputs),
            news=self._struct(news),
            ignoreChanges=ignored,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        return _diff_result(self._call("Diff", request))

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> tuple[str, PropertyMap]:
        if preview and (self._config_unknown or not self._supports_preview):
            return "", news
        request = provider_pb2.CreateRequest(
            urn=urn,
            properties=self._struct(news),
            timeout=timeout,
            preview=preview,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._guard_init(news, lambda: self._call("Create", request))
        if not answer.id and not preview:
            raise ProviderCallError(
                f"the provider gave no id for {urn_type(urn)} '{urn_name(urn)}': it cannot be tracked. This is a bug "
                f"in the provider; look for the object by hand before you retry."
            )
        return answer.id, self._annotate(from_struct(answer.properties), news)

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap) -> ReadResult:
        request = provider_pb2.ReadRequest(
            id=id_,
            urn=urn,
            properties=self._struct(outputs),
            inputs=self._struct(inputs),
            name=urn_name(urn),
            type=urn_type(urn),
        )
        try:
            answer = self._call("Read", request)
        except InitFailedError as failure:
            return ReadResult(
                id=failure.object_id,
                outputs=self._annotate(failure.outputs, outputs),
                inputs=self._annotate(failure.inputs, inputs) if failure.inputs is not None else None,
                init_errors=failure.reasons,
            )
        told = self._annotate(from_struct(answer.inputs), inputs) if answer.HasField("inputs") else None
        return ReadResult(id=answer.id, outputs=self._annotate(from_struct(answer.properties), outputs), inputs=told)

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> PropertyMap:
        if preview and (self._config_unknown or not self._supports_preview):
            return call.news
        request = provider_pb2.UpdateRequest(
            id=id_,
            urn=urn,
            olds=self._struct(call.old_outputs),
            old_inputs=self._struct(call.old_inputs),
            news=self._struct(call.news),
            timeout=call.timeout,
            ignoreChanges=call.ignored,
            preview=preview,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._guard_init(call.news, lambda: self._call("Update", request))
        return self._annotate(from_struct(answer.properties), call.news)

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        request = provider_pb2.DeleteRequest(
            id=id_,
            urn=urn,
            properties=self._struct(old_outputs),
            old_inputs=self._struct(old_inputs),
            timeout=timeout,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        self._call("Delete", request)

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        request = provider_pb2.InvokeRequest(tok=token, args=self._struct(args), preview=preview)
        answer = self._call("Invoke", request)
        result = from_struct(getattr(answer, "return"))
        return result, tuple(CheckFailure(f.property, f.reason) for f in answer.failures)

    def _guard_init(self, news: PropertyMap, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except InitFailedError as failure:
            failure.outputs = self._annotate(failure.outputs, news)
            if failure.inputs is not None:
                failure.inputs = self._annotate(failure.inputs, news)
            raise

    def _annotate(self, properties: PropertyMap, like: PropertyMap) -> PropertyMap:
        return properties if self._accept_secrets else _with_secrets_of(properties, like)


def _with_secrets_of(properties: PropertyMap, like: PropertyMap) -> PropertyMap:
    """The properties, those secret whose namesake in `like` holds a secret."""
    return {key: _secret_like(value, like.get(key)) for key, value in properties.items()}


def _secret_like(value: Any, like: Any) -> Any:
    """The value, secret at every place where `like` is."""
    if isinstance(value, Secret):
        return value
    if isinstance(like, Secret):
        return Secret(unsecret(value))
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: _secret_like(item, like.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(like, list) and len(value) == len(like):
        return [_secret_like(item, other) for item, other in zip(value, like, strict=True)]
    return value


_KINDS: Final = {
    provider_pb2.PropertyDiff.ADD: DiffKind.ADD,
    provider_pb2.PropertyDiff.ADD_REPLACE: DiffKind.ADD_REPLACE,
    provider_pb2.PropertyDiff.DELETE: DiffKind.DELETE,
    provider_pb2.PropertyDiff.DELETE_REPLACE: DiffKind.DELETE_REPLACE,
    provider_pb2.PropertyDiff.UPDATE: DiffKind.UPDATE,
    provider_pb2.PropertyDiff.UPDATE_REPLACE: DiffKind.UPDATE_REPLACE,
}


def _diff_result(answer: provider_pb2.DiffResponse) -> DiffResult:
    detailed = None
    if answer.hasDetailedDiff:
        detailed = {
            path: PropertyDiff(_KINDS[diff.kind], diff.inputDiff) for path, diff in sorted(answer.detailedDiff.items())
        }
    return DiffResult(
        changes=Changes(answer.changes),
        replace_keys=tuple(answer.replaces),
        stable_keys=tuple(answer.stables),
        changed_keys=tuple(answer.diffs),
        delete_before_replace=answer.deleteBeforeReplace,
        detailed=detailed,
    )


def _init_failure(error: grpc.RpcError) -> InitFailedError | None:
    """The initialisation failure inside an error's status details, if there is one."""
    for key, value in cast("Any", error.trailing_metadata() or ()):
        if key != "grpc-status-details-bin":
            continue
        status = status_pb2.Status.FromString(value)
        for detail in status.details:
            failed = provider_pb2.ErrorResourceInitFailed()
            if detail.Unpack(failed):
                return InitFailedError(
                    tuple(failed.reasons),
                    failed.id,
                    from_struct(failed.properties),
                    from_struct(failed.inputs) if failed.HasField("inputs") else None,
                )
    return None
