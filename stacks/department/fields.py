"""What a retention, a region, an image, a scope and the like may look like.

Decides validity of single values. It never looks at other fields, or at what there is.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from providers.names import GIVEN_VARIABLES, HEALTH_PATH


def _matching(pattern: str, valid: str) -> BeforeValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(valid)
        return value

    return BeforeValidator(check)


def _not_given(name: str) -> str:
    if name in GIVEN_VARIABLES:
        raise ValueError(f"another name: the application is told {', '.join(sorted(GIVEN_VARIABLES))} anyway")
    return name


def listed(value: object) -> object:
    """A list of YAML as the tuple that models keep."""
    return tuple(value) if isinstance(value, list) else value


Retention = Annotated[
    str,
    _matching(r"[1-9][0-9]{0,4}[dwmy]", "a number of days, weeks, months or years, such as 90d, 12w, 6m or 1y"),
    Field(description="how long data is kept, such as 90d, 12w, 6m or 1y"),
]
Region = Annotated[
    str,
    _matching(r"[a-z][a-z0-9-]{0,40}", "a region's name, such as eu-central"),
    Field(description="the region whose servers it is built on"),
]
WorkflowName = Annotated[
    str,
    _matching(r"[a-z][a-z0-9_]{0,39}", "a workflow template's id, such as email"),
    Field(description="such as email"),
]
ImageName = Annotated[
    str,
    _matching(r"[a-z0-9][a-zA-Z0-9._/:@-]{0,254}", "a container image such as registry.example/app:1.2"),
    Field(description="a container image such as registry.example/app:1.2"),
]
HealthPath = Annotated[str, _matching(HEALTH_PATH, "a path such as /health")]
EnvironmentName = Annotated[
    str,
    _matching(r"[A-Z][A-Z0-9_]{0,63}", "a variable's name such as LOG_LEVEL"),
    AfterValidator(_not_given),
]
Scope = Annotated[str, _matching(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}", "an OAuth scope (RFC 6749, section 3.3)")]
