"""From a clean clone: `tenantry dev`, open the page, make a cabinet and watch it, break one and retry it. In a browser.

Nothing is in the place of a real part: the command as its user types it, its PostgreSQL, worker and engine.
"""

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.automation.dev_process import Running, running_in
from tests.web.browser import LONG, fill_cabinet, look, progress_until_done, watched
from tests.web.site import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a clone would have: the files that git keeps, or would, and nothing that was built or left here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    made = tmp_path / "tenantry"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name)
    return made


@pytest.fixture
def running(clone: Path) -> Iterator[Running]:
    """`tenantry dev` in the clone, with nothing else said."""
    with running_in(clone, clone / ".tenantry" / "dev", source=clone) as made:
        yield made


@pytest.fixture
def person(browser: Browser) -> Iterator[Page]:
    """Somebody at a browser that has never seen the page."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(LONG)
    page = context.new_page()
    wrong = watched(page)
    yield page
    context.close()
    assert wrong == []


def database(running: Running) -> psycopg.Connection[tuple[object, ...]]:
    """The main database, as the file that `tenantry dev` names for a shell says."""
    words = [shlex.split(line)[1] for line in (running.folder / "env").read_text().splitlines() if "=" in line]
    env = dict(word.split("=", 1) for word in words)
    return psycopg.connect(
        host=env["DB_HOST"],
        port=env["DB_PORT"],
        user=env["DB_USER"],
        password=env["DB_PASSWORD"],
        dbname=env["DB_NAME"],
        autocommit=True,
        connect_timeout=10,
    )


@pytest.mark.timeout(900)
def test_from_a_clean_clone_a_cabinet_is_made_and_watched_and_a_broken_one_is_tried_again(
    person: Page, running: Running
) -> None:
    page = person
    _signs_in(page, running)
    _makes_and_watches(page)
    _breaks_one_and_tries_again(page, running)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Tenants").click()
    expect(page.get_by_role("row", name=re.compile("Cabinet Rive.*Active"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Cabinet Lac.*Active"))).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    said = running.end(signal.SIGINT)
    assert running.process.returncode == 0, said


def _signs_in(page: Page, running: Running) -> None:
    """By the link that the command has printed."""
    link = re.search(r"open +(http://\S+)", running.said.read_text())
    assert link is not None
    page.goto(link[1])
    expect(page).to_have_url(f"{running.url}/tenants")
    expect(page.get_by_role("heading", name="No tenants yet")).to_be_visible()


def _makes_and_watches(page: Page) -> None:
    page.get_by_role("link", name="Create the first tenant").click()
    page.get_by_role("link", name=re.compile("General dentistry")).click()
    fill_cabinet(page, slug="rive")
    page.get_by_role("button", name="Preview the changes").click()
    expect(page.get_by_text("11 to create")).to_be_visible()
    page.get_by_role("button", name="Create rive").click()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()  # only when it is done
    seen = progress_until_done(page)
    assert seen == sorted(seen), "progress went backwards"
    assert seen[-1] == 100
    assert len(seen) > 2, "the progress was seen only at its end"
    expect(page.get_by_role("status")).to_contain_text("Apply of rive: Succeeded")
    expect(page.locator(".steps li", has_text="Done")).to_have_count(6)
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", name="Cabinet Rive")).to_be_visible()
    expect(page.locator(".title .pill")).to_have_text("Active")


def _breaks_one_and_tries_again(page: Page, running: Running) -> None:
    """A database of the cabinet's name is there already, and not ours: the step says so, and is tried again alone."""
    with database(running) as connection:
        connection.execute('CREATE DATABASE "cabinet_lac"')
        page.get_by_role("link", name="Tenants").first.click()
        page.get_by_role("link", name="New tenant").click()
        page.get_by_role("link", name=re.compile("Orthodontics")).click()
        fill_cabinet(page, slug="lac", name="Cabinet Lac")
        page.get_by_label("Enable rollback").uncheck()
        page.get_by_role("button", name="Create without a preview").click()
        expect(page.get_by_role("heading", name="It failed")).to_be_visible()
        step = page.locator(".steps li", has_text="Cabinet database")
        expect(step).to_contain_text("Cannot create database 'cabinet_lac': it exists already")
        expect(page.get_by_role("link", name="Continue")).to_have_count(0)
        look(page, "dev-one-that-broke")
        connection.execute('DROP DATABASE "cabinet_lac"')
    step.get_by_role("button", name="Try this step again").click()
    page.get_by_role("link", name="Continue").click()
    expect(page.locator(".title .pill")).to_have_text("Active")
    history = page.get_by_role("table", name="Runs, newest first").locator("tbody tr")
    expect(history.nth(0)).to_contain_text("Succeeded")
    expect(history.nth(1)).to_contain_text("Failed")
