"""`/api/v1/system`: the workers and the queue, for the platform's admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service import answers, system_actions
from service.api.documents import SystemDocument
from service.auth.deps import Permission, Principal, require
from service.problem_documents import NOT_CHANGED
from service.state import StateDep

router = APIRouter(tags=["system"])


@router.get(
    "/system",
    response_model=SystemDocument,
    responses=NOT_CHANGED,
)
async def get_system(
    request: Request, state: StateDep, who: Annotated[Principal, Depends(require(Permission.PLATFORM_READ))]
) -> Response:
    """The workers that have been heard of, and how much waits in the queue; null where it cannot be asked."""
    return answers.ok(request, await system_actions.system(state, who))
