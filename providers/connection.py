"""Where the PostgreSQL server is, from the environment (CAB-7).

Decides defaults and refuses values that make no sense, by variable name. Never connects, never shows the password.
Plugin processes load this: it imports nothing that is slow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.errors import ConfigurationError

MAINTENANCE_DATABASE = "postgres"
CORRELATION_ID = "TENANTRY_CORRELATION_ID"
_CORRELATION_CHARACTERS = 36  # a UUID
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_WORDS = {
    "": "prefer",
    **dict.fromkeys(("true", "1", "yes", "on"), "require"),
    **dict.fromkeys(("false", "0", "no", "off"), "disable"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The server, the administrator, and the main database. `connect_timeout` is in seconds.

    `region` is whose database it is, by TENANTRY_BACKENDS; empty for our own, which the environment names.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sslmode: str
    main_database: str
    maintenance_database: str = MAINTENANCE_DATABASE
    connect_timeout: int = 10
    region: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> DatabaseSettings:
        """From DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_SSL, DB_NAME. Raises ConfigurationError naming the wrong."""
        env = os.environ if environ is None else environ
        return cls(
            host=env.get("DB_HOST") or "localhost",
            port=_integer(env, "DB_PORT", 5432, 1, 65_535),
            user=env.get("DB_USER") or "postgres",
            password=env.get("DB_PASSWORD", ""),
            sslmode=_sslmode(env.get("DB_SSL", "")),
            main_database=env.get("DB_NAME") or "tenantry",
            connect_timeout=_integer(env, "TENANTRY_DB_CONNECT_TIMEOUT", 10, 1, 600),
        )

    @property
    def address(self) -> str:
        """`host:port`, for messages."""
        return f"{self.host}:{self.port}"

    def named(self, *variables: str) -> str:
        """What to correct: these variables, DB_HOST and so on, or what stands for them in the file of regions."""
        if not self.region:
            return " and ".join(variables)
        keys = " and ".join(_KEYS[variable] for variable in variables)
        return f"{keys} of the database of region {self.region!r} in TENANTRY_BACKENDS"


_KEYS = {
    "DB_HOST": "host",
    "DB_PORT": "port",
    "DB_USER": "user",
    "DB_PASSWORD": "the secret that passwordFrom names",
    "DB_SSL": "sslmode",
}


def application_name(what: str) -> str:
    """How PostgreSQL names a session of ours: by the run's correlation id, so that the two can be matched, and `what`.

    At most 63 characters of ASCII, as PostgreSQL keeps no more.
    """
    correlation = os.environ.get(CORRELATION_ID, "")
    return f"{correlation[:_CORRELATION_CHARACTERS]} {what}".strip().encode("ascii", "replace").decode()[:63]


def _integer(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = env.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ConfigurationError(f"{name} is {text[:40]!r}: set it to a number from {least} to {most}.")
    return value


def _sslmode(text: str) -> str:
    word = _SSL_WORDS.get(text.strip().lower(), text.strip().lower())
    if word not in SSL_MODES:
        raise ConfigurationError(f"DB_SSL is {text[:40]!r}: set it to true, false, or one of {', '.join(SSL_MODES)}.")
    return word
