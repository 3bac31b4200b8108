"""Parameters of the query that no route knows."""

from __future__ import annotations

import httpx
import pytest

from tests.service.helpers import as_


@pytest.mark.parametrize("path", ["/api/v1/tenants", "/api/templates", "/api/v1/tenants/acme", "/api/v1/lines"])
async def test_a_mistyped_parameter_is_refused_by_name(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, params={"stauts": "active"}, headers=as_())
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["errors"][0]["field"] == "query.stauts"
    if path == "/api/v1/tenants":
        assert problem["errors"][0]["suggestion"] == "status"


async def test_who_is_not_signed_in_learns_nothing_of_parameters(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/tenants", params={"stauts": "active"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_address_says_all_methods_that_it_takes(client: httpx.AsyncClient) -> None:
    wrong = await client.patch("/api/v1/tenants/acme", headers=as_())
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET, PUT")
    assert "DELETE, GET, PUT only" in wrong.json()["detail"]
    for path in ("/api/v1/", "/api/v1/tenants/", "/api/nothing", "/nothing"):
        missing = await client.get(path, headers=as_())
        assert missing.status_code == 404
        assert path in missing.json()["detail"]
        assert "/api/v1/openapi.json" in missing.json()["hint"]


async def test_a_line_that_is_not_there_is_no_filter(client: httpx.AsyncClient) -> None:
    for path in ("tenants", "jobs", "templates"):
        wrong = await client.get(f"/api/v1/{path}", params={"line": "cabinets"}, headers=as_())
        assert wrong.status_code == 422, path
        assert wrong.json()["errors"][0]["valid"] == "one of cabinet, department, isp, pos, site"
        known = await client.get(f"/api/v1/{path}", params={"line": "cabinet"}, headers=as_())
        assert known.status_code == 200
