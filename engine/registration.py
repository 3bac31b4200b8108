"""Registrations between the wire and `resource`: requests to goals, results to responses. Pure; it decides nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote, unquote, urlsplit

from engine.errors import RequestError, ResourceError
from engine.hooks import hooks_of
from engine.resource import (
    UNKNOWN,
    UNKNOWN_SENTINEL,
    AliasSpec,
    Goal,
    PropertyMap,
    Timeouts,
    contains_unknown,
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


def goal_of(request: Request, root: Path) -> Goal:
    """What a RegisterResourceRequest asks for, but for its default provider. `root` is the project's folder.

    Raises ResourceError for what cannot be read, RequestError for names that are none.
    """
    _require_names(request)
    inputs, named = from_struct_with_dependencies(request.object)
    by_property = _property_dependencies(request)
    for key in inputs:
        by_property[key] = unique([*by_property.get(key, ()), *sorted(named.get(key, ()))])
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
        # Go programs say it without saying that they do.
        delete_before_replace=request.deleteBeforeReplace
        if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
        else None,
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
        resource_hooks=hooks_of(request.hooks),
        source_position=source_position(request.sourcePosition, root),
    )


def _require_names(request: Request) -> None:
    """Raises RequestError, in the stock engine's words, for URNs and a type that are none."""
    if (request.custom or request.remote) and request.type.count(":") != 2:
        raise RequestError(f"Type '{request.type}' is not a valid type token (must have format '*:*:*')")
    _require_urn("parent URN", request.parent)
    for urn in request.dependencies:
        _require_urn("dependency URN", urn, required=True)
    for key, value in request.propertyDependencies.items():
        for urn in value.urns:
            _require_urn(f"dependency on property {key} URN", urn, required=True)
    _require_urn("DeletedWith URN", request.deletedWith)
    for urn in request.replace_with:
        _require_urn("ReplaceWith URN", urn, required=True)
    for urn in [*request.aliasURNs, *(a.urn for a in request.aliases if a.WhichOneof("alias") == "urn")]:
        _require_urn("alias URN", urn, required=True)
    for alias in request.aliases:
        _require_urn("parent alias URN", alias.spec.parentUrn)


def _require_urn(what: str, urn: str, *, required: bool = False) -> None:
    if not urn and not required:
        return
    if not urn.startswith("urn:pulumi:") or urn.count("::") < 3:
        raise RequestError(f'invalid {what}: invalid URN "{urn}"')


def _property_dependencies(request: Request) -> dict[str, list[str]]:
    """What the program says each property depends on; where it says nothing of it, all that the resource does."""
    if not request.propertyDependencies and not request.remote:
        return {key: unique(request.dependencies) for key in request.object.fields}
    return {key: unique(value.urns) for key, value in request.propertyDependencies.items()}


def source_position(position: Any, root: Path) -> str:
    """Where in the program something is made, as the state has it: `project:///__main__.py#12`. Empty for nowhere."""
    url = urlsplit(position.uri)
    path = unquote(url.path)
    if url.scheme != "file" or not Path(path).is_absolute() or position.line < 0 or position.column < 0:
        return ""
    relative = Path(os.path.relpath(path, root)).as_posix()
    column = f",{position.column}" if position.column else ""
    return f"project:///{quote(relative)}#{position.line}{column}"


def read_of(request: Request, provider: str, root: Path) -> ReadResource:
    """What a ReadResourceRequest asks for. Raises RequestError for names that are none."""
    _require_urn("parent URN", request.parent)
    for urn in request.dependencies:
        _require_urn("dependency", urn, required=True)
    goal = Goal(
        type=request.type,
        name=request.name,
        custom=True,
        inputs=from_struct(request.properties),
        parent=request.parent,
        dependencies=sorted(request.dependencies),
        provider=provider,
        additional_secret_outputs=list(request.additionalSecretOutputs),
        source_position=source_position(request.sourcePosition, root),
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
    # A component's outputs are those of the last run: they may name resources that are yet to be registered.
    outputs = state.outputs if request.custom else {}
    if not request.supportsPartialValues:
        outputs = {k: v for k, v in outputs.items() if not contains_unknown(v)}
    return resource_pb2.RegisterResourceResponse(
        urn=state.urn,
        id=state.id,
        object=to_struct(_for_program(outputs, request.acceptResources), secrets=request.acceptSecrets),
        stables=result.stables,
        result=verdict,
    )


def read_response(request: Request, result: Registered, *, preview: bool) -> resource_pb2.ReadResourceResponse:
    state = result.state
    if result.unknown or result.skipped:
        return resource_pb2.ReadResourceResponse(urn=state.urn, unknown=True)
    return resource_pb2.ReadResourceResponse(
        urn=state.urn,
        # To the program, a preview knows no ids, as recorded of the stock engine.
        id="" if preview else state.id,
        result=resource_pb2.FAIL if result.failed else resource_pb2.SUCCESS,
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
        read=parse_duration(message.read),
    )
