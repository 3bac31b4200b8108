"""The simulator's own door, beside the site's API: faults, what was asked, users, switches. Never part of an ERPNext.

Only who has the Administrator's key is let in. Its requests are not counted, and no fault holds for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sandbox.erpnext.api import Site
from sandbox.erpnext.documents import ADMINISTRATOR
from sandbox.erpnext.faults import fault_of
from sandbox.erpnext.refusals import Refusal, invalid
from sandbox.http import Answer, BadBodyError, Request

PREFIX = "/sandbox/"


def handler(site: Site) -> Callable[[Request], Answer | None]:
    """The site with its door."""

    def handle(request: Request) -> Answer | None:
        return _admitted(site, request) if request.path.startswith(PREFIX) else site.handle(request)

    return handle


def _admitted(site: Site, request: Request) -> Answer:
    try:
        if site.access.user_of(request.headers.get("authorization", "")) != ADMINISTRATOR:
            raise Refusal("PermissionError", "Only the Administrator's key opens this door")
        return Answer(body={"message": _done(site, request)})
    except Refusal as refusal:
        return refusal.answer(as_json=True, tracebacks=False)
    except (BadBodyError, KeyError, TypeError, ValueError) as error:
        return invalid(f"{request.method} {request.path}: {error}").answer(as_json=True, tracebacks=False)


def _done(site: Site, request: Request) -> Any:
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "requests":
            return [asdict(row) for row in site.log.rows()]
        case "DELETE", "requests":
            return site.log.forget()
        case "POST", "faults":
            return site.faults.add(fault_of(request.json()))
        case "DELETE", "faults":
            return site.faults.heal()
        case "PUT", "switches":
            return site.switch(**request.json())
        case "POST", "setup":
            return site.finish_setup()
        case "POST", "users":
            told = request.json()
            key, secret = site.add_user(told["name"], told["rights"])
            return {"key": key, "secret": secret}
    raise invalid(f"{request.method} {request.path} is nothing that this door has")
