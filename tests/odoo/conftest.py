"""The server of each contract test, and what a real one differs in, row by row, at the end of the run."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer

import httpx
import pytest

from sandbox.http import handler_for
from sandbox.odoo.api import DATABASE, Site
from sandbox.store import Store
from tests.odoo.contract import CONTRACT, VARIABLES, Odoo, servers
from tests.odoo.running import engine, here, quick

__all__ = ["engine", "here", "quick"]


@pytest.fixture(scope="session", params=servers())
def server(request: pytest.FixtureRequest) -> Iterator[Odoo]:
    """Each contract test runs on all."""
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=300, trust_env=False))
        if request.param == "real":
            url, database, user, key = (os.environ[name] for name in VARIABLES)
            found = Odoo(url=url.rstrip("/"), database=database, user=user, key=key, real=True, client=client)
        else:
            site = Site(Store())
            key = site.add_user("somebody")
            web = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler_for(site.handle)))
            web.daemon_threads = True
            threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(web.shutdown)
            url = f"http://127.0.0.1:{web.server_address[1]}"
            found = Odoo(url=url, database=DATABASE, user="somebody", key=key, real=False, client=client)
        found.uid = found.told("common", "authenticate", found.database, found.user, found.key, {})["result"]
        yield found


@pytest.fixture
def odoo(server: Odoo) -> Iterator[Odoo]:
    kept, server.made = server.made, []
    yield server
    server.clean()
    server.made = kept


@pytest.fixture(scope="session")
def owner(server: Odoo) -> Iterator[int]:
    """A company with the generic chart, one for all tests of a server: a real one takes its time over it."""
    kenya = server.find("res.country", [["code", "=", "KE"]])[0]["id"]
    company = server.make("res.company", name=f"Contract {uuid.uuid4().hex[:6]}", country_id=kenya)
    server.call("account.chart.template", "try_loading", [], "generic_coa", company)
    yield company
    server.clean()


@pytest.fixture
def unique() -> str:
    """In the names of all that a test makes."""
    return f"T{uuid.uuid4().hex[:8]}"


pytest_runtest_makereport, pytest_terminal_summary = CONTRACT.hooks()
