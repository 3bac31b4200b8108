"""`/api/v1/gateway/auth`: what a gateway asks about each request to a tenant, before it lets the request pass.

Decides by the tenant, its policy and the caller's token: 204 lets it pass, 401, 403 and 429 are the caller's answer,
400 and 503 the gateway's. Only a gateway may ask: it says a secret that a region names, or, where no region names one,
it asks from this machine. A tenant's policy comes with the question, from the tenant's route: only roles and counts are
looked up.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request, Response

from automation.jobs.database import looking_up
from providers.backends import parts_of, regions, secret
from providers.errors import ConfigurationError
from service.auth.deps import Auth, bearer, roles_of
from service.auth.errors import AuthenticationError, ForbiddenError
from service.auth.limits import counted_as
from service.auth.permissions import Permission, role_allows
from service.problems import Problem

KIND = "gateway"
MOST = 10_000_000
FORGET_EVERY = 1000
"""After so many counts a process deletes those that count no more."""
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

log = structlog.get_logger("tenantry.gateway")
router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this request pass? `limit` is a number a minute, 0 for none; `address` is the visitor's."""

    tenant: str
    tokens: bool
    limit: int
    address: str


@router.get("/gateway/auth", include_in_schema=False, status_code=204)
async def ask_for_passage(request: Request) -> Response:
    """204 where the request may pass, with who it is; else the answer for whoever made it."""
    _demand_gateway(request)
    asked = _question(request)
    auth: Auth = request.app.state.auth
    if not asked.tokens:
        await _count(request, auth, asked, asked.address)
        return Response(status_code=204)
    token = await bearer(request)
    if token is None:
        raise AuthenticationError("nobody is signed in", hint="send `Authorization: Bearer <token>`", code=None)
    claims = await auth.verifier.verify(token)
    request.state.subject = claims.subject
    async with looking_up(auth.engine, auth.settings) as database:
        role = (await roles_of(database, claims)).get(asked.tenant)
    if not claims.platform_admin and not role_allows(Permission.TENANT_READ, role):
        raise ForbiddenError(
            f"'{claims.subject}' has no role on tenant {asked.tenant!r}", hint="ask an owner of the tenant for one"
        )
    await _count(request, auth, asked, claims.subject)
    headers = {
        # A header is ASCII; a subject need not be.
        "X-Tenantry-Subject": quote(claims.subject, safe=" !#$&'()*+,/:;=?@[]|"),
        "X-Tenantry-Role": role or "platform_admin",
    }
    return Response(status_code=204, headers=headers)


async def _count(request: Request, auth: Auth, asked: Question, who: str) -> None:
    """Raises RateLimitedError. What is left is told by the middleware, in RateLimit headers."""
    if not asked.limit:
        return
    async with looking_up(auth.engine, auth.settings) as database:
        state = request.app.state
        state.gateway_counts = getattr(state, "gateway_counts", 0) + 1
        if state.gateway_counts % FORGET_EVERY == 0:
            await auth.limits.forget(database, KIND)
        request.state.quota = await auth.limits.counted(database, f"{asked.tenant} {who}", KIND, asked.limit)


def _demand_gateway(request: Request) -> None:
    """Raises ForbiddenError, and Problem 503 where it cannot be known whether a gateway asks."""
    try:
        named = _named()
    except ConfigurationError as error:
        log.error("the gateways' settings cannot be used", reason=str(error))  # noqa: TRY400 - its message says it all
        raise Problem(
            503, "The service's settings of gateways cannot be used.", hint="its log has the reason"
        ) from None
    if not named:
        if request.client is None or not _is_loopback(request.client.host):
            hint = "name a secret by gateway.authSecretFrom in TENANTRY_BACKENDS"
            raise ForbiddenError("only a gateway on this machine may ask this", hint=hint)
        return
    known = _usable(request, named)
    if not known:
        raise Problem(503, "No gateway's secret is known to the service.", hint="its log names what is not set")
    given = request.headers.get("x-tenantry-gateway", "").encode()
    if not any(hmac.compare_digest(given, one.encode()) for one in known):
        # Whoever asks does not say for which region: where one gateway has a secret, none is believed without.
        hint = "set the variable of each region's gateway.authSecretFrom, for its Caddy and for the service alike"
        raise ForbiddenError("only a gateway may ask this, by its secret", hint=hint)


def _named() -> dict[str, str]:
    """By region, the variable of its gateway's secret. Raises ConfigurationError where there is no reading the file."""
    found = {region: parts_of(region).gateway for region in regions()}
    return {region: name for region, gateway in found.items() if gateway and (name := gateway.auth_secret_from)}


def _usable(request: Request, named: Mapping[str, str]) -> list[str]:
    """The secrets that are set. The region of one that is not is logged when that begins, and not at each question."""
    known: list[str] = []
    unset: dict[str, str] = {}
    for region, name in named.items():
        try:
            known.append(secret(name))
        except ConfigurationError as error:
            unset[region] = str(error)
    state = request.app.state
    if unset != getattr(state, "gateways_unset", {}):
        state.gateways_unset = unset
        for region, reason in unset.items():
            log.error("a region's gateway cannot be known, and is refused", region=region, reason=reason)
    return known


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _question(request: Request) -> Question:
    """What is asked. Raises Problem 400 for what no route of ours asks."""
    headers = request.headers
    tenant = headers.get("x-tenantry-tenant") or _tenant_of(headers.get("x-forwarded-host", ""))
    if tenant is None or not _TENANT.fullmatch(tenant):
        raise _malformed("X-Tenantry-Tenant names no tenant, nor does X-Forwarded-Host")
    auth = headers.get("x-tenantry-auth", "jwt")
    if auth not in {"jwt", "none"}:
        raise _malformed("X-Tenantry-Auth is neither jwt nor none")
    limit = headers.get("x-tenantry-limit", "none")
    number = int(limit) if re.fullmatch(r"[0-9]{1,8}", limit) else -1
    if limit != "none" and not 1 <= number <= MOST:
        raise _malformed(f"X-Tenantry-Limit is neither none nor a number from 1 to {MOST}")
    peer = request.client.host if request.client else ""
    address = counted_as(headers.get("x-tenantry-client") or peer)
    return Question(tenant=tenant, tokens=auth == "jwt", limit=max(0, number), address=address)


def _malformed(detail: str) -> Problem:
    return Problem(400, detail, hint="routes that Tenantry makes say it: is this one made by hand?")


def _tenant_of(host: str) -> str | None:
    """The tenant whose host under a region's domain this is."""
    name = host.partition(":")[0].lower()
    for region in regions():
        label, dot, domain = name.partition(".")
        gateway = parts_of(region).gateway
        if dot and gateway is not None and domain == gateway.domain.lower():
            return label
    return None
