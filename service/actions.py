"""What callers can do to tenants and their jobs, one function each, for the API and for the web page alike.

Decides whether the caller may, and whether what was sent makes sense now. It never runs an operation: each action is a
job that is accepted, and a worker runs it. Errors: TenantryErrors, and the manifest's own InputErrors.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from automation import manifests
from automation.backup_plans import plan_of
from automation.errors import InputError, NotFoundError
from automation.jobs import reading_backups, waiting
from automation.jobs.database import looking_up
from automation.jobs.model import ConflictError, Job, NewJob
from automation.models import TenantStatus
from automation.models_jobs import JobOperation
from providers.site.manifest import made_at
from service import lookups
from service.auth.permissions import Permission
from service.auth.principal import Principal
from service.lookups import TenantRow
from service.state import State
from stacks.lines import LINES, Line, Manifest, line_of
from stacks.skips import with_skip

_REPEATED = frozenset({"steps", "enable_rollback", "deployment", "force", "backup", "first"})
"""The options of a job that are its caller's, and so of the job that repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An accepted job. `created` is False where the idempotency key came again: it is the job of then."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What the routes of a line add to a job: its `options`, who else is to own the tenant that it makes.

    `asked` is what makes two requests the same, where that is not the manifest.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    asked: tuple[Any, ...] | None = None


_NO_EXTRA = Extra()


async def create_tenant(
    state: State,
    who: Principal,
    manifest: object,
    *,
    enable_rollback: bool | None = None,
    key: str | None = None,
    extra: Extra = _NO_EXTRA,
) -> Submitted:
    """Creates a tenant from a manifest. A slug in use is a ConflictError, a wrong manifest a ManifestError.

    For creators, and for whoever is owner or admin of that very slug by a token: other programs name tenants, too.
    """
    if not any(who.may(Permission.TENANT_UP, slug) for slug in who.roles):
        who.demand(Permission.TENANT_CREATE)
    line, parsed = checked(state, manifest)
    if not who.may(Permission.TENANT_UP, parsed.slug):
        who.demand(Permission.TENANT_CREATE)
    row = await lookups.tenant_or_none(state, parsed.slug)
    _refuse_others(who, row, parsed.slug)
    options = {"new": True, **_rollback_option(enable_rollback), **extra.options}
    asked = extra.asked or ("create", manifest, enable_rollback)
    new = _with_manifest(who, line, parsed, options, key=key, asked=asked)
    return await _provision(state, row, replace(new, owners=extra.owners))


async def change_tenant(
    state: State,
    who: Principal,
    slug: str,
    manifest: object,
    *,
    enable_rollback: bool | None = None,
    key: str | None = None,
    extra: Extra = _NO_EXTRA,
) -> Submitted:
    """Brings a tenant that exists to another manifest. `PUT` and the page's form."""
    row = await _tenant(state, who, slug, Permission.TENANT_UP)
    line, parsed = checked(state, manifest, row=row)
    new = _with_manifest(
        who,
        line,
        parsed,
        {**_rollback_option(enable_rollback), **extra.options},
        key=key,
        asked=("change", slug, manifest, enable_rollback),
    )
    return await _provision(state, row, new)


async def preview(
    state: State, who: Principal, slug: str, manifest: object | None = None, *, key: str | None = None
) -> Submitted:
    """What an `up` would do: with `manifest`, or with the newest one. Also of a tenant that is not there yet."""
    row = await lookups.tenant_or_none(state, slug)
    asked = ("preview", slug, manifest)
    options: dict[str, Any] = {}
    if row is None and manifest is not None and who.may(Permission.TENANT_CREATE):
        line, parsed = checked(state, manifest, slug=slug)
        # Should somebody else take the slug meanwhile, this preview would tell of their tenant.
        options = {"new": True}
    else:
        if manifest is not None and who.may(Permission.TENANT_CREATE):
            _refuse_others(who, row, slug)
        row = await _tenant(state, who, slug, Permission.TENANT_PREVIEW)
        if manifest is None:
            return await _submit(state, _plain(who, row, JobOperation.PREVIEW, key=key, asked=asked))
        line, parsed = checked(state, manifest, row=row)
    return await _submit(
        state, _with_manifest(who, line, parsed, options, key=key, asked=asked, operation=JobOperation.PREVIEW)
    )


