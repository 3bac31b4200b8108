"""Pages of tenants: the list, one tenant with its history, its manifests and its runs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import NotFoundError
from automation.jobs import reading
from automation.models import TenantStatus
from service import actions
from service.auth.deps import Permission, Principal, require
from service.state import State, StateDep
from service.web import views
from service.web.confirming import confirmation
from service.web.fields import words
from service.web.pages import PageRoute, Paging, asked, page_number, reader, remember, render, to, wants_part
from service.web.yaml_text import dump
from stacks.lines import LINES

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]
Reader = Annotated[Principal, Depends(require(Permission.TENANT_READ))]

SECTION = "/tenants"
STATUSES = [("", "All but removed"), *((one.value, views.status_word(one)) for one in TenantStatus), ("all", "All")]
_STANDING = {TenantStatus.ACTIVE, TenantStatus.PARTIAL, TenantStatus.PROVISIONING, TenantStatus.FAILED}
_RECORD = ("street", "postal_code", "city", "country", "phone", "email", "database_name", "region", "admin_email")


@router.get("/tenants")
async def tenants_page(request: Request, state: StateDep, who: SignedIn) -> Response:
    """The tenants that the reader may see."""
    filters: dict[str, Any] = {name: asked(request, name) for name in ("q", "status", "line")}
    if filters["status"] not in dict(STATUSES):
        filters["status"] = ""
    page = page_number(request)
    async with reader(state) as connection:
        rows, total = await reading.tenants_page(
            connection,
            search=filters["q"] or None,
            status=filters["status"] or None,
            line=filters["line"] or None,
            visible=who.visible(Permission.TENANT_READ),
            page=page,
        )
    return render(
        request,
        "_tenants.html" if wants_part(request) else "tenants.html",
        who,
        section=SECTION,
        rows=rows,
        paging=Paging(page=page, total=total, path="/tenants", query=filters),
        statuses=STATUSES,
        lines=list(LINES.values()),
        filtered=any(filters.values()),
        may_create=who.may(Permission.TENANT_CREATE),
        **filters,
    )


@router.get("/tenants/{slug}")
async def tenant_page(request: Request, state: StateDep, who: Reader, slug: str) -> Response:
    """One tenant: what it is, what happened to it, and what can be done with it."""
    page = page_number(request)
    async with reader(state) as connection:
        tenant = await reading.tenant(connection, slug)
        history, total = await reading.deployments_page(connection, slug, page=page, size=20)
        versions, _ = await reading.manifests(connection, slug, size=8)
    may = {
        name: who.may(permission, slug)
        for name, permission in (
            ("up", Permission.TENANT_UP),
            ("preview", Permission.TENANT_PREVIEW),
            ("refresh", Permission.TENANT_REFRESH),
            ("rollback", Permission.TENANT_ROLLBACK),
            ("destroy", Permission.TENANT_DESTROY),
            ("audit", Permission.AUDIT_READ),
            ("webhooks", Permission.WEBHOOKS_READ),
        )
    }
    path = f"/tenants/{slug}"
    free = tenant["job"] is None
    return render(
        request,
        "tenant.html",
        who,
        section=SECTION,
        tenant=tenant,
        line=LINES[tenant["line"]],
        path=path,
        may=may,
        history=[_run(row, undo=free and may["rollback"]) for row in history],
        paging=Paging(page=page, total=total, path=path, query={}, size=20),
        versions=versions,
        manifest_text=dump(tenant["manifest"]) if tenant["manifest"] else "",
        record=_record(tenant["record"]),
        address=_address(tenant) if tenant["status"] in _STANDING else None,
    )


def _address(tenant: Mapping[str, Any]) -> str | None:
    """Where it is reached: as its last run that succeeded told, else as its line knows it."""
    return str(tenant["url"]) if tenant["url"] else LINES[tenant["line"]].address(tenant["manifest"])


def _record(record: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(words(name), record[name]) for name in _RECORD if record and record.get(name)]


def _run(row: Mapping[str, Any], *, undo: bool) -> dict[str, Any]:
    """A row of the history. What can be undone is an `up` that did something and has not been undone."""
    made = {op: count for op, count in (row["changes"] or {}).items() if op not in {"same", "read", "refresh"}}
    can = undo and row["operation"] == "up" and row["status"] in {"succeeded", "failed", "rollback_failed"}
    total = sum(made.values())
    summary = f"{total} object{'' if total == 1 else 's'} changed" if total else ""
    return {**row, "summary": summary, "can_undo": can}


@router.post("/tenants/{slug}/preview")
async def preview_tenant(
    state: StateDep,
    slug: str,
    who: Annotated[Principal, Depends(require(Permission.TENANT_PREVIEW))],
) -> Response:
    """What bringing it to its newest manifest would do."""
    return to(f"/jobs/{(await actions.preview(state, who, slug)).job.id}")


@router.post("/tenants/{slug}/refresh")
async def refresh_tenant(
    state: StateDep,
    slug: str,
    who: Annotated[Principal, Depends(require(Permission.TENANT_REFRESH))],
) -> Response:
    """Looks for drift."""
    return to(f"/jobs/{(await actions.refresh(state, who, slug)).job.id}")


Destroyer = Annotated[Principal, Depends(require(Permission.TENANT_DESTROY))]


@router.api_route("/tenants/{slug}/destroy", methods=["GET", "POST"])
async def destroy_tenant(request: Request, state: StateDep, who: Destroyer, slug: str) -> Response:
    """Removing a tenant, which its name must confirm."""
    async with reader(state) as connection:
        tenant = await reading.tenant(connection, slug)
    noun = LINES[tenant["line"]].noun
    asking = await confirmation(
        request,
        who,
        slug,
        heading=f"Remove {tenant['name']}",
        word=f"Remove this {noun}",
        text=f"All that belongs to this {noun} is removed for good: its data, its database and its accounts. "
        "Only its history stays.",
    )
    if asking is not None:
        return asking
    return to(f"/jobs/{(await actions.destroy(state, who, slug)).job.id}")


Undoer = Annotated[Principal, Depends(require(Permission.TENANT_ROLLBACK))]


@router.api_route("/tenants/{slug}/rollback/{run_id}", methods=["GET", "POST"])
async def undo_run(request: Request, state: StateDep, who: Undoer, slug: str, run_id: uuid.UUID) -> Response:
    """Undoing a run, which the tenant's name must confirm."""
    run = await _run_of(state, slug, run_id)
    noun = LINES[(await _tenant(state, slug))["line"]].noun
    short = str(run_id)[:8]
    if run["first_create"]:
        text = f"Run {short} made this {noun}. Rolling it back removes the {noun} with all its data."
    else:
        text = f"The {noun} goes back to the settings it had before run {short}."
    asking = await confirmation(
        request,
        who,
        slug,
        heading=f"Roll back run {short}",
        word="Roll back this run",
        text=text,
        rows=() if run["first_create"] else views.differences(run["manifest"], run["previous_manifest"]),
    )
    if asking is not None:
        return asking
    return to(f"/jobs/{(await actions.rollback(state, who, slug, deployment=run_id)).job.id}")


