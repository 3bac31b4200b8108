"""Workspaces (POS-7): one is created, watched live until it is ready, tried again where something failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import NotFoundError, TenantryError
from automation.jobs import reading
from automation.jobs.model import ConflictError
from automation.jobs.reading_jobs import LOG_LINES
from automation.steps import StepStatus
from service import provisioning, workspaces
from service.auth.deps import Permission, Principal, require
from service.provisioning import Known, Provisioning
from service.state import State, StateDep
from service.web import workspace_forms as forms
from service.web.filled import Placed
from service.web.pages import PageRoute, reader, remember, render, shown_again, to, wants_part
from stacks.lines import POS
from stacks.pos.engine import NAMES
from stacks.problems import InputError

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

Creator = Annotated[Principal, Depends(require(Permission.TENANT_CREATE))]
Reader = Annotated[Principal, Depends(require(Permission.TENANT_READ))]
Changer = Annotated[Principal, Depends(require(Permission.TENANT_UP))]
SECTION = "/tenants"
_DONE = frozenset({Provisioning.PROVISIONED, Provisioning.PARTIAL})


@router.get("/workspaces/new")
async def new_workspace_page(request: Request, state: StateDep, who: Creator) -> Response:
    """The form."""
    return _form(request, state, who, forms.empty())


@router.post("/workspaces/new")
async def create_workspace(request: Request, state: StateDep, who: Creator) -> Response:
    """Creates it and goes on to watch it, or shows the form again with what is wrong."""
    values = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    body, unread = forms.body_of(values)
    try:
        made = await workspaces.create(state, who, body, key=values.get(forms.KEY) or None)
    except InputError as error:
        return _form(request, state, who, values, problems=forms.placed_problems(error, unread))
    except TenantryError as error:
        return _form(request, state, who, values, error=error)
    # Else they would try to sign in with a password that was not taken.
    said = (
        {workspaces.PASSWORD: "account-known", workspaces.TOKEN: "address-taken"}[made.signs_in_by]
        if made.known
        else ""
    )
    return to(f"/workspaces/{made.slug}", said)


def _form(
    request: Request,
    state: State,
    who: Principal,
    values: Mapping[str, str],
    *,
    problems: Placed | None = None,
    error: TenantryError | None = None,
) -> Response:
    code, headers = shown_again(error, problems)
    return render(
        request,
        "workspace_form.html",
        who,
        section=SECTION,
        code=code,
        headers=headers,
        groups=forms.groups(_engines()),
        texts=forms.shown(values),
        key_name=forms.KEY,
        beside=problems.beside if problems else {},
        links=problems.links if problems else (),
        problem=error.message if error is not None else "",
        hint=error.hint if error is not None else "",
        by_password=state.accounts.there,
    )


def _engines() -> tuple[str, ...]:
    """The engines that some region has; all where none has any, as what is wrong is then told of the region."""
    return tuple(one for one in NAMES if workspaces.engine_regions(one)) or tuple(NAMES)


@router.get("/workspaces/{slug}")
async def workspace_page(request: Request, state: StateDep, who: Reader, slug: str) -> Response:
    """How its provisioning stands, step by step, with its log and every object that it made."""
    await workspaces.workspace(state, who, slug, Permission.TENANT_READ)
    known = await workspaces.known(state, slug)
    lines: list[dict[str, Any]] = []
    if known.job is not None:
        async with reader(state) as connection:
            lines = await reading.job_logs(connection, known.job.id, newest=True)
    now = provisioning.document(known)
    may_change = who.may(Permission.TENANT_UP, slug)
    going_on = known.job is not None and not known.job.ended
    return render(
        request,
        "_workspace_parts.html" if wants_part(request) else "workspace.html",
        who,
        section=SECTION,
        stands=now,
        job=known.job.to_dict() if known.job is not None else None,
        ended=not going_on,
        done=now["status"] in _DONE and not going_on,
        may={"change": may_change and not going_on, "cancel": going_on and who.may(Permission.JOB_CANCEL, slug)},
        steps=_steps(known, now, may_change=may_change and not going_on),
        made=[_shown(one) for one in provisioning.in_order(known) if one["name"]],
        titles={step.key: step.title for step in POS.steps},
        missing=[one for one in now["errors"] if not one["critical"]],
        wrong=[one for one in now["errors"] if one["critical"]],
        still="still" in request.query_params,
        saying=_saying(known, now),
        lines=lines,
        log_limit=LOG_LINES,
        log_open=any(step["status"] == StepStatus.FAILED for step in known.steps)
        or now["status"] == Provisioning.FAILED,
    )


def _shown(one: Mapping[str, Any]) -> dict[str, Any]:
    """An object in a reader's words: Odoo calls each by its model and a number, which nobody knows who has a shop."""
    name, kind = str(one["name"]), str(one["kind"])
    title = str(one.get("title") or "")
    return {**one, "name": title or name, "known_as": name if title else "", "kind": forms.KINDS.get(kind, kind)}


def _steps(known: Known, now: Mapping[str, Any], *, may_change: bool) -> list[dict[str, Any]]:
    """The steps with what can be done about each. What is optional and not there is missing, and has not failed."""
    soft = {one["step"] for one in now["errors"] if not one["critical"]}
    rows = []
    for step in known.steps:
        key = step["key"]
        wrong = bool(step["error"]) and may_change
        status = "missing" if key in soft else step["status"]
        rows.append({**step, "status": status, "may_retry": wrong, "may_skip": wrong and key in POS.skips})
    return rows


def _saying(known: Known, now: Mapping[str, Any]) -> str:
    """What a screen reader is told when it changes."""
    titles = {step.key: step.title for step in POS.steps}
    words = now["message"]
    if now["current_step"]:
        words += f" {titles.get(now['current_step'], now['current_step'])}."
    return f"{known.tenant['name']}: {words}"


@router.post("/workspaces/{slug}/retry")
async def retry(state: StateDep, who: Changer, slug: str) -> Response:
    """Tries all that failed again."""
    await workspaces.retry(state, who, slug, None)
    return to(f"/workspaces/{slug}")


@router.post("/workspaces/{slug}/start")
async def start(state: StateDep, who: Changer, slug: str) -> Response:
    """Provisions what is not provisioned."""
    await workspaces.start(state, who, slug, {})
    return to(f"/workspaces/{slug}")


@router.post("/workspaces/{slug}/steps/{step}/{what}")
async def step_again(state: StateDep, who: Changer, slug: str, step: str, what: str) -> Response:
    """Tries one step again, or goes on without it."""
    if what not in {"retry", "skip"}:
        raise NotFoundError("a step can be tried again or left out", hint="use the buttons of the workspace's page")
    act = workspaces.retry if what == "retry" else workspaces.skip
    await act(state, who, slug, step)
    return to(f"/workspaces/{slug}")


@router.post("/workspaces/{slug}/cancel")
async def cancel(
    state: StateDep, slug: str, who: Annotated[Principal, Depends(require(Permission.JOB_CANCEL))]
) -> Response:
    """Stops what goes on, or what waits."""
    await workspaces.workspace(state, who, slug, Permission.JOB_CANCEL)
    job = (await workspaces.known(state, slug)).job
    if job is None or job.ended:
        raise ConflictError(f"nothing goes on at '{slug}'", hint="its page shows how it stands")
    await state.store.request_cancel(job.id, who.caller)
    return to(f"/workspaces/{slug}", "stopping")
