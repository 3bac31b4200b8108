"""A policy pack's process, spoken to over gRPC (pulumirpc.Analyzer). It translates; it decides nothing.

A pack is started as the stock engine starts it: `python -m pulumi.policy ENGINE .` in the pack's folder, with the
stack's configuration in PULUMI_CONFIG and what it is about in PULUMI_PROJECT, PULUMI_STACK and their like. It sees
secrets in the clear, so nothing that it says is shown unfiltered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
from google.protobuf import empty_pb2

from engine.errors import PluginError
from engine.operation import Target
from engine.plugin_search import PluginCommand, python_module
from engine.plugins import PluginProcess
from engine.policy import Level, PackSource, PolicyConfig, PolicyInfo, Remediation, Violation
from engine.resource import (
    RESOURCE_SIG,
    SIG_KEY,
    Goal,
    PropertyMap,
    Secret,
    State,
    fill_struct,
    from_struct,
    to_struct,
    urn_name,
)
from engine.rpc import CHANNEL_OPTIONS, analyzer_pb2, analyzer_pb2_grpc

_LEVELS: Final = (Level.ADVISORY, Level.MANDATORY, Level.DISABLED, Level.REMEDIATE)
Message = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PackInfo:
    """What a pack says of itself. `initial` is the configuration that its program gives it."""

    name: str
    version: str
    policies: tuple[PolicyInfo, ...]
    initial: Mapping[str, PolicyConfig]
    takes_config: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A resource as policies see it: its state, what was asked for, and its provider's resource."""

    state: State
    goal: Goal | None
    provider: State | None


class Analyzer:
    """One running pack. It starts at once; the first call waits until it is ready."""

    def __init__(
        self,
        source: PackSource,
        target: Target,
        engine_address: str,
        *,
        dry_run: bool,
        on_line: Callable[[str, bool], None],
    ) -> None:
        self.source = source
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._cancelled = False
        self._process = PluginProcess(
            source.name,
            PluginCommand(
                argv=(*python_module(source.python, "pulumi.policy"), engine_address, source.main),
                origin=str(source.path),
            ),
            env=_environment(target, dry_run=dry_run),
            cwd=source.path,
            on_line=on_line,
            what=f"the policy pack '{source.name}'",
        )

    # -------------------------------------------------------- calls

    def _call(self, method: str, request: Message) -> Message:
        """One call. Raises PluginError that says which pack and why."""
        try:
            return getattr(self._connected(), method)(request)
        except grpc.RpcError as error:
            raise PluginError(self._why(method, error)) from error
        except ValueError as error:
            # What grpc says of a channel that a cancel has closed meanwhile.
            raise PluginError(f"the policy pack '{self.source.name}' was stopped: {error}") from error

    def _optional(self, method: str, request: Message) -> Message | None:
        """One call that an older pack may not know."""
        try:
            return self._call(method, request)
        except PluginError as error:
            cause = error.__cause__
            if isinstance(cause, grpc.RpcError) and _code(cause) is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise

    def _connected(self) -> Any:
        if self._stub is None:
            self._channel = grpc.insecure_channel(self._address(), options=CHANNEL_OPTIONS)
            if self._cancelled:
                self._channel.close()
            self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
        return self._stub

    def _address(self) -> str:
        try:
            return self._process.address()
        except PluginError as error:
            if "No module named" not in str(error):
                raise
            raise PluginError(
                f"{error}\nInstall what the pack needs, pulumi-policy among it, for {self.source.python}; or name a "
                "virtual environment that has it as the runtime option 'virtualenv' in PulumiPolicy.yaml."
            ) from error

    def _why(self, method: str, error: grpc.RpcError) -> str:
        name = f"the policy pack '{self.source.name}'"
        if self._cancelled:
            return f"{name} was stopped"
        end = self._process.end() if _code(error) is grpc.StatusCode.UNAVAILABLE else ""
        if end:
            return f"{name} ended during {method}, with {end}"
        return f"{name} failed in {method}: {cast('Any', error).details()}"

    # -------------------------------------------------------- setting up

    def configure_stack(self, target: Target, *, dry_run: bool) -> None:
        request = analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=target.stack,
            project=target.project,
            organization=target.organization,
            dry_run=dry_run,
            config=dict(target.config),
            config_secret_keys=sorted(target.secret_keys),
        )
        self._optional("ConfigureStack", request)

    def info(self) -> PackInfo:
        body = self._call("GetAnalyzerInfo", empty_pb2.Empty())
        return PackInfo(
            name=body.name,
            version=self.source.version or body.version,
            policies=tuple(sorted((_policy_info(p) for p in body.policies), key=lambda p: p.name)),
            initial={name: _policy_config(config) for name, config in body.initialConfig.items()},
            takes_config=body.supportsConfig,
        )

    def configure(self, config: Mapping[str, PolicyConfig]) -> None:
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, given in config.items():
            entry = request.policyConfig[name]
            if given.level is not None:
                entry.enforcementLevel = _LEVELS.index(given.level)  # type: ignore[assignment]
            fill_struct(entry.properties, given.properties, secrets=True)
        self._call("Configure", request)

    # -------------------------------------------------------- looking at resources

    def remediate(self, subject: Subject) -> list[Remediation]:
        """Corrections in the order in which they were made: each builds on the one before."""
        answer = self._optional("Remediate", _request(subject, internal=True))
        return [] if answer is None else [self._remediation(r) for r in answer.remediations]

    def analyze(self, subject: Subject) -> list[Violation]:
        return [self._violation(d) for d in self._call("Analyze", _request(subject, internal=False)).diagnostics]

    def analyze_stack(self, subjects: Iterable[Subject]) -> list[Violation]:
        request = analyzer_pb2.AnalyzeStackRequest(resources=[_stack_resource(subject) for subject in subjects])
        answer = self._optional("AnalyzeStack", request)
        return [] if answer is None else [self._violation(d) for d in answer.diagnostics]

    def _violation(self, body: Message) -> Violation:
        return Violation(
            policy=body.policyName,
            pack=body.policyPackName,
            version=self.source.version or body.policyPackVersion,
            message=body.message,
            level=_LEVELS[body.enforcementLevel],
            urn=body.urn,
        )

    def _remediation(self, body: Message) -> Remediation:
        return Remediation(
            policy=body.policyName,
            pack=body.policyPackName,
            version=self.source.version or body.policyPackVersion,
            description=body.description,
            properties=from_struct(body.properties) if body.HasField("properties") else None,
            diagnostic=body.diagnostic,
        )

    # -------------------------------------------------------- the end

    def cancel(self) -> None:
        """Ends the call that is under way, from another thread: a policy may take as long as it likes."""
        self._cancelled = True
        if self._channel is not None:
            self._channel.close()

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._process.stop()