async def up(
    state: State,
    who: Principal,
    slug: str,
    *,
    enable_rollback: bool | None = None,
    key: str | None = None,
    extra: Extra = _NO_EXTRA,
) -> Submitted:
    """Brings a tenant to its newest manifest again: after a failure, or to repair drift."""
    row = await _tenant(state, who, slug, Permission.TENANT_UP)
    options = {**_rollback_option(enable_rollback), **extra.options}
    new = _plain(who, row, JobOperation.UP, options, key=key, asked=("up", slug, enable_rollback))
    return await _provision(state, row, new)


async def refresh(state: State, who: Principal, slug: str, *, key: str | None = None) -> Submitted:
    """Reads what is really there, and says what has drifted."""
    row = await _tenant(state, who, slug, Permission.TENANT_REFRESH)
    return await _submit(state, _plain(who, row, JobOperation.REFRESH, key=key, asked=("refresh", slug)))


async def destroy(state: State, who: Principal, slug: str, *, key: str | None = None) -> Submitted:
    """Removes a tenant with all that belongs to it. Its history stays."""
    row = await _tenant(state, who, slug, Permission.TENANT_DESTROY)
    return await _submit(state, _plain(who, row, JobOperation.DESTROY, key=key, asked=("destroy", slug)))


async def backup(state: State, who: Principal, slug: str, *, key: str | None = None) -> Submitted:
    """Backs the tenant's site up. ConflictError where it has none that works."""
    row = await _with_site(state, who, slug, Permission.TENANT_UP)
    return await _submit(state, _plain(who, row, JobOperation.BACKUP, key=key, asked=("backup", slug)))


async def restore(
    state: State, who: Principal, slug: str, backup: str, *, first: bool = True, key: str | None = None
) -> Submitted:
    """Puts the tenant's site back to a backup; with `first`, what is there now is backed up before."""
    row = await _with_site(state, who, slug, Permission.TENANT_ROLLBACK)
    await _demand_own(state, who, slug, backup)
    asked = ("restore", slug, backup, first)
    options = {"backup": backup, "first": first}
    return await _submit(state, _plain(who, row, JobOperation.RESTORE, options, key=key, asked=asked))


async def rollback(
    state: State,
    who: Principal,
    slug: str,
    *,
    deployment: uuid.UUID | None = None,
    force: bool = False,
    key: str | None = None,
) -> Submitted:
    """Undoes a deployment of the tenant: a first create is removed, a change goes back to the settings before it.

    None is the last change. Raises NotFoundError for a deployment of another tenant.
    """
    row = await _tenant(state, who, slug, Permission.TENANT_ROLLBACK)
    found = await lookups.deployment_to_undo(state, slug, deployment)
    options = {"deployment": str(found), **({"force": True} if force else {})}
    asked = ("rollback", slug, str(deployment or ""), force)
    return await _submit(state, _plain(who, row, JobOperation.ROLLBACK, options, key=key, asked=asked))


async def retry_step(
    state: State, who: Principal, slug: str, step: str, *, key: str | None = None, extra: Extra = _NO_EXTRA
) -> Submitted:
    """Tries one step of the tenant again, with what depends on it."""
    row = await _tenant(state, who, slug, Permission.TENANT_UP)
    _step_with_objects(LINES[row.line], step)
    if row.status == TenantStatus.REMOVED:
        raise ConflictError(f"tenant '{slug}' is removed: none of its steps is left", hint="create it again with `up`")
    options = {"steps": [step], **extra.options}
    new = _plain(who, row, JobOperation.UP, options, key=key, asked=("retry", slug, step))
    return await _provision(state, row, new)


