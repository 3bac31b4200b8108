"""The simulated Odoo as a server of a folder: it keeps what it knows, and its door is closed to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from sandbox.faults import Fault, Kind
from sandbox.odoo import server as simulator
from sandbox.odoo.server import SimulatedOdoo


def ask(server: SimulatedOdoo, service: str, method: str, *args: Any) -> httpx.Response:
    params = {"service": service, "method": method, "args": list(args)}
    return httpx.post(f"{server.url}/jsonrpc", json={"jsonrpc": "2.0", "id": 1, "params": params}, timeout=10)


def test_a_server_keeps_what_it_knows_and_has_a_door_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "odoo"
    try:
        server = simulator.start(folder, version=17)
        assert ask(server, "common", "version").json()["result"]["server_serie"] == "17.0"
        uid = ask(server, "common", "authenticate", server.database, server.user, server.key, {}).json()["result"]
        values = {"name": "Kept"}
        given = [server.database, uid, server.key, "res.partner", "create", [values], {}]
        made = ask(server, "object", "execute_kw", *given).json()["result"]
        # A call leaves its method and model, and nothing of what was in it.
        assert [(row["method"], row["path"]) for row in server.requests()][-1] == ("create", "/res.partner")
        assert "Kept" not in str(server.requests())
        assert server.key not in str(server.requests())

        server.add(Fault(kind=Kind.TOO_MANY, method="search_read", seconds=2))
        given = [server.database, uid, server.key, "res.partner", "search_read", [[["id", "=", made]]], {}]
        limited = ask(server, "object", "execute_kw", *given)
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "2")
        server.heal()

        other = server.add_user("reader@shop.invalid", system=False)
        for key in (other, "wrong"):
            headers = {"Authorization": f"Bearer {key}"}
            assert httpx.get(f"{server.url}/sandbox/requests", headers=headers, timeout=10).status_code == 401
        assert httpx.get(f"{server.url}/web", timeout=10).status_code == 404
        reader = ask(server, "common", "authenticate", server.database, "reader@shop.invalid", other, {}).json()[
            "result"
        ]
        chart = [server.database, reader, other, "account.chart.template", "try_loading", [[], "ke", 1], {}]
        refused = ask(server, "object", "execute_kw", *chart).json()["error"]["data"]["name"]
        assert refused == "odoo.exceptions.AccessError"

        assert simulator.stop(folder) is True
        again = simulator.start(folder)
        assert (again.port, again.key) == (server.port, server.key)
        found = ask(again, "object", "execute_kw", *given).json()["result"]
        assert [row["name"] for row in found] == ["Kept"]
        assert ask(again, "common", "version").json()["result"]["server_serie"] == "17.0"
        assert oct((folder / "odoo" / "key").stat().st_mode & 0o777) == "0o600"
    finally:
        simulator.remove(folder)
    assert not (folder / "odoo").exists()
