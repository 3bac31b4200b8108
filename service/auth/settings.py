"""What the environment configures about callers: limits, other sites that may call, proxies that may be believed.

Decides defaults and refuses what makes no sense, by variable name. How tokens are checked is `automation.tokens`'s.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from automation.settings import wrong_settings
from automation.tokens import TokenSettings, load_token_settings

Names = Annotated[tuple[str, ...], NoDecode]


class AuthSettings(BaseSettings):
    """Settings of sign-in, limits and headers. A list is separated by commas; a limit of 0 is none."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    provisionings_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        10, validation_alias="TENANTRY_PROVISIONINGS_PER_HOUR"
    )
    requests_per_minute: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        1200, validation_alias="TENANTRY_REQUESTS_PER_MINUTE"
    )
    cors_origins: Names = Field((), validation_alias="TENANTRY_CORS_ORIGINS")
    trusted_proxies: Names = Field((), validation_alias="TENANTRY_TRUSTED_PROXIES")
    hsts_seconds: Annotated[int, Field(ge=0, le=126_144_000)] = Field(
        31_536_000, validation_alias="TENANTRY_HSTS_SECONDS"
    )

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not origin.startswith(("https://", "http://")) or "/" in origin.split("://", 1)[1]:
                raise ValueError(f"{origin!r} is no origin: write https://host or https://host:port, and no *")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise ValueError(f"{address!r} is neither an address nor a network such as 10.0.0.0/8") from None
        return value


def load_auth_settings() -> tuple[AuthSettings, TokenSettings]:
    """Both from the environment. Raises InputError naming each wrong variable."""
    try:
        return AuthSettings(), load_token_settings()
    except ValidationError as error:
        raise wrong_settings(error) from None
