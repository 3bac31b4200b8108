"""A simulated ERPNext that is served from this process and forgotten at the end: for tests that want one each.

It starts in a few hundredths of a second. Its `site` can be asked and told directly: faults, what was asked, switches.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.erpnext import admin
from sandbox.erpnext.api import Site
from sandbox.erpnext.documents import ADMINISTRATOR
from sandbox.erpnext.server import Server
from sandbox.http import handler_for
from sandbox.process import HOST
from sandbox.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalErpNext:
    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    site: Site = field(repr=False)


@contextlib.contextmanager
def served(*, wizard: bool = True) -> Iterator[LocalErpNext]:
    """A new site on a free port of loopback. `wizard` False: its set-up wizard was never finished."""
    site = Site(Store(), wizard=wizard)
    key, secret = site.add_user(ADMINISTRATOR, {})
    with Server((HOST, 0), handler_for(admin.handler(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield LocalErpNext(url=f"http://{HOST}:{server.server_address[1]}", key=key, secret=secret, site=site)
        finally:
            server.shutdown()
            thread.join()
            site.close()