@router.get("/tenants/{slug}/deployments/{run_id}")
async def run_page(request: Request, state: StateDep, who: Reader, slug: str, run_id: uuid.UUID) -> Response:
    """A run that no job was for: one by hand."""
    run = await _run_of(state, slug, run_id)
    rows = views.differences(run["previous_manifest"], run["manifest"]) if run["manifest"] else ()
    return render(request, "deployment.html", who, section=SECTION, run=run, rows=rows)


@router.get("/tenants/{slug}/manifests/{version}")
async def manifest_page(request: Request, state: StateDep, who: Reader, slug: str, version: int) -> Response:
    """One version of a manifest, against the one before."""
    async with reader(state) as connection:
        one = await reading.manifest(connection, slug, version)
        before = (await reading.manifest(connection, slug, version - 1))["manifest"] if version > 1 else None
        newest = (await reading.tenant(connection, slug))["manifest_version"]
    rows = views.differences(before, one["manifest"]) if before is not None else ()
    return render(
        request,
        "manifest.html",
        who,
        section=SECTION,
        slug=slug,
        version=one,
        rows=rows,
        text=dump(one["manifest"]),
        newest=newest,
    )


async def _tenant(state: State, slug: str) -> dict[str, Any]:
    async with reader(state) as connection:
        return await reading.tenant(connection, slug)


async def _run_of(state: State, slug: str, run_id: uuid.UUID) -> dict[str, Any]:
    async with reader(state) as connection:
        run = await reading.deployment(connection, run_id)
    if run["tenant"] != slug:
        raise NotFoundError(f"tenant '{slug}' has no run {run_id}", hint="its page lists its runs")
    return run
