"""A line that comes later: an entry in LINES and a module in service/lines, and its routes answer. No other change."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import service.lines
from automation.database import ensure_ready
from automation.settings import load_settings
from service.app import create_app
from stacks.lines import CABINET, LINES, Line
from stacks.problems import FieldProblem, ManifestError
from stacks.templates import TemplateStore
from tests.service.helpers import as_, manifest

LATER = Path(__file__).parent / "later_line"
PATH = "/api/v1/shops/jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopManifest:
    """All that a line's manifest must have."""

    kind: str
    slug: str
    name: str
    template_id: str = "plain-shop"
    enable_rollback: bool = True

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "slug": self.slug, "name": self.name}


def _parse(data: dict[str, Any], **_: Any) -> ShopManifest:
    if not str(data.get("slug", "")).startswith("shop-"):
        raise ManifestError("manifest", [FieldProblem(field="slug", given=str(data.get("slug")), valid="shop-...")])
    return ShopManifest(**{name: data[name] for name in ("kind", "slug", "name")})


def line(templates: Path) -> Line:
    """A line of shops, whose manifests are not those of cabinets."""
    schema = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "shop"}}}
    return replace(
        CABINET,
        kind="shop",
        title="Shops",
        noun="shop",
        parse=_parse,  # type: ignore[arg-type] # a line's manifest, of which there is one kind so far
        resolve=lambda parsed, *_args, **_more: parsed,
        schema=lambda: schema,
        templates=lambda: TemplateStore([templates]),
        skips={},
    )


@pytest.fixture
async def client(
    service_env: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A service that has the later line."""
    (tmp_path / "shop-templates").mkdir()
    monkeypatch.setitem(LINES, "shop", line(tmp_path / "shop-templates"))  # type: ignore[arg-type] # a dict, really
    monkeypatch.setattr(service.lines, "__path__", [*service.lines.__path__, str(LATER)])
    settings = load_settings()
    await asyncio.to_thread(ensure_ready, settings)
    try:
        app = create_app(settings=settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=30) as made:
                yield made
    finally:
        sys.modules.pop("service.lines.shops", None)


def test_routes_of_a_line_that_is_not_there_are_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.kind for one in service.lines.served()] == ["cabinet", "department", "isp", "pos", "site"]
    monkeypatch.setattr(service.lines, "__path__", [*service.lines.__path__, str(LATER)])
    try:
        assert [one.kind for one in service.lines.served()] == ["cabinet", "department", "isp", "pos", "site"]
    finally:
        sys.modules.pop("service.lines.shops", None)


async def test_a_later_lines_routes_answer_with_its_roles(client: httpx.AsyncClient) -> None:
    asked = {"tenant_id": "shop-one", "job_type": "create_shop"}
    owner, member = as_("olga", **{"shop-one": "owner"}), as_("mia", **{"shop-one": "member"})
    for who, status in (({}, 401), (member, 403), (as_("otto", **{"shop-two": "owner"}), 403)):
        assert (await client.post(PATH, json=asked, headers=who)).status_code == status
    made = await client.post(PATH, json=asked, headers=owner | {"Idempotency-Key": "once"})
    assert made.status_code == 202, made.text
    assert (made.json()["line"], made.json()["operation"]) == ("shop", "up")
    again = await client.post(PATH, json=asked, headers=owner | {"Idempotency-Key": "once"})
    assert again.json()["id"] == made.json()["id"]
    job = f"{PATH}/{made.json()['id']}"
    assert (await client.get(job, headers=member)).json()["tenant"] == "shop-one"
    assert (await client.get(job, headers=as_("otto", **{"shop-two": "owner"}))).status_code == 404
    for who, count in ((member, 1), (as_(), 1), (as_("otto", **{"shop-two": "owner"}), 0)):
        assert len((await client.get(PATH, headers=who)).json()["items"]) == count
    busy = await client.post(PATH, json=asked | {"job_type": "delete_shop"}, headers=owner)
    assert (busy.status_code, busy.json()["job"]) == (409, made.json()["id"])
    assert (await client.post(f"{job}/cancel", headers=member)).status_code == 403
    assert (await client.post(f"{job}/cancel", headers=owner)).json()["status"] == "cancelled"
    assert (await client.get(PATH, params={"sise": 1}, headers=owner)).status_code == 422


async def test_a_later_line_is_known_to_the_api_of_our_own(client: httpx.AsyncClient) -> None:
    wrong = await client.post("/api/v1/tenants", json={"kind": "shop", "slug": "x", "name": "X"}, headers=as_())
    assert [one["field"] for one in wrong.json()["errors"]] == ["slug"]
    shop = {"kind": "shop", "slug": "shop-one", "name": "One"}
    assert (await client.post("/api/v1/tenants", json=shop, headers=as_())).status_code == 202
    assert (await client.post("/api/v1/tenants", json=manifest(), headers=as_())).status_code == 202
    listed = (await client.get("/api/v1/tenants", params={"line": "shop"}, headers=as_())).json()
    assert [one["slug"] for one in listed["items"]] == ["shop-one"]
    kinds = [one["kind"] for one in (await client.get("/api/v1/lines", headers=as_())).json()["items"]]
    assert kinds == ["cabinet", "department", "isp", "pos", "site", "shop"]
    schema = (await client.get("/api/v1/lines/shop/schema", headers=as_())).json()
    assert schema["properties"] == {"kind": {"const": "shop"}}
    document = (await client.get("/api/v1/openapi.json")).json()
    assert {"ShopManifest", "ShopJob", "CabinetRequest"} <= set(document["components"]["schemas"])
    assert {"$ref": "#/components/schemas/ShopManifest"} in document["components"]["schemas"]["Manifest"]["oneOf"]
    assert set(document["paths"][PATH]) == {"get", "post"}
