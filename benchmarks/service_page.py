"""From the statement that writes a job's progress to the moment at which an open page shows it, in a real Chromium.

Measures; decides only where Chromium is. What the page does about an event is the page's own script.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Mapping

import psycopg
from playwright.async_api import Page, async_playwright

_SECONDS = 30.0
_MOST = 99
_PROGRESS = """
    WITH changed AS (UPDATE jobs SET progress = %(progress)s WHERE id::text = %(job)s RETURNING id)
    SELECT tenantry_event(id, 'progress', jsonb_build_object('progress', %(progress)s::int)) FROM changed
"""
# The time of the frame after each change: what a person sees, and not what the script has made so far.
_WATCH = """
    () => {
        window.seen = {};
        const look = () => {
            const text = document.querySelector("#live-body .meter")?.textContent ?? "";
            const found = /(\\d+) %/.exec(text);
            if (found && !(found[1] in window.seen)) {
                window.seen[found[1]] = 0;
                requestAnimationFrame(() => { window.seen[found[1]] = performance.timeOrigin + performance.now(); });
            }
        };
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
        look();
    }
"""


def chromium() -> str | None:
    """The browser: what TENANTRY_TEST_CHROMIUM names, else the system's; None where there is none."""
    return os.environ.get("TENANTRY_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


async def shown(browser: str, url: str, token: str, database: str, job: str, count: int) -> tuple[list[float], int]:
    """Milliseconds until each of `count` changes of `job` was on the page; and how many never were."""
    sent: dict[int, float] = {}
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        try:
            context = await started.new_context()
            await context.add_cookies([{"name": "tenantry_session", "value": token, "url": url}])
            page = await context.new_page()
            await page.goto(f"{url}/jobs/{job}", timeout=_SECONDS * 1000)
            await page.locator("#live-body .meter").wait_for(timeout=_SECONDS * 1000)
            await page.evaluate(_WATCH)
            await _change(database, job, min(count, _MOST), sent)
            seen = await _seen(page, len(sent))
        finally:
            await started.close()
    return taken(sent, seen)


def taken(sent: Mapping[int, float], seen: Mapping[int, float]) -> tuple[list[float], int]:
    """A change was shown when it, or one after it, was: of two at once the page may show the later one only."""
    found: list[float] = []
    for number, at in sent.items():
        later = [moment for shown, moment in seen.items() if shown >= number and moment]
        if later:
            found.append(min(later) - at)
    return found, len(sent) - len(found)


async def _change(database: str, job: str, count: int, sent: dict[int, float]) -> None:
    # Not on a beat: the page asks for its parts at most every so often, and must not be in step with that.
    pauses = random.Random(5)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True, connect_timeout=10) as connection:
        for number in range(1, count + 1):
            await asyncio.sleep(pauses.uniform(0.1, 1.2))
            sent[number] = time.time() * 1000
            await connection.execute(_PROGRESS, {"progress": number, "job": job})


async def _seen(page: Page, last: int) -> dict[int, float]:
    """What the page has noted, once it shows the last change or has had its time."""
    until = time.monotonic() + _SECONDS
    while True:
        noted = {int(number): float(at) for number, at in (await page.evaluate("() => window.seen")).items()}
        if noted.get(last) or time.monotonic() > until:
            return noted
        await asyncio.sleep(0.1)
