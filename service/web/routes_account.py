"""The page of one's own account: its password is changed there, by people who sign in with one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from automation.errors import InputError
from automation.jobs.model import ConflictError
from service.auth.deps import Permission, Principal, require
from service.auth.session import end_session
from service.state import StateDep
from service.web.pages import PageRoute, remember, render, to

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(remember)])
SignedIn = Annotated[Principal, Depends(require(Permission.SIGNED_IN))]


@router.get("/account/password")
async def password_page(request: Request, who: SignedIn) -> Response:
    """The form, for whoever has a password here."""
    return _page(request, who)


@router.post("/account/password")
async def change_password(request: Request, state: StateDep, who: SignedIn) -> Response:
    """Changes it and asks to sign in again, or shows the form again with what is wrong."""
    if not who.by_password:
        raise ConflictError("there is no password of yours here", hint="you sign in with a token: ask its provider")
    form = await request.form()
    current, password, again = (str(form.get(name) or "") for name in ("current", "password", "again"))
    if password != again:
        return _page(request, who, {"again": "the same as the new password"})
    try:
        await state.accounts.change(who.caller, current=current, password=password)
    except InputError as error:
        if not error.problems:
            raise
        return _page(request, who, {field: text for field, _, text in error.problems})
    answer = to("/sign-in", "password-changed")
    end_session(request, answer)
    return answer


def _page(request: Request, who: Principal, wrong: dict[str, Any] | None = None) -> Response:
    return render(request, "account_password.html", who, code=422 if wrong else 200, wrong=wrong or {})
