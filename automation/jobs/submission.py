"""Accepting a job: its tenant, the manifest's version, the job's row, all in the caller's transaction.

Decides what is refused at the door and what a tenant is called before anything of it has begun. What goes with it
(event, audit, webhooks) is `effects`'; transactions and the answer to a conflict are `store`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from automation.errors import NotFoundError
from automation.jobs.model import BusyError, ConflictError, Job, NewJob
from automation.jobs.rows import ACTIVE_SQL, JOB_COLUMNS, job_of, storable
from automation.models import TenantStatus, tenants
from automation.models_jobs import JobOperation, jobs, manifests, tenant_members

TENANT_WAS = "tenant_was"
"""The option that remembers the tenant's status when the job was accepted; None where there was no tenant."""


class TakenError(Exception):
    """An active job of the tenant, or a job with the same key, was there first. Never leaves `store`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A job that was written, and its tenant before and after, for the audit row."""

    job: Job
    before: dict[str, Any] | None
    after: dict[str, Any]


async def already_there(connection: AsyncConnection, new: NewJob) -> Job | None:
    """The job that the same request made before; None when nothing stands against a new one.

    Raises ConflictError when the key came with another request, BusyError when the tenant has an active job.
    """
    ways: list[ColumnElement[bool]] = []
    caller = storable(new.caller.subject)
    if new.idempotency_key is not None:
        ways.append(and_(jobs.c.actor == caller, jobs.c.idempotency_key == storable(new.idempotency_key)))
    if new.operation is not JobOperation.PREVIEW:
        ways.append(and_(jobs.c.tenant == new.tenant, text(ACTIVE_SQL)))
    if not ways:
        return None
    # One look for both: the partial index of each serves its side.
    statement = select(*JOB_COLUMNS, jobs.c.idempotency_key, jobs.c.request_hash).where(or_(*ways))
    found = (await connection.execute(statement)).mappings().all()
    for row in found:
        key = storable(new.idempotency_key)
        if key is not None and (row["actor"], row["idempotency_key"]) == (caller, key):
            return _same_request(row, new)
    if found:
        raise _busy(job_of(found[0]))
    return None


def _same_request(row: RowMapping, new: NewJob) -> Job:
    if row["request_hash"] != new.request_hash:
        raise ConflictError(
            f"the idempotency key '{new.idempotency_key}' was used before, for another request",
            hint="send a new key with a new request; the same key repeats the same request only",
            details={"job": str(row["id"])},
        )
    return job_of(row)


def _busy(job: Job) -> BusyError:
    since = (job.started_at or job.created_at).isoformat()
    return BusyError(
        f"tenant '{job.tenant}' has a {job.status.value} {job.operation.value} already: job {job.id}, "
        f"asked for by {job.actor}, since {since}",
        hint="wait for it to end, or cancel it, then retry",
        details={"job": str(job.id), "operation": job.operation.value, "actor": job.actor, "since": since},
    )


async def accept(connection: AsyncConnection, new: NewJob) -> Accepted:
    """Writes the job. Raises TakenError, upon which all is to be undone."""
    if new.operation is JobOperation.PREVIEW:
        return await _preview(connection, new)
    before = await _locked(connection, new.tenant) or await _made(connection, new)
    if before is None:
        version, line, status = 1, new.line, TenantStatus.PENDING.value
    else:
        _refuse(new, before)
        version = await _changed(connection, new, before)
        anew = _begins_anew(new, before)
        line = new.line if anew and new.manifest is not None else before["line"]
        status = TenantStatus.PENDING.value if anew else before["status"]
    after: dict[str, Any] = {"status": status, "manifest_version": version, "options": dict(new.options)}
    if new.manifest is not None and (before is None or version != before["manifest_version"]):
        row = {"manifest": storable(new.manifest), "actor": storable(new.caller.subject)}
        await connection.execute(insert(manifests).values(tenant=new.tenant, version=version, **row))
        after["manifest"] = new.manifest
    options = dict(new.options) | {TENANT_WAS: before["status"] if before is not None else None}
    job = await _inserted(connection, new, line=line, version=version or None, options=options)
    return Accepted(job=job, before=_described(before), after=after)


async def _preview(connection: AsyncConnection, new: NewJob) -> Accepted:
    """A preview makes no tenant and no version: what it looks at travels with the job."""
    options = dict(new.options)
    if new.manifest is not None:
        options["manifest"] = dict(new.manifest)
    row = await _tenant(connection, new.tenant)
    if row is None and "manifest" not in options:
        raise unknown(new.tenant)
    version = None if "manifest" in options or row is None else row["manifest_version"] or None
    line = new.line if row is None or "manifest" in options else row["line"]
    job = await _inserted(connection, new, line=line, version=version, options=options)
    return Accepted(job=job, before=None, after={"manifest_version": version})


def unknown(tenant: str) -> NotFoundError:
    """The error for a tenant that is not there."""
    return NotFoundError(f"there is no tenant '{tenant}'", hint="the list of tenants shows those there are")


async def _locked(connection: AsyncConnection, slug: str) -> RowMapping | None:
    """The tenant, its newest manifest with it. Held until the transaction ends: acceptances come one after another."""
    # Not FOR UPDATE: a deployment's foreign key to the tenant must not wait for us.
    statement = select(tenants).where(tenants.c.slug == slug).with_for_update(key_share=True)
    return (await connection.execute(statement)).mappings().one_or_none()


