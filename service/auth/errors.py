"""Why a caller is refused. No message holds a token, a key, or the name of a tenant that the caller may not see.

TenantryError
├── AuthenticationError   401  no token, or one that is forged, expired or meant for somebody else
├── ForbiddenError        403  a caller whose role is not enough
│   └── CrossSiteError    403  a form or a socket that another site's page sent
└── RateLimitedError      429  too many requests; `retry_after` says for how many seconds

A tenant, job, deployment or webhook on which a caller has no role is a NotFoundError, as one that does not exist.
"""

from __future__ import annotations

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


class RateLimitedError(TenantryError):
    """Too many. Times are in seconds."""

    kind = "rate_limited"

    def __init__(self, message: str, *, limit: int, window: int, retry_after: int) -> None:
        details = {"limit": limit, "window_seconds": window, "retry_after": retry_after}
        super().__init__(message, hint=f"try again in {retry_after} s", details=details)
        self.limit = limit
        self.window = window
        self.retry_after = retry_after
