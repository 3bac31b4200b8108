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
