"""Pages of what all tenants share: templates, the audit trail, workers and queue."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.jobs import reading
from automation.queues.seam import QueueError
from service import system_actions, template_actions
from service.auth.deps import Permission, Principal, require
from service.state import State, StateDep
from service.web import views
from service.web.pages import PageRoute, Paging, asked, page_number, reader, remember, render, wants_part
from service.web.yaml_text import dump

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]
_PARKED = 20


@router.get("/templates")
async def templates_page(request: Request, state: StateDep, who: SignedIn) -> Response:
    """The newest version of each template."""
    return render(request, "templates.html", who, section="/templates", rows=template_actions.templates(state))


@router.get("/templates/{template_id}")
async def template_page(request: Request, state: StateDep, who: SignedIn, template_id: str) -> Response:
    """One version of a template, against the one before."""
    asked_for, line = asked(request, "version") or None, asked(request, "line") or None
    one = template_actions.template(state, template_id, asked_for, line=line)
    versions = [{"version": version} for version in one["versions"]]
    place = one["versions"].index(one["version"])
    before = one["versions"][place - 1] if place else ""
    rows: tuple[views.Row, ...] = ()
    if before:
        old = template_actions.template(state, template_id, before, line=one["line"])
        rows = views.differences(old["settings"], one["settings"])
    return render(
        request,
        "template.html",
        who,
        section="/templates",
        one=one,
        versions=versions,
        before=before,
        rows=rows,
        text=dump(one["settings"]),
        may_create=who.may(Permission.TENANT_CREATE),
    )


@router.get("/audit")
async def audit_page(request: Request, state: StateDep, who: SignedIn) -> Response:
    """Each change of what the reader answers for, newest first."""
    filters: dict[str, Any] = {name: asked(request, name) for name in ("tenant", "actor", "action")}
    page = page_number(request)
    async with reader(state) as connection:
        rows, total = await reading.audit_page(
            connection,
            tenant=filters["tenant"] or None,
            actor=filters["actor"] or None,
            action=filters["action"] or None,
            visible=who.visible(Permission.AUDIT_READ),
            page=page,
        )
    return render(
        request,
        "audit.html",
        who,
        section="/audit",
        rows=[{**row, "diff": views.differences(row["before"], row["after"])} for row in rows],
        paging=Paging(page=page, total=total, path="/audit", query=filters),
        filtered=any(filters.values()),
        **filters,
    )


@router.get("/system")
async def system_page(
    request: Request, state: StateDep, who: Annotated[Principal, Depends(require(Permission.PLATFORM_READ))]
) -> Response:
    """The workers that have been heard of, and what waits."""
    found = await system_actions.system(state, who)
    return render(
        request,
        "_system.html" if wants_part(request) else "system.html",
        who,
        section="/system",
        workers=[_worker(one) for one in found["workers"]],
        queue=await _queue(state, found["queue"]),
    )


def _worker(one: dict[str, Any]) -> dict[str, Any]:
    if not one["alive"]:
        return {**one, "tone": "bad", "word": "Not heard of"}
    return {**one, "tone": "wait", "word": "Finishing"} if one["draining"] else {**one, "tone": "good", "word": "Ready"}


async def _queue(state: State, depth: dict[str, Any] | None) -> dict[str, Any]:
    if depth is None:
        return {"name": state.queue.name, "error": "It could not be asked now; jobs wait in the database until it can."}
    messages = []
    if depth["parked"]:
        try:
            messages = await state.queue.parked(_PARKED)
        except QueueError:
            messages = []  # it has gone away since it said how many
    return {
        "name": depth["name"],
        "error": "",
        "waiting": depth["waiting"],
        "parked": depth["parked"],
        "oldest": depth["oldest_seconds"],
        "messages": [{"at": one.at.isoformat(), "reason": one.reason, "body": one.body} for one in messages],
    }