async def _tenant(connection: AsyncConnection, slug: str) -> RowMapping | None:
    return (await connection.execute(select(tenants).where(tenants.c.slug == slug))).mappings().one_or_none()


async def _made(connection: AsyncConnection, new: NewJob) -> RowMapping | None:
    """Makes the tenant; its creator owns it, and whom that names. None: it is made; a row: another was quicker."""
    if new.manifest is None:
        raise unknown(new.tenant)
    statement = (
        upsert(tenants)
        .values(
            slug=new.tenant,
            line=new.line,
            name=storable(new.name or new.tenant),
            status=TenantStatus.PENDING,
            manifest_version=1,
        )
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(tenants.c.slug)
    )
    if (await connection.execute(statement)).one_or_none() is None:
        return await _locked(connection, new.tenant)
    await _own(connection, new)
    return None


async def _own(connection: AsyncConnection, new: NewJob) -> None:
    caller = storable(new.caller.subject)
    shared = {"tenant": new.tenant, "role": "owner", "added_by": caller}
    rows = [{**shared, "subject": subject} for subject in dict.fromkeys((caller, *map(storable, new.owners)))]
    await connection.execute(upsert(tenant_members).values(rows).on_conflict_do_nothing())


def _begins_anew(new: NewJob, before: RowMapping) -> bool:
    return new.operation is JobOperation.UP and before["status"] == TenantStatus.REMOVED


def _refuse(new: NewJob, before: RowMapping) -> None:
    slug = new.tenant
    removed = before["status"] == TenantStatus.REMOVED
    if new.manifest is not None and before["line"] != new.line and not removed:
        raise ConflictError(
            f"tenant '{slug}' is of the line '{before['line']}', its manifest's kind is '{new.line}'",
            hint="a tenant keeps its line: choose another slug, or destroy the tenant first",
        )
    alive = (
        before["status"] in {TenantStatus.ACTIVE, TenantStatus.PARTIAL, TenantStatus.PROVISIONING}
        or before["last_good_manifest"]
    )
    if new.options.get("new") and alive:
        raise ConflictError(
            f"the slug '{slug}' is taken: there is a tenant of that name already",
            hint="choose another slug in the manifest, or change the tenant that is there",
        )
    nothing = new.manifest is None and not before["manifest_version"] and before["last_good_manifest"] is None
    if new.operation is JobOperation.UP and nothing:
        raise ConflictError(f"tenant '{slug}' has no manifest on record", hint="send the manifest to bring it to")


async def _changed(connection: AsyncConnection, new: NewJob, before: RowMapping) -> int:
    """Gives the tenant's row the version and status that the job asks for; returns the version."""
    version = int(before["manifest_version"])
    values: dict[str, Any] = {}
    if new.manifest is not None and not await _same(connection, new, version):
        version += 1
        values["manifest_version"] = version
    if _begins_anew(new, before):
        values |= {"status": TenantStatus.PENDING}
        if new.manifest is not None:
            values |= {"line": new.line, "name": storable(new.name or before["name"])}
        if new.options.get("new"):
            await _hand_over(connection, new)
    if values:
        await connection.execute(
            update(tenants).where(tenants.c.slug == new.tenant).values(updated_at=func.now(), **values)
        )
    return version


async def _same(connection: AsyncConnection, new: NewJob, version: int) -> bool:
    statement = select(manifests.c.manifest).where(manifests.c.tenant == new.tenant, manifests.c.version == version)
    newest = (await connection.execute(statement)).scalar_one_or_none()
    return newest is not None and newest == storable(new.manifest)


async def _hand_over(connection: AsyncConnection, new: NewJob) -> None:
    """A removed tenant's name, taken by somebody who had no say in it: the members of then have none in this one."""
    caller = storable(new.caller.subject)
    members = tenant_members.c.tenant == new.tenant
    managed = tenant_members.c.role.in_(("owner", "admin"))
    known = select(exists().where(members, tenant_members.c.subject == caller, managed))
    if (await connection.execute(known)).scalar_one():
        return
    await connection.execute(delete(tenant_members).where(members))
    await _own(connection, new)


async def _inserted(
    connection: AsyncConnection, new: NewJob, *, line: str, version: int | None, options: dict[str, Any]
) -> Job:
    statement = (
        upsert(jobs)
        .values(
            id=new.id,
            tenant=new.tenant,
            line=line,
            operation=new.operation,
            manifest_version=version,
            options=storable(options),
            actor=storable(new.caller.subject),
            address=new.caller.address,
            correlation_id=storable(new.caller.correlation_id),
            idempotency_key=storable(new.idempotency_key),
            request_hash=new.request_hash,
            retry_of=new.retry_of,
        )
        # Waits for whoever is about to write the same; then one of the two has it.
        .on_conflict_do_nothing()
        .returning(*JOB_COLUMNS)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise TakenError
    return job_of(row)


def _described(tenant: RowMapping | None) -> dict[str, Any] | None:
    if tenant is None:
        return None
    return {"status": tenant["status"], "manifest_version": tenant["manifest_version"]}
