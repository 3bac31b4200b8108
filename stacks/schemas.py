"""The JSON schema of a line's manifest, as the API shows it and the page makes a form of.

Decides how the settings appear in it: as overrides, none of which has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.shape import Shape


def schema_of(shape: Shape[Any], help_texts: Mapping[str, str]) -> dict[str, Any]:
    """The manifest's schema, with that of the settings where the manifest takes overrides of them.

    An override has no default: what is left out is the template's value. `help_texts` describe keys that may be left
    out.
    """
    schema: dict[str, Any] = shape.manifest.model_json_schema(by_alias=True)
    settings = shape.settings.model_json_schema(by_alias=True)
    sections = {**settings.pop("$defs", {}), "Settings": settings}
    defaults = [one for section in sections.values() if not section.get("required") for one in _properties(section)]
    for one in defaults:
        one.pop("default", None)
    schema["$defs"] = {**sections, **schema.get("$defs", {})}
    overrides = {"$ref": "#/$defs/Settings", "default": {}, "description": "what differs from the template"}
    schema["properties"]["customSettings"] = overrides
    for key, text in help_texts.items():
        schema["properties"][key]["description"] = text
    return schema


def _properties(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(section.get("properties", {}).values())
