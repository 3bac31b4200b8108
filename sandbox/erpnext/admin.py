"""What the simulated ERPNext's own door has beside every simulator's: users, and the end of its set-up wizard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import door
from sandbox.door import PREFIX
from sandbox.erpnext.api import Site
from sandbox.erpnext.documents import ADMINISTRATOR
from sandbox.erpnext.refusals import Refusal
from sandbox.http import Answer, Request

__all__ = ["PREFIX", "handler"]


def handler(site: Site) -> Callable[[Request], Answer | None]:
    """The site with its door, which the Administrator's key opens."""

    def refused(request: Request) -> int | None:
        try:
            user = site.access.user_of(request.headers.get("authorization", ""))
        except Refusal as refusal:
            return refusal.status
        return None if user == ADMINISTRATOR else 403

    def more(method: str, name: str, request: Request) -> Any:
        match method, name:
            case "POST", "setup":
                return site.finish_setup()
            case "POST", "users":
                told = request.json()
                key, secret = site.add_user(told["name"], told["rights"])
                return {"key": key, "secret": secret}
        raise door.NothingHereError

    return door.handler(site, refused, more)
