"""Why a caller is refused. No message holds a token, a key, or the name of a tenant that the caller may not see.

TenantryError
├── AuthenticationError   401  no token, or one that is forged, expired or meant for somebody else
├── ForbiddenError        403  a caller whose role is not enough
│   └── CrossSiteError    403  a form or a socket that another site's page sent
├── RateLimitedError      429  too many requests; `retry_after` says for how many seconds
└── KeysUnavailableError  503  the identity provider's keys cannot be had

A tenant, job, deployment or webhook on which a caller has no role is a NotFoundError, as one that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from automation.errors import TenantryError


class AuthenticationError(TenantryError):
    """Nobody that we know. `code` is RFC 6750's `error`, or None where no token was given."""

    kind = "unauthenticated"

    def __init__(self, message: str, *, hint: str = "", code: str | None = "invalid_token") -> None:
        super().__init__(message, hint=hint)
        self.code = code

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate (RFC 6750, section 3)."""
        if self.code is None:
            return 'Bearer realm="tenantry"'
        text = self.message.replace("\\", "").replace('"', "'")
        return f'Bearer realm="tenantry", error="{self.code}", error_description="{text}"'


class ForbiddenError(TenantryError):
    """Somebody who may not do this; `details["permission"]` is what was missing."""

    kind = "forbidden"


class CrossSiteError(ForbiddenError):
    """A request that the session's own pages did not make."""

    kind = "cross_site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of a limit: `remaining` of `limit` in a window of `window` seconds that is free again in `reset`."""

    limit: int
    remaining: int
    window: int
    reset: int

    def headers(self) -> dict[str, str]:
        """As answers say it (draft-ietf-httpapi-ratelimit-headers, in the spelling that clients read)."""
        return {
            "RateLimit-Policy": f"{self.limit};w={self.window}",
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimitedError(TenantryError):
    """Too many. Times are in seconds."""

    kind = "rate_limited"

    def __init__(self, message: str, *, limit: int, window: int, retry_after: int) -> None:
        details = {"limit": limit, "window_seconds": window, "retry_after": retry_after}
        super().__init__(message, hint=f"try again in {retry_after} s", details=details)
        self.limit = limit
        self.window = window
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """What the answer says besides: when to come again, and the limit."""
        used_up = Quota(limit=self.limit, remaining=0, window=self.window, reset=self.retry_after)
        return {"Retry-After": str(self.retry_after), **used_up.headers()}


class KeysUnavailableError(TenantryError):
    """The provider's keys cannot be had, so that no token can be checked."""

    kind = "keys_unavailable"
