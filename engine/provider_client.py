"""One configured provider, spoken to over gRPC (pulumirpc.ResourceProvider). It translates; it decides nothing.

A provider whose configuration is not known yet, in a preview, is asked nothing: its answers are then as unknown. One
that could not be configured says so when it is first asked for something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf import empty_pb2

from engine.assets import restored
from engine.autonaming import Autonamer
from engine.diff import Changes, DiffResult
from engine.errors import InitFailedError, PluginError, ProviderCallError
from engine.plugin_connection import Abilities, PluginConnection, is_unimplemented
from engine.plugins import Plugin
from engine.provider_wire import (
    INTERNAL_KEY,
    config_text,
    diff_result,
    for_plugin,
    known_only,
    plain_config,
    with_secrets_of,
)
from engine.resource import (
    PropertyMap,
    contains_unknown,
    from_struct,
    package_of,
    to_struct,
    urn_name,
    urn_type,
)
from engine.rpc import provider_pb2

_UNAVAILABLE: Final = (
    "The provider for this resource has inputs that are not known during preview.\n"
    "This preview may not correctly represent the changes that will be applied during an update."
)


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
    refresh_before_update: bool = False
    known: bool = True
    """False in a preview whose provider cannot be asked yet."""

    @property
    def missing(self) -> bool:
        """Whether there is no such object. A dynamic provider that gives properties without an id has found one."""
        return self.known and not self.id and not self.outputs


class Created(NamedTuple):
    """What Create answered; `refresh_before_update` asks for a Read before each later Diff."""

    id: str
    outputs: PropertyMap
    refresh_before_update: bool = False


class Updated(NamedTuple):
    """What Update answered."""

    outputs: PropertyMap
    refresh_before_update: bool = False


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

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> Created: ...

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float = 0) -> ReadResult: ...

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> Updated: ...

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

    def __init__(
        self,
        process: Plugin,
        handshake: provider_pb2.ProviderHandshakeRequest,
        *,
        autonamer: Autonamer | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.connection = PluginConnection(process, handshake)
        self._autonamer = autonamer
        self._warn = warn
        self.abilities = Abilities()
        self.config_known = True
        self._config_error: PluginError | None = None

    def close(self) -> None:
        """Ends its plugin."""
        self.connection.close()

    # -------------------------------------------------------- configuration

    def version(self) -> str:
        """The plugin's own version, empty where it tells none."""
        return str(self.connection.call("GetPluginInfo", empty_pb2.Empty()).version)

    def parameterize(self, name: str, version: str, value: bytes) -> None:
        """Makes it the provider of another package. Raises PluginError where it becomes that of a third one."""
        parameters = provider_pb2.ParameterizeRequest.ParametersValue(name=name, version=version, value=value)
        answer = self.connection.call("Parameterize", provider_pb2.ParameterizeRequest(value=parameters))
        if answer.name != name:
            raise PluginError(f"parameterize response name '{answer.name}' does not match expected package '{name}'")

    def check_config(
        self, urn: str, olds: PropertyMap, news: PropertyMap
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=plain_config(olds),
            news=plain_config(news),
            name=urn_name(urn),
            type=urn_type(urn),
        )
        try:
            answer = self.connection.call("CheckConfig", request)
        except ProviderCallError as error:
            if is_unimplemented(error):
                return news, ()
            raise
        inputs = with_secrets_of(from_struct(answer.inputs), news)
        if INTERNAL_KEY in news:
            inputs[INTERNAL_KEY] = news[INTERNAL_KEY]
        return inputs, _failures(answer)

    def diff_config(
        self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignored: Sequence[str]
    ) -> DiffResult:
        request = provider_pb2.DiffRequest(
            urn=urn,
            old_inputs=plain_config(old_inputs),
            olds=plain_config(old_outputs),
            news=plain_config(news),
            ignoreChanges=ignored,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        try:
            return diff_result(self.connection.call("DiffConfig", request))
        except ProviderCallError as error:
            if is_unimplemented(error):
                return DiffResult()
            raise

    def configure(self, urn: str, id_: str, inputs: PropertyMap) -> None:
        """Configures it with a provider resource's inputs. What goes wrong is told when the provider is used."""
        config = {k: v for k, v in inputs.items() if k != INTERNAL_KEY}
        self.config_known = not contains_unknown(config)
        if not self.config_known:
            return
        package = package_of(urn_type(urn))
        request = provider_pb2.ConfigureRequest(
            variables={f"{package}:config:{k}": config_text(v) for k, v in config.items() if k != "version"},
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
        try:
            answer = self.connection.call("Configure", request)
        except PluginError as error:
            self._config_error = error
            return
        self.abilities = self.connection.told or Abilities(
            secrets=answer.acceptSecrets,
            resources=answer.acceptResources,
            outputs=answer.acceptOutputs,
            preview=answer.supportsPreview,
            autonaming=answer.supports_autonaming_configuration,
        )

    def ready(self) -> bool:
        """Whether it may be asked. Raises the PluginError that its configuration ended with."""
        if self._config_error is not None:
            raise self._config_error
        return self.config_known

    # -------------------------------------------------------- resources

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if not self.ready():
            return news, ()
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=for_plugin(olds or {}, self.abilities),
            news=for_plugin(news, self.abilities),
            randomSeed=seed,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        self._propose_name(request)
        answer = self.connection.call("Check", request)
        return self._annotate(from_struct(answer.inputs), news), _failures(answer)

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult:
        if not self.ready():
            return DiffResult(changes=Changes.SOME, warning=_UNAVAILABLE)
        request = provider_pb2.DiffRequest(
            urn=urn,
            id=id_,
            olds=for_plugin(old_outputs, self.abilities, elide=True),
            old_inputs=for_plugin(old_inputs, self.abilities, elide=True),
            news=for_plugin(news, self.abilities, elide=True),
            ignoreChanges=ignored,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        result = diff_result(self.connection.call("Diff", request))
        if self._autonamer is not None and self._autonamer.needs_the_old_one_gone(urn):
            return replace(result, delete_before_replace=True)
        return result

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> Created:
        foreseen = self._foreseen(news, preview=preview)
        if foreseen is not None:
            return Created("", foreseen)
        request = provider_pb2.CreateRequest(
            urn=urn,
            properties=for_plugin(news, self.abilities),
            timeout=timeout,
            preview=preview,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._guard_init(news, lambda: self.connection.call("Create", request, timeout=timeout))
        if not answer.id and not preview:
            raise ProviderCallError(
                f"the provider gave no id for {urn_type(urn)} '{urn_name(urn)}': it cannot be tracked. This is a bug "
                f"in the provider; look for the object by hand before you retry."
            )
        return Created(answer.id, self._told(answer.properties, news, preview=preview), answer.refresh_before_update)

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float = 0) -> ReadResult:
        if not self.ready():
            return ReadResult(id="", outputs={}, inputs={}, known=False)
        request = provider_pb2.ReadRequest(
            id=id_,
            urn=urn,
            properties=for_plugin(outputs, self.abilities, elide=True),
            inputs=for_plugin(inputs, self.abilities, elide=True),
            name=urn_name(urn),
            type=urn_type(urn),
            timeout=timeout,
        )
        try:
            answer = self.connection.call("Read", request, timeout=timeout)
        except InitFailedError as failure:
            return ReadResult(
                id=failure.object_id,
                outputs=self._restored(failure.outputs, outputs, inputs),
                inputs=self._restored(failure.inputs, inputs, inputs) if failure.inputs is not None else None,
                init_errors=failure.reasons,
                refresh_before_update=failure.refresh_before_update,
            )
        told = self._restored(from_struct(answer.inputs), inputs, inputs) if answer.HasField("inputs") else None
        return ReadResult(
            id=answer.id,
            outputs=self._restored(from_struct(answer.properties), outputs, inputs),
            inputs=told,
            refresh_before_update=answer.refresh_before_update,
        )

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> Updated:
        foreseen = self._foreseen(call.news, preview=preview)
        if foreseen is not None:
            return Updated(foreseen)
        request = provider_pb2.UpdateRequest(
            id=id_,
            urn=urn,
            olds=for_plugin(call.old_outputs, self.abilities, elide=True),
            old_inputs=for_plugin(call.old_inputs, self.abilities, elide=True),
            news=for_plugin(call.news, self.abilities),
            timeout=call.timeout,
            ignoreChanges=call.ignored,
            preview=preview,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        answer = self._guard_init(call.news, lambda: self.connection.call("Update", request, timeout=call.timeout))
        return Updated(self._told(answer.properties, call.news, preview=preview), answer.refresh_before_update)

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        self.ready()
        request = provider_pb2.DeleteRequest(
            id=id_,
            urn=urn,
            properties=for_plugin(old_outputs, self.abilities, elide=True),
            old_inputs=for_plugin(old_inputs, self.abilities, elide=True),
            timeout=timeout,
            name=urn_name(urn),
            type=urn_type(urn),
        )
        self.connection.call("Delete", request, timeout=timeout)

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if not self.ready():
            return {}, ()
        request = provider_pb2.InvokeRequest(tok=token, args=for_plugin(args, self.abilities), preview=preview)
        answer = self.connection.call("Invoke", request)
        return from_struct(getattr(answer, "return")), _failures(answer)

    def _propose_name(self, request: provider_pb2.CheckRequest) -> None:
        """Tells the provider how the stack wants its objects named, where it can heed that."""
        naming = self._autonamer.naming(request.urn) if self._autonamer is not None else None
        if naming is None:
            return
        if self.abilities.autonaming:
            modes = provider_pb2.CheckRequest.AutonamingOptions.Mode
            request.autonaming.mode = modes.Value(naming.strategy.mode.name)
            request.autonaming.proposed_name = naming.strategy.name(request.urn, request.randomSeed)
        elif naming.particular:
            self._warn(
                f"{request.urn} resource has a custom autonaming setting but the provider does not support autonaming "
                f"configuration, consider upgrading to a newer version"
            )

    # -------------------------------------------------------- answers

    def _foreseen(self, news: PropertyMap, *, preview: bool) -> PropertyMap | None:
        """What a preview takes for the outputs without asking; None where the plugin is to be asked."""
        known = self.ready()
        if not preview or (known and self.abilities.preview):
            return None
        return news if known else {}

    def _told(self, answer: Any, news: PropertyMap, *, preview: bool) -> PropertyMap:
        properties = from_struct(answer)
        return self._annotate(properties if preview else known_only(properties), news)

    def _guard_init(self, news: PropertyMap, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except InitFailedError as failure:
            failure.outputs = self._annotate(failure.outputs, news)
            if failure.inputs is not None:
                failure.inputs = self._annotate(failure.inputs, news)
            raise

    def _restored(self, told: PropertyMap, like: PropertyMap, inputs: PropertyMap) -> PropertyMap:
        return restored(inputs, self._annotate(known_only(told), like))

    def _annotate(self, properties: PropertyMap, like: PropertyMap) -> PropertyMap:
        return properties if self.abilities.secrets else with_secrets_of(properties, like)


def _failures(answer: Any) -> tuple[CheckFailure, ...]:
    return tuple(CheckFailure(f.property, f.reason) for f in answer.failures)
