"""The application that a tenant's container runs, as every line with one lets it be set.

Decides what an image, a health path and a variable may be called. What runs where none is named is the line's to say.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from providers.names import GIVEN_VARIABLES, HEALTH_PATH
from stacks.fields import LineText, listed, matching
from stacks.settings import Section


def not_of(kept: frozenset[str]) -> AfterValidator:
    """Refuses the names of the variables that Tenantry gives."""

    def checked(name: str) -> str:
        if name in kept:
            raise ValueError(f"another name: {', '.join(sorted(kept))} are kept for what Tenantry tells applications")
        return name

    return AfterValidator(checked)


ImageName = Annotated[
    str,
    matching(r"[a-z0-9][a-zA-Z0-9._/:@-]{0,254}", "a container image such as registry.example/app:1.2"),
    Field(description="a container image such as registry.example/app:1.2"),
]
HealthPath = Annotated[str, matching(HEALTH_PATH, "a path such as /health")]
EnvironmentName = Annotated[
    str,
    matching(r"[A-Z][A-Z0-9_]{0,63}", "a variable's name such as LOG_LEVEL"),
    not_of(GIVEN_VARIABLES),
]


class Application(Section):
    """What the container runs. Without an image it is the sample application of Tenantry.

    `healthCommand` is run in the container, where the image has nothing that could ask its health path there; `user` is
    the number of the account that it runs as.
    """

    image: ImageName | None = None
    command: Annotated[tuple[LineText, ...], BeforeValidator(listed), Field(max_length=50)] = ()
    port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    health_path: HealthPath = "/health"
    health_command: Annotated[tuple[LineText, ...], BeforeValidator(listed), Field(max_length=50)] = ()
    user: Annotated[int, Field(ge=1, le=2_147_483_647)] = 65_534
    environment: Annotated[dict[EnvironmentName, LineText], Field(max_length=100)] = Field(default_factory=dict)
