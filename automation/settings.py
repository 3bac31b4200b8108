"""What the environment configures: the main database, the engine, where state lives, limits and retries.

Decides defaults and refuses values that make no sense, by variable name. It never connects and never prints a value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from automation.errors import EngineError, InputError
from automation.queues.settings import QueueSettings
from providers.connection import DatabaseSettings
from providers.errors import ConfigurationError
from providers.masking import SECRET_PREFIX

PROJECT_NAME = "tenantry"
_SOURCE_ROOT = Path(__file__).resolve().parent.parent
Seconds = Annotated[float, Field(gt=0, le=86_400)]
HEALTH_SECONDS = 60.0


def _words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Several words in one variable, with commas or spaces between them."""


class StepLimits(BaseModel):
    """Limits of one step that differ from the general ones, as in TENANTRY_STEPS={"schema": {"timeout": 120}}."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    retry_delays: Annotated[tuple[Seconds, ...], Field(min_length=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How long something may take, in seconds, and the variable that says so."""

    seconds: float
    variable: str


_OF_LINES = {
    ("isp", "run"): "isp_run_timeout",
    ("isp", "rollback"): "isp_rollback_timeout",
    ("isp", "health"): "isp_health_timeout",
    ("site", "run"): "site_run_timeout",
    ("site", "rollback"): "site_rollback_timeout",
}
"""The settings that a line has for its runs, rollbacks or a step: one that is set goes before those of all lines."""


