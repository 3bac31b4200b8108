"""A provider's own configuration, which the engine keeps as text. Pure."""

import json
from collections.abc import Iterable
from typing import Any

from providers.plugin.properties import DEFAULTS_KEY, Kind, Property, coerce
from providers.plugin.wire import UNKNOWN, Plain

_META = {DEFAULTS_KEY, "version", "pluginDownloadURL"}
_EMPTY: tuple[Any, ...] = ("", "[]", "false", False, [])


def check(package: str, spec: Iterable[Property], news: Plain) -> tuple[Plain, list[tuple[str, str]]]:
    """The configuration as given, and what is wrong with it: (property, reason) each."""
    known = {prop.name: prop for prop in spec}
    failures: list[tuple[str, str]] = []
    values: Plain = {}
    for name, value in news.items():
        prop = known.get(name)
        if name in _META:
            values[name] = value
        elif prop is None:
            failures.append((name, f"the {package} provider has no property {name!r} here"))
        elif not prop.refused:
            coerced, wrong = coerce(prop, from_text(prop, value))
            failures.extend((item.property, item.reason) for item in wrong)
            values[name] = value if isinstance(value, str) or coerced is UNKNOWN else json.dumps(coerced)
        elif value not in _EMPTY:
            failures.append((name, f"property {name!r} is not served: {prop.refused}"))
    return values, failures


def from_text(prop: Property, value: Any) -> Any:
    """The value of a property that is no text, as it was before the engine wrote it down."""
    if prop.kind not in {Kind.OBJECTS, Kind.OBJECT} or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None
