"""`/api/v1/account` and `/api/v1/accounts`: the passwords of people who sign in with one, where tokens are our own.

Decides who may: everybody their own, and an admin of the platform those of others, who have forgotten theirs.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from service import answers
from service.api.bodies import PasswordBody, PasswordChangeBody
from service.api.parameters import SignedIn, Subject
from service.auth.deps import Permission, Principal, require
from service.bodies import body_of, documented
from service.problem_documents import responses
from service.state import StateDep

router = APIRouter(tags=["accounts"])
Operator = Annotated[Principal, Depends(require(Permission.ACCOUNTS_WRITE))]
_NEW = "a long one, please"


@router.put(
    "/account/password",
    status_code=204,
    responses=responses(400, 404, 408, 413, 415, 422),
    openapi_extra=documented(PasswordChangeBody, examples={"another": {"current": "the old one", "password": _NEW}}),
)
async def change_password(
    state: StateDep,
    who: SignedIn,
    body: Annotated[PasswordChangeBody, Depends(body_of(PasswordChangeBody, secret=True))],
) -> Response:
    """Changes the caller's own password. All sessions of the account end: sign in again, with the new one."""
    await state.accounts.change(who.caller, current=body.current, password=body.password)
    return answers.gone()


@router.put(
    "/accounts/{subject}/password",
    status_code=204,
    responses=responses(400, 404, 408, 413, 415, 422),
    openapi_extra=documented(PasswordBody, examples={"another": {"password": _NEW}}),
)
async def reset_password(
    state: StateDep,
    who: Operator,
    subject: Subject,
    body: Annotated[PasswordBody, Depends(body_of(PasswordBody, secret=True))],
) -> Response:
    """Gives an account, by its e-mail address, another password. All its sessions end."""
    await state.accounts.reset(who.caller, subject, body.password)
    return answers.gone()


@router.delete("/accounts/{subject}", status_code=204, responses=responses(404, 422))
async def delete_account(state: StateDep, who: Operator, subject: Subject) -> Response:
    """Deletes an account, by its e-mail address. All its sessions end; what it is a member of stays."""
    await state.accounts.remove(who.caller, subject)
    return answers.gone()
