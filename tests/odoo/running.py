"""A region whose Odoo is the simulator in this process; engine and resources are run as those of ERPNext are."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers import http, metering
from providers.engine_health import Looks
from providers.odoo import api, health, lifecycle
from sandbox.faults import Asked, Fault, Kind
from sandbox.http import handler_for
from sandbox.odoo.api import DATABASE, Site
from sandbox.odoo.orm import Row
from sandbox.store import Store
from tests.erpnext.running import Engine, Made, created, engine

__all__ = ["Engine", "Made", "created", "engine"]

REGION = "here"
MARK = "tenantry/shop"
USER, KEY = "tenantry@shop.invalid", "key-hunter2"
VARIABLE = "TENANTRY_BACKEND_TEST_KEY"
OURS: dict[str, Any] = {"region": REGION, "tenant_mark": MARK}


class Server:
    """A database, as somebody sees it who is not Tenantry."""

    def __init__(self) -> None:
        self.site = Site(Store())
        self.site.add_user(USER, key=KEY)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self.site.handle))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.running = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        if self.running:
            # Connections that are open already go on being served otherwise.
            self.fault(Kind.DROP)
            self._server.shutdown()
            self._server.server_close()
            self.running = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """For what is changed past the API: nothing is asked meanwhile."""
        with self.site.alone(), self.site.records.request():
            yield

    def rows(self, model: str, **having: Any) -> list[Row]:
        return [dict(row) for row in self.site.records.each(model, **having)]

    def row(self, model: str, **having: Any) -> Row:
        [found] = self.rows(model, **having)
        return found

    def put(self, model: str, **values: Any) -> int:
        """As somebody who makes it in the browser."""
        with self.alone():
            return int(self.site.root.create(model, values)["id"])

    def change(self, model: str, number: int, **values: Any) -> None:
        with self.alone():
            self.site.root.write(model, [number], values)

    def delete(self, model: str, *numbers: int) -> None:
        with self.alone():
            self.site.root.unlink(model, numbers)

    def marks(self) -> set[str]:
        return {row["name"] for row in self.rows("ir.model.data", module="tenantry")}

    def fault(self, kind: Kind, **more: Any) -> None:
        self.site.faults.add(Fault(kind=kind, **more))

    def asked(self, *methods: str, where: str = "") -> list[Asked]:
        return [row for row in self.site.log.rows() if (row.method in methods or not methods) and where in row.path]

    def state(self) -> str:
        """Everything that is there, to be compared."""
        return json.dumps(self.site.records._kept, sort_keys=True)


def name_region(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str, **more: Any) -> None:
    """The region `here`, which has an Odoo at `url` and nothing else."""
    backend = {"url": url, "database": DATABASE, "user": USER, "keyFrom": VARIABLE, **more}
    file = folder / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {REGION: {"odoo": backend}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits as long as a run does, and none sees what another has counted or looked at."""
    monkeypatch.setattr(http, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(metering, "_meters", {})
    monkeypatch.setattr(health, "_looks", Looks())
    monkeypatch.setattr(api, "_uids", {})
    monkeypatch.setattr(api, "_versions", {})
    monkeypatch.setattr(lifecycle, "_codes", {})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None) -> Iterator[Server]:
    running = Server()
    name_region(monkeypatch, tmp_path, running.url)
    yield running
    running.stop()
