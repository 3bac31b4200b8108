"""What the environment configures of the service's process: its limits. Where it listens is `automation.serving`'s.

Decides defaults and refuses values that make no sense, by variable name. It never connects. Servers, engine and state
are `automation.settings`, which workers and commands read too; callers and their limits are `service.auth.settings`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from automation.settings import wrong_settings


class ServiceSettings(BaseSettings):
    """Settings of the service from environment variables. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    public_url: str | None = Field(None, validation_alias="TENANTRY_PUBLIC_URL")

    body_limit: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = Field(
        256 * 1024, validation_alias="TENANTRY_BODY_LIMIT"
    )
    database_pool: Annotated[int, Field(ge=1, le=200)] = Field(10, validation_alias="TENANTRY_DATABASE_POOL")
    # How many watch jobs live at once in one process, and for how long: a reader that is cut off takes up where it was.
    live_readers: Annotated[int, Field(ge=1, le=100_000)] = Field(500, validation_alias="TENANTRY_LIVE_READERS")
    live_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(3_600, validation_alias="TENANTRY_LIVE_SECONDS")
    # For how long a workspace's first provisioning waits for an engine that is away.
    engine_wait: Annotated[float, Field(ge=0, le=30 * 86_400)] = Field(
        86_400, validation_alias="TENANTRY_ENGINE_WAIT_SECONDS"
    )


def load_service_settings() -> ServiceSettings:
    """Settings from the environment. Raises InputError naming each wrong variable."""
    try:
        return ServiceSettings()
    except ValidationError as error:
        raise wrong_settings(error) from None
