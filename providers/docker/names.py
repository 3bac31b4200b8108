"""Names as the Docker engine takes them. Pure."""

import re

from providers.plugin.properties import Failure, Property
from providers.plugin.wire import Plain

_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
NAME = Property(name="name", identifier=True, autonamed=True, replaces=True, max_bytes=255)
SCHEMA_VERSION = "__meta"
"""Where the stock provider's bridge keeps the version of a state's form; without it, it takes it for an old one."""


def valid_name(inputs: Plain) -> list[Failure]:
    name = inputs.get("name")
    if not isinstance(name, str) or _PATTERN.fullmatch(name):
        return []
    wanted = "at least two letters, digits or _ . - and begin with a letter or a digit"
    return [Failure(property="name", reason=f"property 'name' is {name!r}: it must be {wanted}. Give another name")]
