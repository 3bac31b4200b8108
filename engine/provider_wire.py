"""The forms in which properties go to a plugin and come back from it. Pure.

Secrets and resource references go as such to those plugins only that take them. From one that takes no secrets they
come back plain: what has the name of a secret input is then made secret again, as in the stock engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

from engine.assets import elided
from engine.diff import Changes, DiffKind, DiffResult, PropertyDiff
from engine.errors import ProviderCallError
from engine.plugin_connection import Abilities
from engine.resource import (
    SIG_KEY,
    PropertyMap,
    Secret,
    contains_secret,
    contains_unknown,
    plain_references,
    to_struct,
    unsecret,
)
from engine.rpc import provider_pb2

INTERNAL_KEY: Final = "__internal"
"""Where a provider resource keeps what is about its plugin, and never goes to it."""


def for_plugin(properties: PropertyMap, abilities: Abilities, *, elide: bool = False) -> struct_pb2.Struct:
    """Properties as the plugin takes them; with `elide`, assets and archives without their contents."""
    if elide:
        properties = elided(properties)
    if not abilities.resources:
        properties = {key: plain_references(value) for key, value in properties.items()}
    return to_struct(properties, secrets=abilities.secrets)


def known_only(properties: PropertyMap) -> PropertyMap:
    """The properties. Raises ProviderCallError where one is unknown after all has been done."""
    for key, value in properties.items():
        if contains_unknown(value):
            raise ProviderCallError(f'unexpected unknown property value for "{key}": this is a bug in the provider')
    return properties


def with_secrets_of(properties: PropertyMap, like: Mapping[str, Any]) -> PropertyMap:
    """The properties, those secret whose namesake in `like` holds a secret."""
    return {key: _secret_like(value, like[key]) if key in like else value for key, value in properties.items()}


def _secret_like(value: Any, like: Any) -> Any:
    """Objects are compared key by key; a list is secret as a whole, as its items may come back in another order."""
    if _is_object(value) and _is_object(like):
        return with_secrets_of(value, like)
    if isinstance(value, Secret) or not contains_secret(like):
        return value
    return Secret(unsecret(value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and SIG_KEY not in value


def plain_config(inputs: PropertyMap) -> struct_pb2.Struct:
    """A provider resource's properties as CheckConfig and DiffConfig get them: plain, without the engine's own."""
    return to_struct({k: v for k, v in inputs.items() if k != INTERNAL_KEY}, secrets=False)


def config_text(value: Any) -> str:
    """A configuration value in the older form: text as it is, anything else as JSON."""
    plain = unsecret(value)
    if isinstance(plain, str):
        return plain
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    # Go's JSON writes these so, and plugins may compare texts.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_KINDS: Final = {
    provider_pb2.PropertyDiff.ADD: DiffKind.ADD,
    provider_pb2.PropertyDiff.ADD_REPLACE: DiffKind.ADD_REPLACE,
    provider_pb2.PropertyDiff.DELETE: DiffKind.DELETE,
    provider_pb2.PropertyDiff.DELETE_REPLACE: DiffKind.DELETE_REPLACE,
    provider_pb2.PropertyDiff.UPDATE: DiffKind.UPDATE,
    provider_pb2.PropertyDiff.UPDATE_REPLACE: DiffKind.UPDATE_REPLACE,
}


def diff_result(answer: provider_pb2.DiffResponse) -> DiffResult:
    detailed = None
    if answer.hasDetailedDiff:
        # A kind that a newer plugin knows is an update to this engine.
        detailed = {
            path: PropertyDiff(_KINDS.get(diff.kind, DiffKind.UPDATE), diff.inputDiff)
            for path, diff in sorted(answer.detailedDiff.items())
        }
    return DiffResult(
        changes=Changes(answer.changes),
        replace_keys=tuple(answer.replaces),
        stable_keys=tuple(answer.stables),
        changed_keys=tuple(answer.diffs),
        delete_before_replace=answer.deleteBeforeReplace,
        detailed=detailed,
    )