async def skip_step(
    state: State, who: Principal, slug: str, step: str, *, key: str | None = None, extra: Extra = _NO_EXTRA
) -> Submitted:
    """Goes on without an optional step, by the value of the manifest that leaves it out.

    Refused where the step cannot be left out, or where it was done already.
    """
    row = await _tenant(state, who, slug, Permission.TENANT_UP)
    line = LINES[row.line]
    _step_with_objects(line, step)
    if step not in line.skips:
        can = ", ".join(sorted(line.skips)) or "none"
        raise ConflictError(f"the step '{step}' of '{slug}' cannot be skipped", hint=f"steps that can be: {can}")
    worked = row.last_good_manifest is not None and step not in row.lacking
    if worked or await lookups.step_is_done(state, slug, step):
        raise ConflictError(
            f"the step '{step}' of '{slug}' was done before: skipping it would remove what it made",
            hint="change the manifest if that is what you want",
        )
    newest = await lookups.newest_manifest(state, row)
    _, parsed = checked(state, with_skip(newest, line.skips[step]), row=row)
    new = _with_manifest(who, line, parsed, extra.options, key=key, asked=("skip", slug, step))
    return await _provision(state, row, new)


async def cancel(state: State, who: Principal, job: uuid.UUID) -> Job:
    """Cancels a job that waits, and asks the worker of one that runs to stop it. ConflictError when it has ended."""
    await job_for(state, who, job, Permission.JOB_CANCEL)
    return await state.store.request_cancel(job, who.caller)


async def retry_job(state: State, who: Principal, job: uuid.UUID, *, key: str | None = None) -> Submitted:
    """The same request once more, as a job of its own. Only of a job that has ended."""
    old = await job_for(state, who, job, Permission.JOB_RETRY)
    if not old.ended:
        raise ConflictError(
            f"job {job} is {old.status.value}: only one that has ended can be retried",
            hint="wait for it to end, or cancel it",
            details={"job": str(job)},
        )
    options = {name: value for name, value in old.options.items() if name in _REPEATED}
    if waiting.UNTIL in old.options:
        options |= waiting.until(state.service.engine_wait)
    manifest = old.options.get("manifest")
    row = await lookups.tenant_or_none(state, old.tenant)
    if row is None and old.operation is JobOperation.PREVIEW:
        options["new"] = True
    elif row is not None:
        # Who asked for a preview of a tenant to come has no right to one of the tenant that came.
        who.demand(Permission.JOB_RETRY, old.tenant, what=f"job {job}")
    if row is not None and manifest is None:
        _refuse_stale(old, row)
    if old.operation is JobOperation.RESTORE:
        await _demand_own(state, who, old.tenant, str(old.options.get("backup", "")))
    new = NewJob(
        tenant=old.tenant,
        line=old.line,
        operation=old.operation,
        caller=who.caller,
        manifest=manifest,
        options=options,
        idempotency_key=key,
        request_hash=_hash("retry", str(job)) if key else None,
        retry_of=old.id,
    )
    return await (_provision(state, row, new) if old.operation is JobOperation.UP else _submit(state, new))


async def job_for(state: State, who: Principal, job: uuid.UUID, permission: Permission) -> Job:
    """The job, if the caller has `permission` on its tenant. Whoever asked for a preview may see, stop and repeat it.

    Raises NotFoundError, ForbiddenError.
    """
    found = await state.store.get(job)
    own = found.operation is JobOperation.PREVIEW and found.actor == who.subject
    if not own:
        who.demand(permission, found.tenant, what=f"job {job}")
    return found


def checked(
    state: State, manifest: object, *, row: TenantRow | None = None, slug: str | None = None
) -> tuple[Line, Manifest]:
    """The manifest with its line, checked against its template too. With `row`, it must be that tenant's.

    Raises ManifestError with every problem.
    """
    line = line_of(manifest)
    parsed = line.parse(manifest, stack=row.slug if row else slug)
    template = (row.template_id, row.template_version) if row and row.template_id and row.template_version else None
    pinned = manifests.pinned(template, {}, row.last_good_manifest if row else None)
    line.resolve(parsed, state.templates.of(line), pinned=pinned)
    return line, parsed


