"""Who may do what, as one table. Pure: no request, no database, no clock.

Decides by role alone. Which tenant a request is about, and which role the caller has there, is found out elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """A caller's role on one tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Permission(StrEnum):
    """What a route asks for. The first part of a name says about what; `ON_TENANT` has those that are about one tenant.

    SIGNED_IN: a caller with any role at all, on any tenant or on the platform. Lists use it, and show what the caller
    may see. A token without a role has no permission.
    """

    SIGNED_IN = "signed_in"

    TENANT_READ = "tenant.read"  # the tenant, its manifests, deployments, jobs, logs and live events
    TENANT_PREVIEW = "tenant.preview"
    TENANT_UP = "tenant.up"  # also a new manifest, and retry and skip of a step
    TENANT_REFRESH = "tenant.refresh"
    TENANT_ROLLBACK = "tenant.rollback"
    TENANT_DESTROY = "tenant.destroy"
    JOB_RETRY = "job.retry"
    JOB_CANCEL = "job.cancel"
    MEMBERS_READ = "members.read"
    MEMBERS_WRITE = "members.write"
    AUDIT_READ = "audit.read"
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_WRITE = "webhooks.write"

    TENANT_CREATE = "tenant.create"
    TEMPLATES_WRITE = "templates.write"
    PLATFORM_READ = "platform.read"  # workers, queue, audit rows of no tenant
    ACCOUNTS_WRITE = "accounts.write"  # other people's passwords
    PLATFORM_WEBHOOKS = "platform.webhooks"  # webhooks for the events of all tenants


_OWNER, _ADMIN, _MEMBER = Role.OWNER, Role.ADMIN, Role.MEMBER

# A rollback of a first deployment removes the tenant, so whoever may roll back may as well destroy.
ON_TENANT: Mapping[Permission, frozenset[Role]] = {
    Permission.TENANT_READ: frozenset({_OWNER, _ADMIN, _MEMBER}),
    Permission.TENANT_PREVIEW: frozenset({_OWNER, _ADMIN}),
    Permission.TENANT_UP: frozenset({_OWNER, _ADMIN}),
    Permission.TENANT_REFRESH: frozenset({_OWNER, _ADMIN}),
    Permission.TENANT_ROLLBACK: frozenset({_OWNER, _ADMIN}),
    Permission.TENANT_DESTROY: frozenset({_OWNER, _ADMIN}),
    Permission.JOB_RETRY: frozenset({_OWNER, _ADMIN}),
    Permission.JOB_CANCEL: frozenset({_OWNER, _ADMIN}),
    Permission.MEMBERS_READ: frozenset({_OWNER, _ADMIN, _MEMBER}),
    Permission.MEMBERS_WRITE: frozenset({_OWNER}),
    Permission.AUDIT_READ: frozenset({_OWNER, _ADMIN}),
    Permission.WEBHOOKS_READ: frozenset({_OWNER, _ADMIN}),
    Permission.WEBHOOKS_WRITE: frozenset({_OWNER, _ADMIN}),
}

CREATORS_TOO = frozenset({Permission.TENANT_CREATE})
"""What the platform role `creator` may do, beside what it may on its tenants. A platform admin may do everything."""


def role_allows(permission: Permission, role: Role | None) -> bool:
    """Whether this role on a tenant is enough for `permission` on that tenant."""
    return role is not None and role in ON_TENANT.get(permission, frozenset())


def strongest(*roles: Role | None) -> Role | None:
    """The strongest of the roles that a caller has on a tenant: of the token's and of the tenant's list of members."""
    return next((role for role in Role if role in roles), None)
