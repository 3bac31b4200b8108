"""`/api/v1/audit`: who changed what, from where, before and after."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from automation.jobs import reading
from automation.jobs.database import looking_up
from service import answers
from service.api.documents import AuditRow, Page
from service.api.parameters import Before, PageNumber, SignedIn, Size, Word
from service.auth.deps import Permission
from service.problem_documents import NOT_CHANGED, responses
from service.state import StateDep

router = APIRouter(tags=["audit"])


@router.get(
    "/audit",
    response_model=Page[AuditRow],
    responses=responses(422) | NOT_CHANGED,
)
async def list_audit(
    request: Request,
    state: StateDep,
    who: SignedIn,
    tenant: Word = None,
    actor: Word = None,
    action: Word = None,
    before: Before = None,
    page: PageNumber = 1,
    size: Size = 50,
) -> Response:
    """The audit trail of tenants whose owner or admin the caller is, newest first; all of it for platform admins."""
    async with looking_up(state.engine, state.settings) as connection:
        rows, total = await reading.audit_page(
            connection,
            tenant=tenant,
            actor=actor,
            action=action,
            visible=who.visible(Permission.AUDIT_READ),
            before=before,
            page=page,
            size=size,
        )
    return answers.page_of(request, rows, total, page, size)
