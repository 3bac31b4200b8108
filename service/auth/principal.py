"""The caller of a request, once its token has been checked: who, from where, and with which roles. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from automation.errors import NotFoundError
from automation.jobs.model import Caller
from service.auth.errors import ForbiddenError
from service.auth.permissions import CREATORS_TOO, ON_TENANT, Permission, Role, role_allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller. `roles` has its role on each tenant: of the token and of the tenants' members, the stronger one.

    `expires_at` is when its token does, in seconds since 1970: a live channel ends then.
    `by_password`: it signed in to an account.
    """

    subject: str
    platform_admin: bool = False
    creator: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    address: str | None = None
    correlation_id: str = ""
    expires_at: float = 0.0
    by_password: bool = False

    @property
    def caller(self) -> Caller:
        """The caller as jobs and the audit trail remember it."""
        return Caller(subject=self.subject, address=self.address, correlation_id=self.correlation_id)

    @property
    def has_role(self) -> bool:
        """Whether it has any role at all."""
        return self.platform_admin or self.creator or bool(self.roles)

    def visible(self, permission: Permission = Permission.TENANT_READ) -> set[str] | None:
        """The tenants on which it has `permission`; None: all. Lists are limited to them."""
        if self.platform_admin:
            return None
        return {tenant for tenant, role in self.roles.items() if role_allows(permission, role)}

    def may(self, permission: Permission, tenant: str | None = None) -> bool:
        """Whether it has `permission`, on `tenant` where the permission is about one."""
        if self.platform_admin:
            return True
        if permission is Permission.SIGNED_IN:
            return self.has_role
        if permission in ON_TENANT:
            return tenant is not None and role_allows(permission, self.roles.get(tenant))
        return self.creator and permission in CREATORS_TOO

    def demand(self, permission: Permission, tenant: str | None = None, *, what: str = "") -> None:
        """Raises ForbiddenError, or NotFoundError where the caller may not even know of the tenant.

        `what` is how the message of a NotFoundError calls the object: `job 3f2...`; else it is the tenant.
        """
        if self.may(permission, tenant):
            return
        if permission in ON_TENANT and tenant not in self.roles:
            raise unseen(what or f"tenant {tenant!r}")
        where = f" on tenant {tenant!r}" if permission in ON_TENANT else ""
        role = self.roles.get(tenant or "") if where else None
        raise ForbiddenError(
            f"'{self.subject}' ({role or 'without such a role'}) may not do this: it needs {permission}{where}",
            hint=_who_may(permission),
            details={"permission": permission.value, **({"tenant": tenant} if where else {})},
        )


def unseen(what: str) -> NotFoundError:
    """The answer for `what` that is not there, and for one of a tenant on which the caller has no role: the same."""
    return NotFoundError(
        f"there is no {what} that you may see", hint="check its name, or ask an owner of the tenant for a role"
    )


def _who_may(permission: Permission) -> str:
    if permission in ON_TENANT:
        words = " or ".join(role for role in Role if role_allows(permission, role))
        return f"ask somebody who is {words} of the tenant, or an admin of the platform"
    if permission in CREATORS_TOO:
        return "ask for the platform role creator or admin"
    if permission is Permission.SIGNED_IN:
        return "ask an owner of a tenant for a role on it"
    return "ask an admin of the platform"