# ------------------------------------------------------------------ messages


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    # Every error of a call is one of the call, too, which grpc's types do not say.
    return cast("grpc.StatusCode", cast("Any", error).code())


def _environment(target: Target, *, dry_run: bool) -> dict[str, str]:
    own = {
        "PULUMI_CONFIG": json.dumps(dict(target.config)) if target.config else "",
        "PULUMI_ORGANIZATION": target.organization,
        "PULUMI_PROJECT": target.project,
        "PULUMI_STACK": target.stack,
        "PULUMI_DRY_RUN": str(dry_run).lower(),
    }
    return {**target.environment, **{name: value for name, value in own.items() if value}}


def _policy_info(body: Message) -> PolicyInfo:
    schema = body.configSchema
    return PolicyInfo(
        name=body.name,
        level=_LEVELS[body.enforcementLevel],
        properties=from_struct(schema.properties),
        required=tuple(schema.required),
    )


def _policy_config(body: Message) -> PolicyConfig:
    return PolicyConfig(level=_LEVELS[body.enforcementLevel], properties=from_struct(body.properties))


def _request(subject: Subject, *, internal: bool) -> Message:
    state = subject.state
    return analyzer_pb2.AnalyzeRequest(
        urn=state.urn,
        type=state.type,
        name=urn_name(state.urn),
        properties=_properties(state.inputs, internal=internal),
        options=_options(subject, parent=state.parent),
        provider=_provider(subject.provider),
    )


def _stack_resource(subject: Subject) -> Message:
    state = subject.state
    resource = analyzer_pb2.AnalyzerResource(
        urn=state.urn,
        type=state.type,
        name=urn_name(state.urn),
        # Unlike a single resource, the stack is judged by what has come out.
        properties=_properties(state.outputs, internal=False),
        options=_options(subject, parent=""),
        provider=_provider(subject.provider),
        parent=state.parent,
        dependencies=state.dependencies,
    )
    for key, urns in state.property_dependencies.items():
        if urns:
            resource.propertyDependencies[key].urns.extend(urns)
    return resource


def _options(subject: Subject, *, parent: str) -> Message:
    state, goal = subject.state, subject.goal
    first = goal.delete_before_replace if goal is not None else None
    timeouts = state.custom_timeouts
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=state.protect,
        ignoreChanges=state.ignore_changes,
        deleteBeforeReplace=bool(first),
        deleteBeforeReplaceDefined=first is not None,
        additionalSecretOutputs=state.additional_secret_outputs,
        aliases=goal.alias_urns if goal is not None else state.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(
            create=timeouts.create, update=timeouts.update, delete=timeouts.delete
        ),
        parent=parent,
    )


def _provider(provider: State | None) -> Message | None:
    if provider is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        urn=provider.urn,
        type=provider.type,
        name=urn_name(provider.urn),
        properties=_properties(provider.inputs, internal=False),
    )


def _properties(properties: PropertyMap, *, internal: bool) -> Message:
    kept = {k: _without_references(v) for k, v in properties.items() if internal or not k.startswith("__")}
    return to_struct(kept, secrets=True)


def _without_references(value: Any) -> Any:
    """Packs know no resource references: they get the id, or the URN."""
    if isinstance(value, Secret):
        return Secret(_without_references(value.value))
    if isinstance(value, dict):
        if value.get(SIG_KEY) == RESOURCE_SIG:
            return value.get("id") or value.get("urn")
        return {k: _without_references(v) for k, v in value.items()}
    return [_without_references(v) for v in value] if isinstance(value, list) else value
