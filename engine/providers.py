"""Which provider serves a resource: the registry of provider resources, default providers, and the built-in one.

A provider is a resource itself: its Check, Diff, Create and Update configure a plugin, and its reference (`urn::id`)
then names that plugin. Providers of the old state that the program has not registered are started when first asked for.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

from engine.diff import Changes, DiffResult, compare_inputs
from engine.errors import ProviderCallError, ResourceError
from engine.operation import Target
from engine.packages import BUILTIN_PACKAGE, refuse_denied, spec_of_provider
from engine.plugin_host import PluginHost
from engine.provider_client import (
    CheckFailure,
    Created,
    PluginProvider,
    Provider,
    ReadResult,
    UpdateCall,
    Updated,
)
from engine.provider_wire import INTERNAL_KEY
from engine.resource import (
    UNKNOWN,
    UNKNOWN_SENTINEL,
    PropertyMap,
    State,
    is_provider_type,
    package_of,
    provider_ref,
    split_provider_ref,
    urn_type,
)


class ProviderRegistry:
    """All providers of one operation, by reference. It is also the provider of provider resources."""

    def __init__(self, host: PluginHost, target: Target, old_states: Sequence[State], builtin: Provider) -> None:
        self._host = host
        self._target = target
        self._old = {provider_ref(s.urn, s.id): s for s in old_states if is_provider_type(s.type)}
        self._checked: dict[str, PluginProvider] = {}
        self._ready: dict[str, PluginProvider] = {}
        self._builtin = builtin
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def get(self, ref: str, type_: str) -> Provider:
        """The configured provider of a resource. Raises ResourceError for a reference to none, and PluginError."""
        refuse_denied(ref)
        if is_provider_type(type_):
            return self
        if package_of(type_) == BUILTIN_PACKAGE:
            return self._builtin
        return self._plugin(ref)

    def _plugin(self, ref: str) -> PluginProvider:
        with self._lock:
            found = self._ready.get(ref)
            loading = self._loading.setdefault(ref, threading.Lock())
        if found is not None:
            return found
        # Each on its own: who needs a provider that is ready does not wait for one that is slow to start.
        with loading:
            return self._ready.get(ref) or self._load_old(ref)

    def _load_old(self, ref: str) -> PluginProvider:
        urn, id_ = split_provider_ref(ref)
        # A provider that got another name and was replaced is referred to by its new name; its id is its own.
        renamed = (s for s in self._old.values() if s.id == id_ and urn_type(s.urn) == urn_type(urn))
        state = self._old.get(ref) or next(renamed, None)
        if state is None:
            raise ResourceError(urn, f"unknown provider '{ref}': register it before what uses it")
        plugin = self._start(state.urn, state.inputs)
        self._configure(plugin, state.urn, state.id, state.inputs)
        self._ready[ref] = plugin
        return plugin

    def _start(self, urn: str, inputs: PropertyMap) -> PluginProvider:
        spec, parameter = spec_of_provider(urn_type(urn), inputs)
        return self._host.provider(spec, parameter)

    def _take_checked(self, urn: str, inputs: PropertyMap) -> PluginProvider:
        """The plugin that has checked these inputs, or a fresh one where it is in use already."""
        with self._lock:
            plugin = self._checked.pop(urn, None)
        return plugin or self._start(urn, inputs)

    def _configure(self, plugin: PluginProvider, urn: str, id_: str, inputs: PropertyMap) -> None:
        plugin.configure(urn, id_, inputs)
        with self._lock:
            self._ready[provider_ref(urn, id_)] = plugin

    def same(self, state: State) -> None:
        """Makes an unchanged provider resource ready for use."""
        if _is_builtin(state.urn):
            return
        ref = provider_ref(state.urn, state.id)
        with self._lock:
            plugin = self._checked.pop(state.urn, None)
            # One that has read or deleted already, for a refresh or a replacement, goes on as it is configured.
            ready = ref in self._ready
            if plugin is None and not ready:
                self._old[ref] = state
        if plugin is not None and not ready:
            self._configure(plugin, state.urn, state.id, state.inputs)

    # ------------------------------------------------ as the provider of providers

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if _is_builtin(urn):
            return news, ()
        plugin = self._take_checked(urn, news)
        with self._lock:
            self._checked[urn] = plugin
        return plugin.check_config(urn, olds or {}, news)

    def diff(
        self,
        urn: str,
        id_: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        ignored: Sequence[str],
    ) -> DiffResult:
        if _is_builtin(urn):
            return compare_inputs(old_inputs, news, ignored)
        # One that is not registered yet is asked what it would do if something that it needs were replaced.
        plugin = self._checked.get(urn) or self._plugin(provider_ref(urn, id_))
        result = plugin.diff_config(urn, old_inputs, old_outputs, news, ignored)
        if result.changes is Changes.UNKNOWN:
            own = compare_inputs(old_inputs, news, ignored)
            return DiffResult(changes=own.changes, replace_keys=result.replace_keys)
        return result

    def replaces(self, ref: str, before: State, after: State) -> bool:
        """Whether objects made with the configuration `before` have to be made anew under `after`, at `ref`."""
        plugin = self._ready.get(ref)
        if plugin is None:
            return False
        return plugin.diff_config(after.urn, before.inputs, before.outputs, after.inputs, ()).replace

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> Created:
        id_ = UNKNOWN_SENTINEL if preview else str(uuid.uuid4())
        if not _is_builtin(urn):
            self._configure(self._take_checked(urn, news), urn, id_, news)
        return Created("" if preview else id_, _outputs(news))

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> Updated:
        if _is_builtin(urn):
            return Updated(call.news)
        self._configure(self._take_checked(urn, call.news), urn, id_, call.news)
        return Updated(_outputs(call.news))

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        with self._lock:
            self._ready.pop(provider_ref(urn, id_), None)

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float = 0) -> ReadResult:
        raise ProviderCallError(f"provider resources cannot be read: register {urn} instead")

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        raise ProviderCallError(f"there is no function {token}")


def _is_builtin(urn: str) -> bool:
    return package_of(urn_type(urn)) == BUILTIN_PACKAGE


def _outputs(inputs: PropertyMap) -> PropertyMap:
    """What programs and states see of a provider's inputs as its outputs."""
    return {key: value for key, value in inputs.items() if key != INTERNAL_KEY}


def unknown_inputs(inputs: PropertyMap, names: frozenset[str]) -> PropertyMap:
    """The inputs with some of them made unknown, to ask a provider what it would do."""
    return {key: UNKNOWN if key in names else value for key, value in inputs.items()}
