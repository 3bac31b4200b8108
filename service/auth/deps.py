"""What a route writes to know its caller: `principal`, and `require(permission)` where a permission is needed.

    @router.get("/tenants/{slug}", dependencies=[Depends(require(Permission.TENANT_READ))])
    async def get_tenant(slug: str, caller: Annotated[Principal, Depends(principal)]) -> ...

or at once `caller: Annotated[Principal, Depends(require(Permission.TENANT_READ))]`. The tenant is found by the path's
parameters: slug or tenant, else job, deployment, webhook (with or without `_id` or `Id`), by their rows. A route whose
tenant is in its body asks for `caller.demand(Permission.TENANT_UP, slug)` itself. `app.state.auth` is an `Auth`.

Decides which token of a request counts. It never decides what a role may do: `permissions` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from sqlalchemy import Column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import HTTPConnection

from automation.jobs.database import looking_up
from automation.models import deployments, tenants
from automation.models_jobs import JobOperation, jobs, tenant_members, webhooks
from automation.settings import Settings
from automation.tokens import TokenSettings
from service.auth.accounts import demand_current
from service.auth.errors import AuthenticationError
from service.auth.keys import keys_for
from service.auth.limits import Limits
from service.auth.permissions import ON_TENANT, Permission, Role, strongest
from service.auth.principal import Principal, unseen
from service.auth.session import demand_own_request, session_token
from service.auth.settings import AuthSettings
from service.auth.verify import Claims, Verifier

__all__ = ["Auth", "Permission", "Principal", "Role", "authenticate", "demand_or_create", "principal", "require"]

OWN_PREVIEW = frozenset({Permission.TENANT_READ, Permission.JOB_CANCEL})
"""What whoever asked for a preview may do with it, though there is no such tenant yet."""


class Auth:
    """What checking callers needs, one per process: `app.state.auth`."""

    def __init__(self, engine: AsyncEngine, settings: Settings, auth: AuthSettings, tokens: TokenSettings) -> None:
        self.engine = engine
        self.settings = settings
        self._keys = keys_for(tokens)
        self.verifier = Verifier(tokens, self._keys)
        self.limits = Limits(
            engine,
            settings,
            requests_per_minute=auth.requests_per_minute,
            provisionings_per_hour=auth.provisionings_per_hour,
        )

    async def close(self) -> None:
        """Lets go of connections to an identity provider."""
        await self._keys.close()


class _Bearer(SecurityBase):
    """`Authorization: Bearer <JWT>`, for OpenAPI and for sockets, which FastAPI's own class does not serve."""

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT", description="A token; `tenantry token` makes one.")
        self.scheme_name = "bearer"

    async def __call__(self, connection: HTTPConnection) -> str | None:
        given = connection.headers.get("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthenticationError(
                "the header Authorization holds no bearer token",
                hint="send `Authorization: Bearer <token>`",
                code="invalid_request",
            )
        return token.strip()


bearer = _Bearer()


async def principal(connection: HTTPConnection, token: Annotated[str | None, Depends(bearer)]) -> Principal:
    """The request's caller, with a role or without. Raises AuthenticationError, CrossSiteError or RateLimitedError."""
    if token is None:
        token = session_token(connection)
        if token is None:
            raise AuthenticationError(
                "nobody is signed in",
                hint="send `Authorization: Bearer <token>`; `tenantry token` makes one",
                code=None,
            )
        await demand_own_request(connection)
    return await authenticate(connection, token)


async def authenticate(connection: HTTPConnection, token: str) -> Principal:
    """The caller whose token this is. For the sign-in form; routes use `principal`."""
    auth: Auth = connection.app.state.auth
    claims = await auth.verifier.verify(token)
    structlog.contextvars.bind_contextvars(subject=claims.subject)
    connection.state.subject = claims.subject
    roles = claims.tenants
    if auth.limits.counts_requests or not claims.platform_admin or claims.account is not None:
        # Two statements that stand for themselves: what they would share is not worth BEGIN and COMMIT.
        async with looking_up(auth.engine, auth.settings) as database:
            connection.state.quota = await auth.limits.request(database, claims.subject)
            roles = await roles_of(database, claims)
    return Principal(
        subject=claims.subject,
        platform_admin=claims.platform_admin,
        creator=claims.creator,
        roles=roles,
        address=connection.client.host if connection.client else None,
        correlation_id=getattr(connection.state, "correlation_id", "") or uuid.uuid4().hex,
        expires_at=claims.expires_at,
        by_password=claims.account is not None,
    )


