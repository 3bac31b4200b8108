"""Tokens (JWT): what a valid one says, where the key comes from, and making one for trying out.

Decides the claims. Checking them against a request is the service's. Never prints or stores a token or a key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jwt
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from automation.errors import InputError
from automation.models_jobs import ROLES
from automation.settings import wrong_settings

ALGORITHM = "HS256"
SHORTEST_KEY = 32
"""Bytes of an HS256 key: as long as its hash (RFC 7518, section 3.2)."""
ACCOUNT = "tenantry_account"
"""The claim of a token that was given for a password."""
PLATFORM_ROLES = ("admin", "creator")
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class TokenSettings(BaseSettings):
    """Where tokens come from, and what they must say. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    secret: str | None = Field(None, validation_alias="TENANTRY_JWT_SECRET", repr=False)
    secret_file: Path | None = Field(None, validation_alias="TENANTRY_JWT_SECRET_FILE")
    jwks_url: str | None = Field(None, validation_alias="TENANTRY_JWT_JWKS_URL")
    jwks_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(300, validation_alias="TENANTRY_JWT_JWKS_SECONDS")
    audience: Annotated[str, Field(min_length=1)] = Field("tenantry", validation_alias="TENANTRY_JWT_AUDIENCE")
    issuer: str | None = Field(None, validation_alias="TENANTRY_JWT_ISSUER")
    leeway: Annotated[float, Field(ge=0, le=300)] = Field(10, validation_alias="TENANTRY_JWT_LEEWAY")

    @model_validator(mode="after")
    def _one_source(self) -> TokenSettings:
        given = [name for name, value in self.sources().items() if value]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(
                f"set exactly one of {', '.join(self.sources())}, which say how tokens are checked; {found} is set"
            )
        if self.secret is not None:
            check_key(self.secret, "TENANTRY_JWT_SECRET")
        if self.jwks_url is not None and not re.match(
            r"https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", self.jwks_url
        ):
            raise ValueError("TENANTRY_JWT_JWKS_URL must be an https URL; http is for this machine only")
        return self

    def sources(self) -> Mapping[str, object]:
        """The variables that say where keys are, of which exactly one is set."""
        return {
            "TENANTRY_JWT_SECRET": self.secret,
            "TENANTRY_JWT_SECRET_FILE": self.secret_file,
            "TENANTRY_JWT_JWKS_URL": self.jwks_url,
        }

    def keys(self) -> tuple[str, ...]:
        """The HS256 keys; the first one signs, each of them is accepted. Raises InputError naming the variable."""
        if self.secret is not None:
            return (self.secret,)
        if self.secret_file is not None:
            return read_keys(self.secret_file)
        raise InputError(
            "tokens are signed elsewhere: TENANTRY_JWT_JWKS_URL is set, which has only the public keys",
            hint="get a token from the provider of that URL, or set TENANTRY_JWT_SECRET instead",
        )


def check_key(key: str, name: str) -> None:
    """Raises ValueError where `key` is too short to be one; `name` is where it was given."""
    if len(key.encode()) < SHORTEST_KEY:
        raise ValueError(f"{name} must have at least {SHORTEST_KEY} bytes; `openssl rand -hex 32` makes one")


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file, one a line. To change keys: put the new one first, and remove the old when its tokens end."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        keys = tuple(line for line in lines if line and not line.startswith("#"))
        for number, key in enumerate(keys, 1):
            check_key(key, f"key {number} in {path}")
        if not keys:
            raise ValueError(f"{path} has no key")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"the file of TENANTRY_JWT_SECRET_FILE, {path}, cannot be used: {reason}",
            hint="write one key of at least 32 bytes a line, readable by the service only",
        ) from None
    return keys


def load_token_settings() -> TokenSettings:
    """Settings from the environment. Raises InputError naming each wrong variable, and never a value."""
    try:
        return TokenSettings()
    except ValidationError as error:
        raise wrong_settings(error, values_shown=False) from None


def mint(
    settings: TokenSettings,
    *,
    subject: str,
    roles: Sequence[str] = (),
    tenants: Mapping[str, str] | None = None,
    seconds: float = 3600,
    account: str | None = None,
) -> str:
    """A signed token of `subject` with these platform roles and roles on tenants, good for `seconds`.

    `account` ties it to the password that it was given for: it ends with that (`service.auth.passwords.mark`).
    Raises InputError naming a wrong claim, or saying that tokens are signed elsewhere.
    """
    problems = [
        *_problems("subject", subject, [] if _SUBJECT.fullmatch(subject) else ["1 to 200 printable characters"]),
        *(_one_of("role", role, PLATFORM_ROLES) for role in roles if role not in PLATFORM_ROLES),
        *(_one_of(f"tenant {slug}", role, ROLES) for slug, role in (tenants or {}).items() if role not in ROLES),
        *_problems(
            "hours", f"{seconds / 3600:g}", [] if 0 < seconds <= 366 * 86_400 else ["more than 0, and at most a year"]
        ),
    ]
    if problems:
        text = "; ".join(f"{field} is {given!r}: {valid}" for field, given, valid in problems)
        raise InputError(f"no token: {text}", hint="correct it and retry", problems=problems)
    now = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "aud": settings.audience, "iat": now, "exp": now + int(seconds)}
    if settings.issuer:
        claims["iss"] = settings.issuer
    if roles:
        claims["roles"] = sorted(set(roles))
    if tenants:
        claims["tenants"] = dict(tenants)
    if account:
        claims[ACCOUNT] = account
    return jwt.encode(claims, settings.keys()[0], algorithm=ALGORITHM)


def _problems(field: str, given: str, wrong: Sequence[str]) -> list[tuple[str, str, str]]:
    return [(field, given[:60], f"must have {text}" if field == "subject" else f"must be {text}") for text in wrong]


def _one_of(field: str, given: str, words: Sequence[str]) -> tuple[str, str, str]:
    return field, given[:60], f"must be one of {', '.join(words)}"
