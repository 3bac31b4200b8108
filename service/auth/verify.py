"""A token becomes claims, or an AuthenticationError that says why, and never what was in it.

Decides which claims must be there and what they may hold. Never looks at a database: members' rows are added elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from automation.tokens import ACCOUNT, TokenSettings
from service.auth.errors import AuthenticationError
from service.auth.keys import Keys
from service.auth.permissions import Role

LONGEST_TOKEN = 8192
_HINT = "sign in again for a new token"


class _Claims(BaseModel):
    """What we read of a token. Other claims, and platform roles of other programs, are not ours to judge."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    sub: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    exp: float
    roles: Annotated[list[str], Field(max_length=200)] = []
    tenants: Annotated[dict[str, str], Field(max_length=10_000)] = {}
    # What other programs put there is not ours to judge: it counts where it is a text, and verified.
    email: Any = None
    email_verified: Any = None
    account: Annotated[str, Field(max_length=200)] | None = Field(None, alias=ACCOUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Who a token says the caller is. `expires_at` in seconds since 1970.

    `email` is the address that the identity provider says to have verified, in lower case; None without one. `account`
    is the mark of the password that the token was given for; None for any other token.
    """

    subject: str
    email: str | None = None
    platform_admin: bool
    creator: bool
    tenants: Mapping[str, Role] = field(default_factory=dict)
    expires_at: float
    account: str | None = None


class Verifier:
    """Checks signature, algorithm, audience, issuer and times."""

    def __init__(self, settings: TokenSettings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys

    async def verify(self, token: str) -> Claims:
        """The claims of `token`. Raises AuthenticationError, or KeysUnavailableError."""
        if len(token) > LONGEST_TOKEN:
            raise AuthenticationError("the token is too long to be one of ours", hint=_HINT)
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, RecursionError):  # a header of thousands of brackets
            raise AuthenticationError("the token is not a JWT", hint=_HINT) from None
        error = AuthenticationError("the token is not signed with a key that we accept", hint=_HINT)
        for candidate in await self._keys.candidates(header):
            try:
                return _claims(self._decode(token, candidate.key, candidate.algorithms))
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ArithmeticError, RecursionError) as reason:  # numbers that no clock has
                error = AuthenticationError(_why(reason), hint=_HINT)
                break
        raise error

    def _decode(self, token: str, key: Any, algorithms: Any) -> dict[str, Any]:
        issuer = self._settings.issuer
        return jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=self._settings.audience,
            issuer=issuer,
            leeway=self._settings.leeway,
            options={
                "require": ["exp", "aud", "sub", *(["iss"] if issuer else [])],
                "strict_aud": False,
                "verify_iss": issuer is not None,
            },
        )


def _claims(content: Mapping[str, Any]) -> Claims:
    try:
        read = _Claims.model_validate({**content, "exp": float(content["exp"])})
    except (ValidationError, TypeError, ValueError, OverflowError) as error:
        names = {str(item["loc"][0]) for item in error.errors()} if isinstance(error, ValidationError) else {"exp"}
        raise AuthenticationError(
            f"the token is not one of ours: wrong {', '.join(sorted(names))}",
            hint='claims: sub, roles (["admin"] or ["creator"]), tenants ({"slug": "owner|admin|member"})',
        ) from None
    words = set(Role)
    return Claims(
        subject=read.sub,
        email=read.email.strip().lower() if isinstance(read.email, str) and read.email_verified is True else None,
        platform_admin="admin" in read.roles,
        creator="creator" in read.roles,
        tenants={slug: Role(role) for slug, role in read.tenants.items() if role in words},
        expires_at=read.exp,
        account=read.account,
    )


def _why(error: Exception) -> str:
    for kind, text in (
        (jwt.ExpiredSignatureError, "the token has expired"),
        (jwt.InvalidAudienceError, "the token is for another audience"),
        (jwt.InvalidIssuerError, "the token is of another issuer"),
        (jwt.ImmatureSignatureError, "the token is not valid yet"),
        (jwt.MissingRequiredClaimError, "the token lacks a claim: exp, aud and sub are required"),
    ):
        if isinstance(error, kind):
            return text
    return "the token is not valid"
