"""What the environment configures of a worker: slots, leases, draining, attempts, probes. Times are in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from automation.settings import wrong_settings

_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class WorkerSettings(BaseSettings):
    """Settings from environment variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(2, validation_alias="TENANTRY_WORKER_CONCURRENCY")
    lease: Annotated[float, Field(ge=1, le=3600)] = Field(30, validation_alias="TENANTRY_LEASE_SECONDS")
    drain: Annotated[float, Field(ge=0, le=86_400)] = Field(60, validation_alias="TENANTRY_DRAIN_SECONDS")
    attempts: Annotated[int, Field(ge=1, le=100)] = Field(5, validation_alias="TENANTRY_JOB_ATTEMPTS")
    sweep: _Seconds = Field(2, validation_alias="TENANTRY_SWEEP_SECONDS")
    heartbeat: _Seconds = Field(5, validation_alias="TENANTRY_HEARTBEAT_SECONDS")
    # Where an orchestrator's probes are answered; without a port, nowhere.
    probe_host: Annotated[str, Field(min_length=1)] = Field("127.0.0.1", validation_alias="TENANTRY_PROBE_HOST")
    probe_port: Annotated[int, Field(ge=0, le=65_535)] | None = Field(None, validation_alias="TENANTRY_PROBE_PORT")


def load_worker_settings(**given: object) -> WorkerSettings:
    """Settings from the environment, and `given` before it. Raises InputError naming each wrong variable."""
    try:
        return WorkerSettings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise wrong_settings(error) from None
