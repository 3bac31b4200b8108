"""The connection to one plugin: handshake, calls and how they fail, cancel, the end. It knows nothing of resources.

What a plugin can take is told by its Handshake; where it has none, by its answer to Configure.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2

from engine.errors import InitFailedError, PluginError, ProviderCallError, one_per_line
from engine.plugins import Plugin
from engine.resource import from_struct
from engine.rpc import CHANNEL_OPTIONS, plugin_pb2, provider_pb2, provider_pb2_grpc

HANDSHAKE_SECONDS: Final = 60.0
#: Configuring must end: nothing else can begin before it, and nobody waits for an object meanwhile.
CONFIGURE_SECONDS: Final = 300.0
#: How long a call may go on after the customTimeouts that the plugin was told of.
GRACE_SECONDS: Final = 60.0
CANCEL_SECONDS: Final = 5.0
_GRPC_DEADLINE: Final = "Deadline Exceeded"
_CONFIGURING: Final = frozenset({"CheckConfig", "DiffConfig", "Configure", "Parameterize", "GetPluginInfo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a plugin takes as such, and does not want plain, and whether it is asked in previews."""

    secrets: bool = False
    resources: bool = False
    outputs: bool = False
    preview: bool = False
    autonaming: bool = False


class PluginConnection:
    """Connects at its first call."""

    def __init__(self, process: Plugin, handshake: provider_pb2.ProviderHandshakeRequest) -> None:
        self._process = process
        self._handshake = handshake
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._cancelling: Any = None
        self.told: Abilities | None = None
        """What the Handshake told; None where the plugin has none."""

    @property
    def used(self) -> bool:
        """Whether the plugin has come up and been spoken to."""
        return self._channel is not None

    @property
    def package(self) -> str:
        return self._process.package

    def call(self, method: str, request: Any, *, timeout: float = 0) -> Any:
        """The plugin's answer. `timeout` is what it was told, in seconds, 0 for none. Raises PluginError."""
        stub = self._connect()
        limit = CONFIGURE_SECONDS if method in _CONFIGURING else timeout + GRACE_SECONDS if timeout else None
        try:
            return getattr(stub, method)(request, timeout=limit)
        except grpc.RpcError as error:
            raise self._failure(method, error, limit) from error

    def _connect(self) -> Any:
        if self._stub is None:
            self._channel = grpc.insecure_channel(self._process.address(), options=CHANNEL_OPTIONS)
            stub = cast("Any", provider_pb2_grpc.ResourceProviderStub)(self._channel)
            try:
                answer = stub.Handshake(self._handshake, timeout=HANDSHAKE_SECONDS)
                self.told = Abilities(
                    secrets=answer.accept_secrets,
                    resources=answer.accept_resources,
                    outputs=answer.accept_outputs,
                    preview=True,
                    autonaming=answer.supports_autonaming_configuration,
                )
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise self._failure("Handshake", error, HANDSHAKE_SECONDS) from error
            if self._process.attached:
                self._attach(stub)
            self._stub = stub
        return self._stub

    def _attach(self, stub: Any) -> None:
        """Tells a plugin that was not started by the engine where the engine is."""
        request = plugin_pb2.PluginAttach(address=self._handshake.engine_address)
        try:
            stub.Attach(request, timeout=HANDSHAKE_SECONDS)
        except grpc.RpcError as error:
            # Attach is newer than many plugins; it tells them nothing that they must know.
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise self._failure("Attach", error, HANDSHAKE_SECONDS) from error

    def _failure(self, method: str, error: grpc.RpcError, limit: float | None) -> PluginError:
        details = list(_details(error))
        init = _init_failure(details)
        if init is not None:
            return init
        if error.code() is grpc.StatusCode.UNAVAILABLE and self._ended():
            return PluginError(
                f"the provider plugin for '{self.package}' ended during {method}. Run the command again; "
                f"if it ends again, the plugin's own log says why."
            )
        text = _missing_keys(details) or error.details() or f"{method} failed: {error.code().name}"
        # A plugin that has told of the limit itself has other words for it than gRPC.
        if error.details() == _GRPC_DEADLINE and limit is not None:
            text = (
                f"the provider plugin for '{self.package}' did not answer {method} within {limit:.0f} s. What it began "
                f"may still go on: look at the object before you retry."
            )
        failure = ProviderCallError(text)
        failure.__cause__ = error
        return failure

    def _ended(self) -> bool:
        """Whether the plugin has ended: its connection breaks a moment before its process is gone."""
        deadline = time.monotonic() + 1
        while self._process.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._process.alive()

    # -------------------------------------------------------- the end

    def cancel(self) -> None:
        """Asks the plugin to give up its running calls. What it answers does not matter: it may know no Cancel."""
        if self._stub is not None:
            # A call that nobody holds is dropped, perhaps before it has been sent.
            self._cancelling = self._stub.Cancel.future(empty_pb2.Empty(), timeout=CANCEL_SECONDS)

    def abandon(self) -> None:
        """Gives up every running call: who waits for one gets an error at once. The plugin may go on with it."""
        if self._channel is not None:
            self._channel.close()

    def close(self) -> None:
        """Ends the connection and the process, which is asked first to clean up."""
        if self._stub is not None and self._process.is_foreign and self._process.alive():
            # Whether it knows a Cancel or not, and whatever it answers: it ends now.
            with contextlib.suppress(grpc.RpcError, ValueError):
                self._stub.Cancel(empty_pb2.Empty(), timeout=CANCEL_SECONDS)
        self.abandon()
        self._process.stop()


def is_unimplemented(error: ProviderCallError) -> bool:
    cause = error.__cause__
    return isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNIMPLEMENTED


def _details(error: grpc.RpcError) -> Iterable[Any]:
    """The messages packed into an error's status."""
    for key, value in cast("Any", error.trailing_metadata() or ()):
        if key == "grpc-status-details-bin":
            yield from status_pb2.Status.FromString(value).details


def _init_failure(details: Iterable[Any]) -> InitFailedError | None:
    for detail in details:
        failed = provider_pb2.ErrorResourceInitFailed()
        if detail.Unpack(failed):
            return InitFailedError(
                tuple(failed.reasons),
                failed.id,
                from_struct(failed.properties),
                from_struct(failed.inputs) if failed.HasField("inputs") else None,
                refresh_before_update=failed.refresh_before_update,
            )
    return None


def _missing_keys(details: Iterable[Any]) -> str:
    """What a plugin says that misses required configuration, in the stock engine's words."""
    for detail in details:
        missing = provider_pb2.ConfigureErrorMissingKeys()
        if detail.Unpack(missing):
            return one_per_line(
                [
                    f'missing required configuration key "{key.name}": {key.description}\n'
                    f"Set a value using the command `pulumi config set {key.name} <value>`."
                    for key in missing.missingKeys
                ]
            )
    return ""
