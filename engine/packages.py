"""Which plugin a package means: what a provider resource keeps of it, and what default providers are made of. Pure.

A provider's inputs hold its configuration, the package's `version`, and under `__internal` what is about the plugin:
its download address, mapped environment variables, and for a parameterized package the plugin that it is made from.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import PluginError
from engine.plugin_search import DYNAMIC_PACKAGE, parse_version
from engine.provider_wire import INTERNAL_KEY
from engine.resource import PropertyMap, Secret, package_of, unsecret

BUILTIN_PACKAGE: Final = "pulumi"
DISABLED_KEY: Final = "pulumi:disable-default-providers"
# In place of a provider reference, followed by the package and by what must name a provider of its own.
_DENIED: Final = "urn:pulumi:denydefaultproviders::"


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """What a registration asks of its package; all but the name may be empty.

    `plugin` and `plugin_version` are the plugin's own where the package is made from it by `parameter`.
    """

    name: str
    version: str = ""
    download_url: str = ""
    plugin: str = ""
    plugin_version: str = ""
    parameter: bytes | None = None


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """A plugin process that is needed: two providers of one spec have a process each, started in the same way."""

    name: str
    version: str = ""
    env_mappings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """What makes a plugin the provider of another package."""

    name: str
    version: str
    value: bytes


def spec_of_request(request: PackageRequest) -> PluginSpec:
    """The plugin of a package's default provider."""
    if request.parameter is not None:
        return PluginSpec(request.plugin, request.plugin_version)
    return PluginSpec(request.name, request.version)


def spec_of_provider(type_: str, inputs: PropertyMap) -> tuple[PluginSpec, Parameter | None]:
    """The plugin of a provider resource. Raises PluginError for inputs that no engine has written."""
    package = package_of(type_)
    internal = _internal(inputs)
    mappings = tuple(sorted(_texts(internal.get("envVarMappings"), "envVarMappings").items()))
    name = _text(internal.get("name"), "name") or package
    version = _text(inputs.get("version"), "version")
    encoded = _text(internal.get("parameterization"), "parameterization")
    if not encoded:
        return PluginSpec(name, version, mappings), None
    try:
        value = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise PluginError(f"could not decode base64 parameter value: {error}") from error
    own = _text(internal.get("version"), "version")
    return PluginSpec(name, own, mappings), Parameter(package, version, value)


def _internal(inputs: PropertyMap) -> Mapping[str, Any]:
    value = unsecret(inputs.get(INTERNAL_KEY))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PluginError(f"'{INTERNAL_KEY}' must be an object")
    return value


def _text(value: Any, name: str) -> str:
    value = unsecret(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PluginError(f"'{name}' must be a string")
    return value


def _texts(value: Any, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PluginError(f"'{name}' must be an object")
    return {key: _text(item, f"{name}[{key}]") for key, item in value.items()}


# ------------------------------------------------------------------ inputs


def provider_inputs(
    config: PropertyMap, request: PackageRequest, env_mappings: Mapping[str, str] | None = None
) -> PropertyMap:
    """A provider's inputs: its configuration, with what the registration says of its plugin."""
    inputs = dict(config)
    internal: dict[str, Any] = {}
    if request.version:
        inputs["version"] = request.version
    if request.download_url:
        internal["pluginDownloadURL"] = request.download_url
    if env_mappings:
        internal["envVarMappings"] = dict(env_mappings)
    if request.parameter is not None:
        internal["name"] = request.plugin
        internal["version"] = request.plugin_version
        internal["parameterization"] = base64.b64encode(request.parameter).decode()
    if internal or request.version:
        # There even where it is empty: a provider may have a setting of its own that is called `name`.
        inputs[INTERNAL_KEY] = internal
    return inputs


def default_provider_inputs(
    request: PackageRequest, config: Mapping[str, str], secret_keys: frozenset[str]
) -> PropertyMap:
    """The config of the package's namespace (`pkg:*`), with the version that was asked for."""
    # A dynamic provider's own code reads the stack's config in its configure(): it gets all of it, by full key.
    prefix = "" if request.name == DYNAMIC_PACKAGE else f"{request.name}:"
    inputs: PropertyMap = {
        key[len(prefix) :]: Secret(value) if key in secret_keys else value
        for key, value in config.items()
        if key.startswith(prefix)
    }
    return provider_inputs(inputs, request)


def default_provider_name(request: PackageRequest) -> str:
    """`default`, or `default_1_2_3` where the SDK names a version, with the URL's letters where it names one."""
    name = "default"
    if request.version:
        name += "_" + request.version.replace(".", "_").replace("+", "_").replace("-", "_")
    if request.download_url:
        name += "_" + "".join(c if c.isalnum() else "_" for c in request.download_url)
    return name


def require_version(text: str) -> str:
    """A version as the SDK sends it. Raises PluginError for what is none."""
    if text and parse_version(text) is None:
        raise PluginError(f"'{text}' is not a semantic version")
    return text


# ------------------------------------------------------------------ pulumi:disable-default-providers


def default_denied(package: str, config: Mapping[str, str]) -> bool:
    """Whether the stack's config forbids a default provider for a package. Raises PluginError for a bad list."""
    text = config.get(DISABLED_KEY, "")
    if not text or package == BUILTIN_PACKAGE:
        return False
    try:
        names = json.loads(text)
    except ValueError as error:
        raise PluginError(f"Failed to parse {text}: {DISABLED_KEY} must be a list of package names") from error
    if not isinstance(names, list):
        raise PluginError(f"{DISABLED_KEY} must be a list of package names")
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise PluginError(f"{DISABLED_KEY}[{index}] must be a string")
        if name.strip() in ("*", package):
            return True
    return False


def denied_reference(package: str, subject: str) -> str:
    """Stands for the default provider that `subject`, a URN or a token, must not have."""
    return f"{_DENIED}{package}::{subject}"


def refuse_denied(ref: str) -> None:
    """Raises PluginError for a reference that `denied_reference` made."""
    if ref.startswith(_DENIED):
        package, _, subject = ref[len(_DENIED) :].partition("::")
        raise PluginError(f"Default provider for '{package}' disabled. '{subject}' must use an explicit provider.")
