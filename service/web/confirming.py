"""What cannot be taken back is confirmed by typing the tenant's name."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request, Response

from service.auth.deps import Principal
from service.web.pages import render
from service.web.views import Row


async def confirmation(
    request: Request, who: Principal, slug: str, *, heading: str, word: str, text: str, rows: Sequence[Row] = ()
) -> Response | None:
    """The page that asks for the name; None once it was typed rightly."""
    wrong = ""
    if request.method == "POST":
        given = (await request.form()).get("confirm")
        if isinstance(given, str) and given.strip() == slug:
            return None
        wrong = f"This is not the name. Type {slug} to confirm; nothing was touched."
    return render(
        request,
        "confirm.html",
        who,
        section="/tenants",
        code=422 if wrong else 200,
        slug=slug,
        path=f"/tenants/{slug}",
        action=request.url.path,
        heading=heading,
        word=word,
        text=text,
        rows=rows,
        wrong=wrong,
    )
