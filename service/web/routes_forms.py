"""Making and changing a tenant: choosing a template, and the form. Applying a preview is its job's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import TenantryError
from automation.jobs import reading
from automation.models import TenantStatus
from automation.models_jobs import JobOperation
from service import actions, lookups
from service.auth.deps import Permission, Principal, require
from service.state import State, StateDep
from service.web.filled import Problem
from service.web.pages import PageRoute, asked, reader, remember, render, shown_again, to
from service.web.tenant_forms import (
    FORM,
    YAML,
    Entered,
    TenantForm,
    entered,
    form_for,
    line_called,
    of_manifest,
    place,
    problems_of,
    unmasked,
)
from stacks.lines import LINES
from stacks.problems import FieldProblem, InputError, shown

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])

Creator = Annotated[Principal, Depends(require(Permission.TENANT_CREATE))]
Changer = Annotated[Principal, Depends(require(Permission.TENANT_UP))]
SECTION = "/tenants"


@router.get("/tenants/new")
async def new_tenant_page(request: Request, state: StateDep, who: Creator) -> Response:
    """The templates to choose from; with one chosen, the form over it."""
    if not (asked(request, "template") or asked(request, "from")):
        groups = [(line, state.templates.latest(line.kind)) for line in LINES.values()]
        return render(request, "choose.html", who, section=SECTION, groups=groups)
    manifest = await _asked_before(state, who, asked(request, "from"), None)
    line = line_called(str(manifest["kind"]) if manifest else asked(request, "line"))
    template_id = str(manifest.get("templateId")) if manifest else asked(request, "template")
    form = form_for(state, line, template_id)
    chosen = {"templateId": form.template.id} if form.template else {}
    return _new(request, who, form, of_manifest(form, manifest or {"kind": line.kind, **chosen}))


@router.post("/tenants/new")
async def create_tenant(request: Request, state: StateDep, who: Creator) -> Response:
    """Previews or creates what was entered, or shows the form again with what is wrong."""
    values = await _texts(request)
    line = line_called(values.get("_line", ""))
    form, what = _read(state, line, values)
    if (other := _other_mode(form, what, values)) is not None:
        return _new(request, who, form, other)
    try:
        _refuse_unread(what)
        if values.get("_do") == "apply":
            submitted = await actions.create_tenant(state, who, what.manifest)
        else:
            submitted = await _preview_new(state, who, what.manifest)
    except InputError as error:
        return _new(request, who, form, what, problems=_together(what, error))
    except TenantryError as error:
        return _new(request, who, form, what, error=error)
    return to(f"/jobs/{submitted.job.id}")


async def _preview_new(state: State, who: Principal, manifest: Mapping[str, Any]) -> actions.Submitted:
    """A preview of a tenant that is to be new: a slug in use is found out now and not only when it is applied."""
    _, parsed = actions.checked(state, manifest)
    row = await lookups.tenant_or_none(state, parsed.slug)
    if row is not None and row.status != TenantStatus.REMOVED:
        taken = FieldProblem(field="slug", given=shown(parsed.slug), valid="a name that no other tenant has")
        raise InputError("manifest", [taken])
    return await actions.preview(state, who, parsed.slug, manifest)


@router.get("/tenants/{slug}/edit")
async def edit_tenant_page(request: Request, state: StateDep, who: Changer, slug: str) -> Response:
    """The form with the tenant's newest manifest, or that of a preview."""
    current = await _newest(state, slug)
    manifest = await _asked_before(state, who, asked(request, "from"), slug) or current
    form = form_for(state, line_called(str(manifest.get("kind"))), str(manifest.get("templateId")))
    return _edit(request, who, slug, form, of_manifest(form, manifest))


@router.post("/tenants/{slug}/edit")
async def change_tenant(request: Request, state: StateDep, who: Changer, slug: str) -> Response:
    """Previews or applies what was entered, or shows the form again with what is wrong."""
    values = await _texts(request)
    row = await lookups.tenant(state, slug)
    form, what = _read(state, LINES[row.line], {**values, "slug": slug})
    if (other := _other_mode(form, what, values)) is not None:
        return _edit(request, who, slug, form, other)
    manifest = unmasked(what.manifest, await lookups.newest_manifest(state, row))
    try:
        _refuse_unread(what)
        if values.get("_do") == "apply":
            submitted = await actions.change_tenant(state, who, slug, manifest)
        else:
            submitted = await actions.preview(state, who, slug, manifest)
    except InputError as error:
        return _edit(request, who, slug, form, what, problems=_together(what, error))
    except TenantryError as error:
        return _edit(request, who, slug, form, what, error=error)
    return to(f"/jobs/{submitted.job.id}")