class Settings(BaseSettings):
    """Settings from environment variables. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    engine: Literal["auto", "stock", "embedded"] = Field("auto", validation_alias="TENANTRY_ENGINE")
    project_dir: Path | None = Field(None, validation_alias="TENANTRY_PROJECT_DIR")
    backend_url: str | None = Field(None, validation_alias="PULUMI_BACKEND_URL")

    step_timeout: Seconds = Field(60, validation_alias="TENANTRY_STEP_TIMEOUT")
    run_timeout: Seconds = Field(300, validation_alias="TENANTRY_RUN_TIMEOUT")
    rollback_timeout: Seconds = Field(120, validation_alias="TENANTRY_ROLLBACK_TIMEOUT")
    isp_run_timeout: Seconds | None = Field(None, validation_alias="PROVISIONING_TIMEOUT")
    isp_rollback_timeout: Seconds | None = Field(None, validation_alias="ROLLBACK_TIMEOUT")
    isp_health_timeout: Seconds | None = Field(None, validation_alias="HEALTH_CHECK_TIMEOUT")
    # Bench takes minutes for a site and for each of its apps; what is undone may be backed up before.
    site_run_timeout: Seconds = Field(7500, validation_alias="TENANTRY_SITE_RUN_TIMEOUT")
    site_rollback_timeout: Seconds = Field(7500, validation_alias="TENANTRY_SITE_ROLLBACK_TIMEOUT")
    # An installation on a cluster: images are fetched, and the workers of before are let finish.
    platform_timeout: Seconds = Field(1800, validation_alias="TENANTRY_PLATFORM_TIMEOUT")
    cancel_grace: Seconds = Field(15, validation_alias="TENANTRY_CANCEL_GRACE")
    retries: Annotated[int, Field(ge=0, le=20)] = Field(3, validation_alias="TENANTRY_RETRIES")
    retry_delays: Annotated[tuple[Seconds, ...], Field(min_length=1)] = Field(
        (1, 2, 4), validation_alias="TENANTRY_RETRY_DELAYS"
    )
    steps: Mapping[str, StepLimits] = Field(default_factory=dict, validation_alias="TENANTRY_STEPS")

    # Hosts, host:port pairs and networks that webhooks may reach although they are not public, also without TLS.
    webhook_allow: Words = Field((), validation_alias="TENANTRY_WEBHOOK_ALLOW")
    webhook_timeout: Seconds = Field(10, validation_alias="TENANTRY_WEBHOOK_TIMEOUT")
    # Eleven tries within a day.
    webhook_retry_delays: Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=50)] = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000), validation_alias="TENANTRY_WEBHOOK_RETRY_DELAYS"
    )
    webhook_disable_after: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, validation_alias="TENANTRY_WEBHOOK_DISABLE_AFTER"
    )
    webhook_keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(30, validation_alias="TENANTRY_WEBHOOK_KEEP_DAYS")

    # How often each tenant's data is purged by age; 0 switches it off. And how long one purge of a tenant may take.
    purge_every: Annotated[float, Field(ge=0, le=31_536_000)] = Field(86_400, validation_alias="TENANTRY_PURGE_SECONDS")
    purge_timeout: Seconds = Field(120, validation_alias="TENANTRY_PURGE_TIMEOUT")

    @cached_property
    def database(self) -> DatabaseSettings:
        """The server and the main database (CAB-7). Raises InputError naming the wrong variable."""
        try:
            return DatabaseSettings.from_env()
        except ConfigurationError as error:
            raise InputError(f"wrong environment variable: {error}", hint="correct it and retry") from None

    @cached_property
    def queue(self) -> QueueSettings:
        """Which queue carries the jobs (SITE-3). Raises InputError naming the wrong variable."""
        return QueueSettings.from_env()

    @cached_property
    def project_root(self) -> Path:
        """The folder with Pulumi.yaml: TENANTRY_PROJECT_DIR, else the nearest one from here upwards."""
        start = (self.project_dir or Path.cwd()).resolve()
        candidates = (start,) if self.project_dir else (start, *start.parents)
        for folder in candidates:
            if (folder / "Pulumi.yaml").is_file():
                return folder
        raise InputError(
            f"there is no Pulumi.yaml in {start}{'' if self.project_dir else ' or a folder above it'}",
            hint="run this in the project's folder, or set TENANTRY_PROJECT_DIR to it",
        )

    @property
    def backend(self) -> str:
        """Where stacks are stored: PULUMI_BACKEND_URL, else `.tenantry/state` of the project, as in Pulumi.yaml."""
        if self.backend_url:
            return self.backend_url
        return f"file://{self.project_root / '.tenantry' / 'state'}"

    @property
    def stacks_dir(self) -> Path:
        """Where manifests and the stacks' own settings live."""
        return self.project_root / "stacks"

    def run_limit(self, line: str) -> Limit:
        """How long a run of a tenant of `line` may take."""
        return self._own_limit(line, "run") or self._limit("run_timeout")

    def rollback_limit(self, line: str) -> Limit:
        """How long the rollback of a tenant of `line` may take."""
        return self._own_limit(line, "rollback") or self._limit("rollback_timeout")

    def step_limit(self, step: str | None, own: float | None = None, *, line: str = "") -> Limit:
        """How long `step` of a tenant of `line` may take. `own` is what its line gives it: anything set goes before."""
        special = self.steps.get(step or "")
        if special and special.timeout:
            return Limit(seconds=special.timeout, variable="TENANTRY_STEPS")
        if (named := self._own_limit(line, step or "")) is not None:
            return named
        if own is not None and "step_timeout" not in self.model_fields_set:
            return Limit(seconds=own, variable="TENANTRY_STEP_TIMEOUT")
        return self._limit("step_timeout")

    @property
    def health_limit(self) -> Limit:
        """How long the health of an ISP may be asked for (ISP-7)."""
        return self._own_limit("isp", "health") or Limit(seconds=HEALTH_SECONDS, variable="HEALTH_CHECK_TIMEOUT")

    @property
    def platform_limit(self) -> Limit:
        """How long one command of an installation may take."""
        return self._limit("platform_timeout")

    def _own_limit(self, line: str, what: str) -> Limit | None:
        name = _OF_LINES.get((line, what))
        return self._limit(name) if name is not None and getattr(self, name) is not None else None

    def _limit(self, name: str) -> Limit:
        return Limit(seconds=getattr(self, name), variable=str(type(self).model_fields[name].validation_alias))

    def retry_delay(self, step: str | None, failures: int) -> float | None:
        """Seconds to wait before trying again after `failures` failures of `step`; None when that was the last try."""
        special = self.steps.get(step or "")
        retries = special.retries if special and special.retries is not None else self.retries
        delays = special.retry_delays if special and special.retry_delays else self.retry_delays
        if failures > retries:
            return None
        return delays[min(failures, len(delays)) - 1]

    def run_environment(self) -> dict[str, str]:
        """Variables for the engine and its plugins. Holds secrets: pass it on, never show it."""
        database = self.database
        paths = [str(_SOURCE_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        return {
            # Providers are found by their modules' names wherever the engine runs them.
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_SSL": database.sslmode,
            "DB_NAME": database.main_database,
            "PULUMI_BACKEND_URL": self.backend,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            **passphrase_environment(os.environ),
        }

    def secrets(self) -> tuple[str, ...]:
        """Values that must never be shown, for redaction."""
        values = [self.database.password, os.environ.get("PULUMI_CONFIG_PASSPHRASE", "")]
        if path := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
            values.append(_read_passphrase(Path(path)))
        values.extend(self.queue.secrets)
        values.extend(os.environ.get("TENANTRY_SECRET_KEY", "").split())
        values.extend(value for name, value in os.environ.items() if name.startswith(SECRET_PREFIX))
        return tuple(value for value in values if value)


def _read_passphrase(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def passphrase_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that carry the passphrase. Raises EngineError when there is none, or its file cannot be read."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return {"PULUMI_CONFIG_PASSPHRASE": environment["PULUMI_CONFIG_PASSPHRASE"]}
    path = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not path:
        raise EngineError(
            "no passphrase for the secrets in Pulumi's state",
            hint="set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it",
        )
    if not Path(path).is_file():
        raise EngineError(
            f"the passphrase file {path} cannot be read: there is no such file",
            hint="correct PULUMI_CONFIG_PASSPHRASE_FILE, or set PULUMI_CONFIG_PASSPHRASE",
        )
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(Path(path).resolve())}


def load_settings() -> Settings:
    """Settings from the environment. Raises InputError naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise wrong_settings(error) from None
    except ValueError as error:
        # pydantic-settings raises this for text that should have been JSON; its message names the field.
        raise InputError(f"wrong environment variable: {error}", hint="it must be valid JSON") from None


def wrong_settings(
    error: ValidationError, *, what: str = "environment variable", values_shown: bool = True
) -> InputError:
    """The error for settings that are not valid: each variable, and why it is wrong.

    What they hold is shown too, unless a key may be among them.
    """
    problems = _wrong_values(error)
    lines = []
    for name, given, message in problems:
        line = f"{name}: {message}" if name else message
        lines.append(f"{line} (given: {given})" if name and values_shown else line)
    return InputError(
        f"wrong {what}: {'; '.join(lines)}", hint="correct it and retry", problems=problems if values_shown else ()
    )


def _wrong_values(error: ValidationError) -> list[tuple[str, str, str]]:
    """What is wrong with settings: each variable, what it holds, and why that is wrong.

    Where several belong together there is no one variable, and nothing of what they hold: a key may be among them.
    """
    found = []
    for item in error.errors(include_url=False):
        name = ".".join(map(str, item["loc"]))
        found.append((name, str(item["input"]) if name else "", item["msg"].removeprefix("Value error, ")))
    return found
