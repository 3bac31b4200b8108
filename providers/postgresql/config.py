"""Where the provider connects, from its configuration and the PG* environment. Decides; never connects.

The properties and defaults are the stock provider's. A value taken from the environment is used, but never written into
the checked configuration, and so never into the state.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.plugin import settings
from providers.plugin.properties import DEFAULTS_KEY, Kind, Property
from providers.plugin.wire import Plain, has_unknown
from providers.postgresql.errors import RefusedError

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_CLOUD = "signing in through a cloud's identity service needs the stock plugin"

SPEC = (
    Property(name="host"),
    Property(name="port", kind=Kind.INTEGER, minimum=1),
    Property(name="database"),
    Property(name="username"),
    Property(name="password", secret=True),
    Property(name="databaseUsername"),
    Property(name="superuser", kind=Kind.BOOL),
    Property(name="sslmode", choices=SSL_MODES),
    Property(name="sslrootcert"),
    Property(name="clientcert", kind=Kind.OBJECTS),
    Property(name="connectTimeout", kind=Kind.INTEGER, minimum=0),
    Property(name="maxConnections", kind=Kind.INTEGER, minimum=0),
    Property(name="expectedVersion"),
    Property(name="scheme", choices=("postgres", "postgresql")),
    Property(name="sslMode", refused="it was renamed to sslmode"),
    *(
        Property(name=name, refused=_CLOUD)
        for name in (
            *("awsRdsIamAuth", "awsRdsIamProfile", "awsRdsIamProviderRoleArn", "awsRdsIamRegion"),
            *("azureIdentityAuth", "azureTenantId", "gcpIamImpersonateServiceAccount"),
        )
    ),
)
_CERTIFICATE = {"cert": "sslcert", "key": "sslkey"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where and as whom to connect; `connect_timeout` bounds all tries together, in seconds."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    sslmode: str
    database_username: str
    connect_timeout: int
    max_connections: int
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def check(news: Plain) -> tuple[Plain, list[tuple[str, str]]]:
    """The configuration as given, and what is wrong with it: (property, reason) each."""
    certificate = news.get("clientcert")
    values, failures = settings.check("postgresql", SPEC, {n: value for n, value in news.items() if n != "clientcert"})
    if certificate is not None:
        failures.extend(_check_certificate(certificate))
        values["clientcert"] = certificate
    return values, failures


def resolve(args: Plain, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration to connect with. Raises RefusedError naming the property or variable."""
    env = os.environ if environ is None else environ
    unknown = sorted(name for name, value in args.items() if has_unknown(value))
    if unknown:
        raise RefusedError(f"the postgresql provider cannot connect yet: its {', '.join(unknown)} is not known")
    values, failures = check(args)
    if failures:
        raise RefusedError("; ".join(reason for _, reason in failures))
    username = str(values.get("username") or env.get("PGUSER") or "postgres")
    extra = {"sslrootcert": str(values.get("sslrootcert") or env.get("PGSSLROOTCERT") or "")}
    extra |= _certificate(values.get("clientcert"))
    return Config(
        host=str(values.get("host") or env.get("PGHOST") or "localhost"),
        port=_number(values, env, "port", "PGPORT", 5432),
        database=str(values.get("database") or env.get("PGDATABASE") or "postgres"),
        username=username,
        password=str(values.get("password") or env.get("PGPASSWORD") or ""),
        sslmode=_sslmode(values, env),
        database_username=str(values.get("databaseUsername") or username),
        connect_timeout=_number(values, env, "connectTimeout", "PGCONNECT_TIMEOUT", 180) or 180,
        max_connections=_number(values, env, "maxConnections", "", 20),
        extra={name: value for name, value in extra.items() if value},
    )


def _number(values: Plain, env: Mapping[str, str], name: str, variable: str, default: int) -> int:
    text = str(values.get(name) or (env.get(variable) if variable else "") or default)
    if not text.isdecimal():
        raise RefusedError(f"{variable or name} is {text!r}: it must be a whole number")
    return int(text)


def _sslmode(values: Plain, env: Mapping[str, str]) -> str:
    mode = str(values.get("sslmode") or env.get("PGSSLMODE") or "require")
    if mode not in SSL_MODES:
        raise RefusedError(f"PGSSLMODE is {mode!r}: it must be one of {', '.join(SSL_MODES)}")
    return mode


def _as_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _check_certificate(value: Any) -> list[tuple[str, str]]:
    if has_unknown(value):
        return []
    given = _as_object(value)
    if not isinstance(given, dict):
        return [("clientcert", "property 'clientcert' must be an object with cert and key")]
    wrong = [
        (f"clientcert.{name}", f"property 'clientcert.{name}' is not served: give cert and key as file paths")
        for name in given
        if name not in _CERTIFICATE and name != DEFAULTS_KEY and not (name == "sslinline" and not given[name])
    ]
    missing = [name for name in _CERTIFICATE if not given.get(name)]
    return wrong + [(f"clientcert.{name}", f"property 'clientcert.{name}' is missing") for name in missing]


def _certificate(value: Any) -> dict[str, str]:
    given = _as_object(value)
    return {option: str(given[name]) for name, option in _CERTIFICATE.items()} if isinstance(given, dict) else {}