async def _texts(request: Request) -> dict[str, str]:
    return {key: value for key, value in (await request.form()).items() if isinstance(value, str)}


def _read(state: State, line: Any, values: Mapping[str, str]) -> tuple[TenantForm, Entered]:
    plain = form_for(state, line, None)
    manifest = entered(plain, values).manifest
    form = form_for(state, line, str(manifest.get("templateId")))
    return form, entered(form, values)


def _other_mode(form: TenantForm, what: Entered, values: Mapping[str, str]) -> Entered | None:
    """The same, entered the other way, where that was asked for. What cannot be read stays where it is."""
    wanted = values.get("_do")
    if wanted not in {FORM, YAML} or wanted == what.mode or what.problems:
        return None if wanted not in {FORM, YAML} else what
    return of_manifest(form, what.manifest, wanted)


class _UnreadError(InputError):
    """What was entered could not even be read; the problems are known already."""


def _refuse_unread(what: Entered) -> None:
    # As YAML there is nothing to check yet; as fields, the manifest's own check finds the other problems too.
    if what.problems and what.mode == YAML:
        raise _UnreadError("manifest", [])


def _together(what: Entered, error: InputError) -> list[Problem]:
    """The problems of reading, and those of checking that are not of the same fields."""
    unread = {one.field for one in what.problems}
    return [*what.problems, *(one for one in problems_of(error) if one.field not in unread)]


async def _newest(state: State, slug: str) -> dict[str, Any]:
    """The tenant's newest manifest, with secrets masked."""
    async with reader(state) as connection:
        tenant = await reading.tenant(connection, slug)
    if tenant["manifest"]:
        return dict(tenant["manifest"])
    return await lookups.newest_manifest(state, await lookups.tenant(state, slug))


async def _asked_before(state: State, who: Principal, job: str, slug: str | None) -> dict[str, Any] | None:
    """The manifest of a preview that the form comes back from; None where the address names none of ours."""
    try:
        wanted = uuid.UUID(job)
    except ValueError:
        return None
    found = await actions.job_for(state, who, wanted, Permission.TENANT_UP)
    manifest = found.options.get("manifest")
    if found.operation is not JobOperation.PREVIEW or not isinstance(manifest, Mapping):
        return None
    return dict(manifest) if slug in {None, found.tenant} else None


def _new(request: Request, who: Principal, form: TenantForm, what: Entered, **wrong: Any) -> Response:
    return _page(
        request,
        who,
        form,
        what,
        heading=f"New {form.line.noun}",
        action="/tenants/new",
        trail=[("/tenants", "Tenants"), ("/tenants/new", "New"), ("", form.line.noun)],
        cancel="/tenants",
        apply_text="Create without a preview",
        locked=(),
        **wrong,
    )


def _edit(request: Request, who: Principal, slug: str, form: TenantForm, what: Entered, **wrong: Any) -> Response:
    return _page(
        request,
        who,
        form,
        what,
        heading=f"Change {slug}",
        action=f"/tenants/{slug}/edit",
        trail=[("/tenants", "Tenants"), (f"/tenants/{slug}", slug), ("", "Change")],
        cancel=f"/tenants/{slug}",
        apply_text="Apply without a preview",
        locked=("slug",),
        **wrong,
    )


def _page(
    request: Request,
    who: Principal,
    form: TenantForm,
    what: Entered,
    *,
    problems: Sequence[Problem] = (),
    error: TenantryError | None = None,
    **values: Any,
) -> Response:
    if error is not None:
        details = error.details.get("problems", [])
        problems = [Problem(field=one["field"], message=one["message"]) for one in details]
    elif not problems:
        problems = what.problems
    code, headers = shown_again(error, problems)
    return render(
        request,
        "tenant_form.html",
        who,
        section=SECTION,
        code=code,
        headers=headers,
        line=form.line,
        template=form.template,
        fields=form.shown,
        mode=what.mode,
        texts=what.texts,
        yaml=what.yaml,
        placed=place(form, what, problems),
        problem=error.message if error is not None else "",
        hint=error.hint if error is not None else "",
        **values,
    )
