"""Transforms: the program's code that changes a registration or an invoke before anything is decided about it.

A resource's own transforms come first, then its parents', innermost first, then the stack's. They see and give back the
wire's own messages, so nothing is lost of what they do not touch; what is called here is never interpreted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.callbacks import Callback, Callbacks
from engine.errors import CallbackError, EngineError, UsageError
from engine.output_values import signature_of, upgrade, wrap
from engine.resource import OUTPUT_SIG, unique
from engine.rpc import resource_pb2

Request = Any

#: Option -> field of RegisterResourceRequest, for lists and maps.
_REPEATED: Final = (
    ("depends_on", "dependencies"),
    ("ignore_changes", "ignoreChanges"),
    ("replace_on_changes", "replaceOnChanges"),
    ("hide_diff", "hideDiffs"),
    ("replace_with", "replace_with"),
    ("additional_secret_outputs", "additionalSecretOutputs"),
    ("aliases", "aliases"),
)
_MAPS: Final = (("providers", "providers"), ("plugin_checksums", "pluginChecksums"))
_PLAIN: Final = (
    ("import", "importId"),
    ("version", "version"),
    ("provider", "provider"),
    ("plugin_download_url", "pluginDownloadURL"),
    ("deleted_with", "deletedWith"),
)
#: Those that may be absent, which is not the same as empty.
_OPTIONAL: Final = (("protect", "protect"), ("retain_on_delete", "retainOnDelete"))
_MESSAGES: Final = (
    ("custom_timeouts", "customTimeouts"),
    ("replacement_trigger", "replacement_trigger"),
    ("hooks", "hooks"),
)


class Transforms:
    """The transforms of one operation. Registrations come side by side; each runs its transforms in its own thread."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._stack: list[Callback] = []
        self._invokes: list[Callback] = []
        self._own: dict[str, list[Callback]] = {}
        self._parents: dict[str, str] = {}
        self._remote: dict[tuple[str, str, str], list[Any]] = {}
        self._lock = threading.Lock()

    def register(self, callback: Any) -> None:
        """A transform of every resource of the stack. Raises UsageError for one without a target."""
        with self._lock:
            self._stack.append(_callback(callback))

    def register_invoke(self, callback: Any) -> None:
        """A transform of every invoke. Raises UsageError for one without a target."""
        with self._lock:
            self._invokes.append(_callback(callback))

    def hand_over(self, request: Request) -> None:
        """Gives the transforms of a remote component to what its plugin registers in its place."""
        key = (request.parent, request.type, request.name)
        with self._lock:
            if request.remote and request.transforms:
                self._remote[key] = list(request.transforms)
            elif not request.remote and not request.transforms:
                request.transforms.extend(self._remote.get(key, ()))

    def remember(self, request: Request, urn: str) -> None:
        """A resource has its URN: what it has of transforms is for its children too."""
        with self._lock:
            self._parents[urn] = request.parent
            if request.transforms:
                self._own[urn] = [_callback(callback) for callback in request.transforms]

    # -------------------------------------------------------- resources

    def resource(self, request: Request) -> Request:
        """The registration as it is after its transforms.

        Raises EngineError, in the stock engine's words, where a transform fails.
        """
        own = [_callback(callback) for callback in request.transforms]
        callbacks = [*own, *self._inherited(request.parent)]
        if not callbacks:
            return request
        dependencies = _dependencies(request) if own else {}
        properties = {k: _output(v, dependencies.get(k, ())) for k, v in request.object.fields.items()}
        message = resource_pb2.TransformRequest(
            type=request.type, name=request.name, custom=request.custom, parent=request.parent
        )
        message.properties.SetInParent()
        for key, value in properties.items():
            message.properties.fields[key].CopyFrom(value)
        message.options.CopyFrom(_options(request))
        for callback in callbacks:
            self._apply(callback, message)
        return _transformed(request, message, rebuilt=bool(own))

    def _inherited(self, parent: str) -> list[Callback]:
        with self._lock:
            found: list[Callback] = []
            while parent:
                found.extend(self._own.get(parent, ()))
                parent = self._parents.get(parent, "")
            return [*found, *self._stack]

    def _apply(self, callback: Callback, message: Any) -> None:
        try:
            answer = self._callbacks.invoke(callback, message.SerializeToString())
        except CallbackError as error:
            raise EngineError(f"invoke transform: {error}") from error
        response = resource_pb2.TransformResponse.FromString(answer)
        if response.HasField("properties"):
            message.properties.CopyFrom(response.properties)
        if response.HasField("options"):
            message.options.CopyFrom(response.options)

    # -------------------------------------------------------- invokes

    def invoke(self, request: Request) -> Request:
        """The invoke as it is after the stack's transforms. Raises CallbackError where one fails."""
        with self._lock:
            callbacks = list(self._invokes)
        if not callbacks:
            return request
        message = resource_pb2.TransformInvokeRequest(token=request.tok)
        message.args.CopyFrom(request.args)
        message.options.provider = request.provider
        message.options.version = request.version
        message.options.plugin_download_url = request.pluginDownloadURL
        message.options.plugin_checksums.update(request.pluginChecksums)
        for callback in callbacks:
            answer = self._callbacks.invoke(callback, message.SerializeToString())
            response = resource_pb2.TransformInvokeResponse.FromString(answer)
            if response.HasField("args"):
                message.args.CopyFrom(response.args)
            if response.HasField("options"):
                message.options.CopyFrom(response.options)
        result = resource_pb2.ResourceInvokeRequest()
        result.CopyFrom(request)
        result.args.CopyFrom(message.args)
        result.provider, result.version = message.options.provider, message.options.version
        result.pluginDownloadURL = message.options.plugin_download_url
        _replace_map(result.pluginChecksums, message.options.plugin_checksums)
        return result