async def roles_of(database: AsyncConnection, claims: Claims) -> Mapping[str, Role]:
    """The caller's role on each tenant: of its token and of the tenants' members, the stronger one.

    A member is who has the member's subject, or the address that the member is called by, verified by its provider.
    Raises AuthenticationError for a session that has ended since: here, as whoever lets callers pass asks this.
    """
    if claims.account is not None:
        await demand_current(database, claims.subject, claims.account)
    if claims.platform_admin:
        return claims.tenants
    mine = [name for name in (claims.subject, claims.email) if name]
    rows = await database.execute(
        select(tenant_members.c.tenant, tenant_members.c.role).where(tenant_members.c.subject.in_(mine))
    )
    merged = dict(claims.tenants)
    for tenant, role in rows:
        if (best := strongest(merged.get(tenant), Role(role))) is not None:
            merged[tenant] = best
    return merged


def require(permission: Permission, *, create: bool = False) -> Callable[..., Awaitable[Principal]]:
    """A dependency that lets only callers with `permission` pass, and gives them to the route.

    With `create`, a tenant that does not exist needs the permission to create one instead. Raises ForbiddenError, or
    NotFoundError for an object of a tenant on which the caller has no role, as for one that is not there.
    """

    async def allowed(connection: HTTPConnection, caller: Annotated[Principal, Depends(principal)]) -> Principal:
        # A token without a role has no business here, whatever the route is about.
        caller.demand(Permission.SIGNED_IN)
        if permission not in ON_TENANT:
            caller.demand(permission)
            return caller
        name, value = _subject_of(connection.path_params)
        if name == "tenant":
            await demand_or_create(connection, caller, permission, value, create=create)
        else:
            await _demand_by_row(connection.app.state.auth, caller, permission, name, value)
        return caller

    allowed.permission = permission  # type: ignore[attr-defined] # read by the test that knows every route
    return allowed


async def demand_or_create(
    connection: HTTPConnection, caller: Principal, permission: Permission, slug: str, *, create: bool = True
) -> None:
    """Raises unless the caller has `permission` on the tenant, or, where there is none, may create one."""
    if create and not caller.platform_admin and slug not in caller.roles and caller.may(Permission.TENANT_CREATE):
        auth: Auth = connection.app.state.auth
        async with looking_up(auth.engine, auth.settings) as database:
            if (await database.execute(select(tenants.c.slug).where(tenants.c.slug == slug))).first() is None:
                return
    caller.demand(permission, slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Object:
    """The tenant of a job, deployment or webhook, and who asked for it."""

    tenant: str | None
    previewed_by: str | None = None


_TABLES: Mapping[str, tuple[Column[Any], ...]] = {
    "job": (jobs.c.id, jobs.c.tenant, jobs.c.operation, jobs.c.actor),
    "deployment": (deployments.c.id, deployments.c.tenant),
    "webhook": (webhooks.c.id, webhooks.c.tenant),
}
_NAMES: Mapping[str, str] = {
    "slug": "tenant",
    **{name + end: name for name in ("tenant", *_TABLES) for end in ("", "_id", "Id")},
}


def _subject_of(parameters: Mapping[str, Any]) -> tuple[str, str]:
    found = {_NAMES[name]: str(value) for name, value in parameters.items() if name in _NAMES}
    for name in ("tenant", *_TABLES):
        if name in found:
            return name, found[name]
    # A route that forgot to say whom it is about must not let anybody pass.
    raise LookupError(f"no tenant, job, deployment or webhook among the path's parameters: {sorted(parameters)}")


async def _demand_by_row(auth: Auth, caller: Principal, permission: Permission, name: str, value: str) -> None:
    what = f"{name} {value[:60]!r}"
    found = await _find(auth, name, value)
    if found is None:
        raise unseen(what)
    if found.previewed_by == caller.subject and permission in OWN_PREVIEW:
        return
    caller.demand(permission, found.tenant, what=what)


async def _find(auth: Auth, name: str, value: str) -> _Object | None:
    try:
        key = uuid.UUID(value)
    except ValueError:
        return None
    columns = _TABLES[name]
    async with looking_up(auth.engine, auth.settings) as database:
        row = (await database.execute(select(*columns[1:]).where(columns[0] == key))).first()
    if row is None:
        return None
    preview = len(row) > 1 and row[1] == JobOperation.PREVIEW
    return _Object(tenant=row[0], previewed_by=row[2] if preview else None)
