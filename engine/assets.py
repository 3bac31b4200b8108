"""Assets and archives inside properties: their hashes, and the forms without contents in which providers see old ones.

Two assets are the same if their hashes are. It decides which form a property has; `archives` reads the contents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf import struct_pb2

from engine.archives import ContentError, archive_hash, asset_hash
from engine.errors import ResourceError
from engine.resource import ARCHIVE_SIG, ASSET_SIG, CONTENT_SIGS, SIG_KEY, PropertyMap, Secret

_MARKS: Final = (ASSET_SIG.encode(), ARCHIVE_SIG.encode())


def with_hashes(properties: PropertyMap, struct: struct_pb2.Struct, folder: Path) -> PropertyMap:
    """The properties, every asset and archive with its hash; paths are relative to `folder`, the program's.

    `struct` is what the properties came from: it tells cheaply that there is nothing to hash. Raises ResourceError.
    """
    wire = struct.SerializeToString()
    if not any(mark in wire for mark in _MARKS):
        return properties
    hashed: PropertyMap = {}
    for key, value in properties.items():
        try:
            hashed[key] = replaced(value, lambda content: _hashed(content, folder))
        except ContentError as error:
            raise ResourceError("", f'failed to compute the asset hash for "{key}": {error}') from error
    return hashed


def elided(properties: PropertyMap) -> PropertyMap:
    """The properties with nothing of assets and archives but their hashes."""
    return {key: replaced(value, _without_contents) for key, value in properties.items()}


def restored(original: PropertyMap, told: PropertyMap) -> PropertyMap:
    """What a provider told, its assets without contents replaced by those of `original` that have the same hash."""
    known: dict[tuple[str, str], Mapping[str, Any]] = {}

    def remember(content: Mapping[str, Any]) -> Any:
        known[content[SIG_KEY], content.get("hash", "")] = content
        return content

    def restore(content: Mapping[str, Any]) -> Any:
        bare = not any(content.get(name) for name in ("text", "path", "uri", "assets"))
        return known.get((content[SIG_KEY], content.get("hash", "")), content) if bare else content

    for value in original.values():
        replaced(value, remember)
    return {key: replaced(value, restore) for key, value in told.items()} if known else told


def replaced(value: Any, by: Callable[[Mapping[str, Any]], Any]) -> Any:
    """A property value with every asset and archive in it exchanged; the value itself where there is none."""
    if isinstance(value, dict):
        if value.get(SIG_KEY) in CONTENT_SIGS:
            return by(value)
        changed = {key: replaced(item, by) for key, item in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    if isinstance(value, list):
        items = [replaced(item, by) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, Secret):
        inner = replaced(value.value, by)
        return value if inner is value.value else Secret(inner)
    return value


def _without_contents(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: content[key] for key in (SIG_KEY, "hash") if content.get(key)}


def _hashed(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The content in the form that the state keeps: empty fields left out, hashes at every level."""
    result = {key: value for key, value in content.items() if value or key == "assets"}
    if content[SIG_KEY] == ASSET_SIG:
        result.setdefault("hash", asset_hash(content, folder))
        return result
    if content.get("hash"):
        return result
    result["hash"] = archive_hash(content, folder)
    members = content.get("assets")
    if isinstance(members, Mapping) and not content.get("path") and not content.get("uri"):
        result["assets"] = {name: _member(value) for name, value in members.items()}
    return result


def _member(value: Any) -> Any:
    """A member of an archive as the state keeps it: the archive's hash stands for its members' ones."""
    return {key: item for key, item in value.items() if item or key == "assets"}
