"""`/api/v1/tenants/{slug}/members`: who has which role on a tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service import answers, member_actions
from service.api.bodies import MemberBody
from service.api.documents import Member, Members
from service.api.parameters import Slug, Subject
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, documented
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["members"])
Writer = Annotated[Principal, Depends(require(Permission.MEMBERS_WRITE))]


@router.get(
    "/tenants/{slug}/members",
    response_model=Members,
    responses=responses(404, 422) | NOT_CHANGED,
)
async def list_members(
    request: Request,
    state: StateDep,
    who: Annotated[Principal, Depends(require(Permission.MEMBERS_READ))],
    slug: Slug,
) -> Response:
    """A tenant's members, by subject. Roles that only tokens carry are not among them."""
    return answers.ok(request, {"items": await member_actions.members(state, who, slug)})


@router.put(
    "/tenants/{slug}/members/{subject}",
    response_model=Member,
    responses=responses(400, 404, 408, 409, 413, 415, 422),
    openapi_extra=documented(MemberBody, examples={"admin": {"role": "admin"}}),
)
async def set_member(
    state: StateDep,
    who: Writer,
    slug: Slug,
    subject: Subject,
    body: Annotated[MemberBody, Depends(body_of(MemberBody))],
) -> Response:
    """Gives somebody a role on the tenant, or another one. A tenant keeps an owner."""
    return answers.changed(await member_actions.set_member(state, who, slug, subject, body.role))


@router.delete("/tenants/{slug}/members/{subject}", status_code=204, responses=responses(404, 409, 422))
async def remove_member(state: StateDep, who: Writer, slug: Slug, subject: Subject) -> Response:
    """Takes somebody's role away. A tenant keeps an owner."""
    await member_actions.remove_member(state, who, slug, subject)
    return answers.gone()
