"""Which provider serves a resource: the registry of provider resources, default providers, and the built-in one.

A provider is a resource itself: its Check, Diff, Create and Update configure a plugin, and its reference (`urn::id`)
then names that plugin. Providers of the old state that the program has not registered are started when first asked for.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine import standby
from engine.diff import Changes, DiffResult, compare_inputs
from engine.errors import PluginError, ProviderCallError, ResourceError
from engine.operation import Target
from engine.plugins import DYNAMIC_PACKAGE, Plugin, PluginProcess, attached_plugin, find_plugin, plugin_env
from engine.provider_client import CheckFailure, PluginProvider, Provider, ReadResult, UpdateCall
from engine.resource import (
    UNKNOWN,
    UNKNOWN_SENTINEL,
    PropertyMap,
    Secret,
    State,
    is_provider_type,
    package_of,
    provider_ref,
    split_provider_ref,
    unsecret,
    urn_type,
)
from engine.rpc import provider_pb2

BUILTIN_PACKAGE: Final = "pulumi"
Log = Callable[[str, str], None]
"""(severity, message)"""


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """What a registration asks of its package; all but the name may be empty."""

    name: str
    version: str = ""
    download_url: str = ""


class PluginHost:
    """Starts plugins, at most one ahead of time per package, and ends all of them."""

    def __init__(self, target: Target, engine_address: Callable[[], str], log: Log) -> None:
        self._target = target
        self._engine_address = engine_address
        self._log = log
        self._ahead: dict[str, Plugin] = {}
        self._asked: set[str] = set()
        self._open: list[PluginProvider] = []
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def start_ahead(self, package: str, version: str) -> None:
        """Starts a plugin that will be needed, while the program still starts. Trouble shows when it is asked for."""
        if package == BUILTIN_PACKAGE or package in self._asked:
            return
        with self._lock, contextlib.suppress(PluginError):
            if package not in self._asked:
                self._asked.add(package)
                self._ahead[package] = self._start(package, version)

    def provider(self, package: str, version: str) -> PluginProvider:
        """A provider of the package, not configured yet."""
        with self._lock:
            self._asked.add(package)
            process = self._ahead.pop(package, None) or self._start(package, version)
            handshake = provider_pb2.ProviderHandshakeRequest(
                engine_address=self._engine_address(),
                root_directory=str(self._target.root),
                program_directory=str(self._target.program_dir or self._target.root),
                configure_with_urn=True,
            )
            provider = PluginProvider(process, handshake)
            self._open.append(provider)
            return provider

    def _start(self, package: str, version: str) -> Plugin:
        env = self._target.environment
        attached = attached_plugin(package, env)
        if attached is not None:
            return attached
        python = self._target.python or sys.executable
        waiting = standby.take(package, env, python)
        if waiting is not None:
            waiting.on_line = self._on_line
            return waiting
        command = find_plugin(package, version, env, python)
        if command.origin.startswith("$PATH") and package not in self._told:
            self._told.add(package)
            self._log("warning", f"using pulumi-resource-{package} from {command.origin}")
        return PluginProcess(
            package,
            command,
            env=plugin_env(env, self._target.project),
            cwd=self._target.program_dir or self._target.root,
            on_line=self._on_line,
        )

    def _on_line(self, line: str, is_error: bool) -> None:
        if line.strip():
            self._log("info#err" if is_error else "info", line)

    def cancel(self) -> None:
        for provider in list(self._open):
            provider.cancel()

    def close(self) -> None:
        """Ends every plugin, side by side."""
        with self._lock:
            closers = [p.close for p in self._open] + [p.stop for p in self._ahead.values()]
            self._open, self._ahead = [], {}
        threads = [threading.Thread(target=close) for close in closers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class ProviderRegistry:
    """All providers of one operation, by reference. It is also the provider of provider resources."""

    def __init__(self, host: PluginHost, target: Target, old_states: Sequence[State], builtin: Provider) -> None:
        self._host = host
        self._target = target
        self._old = {provider_ref(s.urn, s.id): s for s in old_states if is_provider_type(s.type)}
        self._checked: dict[str, PluginProvider] = {}
        self._ready: dict[str, PluginProvider] = {}
        self._builtin = builtin
        self._lock = threading.RLock()

    def get(self, ref: str, type_: str) -> Provider:
        """The configured provider of a resource. Raises ResourceError for a reference to none."""
        if is_provider_type(type_):
            return self
        if package_of(type_) == BUILTIN_PACKAGE:
            return self._builtin
        with self._lock:
            return self._plugin(ref)

    def _plugin(self, ref: str) -> PluginProvider:
        return self._ready.get(ref) or self._load_old(ref)

    def _load_old(self, ref: str) -> PluginProvider:
        state = self._old.get(ref)
        if state is None:
            urn, _ = split_provider_ref(ref)
            raise ResourceError(urn, f"unknown provider '{ref}': register it before what uses it")
        plugin = self._host.provider(package_of(state.type), _version(state.inputs))
        self._configure(plugin, state.urn, state.id, state.inputs)
        return self._ready[ref]

    def _configure(self, plugin: PluginProvider, urn: str, id_: str, inputs: PropertyMap) -> None:
        plugin.configure(urn, id_, inputs)
        self._ready[provider_ref(urn, id_)] = plugin

    def same(self, state: State) -> None:
        """Makes an unchanged provider resource ready for use."""
        if _is_builtin(state.urn):
            return
        with self._lock:
            ref = provider_ref(state.urn, state.id)
            plugin = self._checked.pop(state.urn, None)
            if plugin is not None:
                self._configure(plugin, state.urn, state.id, state.inputs)
            elif ref not in self._ready:
                self._old[ref] = state

    # ------------------------------------------------ as the provider of providers

    def check(
        self, urn: str, olds: PropertyMap | None, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        if _is_builtin(urn):
            return news, ()
        with self._lock:
            plugin = self._checked.get(urn)
            if plugin is None:
                plugin = self._host.provider(package_of(urn_type(urn)), _version(news))
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
        with self._lock:
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

    def create(self, urn: str, news: PropertyMap, timeout: float, *, preview: bool) -> tuple[str, PropertyMap]:
        id_ = UNKNOWN_SENTINEL if preview else str(uuid.uuid4())
        with self._lock:
            if not _is_builtin(urn):
                self._configure(self._checked.pop(urn), urn, id_, news)
        return ("" if preview else id_), news

    def update(self, urn: str, id_: str, call: UpdateCall, *, preview: bool) -> PropertyMap:
        if _is_builtin(urn):
            return call.news
        with self._lock:
            plugin = self._checked.pop(urn, None) or self._host.provider(package_of(urn_type(urn)), _version(call.news))
            self._configure(plugin, urn, id_, call.news)
        return call.news

    def delete(self, urn: str, id_: str, old_inputs: PropertyMap, old_outputs: PropertyMap, timeout: float) -> None:
        with self._lock:
            self._ready.pop(provider_ref(urn, id_), None)

    def read(self, urn: str, id_: str, inputs: PropertyMap, outputs: PropertyMap) -> ReadResult:
        raise ProviderCallError(f"provider resources cannot be read: register {urn} instead")

    def invoke(self, token: str, args: PropertyMap, *, preview: bool) -> tuple[PropertyMap, Sequence[CheckFailure]]:
        raise ProviderCallError(f"there is no function {token}")


def _is_builtin(urn: str) -> bool:
    return package_of(urn_type(urn)) == BUILTIN_PACKAGE


def _version(inputs: PropertyMap) -> str:
    value = unsecret(inputs.get("version"))
    return value if isinstance(value, str) else ""


def default_provider_name(package: PackageRequest) -> str:
    """`default`, or `default_1_2_3` where the SDK names a version, with the URL's letters where it names one."""
    name = "default"
    if package.version:
        name += "_" + package.version.replace(".", "_").replace("+", "_").replace("-", "_")
    if package.download_url:
        name += "_" + "".join(c if c.isalnum() else "_" for c in package.download_url)
    return name


def default_provider_inputs(
    package: PackageRequest, config: Mapping[str, str], secret_keys: frozenset[str]
) -> PropertyMap:
    """The config of the package's namespace (`pkg:*`), with the version that was asked for."""
    # A dynamic provider's own code reads the stack's config in its configure(): it gets all of it, by full key.
    prefix = "" if package.name == DYNAMIC_PACKAGE else f"{package.name}:"
    inputs: PropertyMap = {}
    for key, value in config.items():
        if key.startswith(prefix):
            inputs[key[len(prefix) :]] = Secret(value) if key in secret_keys else value
    if package.version:
        inputs["version"] = package.version
    if package.download_url:
        inputs["pluginDownloadURL"] = package.download_url
    return inputs


def unknown_inputs(inputs: PropertyMap, names: frozenset[str]) -> PropertyMap:
    """The inputs with some of them made unknown, to ask a provider what it would do."""
    return {key: UNKNOWN if key in names else value for key, value in inputs.items()}