async def _tenant(state: State, who: Principal, slug: str, permission: Permission) -> TenantRow:
    # Rights first: who has none on it is told the same of a tenant that is there and of one that is not.
    who.demand(permission, slug)
    return await lookups.tenant(state, slug)


async def _with_site(state: State, who: Principal, slug: str, permission: Permission) -> TenantRow:
    row = await _tenant(state, who, slug, permission)
    try:
        plan_of(row.line, slug, row.last_good_manifest)
    except InputError as error:
        raise ConflictError(error.message, hint=error.hint) from None
    return row


async def _demand_own(state: State, who: Principal, slug: str, backup: str) -> None:
    """Raises ConflictError for a backup of a tenant that had this name before: its data is not for who has it now."""
    async with looking_up(state.engine, state.settings) as connection:
        removed = await reading_backups.earlier_until(connection, slug, removed=False)
    moment = made_at(backup)
    if removed is not None and moment is not None and moment <= removed and not who.platform_admin:
        raise ConflictError(
            f"the backup {backup} is of a tenant '{slug}' that was removed",
            hint="choose one that was made since; an admin of the platform may restore that one",
        )


def _refuse_others(who: Principal, row: TenantRow | None, slug: str) -> None:
    if row is not None and row.status != TenantStatus.REMOVED and not who.may(Permission.TENANT_UP, slug):
        raise ConflictError(
            f"the slug '{slug}' is taken: there is a tenant of that name already",
            hint="choose another slug in the manifest",
        )


def _refuse_stale(old: Job, row: TenantRow) -> None:
    if old.operation is JobOperation.UP and old.manifest_version != row.manifest_version:
        raise ConflictError(
            f"the manifest of '{row.slug}' has changed since: it is at version {row.manifest_version}, "
            f"job {old.id} had version {old.manifest_version}",
            hint="`up` applies the newest one; to go back, send the manifest of then",
        )


def _step_with_objects(line: Line, step: str) -> None:
    keys = [one.key for one in line.steps if one.component_type is not None]
    if step not in keys:
        raise NotFoundError(f"a {line.noun} has no step '{step}' of its own", hint=f"its steps: {', '.join(keys)}")


def _rollback_option(enabled: bool | None) -> dict[str, Any]:
    return {} if enabled is None else {"enable_rollback": enabled}


def _plain(
    who: Principal,
    row: TenantRow,
    operation: JobOperation,
    options: Mapping[str, Any] | None = None,
    *,
    key: str | None,
    asked: tuple[Any, ...],
) -> NewJob:
    """A job without a manifest of its own."""
    return NewJob(
        tenant=row.slug,
        line=row.line,
        operation=operation,
        caller=who.caller,
        options=options or {},
        idempotency_key=key,
        request_hash=_hash(*asked) if key else None,
    )


def _with_manifest(
    who: Principal,
    line: Line,
    manifest: Manifest,
    options: Mapping[str, Any],
    *,
    key: str | None,
    asked: tuple[Any, ...],
    operation: JobOperation = JobOperation.UP,
) -> NewJob:
    return NewJob(
        tenant=manifest.slug,
        line=line.kind,
        operation=operation,
        caller=who.caller,
        manifest=manifest.to_dict(),
        name=manifest.name,
        options=options,
        idempotency_key=key,
        request_hash=_hash(*asked) if key else None,
    )


def _hash(*asked: Any) -> str:
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


async def _submit(state: State, new: NewJob) -> Submitted:
    job, created = await state.store.submit(new)
    if created:
        state.publisher.soon(job.id)
    return Submitted(job=job, created=created)


async def _provision(state: State, row: TenantRow | None, new: NewJob) -> Submitted:
    """Submits an `up`. What makes a tenant, and does not only change one that works, counts as a provisioning."""
    if row is not None and row.last_good_manifest is not None:
        return await _submit(state, new)
    async with state.limits.provisioning(new.caller.subject) as counted:
        submitted = await _submit(state, new)
        if not submitted.created:
            counted.give_back()
    return submitted
