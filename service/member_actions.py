"""Roles on a tenant: who has one, giving and taking them. For the API and for the web page alike.

Decides that a tenant never loses its last owner to a mistake. What a role may do is `auth.permissions`'.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.errors import NotFoundError
from automation.jobs import audit
from automation.jobs.database import transaction
from automation.jobs.model import ConflictError
from automation.models import tenants
from automation.models_jobs import tenant_members
from service.auth.permissions import Permission, Role
from service.auth.principal import Principal
from service.state import State

_SHOWN = (
    tenant_members.c.subject,
    tenant_members.c.role,
    tenant_members.c.added_by,
    tenant_members.c.created_at,
)


async def members(state: State, who: Principal, slug: str) -> list[dict[str, Any]]:
    """The tenant's members, by subject. Raises NotFoundError."""
    who.demand(Permission.MEMBERS_READ, slug)
    statement = select(*_SHOWN).where(tenant_members.c.tenant == slug).order_by(tenant_members.c.subject)
    async with transaction(state.engine, state.settings) as connection:
        await _locked(connection, slug, lock=False)
        return [_shown(row) for row in (await connection.execute(statement)).mappings()]


async def set_member(state: State, who: Principal, slug: str, subject: str, role: str) -> dict[str, Any]:
    """Gives `subject` a role. Raises ConflictError where that would leave the tenant without an owner."""
    who.demand(Permission.MEMBERS_WRITE, slug)
    wanted = Role(role)
    async with transaction(state.engine, state.settings) as connection:
        await _locked(connection, slug)
        before = await _role(connection, slug, subject)
        if before == Role.OWNER and wanted is not Role.OWNER:
            await _refuse_last_owner(connection, slug, subject)
        values = {"tenant": slug, "subject": subject, "role": wanted.value, "added_by": who.subject}
        statement = (
            upsert(tenant_members)
            .values(**values)
            .on_conflict_do_update(index_elements=["tenant", "subject"], set_={"role": wanted.value})
            .returning(*_SHOWN)
        )
        row = (await connection.execute(statement)).mappings().one()
        if before != wanted:
            await _record(connection, who, slug, "member.set", subject, before, wanted.value)
        return _shown(row)


async def remove_member(state: State, who: Principal, slug: str, subject: str) -> None:
    """Takes the role of `subject` away. Raises NotFoundError, and ConflictError for the last owner."""
    who.demand(Permission.MEMBERS_WRITE, slug)
    one = (tenant_members.c.tenant == slug) & (tenant_members.c.subject == subject)
    async with transaction(state.engine, state.settings) as connection:
        await _locked(connection, slug)
        before = await _role(connection, slug, subject)
        if before is None:
            raise NotFoundError(f"'{subject}' is no member of tenant '{slug}'", hint="its list of members shows them")
        if before == Role.OWNER:
            await _refuse_last_owner(connection, slug, subject)
        await connection.execute(delete(tenant_members).where(one))
        await _record(connection, who, slug, "member.remove", subject, before, None)


async def _locked(connection: AsyncConnection, slug: str, *, lock: bool = True) -> None:
    """The tenant is there; with `lock`, changes of its members come one after another."""
    statement = select(tenants.c.slug).where(tenants.c.slug == slug)
    if lock:
        statement = statement.with_for_update(key_share=True)
    if (await connection.execute(statement)).one_or_none() is None:
        raise NotFoundError(f"there is no tenant '{slug}'", hint="the list of tenants shows those there are")


async def _role(connection: AsyncConnection, slug: str, subject: str) -> str | None:
    one = (tenant_members.c.tenant == slug) & (tenant_members.c.subject == subject)
    role: str | None = (await connection.execute(select(tenant_members.c.role).where(one))).scalar_one_or_none()
    return role


async def _refuse_last_owner(connection: AsyncConnection, slug: str, subject: str) -> None:
    others = (
        (tenant_members.c.tenant == slug)
        & (tenant_members.c.subject != subject)
        & (tenant_members.c.role == Role.OWNER.value)
    )
    if not (await connection.execute(select(func.count()).where(others))).scalar_one():
        raise ConflictError(
            f"'{subject}' is the last owner of tenant '{slug}'", hint="make somebody else an owner first"
        )


async def _record(
    connection: AsyncConnection,
    who: Principal,
    slug: str,
    action: str,
    subject: str,
    before: str | None,
    after: str | None,
) -> None:
    await audit.record(
        connection,
        caller=who.caller,
        action=action,
        tenant=slug,
        object=f"member {subject}",
        before={"role": before} if before else None,
        after={"role": after} if after else None,
    )


def _shown(row: Any) -> dict[str, Any]:
    return {**row, "created_at": row["created_at"].isoformat()}
