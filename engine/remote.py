"""Components and methods that plugins offer: Construct and Call, between the program's messages and the plugin's.

A plugin that constructs a component registers it, and what is in it, with the monitor by itself; what comes back is the
component's URN and its outputs. Inputs go as output values to plugins that take them: each with what it depends on.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

from engine.assets import with_hashes
from engine.errors import ProviderCallError
from engine.operation import RunInfo
from engine.output_values import upgrade
from engine.plugin_connection import Abilities
from engine.provider_client import PluginProvider, Provider
from engine.resource import (
    OUTPUT_SIG,
    PropertyMap,
    contains_unknown,
    from_struct,
    from_struct_with_dependencies,
    plain_references,
    to_struct,
    unique,
)
from engine.rpc import provider_pb2, resource_pb2

Request = Any
_HOOKS: Final = (
    *("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete"),
    "on_error",
)


def plugin_of(provider: Provider, what: str) -> PluginProvider:
    """The plugin that is to construct or call. Raises ProviderCallError where the engine itself is the provider."""
    if not isinstance(provider, PluginProvider):
        raise ProviderCallError(f"the built-in provider has no {what}")
    return provider


# ------------------------------------------------------------------ Construct


def construct(
    plugin: PluginProvider, request: Request, info: RunInfo, providers: Mapping[str, str], folder: Any
) -> resource_pb2.RegisterResourceResponse:
    """Has a plugin construct a remote component. `folder` is where paths of assets are relative to."""
    if not plugin.abilities.secrets:
        raise ProviderCallError("plugins that can construct components must support secrets")
    asked = _construct_request(request, info, providers)
    properties = with_hashes(from_struct(request.object), request.object, folder)
    asked.inputs.CopyFrom(_for_plugin(request.object, properties, plugin.abilities))
    for key, urns in _named(request.object, request.propertyDependencies).items():
        asked.inputDependencies[key].urns.extend(urns)
    answer = plugin.connection.call("Construct", asked)
    return _construct_response(request, answer)


def _construct_request(request: Request, info: RunInfo, providers: Mapping[str, str]) -> Any:
    asked = provider_pb2.ConstructRequest(
        project=info.project,
        stack=info.stack,
        organization=info.organization,
        config=dict(info.config),
        configSecretKeys=sorted(info.secret_keys),
        dryRun=info.dry_run,
        parallel=info.parallel,
        monitorEndpoint=info.monitor_address,
        type=request.type,
        name=request.name,
        parent=request.parent,
        providers=dict(providers),
        dependencies=list(request.dependencies),
        additionalSecretOutputs=list(request.additionalSecretOutputs),
        deletedWith=request.deletedWith,
        ignoreChanges=list(request.ignoreChanges),
        replaceOnChanges=list(request.replaceOnChanges),
        replace_with=list(request.replace_with),
        accepts_output_values=True,
    )
    for urn in request.aliasURNs:
        asked.aliases.add(urn=urn)
    asked.aliases.extend(request.aliases)
    for name in ("protect", "retainOnDelete"):
        if request.HasField(name):
            setattr(asked, name, getattr(request, name))
    if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace:
        asked.deleteBeforeReplace = request.deleteBeforeReplace
    if request.HasField("replacement_trigger"):
        asked.replacement_trigger.CopyFrom(request.replacement_trigger)
    if request.HasField("customTimeouts"):
        for name in ("create", "update", "delete", "read"):
            setattr(asked.customTimeouts, name, getattr(request.customTimeouts, name))
    if request.HasField("hooks"):
        for name in _HOOKS:
            getattr(asked.resource_hooks, name).extend(getattr(request.hooks, name))
    return asked


def _construct_response(request: Request, answer: Any) -> resource_pb2.RegisterResourceResponse:
    outputs, named = from_struct_with_dependencies(answer.state)
    if not request.supportsPartialValues:
        outputs = {key: value for key, value in outputs.items() if not contains_unknown(value)}
    if not request.acceptResources:
        outputs = {key: plain_references(value) for key, value in outputs.items()}
    response = resource_pb2.RegisterResourceResponse(
        urn=answer.urn, object=to_struct(outputs, secrets=request.acceptSecrets)
    )
    for key in outputs:
        response.propertyDependencies[key].SetInParent()
    for key, urns in _merged(answer.stateDependencies, named).items():
        response.propertyDependencies[key].urns.extend(urns)
    return response


# ------------------------------------------------------------------ Call


def call(plugin: PluginProvider, request: Request, info: RunInfo) -> provider_pb2.CallResponse:
    """Calls a method of a resource in its provider."""
    if not plugin.ready():
        return provider_pb2.CallResponse()
    asked = provider_pb2.CallRequest(
        tok=request.tok,
        project=info.project,
        stack=info.stack,
        organization=info.organization,
        config=dict(info.config),
        configSecretKeys=sorted(info.secret_keys),
        dryRun=info.dry_run,
        parallel=info.parallel,
        monitorEndpoint=info.monitor_address,
        accepts_output_values=True,
    )
    # Whoever offers methods takes secrets and resources: the resource itself is the first argument.
    abilities = Abilities(secrets=True, resources=True, outputs=plugin.abilities.outputs)
    asked.args.CopyFrom(_for_plugin(request.args, from_struct(request.args), abilities))
    for key, urns in _named(request.args, request.argDependencies).items():
        asked.argDependencies[key].urns.extend(urns)
    try:
        answer = plugin.connection.call("Call", asked)
    except ProviderCallError as error:
        raise ProviderCallError(f"call of {request.tok} returned an error: {error}") from error
    returned, named = from_struct_with_dependencies(getattr(answer, "return"))
    response = provider_pb2.CallResponse(failures=answer.failures)
    getattr(response, "return").CopyFrom(to_struct(returned))
    for key, urns in _merged(answer.returnDependencies, named).items():
        response.returnDependencies[key].urns.extend(urns)
    return response


# ------------------------------------------------------------------ values


def _for_plugin(struct: struct_pb2.Struct, properties: PropertyMap, abilities: Abilities) -> struct_pb2.Struct:
    """Properties for a plugin: as output values if it takes them, else flat. `properties` have their assets hashed."""
    if not abilities.resources:
        properties = {key: plain_references(value) for key, value in properties.items()}
    flat = to_struct(properties)
    if not abilities.outputs:
        return flat
    result = struct_pb2.Struct()
    for key, value in struct.fields.items():
        # What names its dependencies inside stays as the program has sent it; all else is wrapped here.
        has_outputs = OUTPUT_SIG.encode() in value.SerializeToString()
        result.fields[key].CopyFrom(value if has_outputs else flat.fields[key])
        upgrade(result.fields[key])
    return result


def _named(struct: struct_pb2.Struct, by_key: Mapping[str, Any]) -> dict[str, list[str]]:
    """What each property depends on: what the program says of it, and what output values inside it say."""
    _, inside = from_struct_with_dependencies(struct)
    return _merged(by_key, inside)


def _merged(by_key: Mapping[str, Any], inside: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    merged = {key: unique(value.urns) for key, value in by_key.items()}
    for key, urns in inside.items():
        merged[key] = unique([*merged.get(key, ()), *sorted(urns)])
    return merged