def _callback(callback: Any) -> Callback:
    if not callback.target:
        raise UsageError("target must be specified")
    return Callback(callback.target, callback.token)


# ------------------------------------------------------------------ options


def _options(request: Request) -> Any:
    options = resource_pb2.TransformResourceOptions()
    for urn in request.aliasURNs:
        options.aliases.add(urn=urn)
    for option, field in _REPEATED:
        getattr(options, option).extend(getattr(request, field))
    for option, field in _MAPS:
        getattr(options, option).update(getattr(request, field))
    for option, field in _PLAIN:
        setattr(options, option, getattr(request, field))
    for option, field in _OPTIONAL:
        if request.HasField(field):
            setattr(options, option, getattr(request, field))
    if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace:
        options.delete_before_replace = request.deleteBeforeReplace
    for option, field in _MESSAGES:
        if request.HasField(field):
            getattr(options, option).CopyFrom(getattr(request, field))
    return options


def _transformed(request: Request, message: Any, *, rebuilt: bool) -> Request:
    """The request with what the transforms have left. `rebuilt`: the properties themselves say what they depend on."""
    options = message.options
    result: Any = resource_pb2.RegisterResourceRequest()
    result.CopyFrom(request)
    result.object.CopyFrom(message.properties)
    for option, field in _REPEATED:
        result.ClearField(field)
        getattr(result, field).extend(getattr(options, option))
    result.ClearField("aliasURNs")
    for option, field in _MAPS:
        _replace_map(getattr(result, field), getattr(options, option))
    for option, field in _PLAIN:
        setattr(result, field, getattr(options, option))
    for option, field in _OPTIONAL:
        result.ClearField(field)
        if options.HasField(option):
            setattr(result, field, getattr(options, option))
    result.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
    result.deleteBeforeReplace = options.delete_before_replace
    for option, field in _MESSAGES:
        result.ClearField(field)
        if options.HasField(option):
            getattr(result, field).CopyFrom(getattr(options, option))
    if rebuilt:
        result.ClearField("propertyDependencies")
        for key in message.properties.fields:
            result.propertyDependencies[key].SetInParent()
    return result


def _replace_map(target: Any, source: Mapping[str, Any]) -> None:
    target.clear()
    target.update(source)


# ------------------------------------------------------------------ values


def _dependencies(request: Request) -> dict[str, Sequence[str]]:
    """What each property depends on; where the program does not say it, everything that the resource does."""
    if request.propertyDependencies:
        return {key: list(value.urns) for key, value in request.propertyDependencies.items()}
    return {key: list(request.dependencies) for key in request.object.fields}


def _output(value: Any, dependencies: Iterable[str]) -> Any:
    """A property as transforms see it: secrets and unknowns are output values, and so is what depends on resources."""
    result = resource_pb2.TransformRequest().properties.fields["value"]
    result.CopyFrom(value)
    upgrade(result)
    fields = result.struct_value.fields
    is_output = signature_of(result) == OUTPUT_SIG
    known = (
        [v.string_value for v in fields["dependencies"].list_value.values]
        if is_output and "dependencies" in fields
        else []
    )
    wanted = unique([*known, *dependencies])
    if wanted == known:
        return result
    if not is_output:
        wrap(result)
    listed = result.struct_value.fields["dependencies"].list_value
    listed.ClearField("values")
    for urn in wanted:
        listed.values.add().string_value = urn
    return result
