"""A headless Chromium of Debian's, and what each test asks of a page: looks kept as pictures, and nothing axe finds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.web.site import ROOT, Site

CHROMIUM = Path(os.environ.get("TENANTRY_TEST_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 60
LONG = SECONDS * 1000
LOOKS = (("light", 1200), ("dark", 1200), ("light", 390))
# What WCAG 2.2 AA asks, and what axe holds to be good practice.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))


def context_of(browser: Browser, site: Site, token: str | None, **options: Any) -> BrowserContext:
    """A browser context, signed in with `token`."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    context.set_default_timeout(SECONDS * 1000)
    if token is not None:
        context.add_cookies([{"name": "tenantry_session", "value": token, "url": site.url}])
    return context


def watched(page: Page) -> list[str]:
    """What goes wrong in a page from here on: exceptions of its script, and anything the policy on content refuses."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: (
            wrong.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    return wrong


def violations(page: Page) -> list[str]:
    """What axe finds, one line each."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}}).response["violations"]
    return [
        f"{one['id']} ({one['help']}): {node['target']} {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"]
    ]


def folder_of_pictures() -> Path:
    folder = Path(os.environ.get("TENANTRY_SCREENSHOTS") or ROOT / ".tenantry-ci" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def picture(page: Page, name: str) -> None:
    page.screenshot(path=folder_of_pictures() / f"{name}.png", full_page=True, animations="disabled")


def look(page: Page, name: str, before: Callable[[], None] | None = None) -> None:
    """The page as it is now, in light and dark, wide and narrow: kept as pictures, clean for axe, nothing cut off."""
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        if before is not None:
            before()
        picture(page, f"{name}-{scheme}-{width}")
        found = violations(page)
        assert not found, "\n".join([f"{name}, {scheme}, {width}:", *found])
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is {wider} px wider than a window of {width} px"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1200, "height": 800})


CABINET = {
    "name": "Cabinet Rive",
    "address.country": "CH",
    "address.street": "12, quai Gustave-Ador",
    "address.city": "Genève",
    "address.postalCode": "1207",
    "phone": "+41 22 555 01 42",
    "email": "contact@rive.example",
}


def fill_cabinet(page: Page, **values: str) -> None:
    """Fills the form of a new cabinet."""
    for name, text in {**CABINET, **values}.items():
        page.locator(f'[name="{name}"]').fill(text)


def progress_until_done(page: Page) -> list[int]:
    """The progress as a job's page shows it, until the job has ended well."""
    seen: list[int] = []
    bar = page.locator("progress")
    until = time.monotonic() + SECONDS
    while page.get_by_role("link", name="Continue").count() == 0:
        assert time.monotonic() < until, seen
        value = int(bar.get_attribute("value") or 0)
        if value not in seen[-1:]:
            seen.append(value)
        page.wait_for_timeout(40)
    return [*seen, int(bar.get_attribute("value") or 0)]
