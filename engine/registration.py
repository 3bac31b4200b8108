"""Registrations between the wire and `resource`: requests to goals, results to responses. Pure; it decides nothing."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from engine.errors import ResourceError
from engine.resource import (
    UNKNOWN,
    UNKNOWN_SENTINEL,
    AliasSpec,
    Goal,
    PropertyMap,
    Timeouts,
    from_struct,
    from_struct_with_dependencies,
    from_value,
    plain_references,
    to_struct,
    unique,
)
from engine.rpc import resource_pb2
from engine.source import ReadResource, Registered

Request = Any


def goal_of(request: Request) -> Goal:
    """What a RegisterResourceRequest asks for, without what the monitor adds: the provider. Raises ResourceError."""
    inputs, named = from_struct_with_dependencies(request.object)
    by_property = {k: unique(v.urns) for k, v in request.propertyDependencies.items()}
    for key, urns in named.items():
        by_property[key] = unique([*by_property.get(key, ()), *sorted(urns)])
    dependencies = unique([*request.dependencies, *(u for urns in by_property.values() for u in urns)])
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=inputs,
        parent=request.parent,
        protect=_optional(request, "protect"),
        dependencies=sorted(dependencies),
        provider=request.provider,
        property_dependencies=by_property if request.custom else {},
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        ignore_changes=list(request.ignoreChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        alias_urns=[*request.aliasURNs, *(a.urn for a in request.aliases if a.WhichOneof("alias") == "urn")],
        alias_specs=[_alias_spec(a.spec) for a in request.aliases if a.WhichOneof("alias") == "spec"],
        import_id=request.importId,
        custom_timeouts=_timeouts(request.customTimeouts),
        replace_on_changes=list(request.replaceOnChanges),
        replacement_trigger=from_value(request.replacement_trigger),
        retain_on_delete=_optional(request, "retainOnDelete"),
        deleted_with=request.deletedWith,
        replace_with=list(request.replace_with),
        hide_diff=list(request.hideDiffs),
    )


def read_of(request: Request, provider: str) -> ReadResource:
    """What a ReadResourceRequest asks for."""
    goal = Goal(
        type=request.type,
        name=request.name,
        custom=True,
        inputs=from_struct(request.properties),
        parent=request.parent,
        dependencies=sorted(request.dependencies),
        provider=provider,
        additional_secret_outputs=list(request.additionalSecretOutputs),
    )
    return ReadResource(id=UNKNOWN if request.id == UNKNOWN_SENTINEL else request.id, goal=goal)


def _optional(request: Request, name: str) -> bool | None:
    return cast("bool", getattr(request, name)) if request.HasField(name) else None


def _alias_spec(spec: Any) -> AliasSpec:
    return AliasSpec(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent_urn=spec.parentUrn,
        no_parent=spec.noParent,
    )


def register_response(request: Request, result: Registered) -> resource_pb2.RegisterResourceResponse:
    state = result.state
    if result.unknown:
        return resource_pb2.RegisterResourceResponse(urn=state.urn, unknown=True)
    # The protocol has one word for what failed and for what was not tried because of it.
    verdict = resource_pb2.FAIL if result.failed or result.skipped else resource_pb2.SUCCESS
    return resource_pb2.RegisterResourceResponse(
        urn=state.urn,
        id=state.id,
        object=to_struct(_for_program(state.outputs, request.acceptResources), secrets=request.acceptSecrets),
        stables=result.stables,
        result=verdict,
    )


def read_response(request: Request, result: Registered) -> resource_pb2.ReadResourceResponse:
    state = result.state
    if result.unknown:
        return resource_pb2.ReadResourceResponse(urn=state.urn, unknown=True)
    return resource_pb2.ReadResourceResponse(
        urn=state.urn,
        properties=to_struct(_for_program(state.outputs, request.acceptResources), secrets=request.acceptSecrets),
    )


def _for_program(properties: PropertyMap, accepts_resources: bool) -> PropertyMap:
    """Outputs as the program can take them: without resource references where it knows none."""
    return properties if accepts_resources else {k: plain_references(v) for k, v in properties.items()}


_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as `1h30m`. Raises ResourceError for anything else."""
    if not text:
        return 0
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ResourceError("", f"unable to parse customTimeout Value {text}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _timeouts(message: Any) -> Timeouts:
    return Timeouts(
        create=parse_duration(message.create),
        update=parse_duration(message.update),
        delete=parse_duration(message.delete),
    )
