"""Fixtures of the page: a valid cabinet, the running service, and a browser."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.postgres import EmbeddedPostgres
from tests.web.browser import CHROMIUM, LONG, context_of, fill_cabinet, launch, watched
from tests.web.site import Site

# What a page is to show is waited for as long as anything here: a busy machine is no failure.
expect.set_options(timeout=LONG)


@pytest.fixture
def manifest_data() -> dict[str, Any]:
    """A cabinet's manifest, with every optional key left out."""
    return {
        "kind": "cabinet",
        "name": "Cabinet Acme",
        "slug": "acme",
        "address": {"country": "CH", "street": "1, rue du Lac", "city": "Genève", "postalCode": "1207"},
        "phone": "+41225550142",
        "email": "contact@acme.example",
        "templateId": "default-dental",
    }


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service, without a worker: jobs wait. `site.work()` starts one."""
    made = Site(tmp_path_factory.mktemp("site"), postgres)
    try:
        made.serve()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module: Playwright's loop must not outlive it, since other tests have loops of their own."""
    if not CHROMIUM.exists():
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail(f"there is no {CHROMIUM}: install Debian's chromium, or set TENANTRY_TEST_CHROMIUM")
        pytest.skip(f"there is no {CHROMIUM}: install Debian's chromium, or set TENANTRY_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of the platform's admin. What goes wrong in it by itself fails the test."""
    context = context_of(browser, site, site.token())
    opened = context.new_page()
    wrong = watched(opened)
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def fill(page: Page) -> Callable[..., None]:
    """Fills the form of a new cabinet."""

    def put(**values: str) -> None:
        fill_cabinet(page, **values)

    return put
