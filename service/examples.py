"""An example of each answer in the OpenAPI document, made from its schema: so that none can differ from it.

Decides nothing but which of a field's possible values is shown: its own example, else null where it may be, else the
first word that it may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ID = "6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11"
AT = "2026-01-05T09:30:00.000000+00:00"
_TEXT = {"uuid": ID, "date-time": AT}
_PLAIN: Mapping[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "null": None}
_REF = "#/components/schemas/"
_JSON = "application/json"


def add_to(document: dict[str, Any]) -> None:
    """Gives an example to each JSON answer of `document` that has none."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {}).get(_JSON)
                if content is not None and "example" not in content and "examples" not in content:
                    content["example"] = example_of(content["schema"], schemas)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of `schema`; `schemas` has those that it names by `$ref`."""
    if "$ref" in schema and "examples" not in schema:
        return example_of(schemas[schema["$ref"].removeprefix(_REF)], schemas)
    for given in (schema.get("examples"), schema.get("enum"), [schema["const"]] if "const" in schema else None):
        if given:
            return given[0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return None if {"type": "null"} in options else example_of(options[0], schemas)
    kind = schema.get("type")
    if kind == "object":
        return {name: example_of(one, schemas) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema["items"], schemas)]
    if kind == "string":
        return _TEXT.get(schema.get("format", ""), "")
    return schema.get("minimum", _PLAIN.get(str(kind)))
