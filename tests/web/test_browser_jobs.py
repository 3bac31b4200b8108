"""A person makes a cabinet and watches it, changes it, breaks one and retries it, undoes and removes: in a browser."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg import sql

from tests.web.browser import LONG, context_of, look, progress_until_done
from tests.web.site import Site

Fill = Callable[..., None]


@pytest.fixture(scope="module")
def working(site: Site) -> Site:
    """The site with a worker."""
    site.work()
    return site


@pytest.fixture
def taken(working: Site) -> Iterator[Callable[[str], None]]:
    """Makes a database of a tenant's name that is somebody else's; `free` takes it away again."""
    made: list[str] = []

    def take(slug: str) -> None:
        made.append(f"cabinet_{slug.replace('-', '_')}")
        working.run(f'CREATE DATABASE "{made[-1]}"')

    yield take
    with psycopg.connect(working.database_url, autocommit=True, connect_timeout=10) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def new(page: Page, site: Site, template: str = "default-dental") -> None:
    page.goto(f"{site.url}/tenants/new?line=cabinet&template={template}")


@pytest.mark.timeout(400)
def test_a_cabinet_is_previewed_made_watched_changed_undone_and_removed(page: Page, working: Site, fill: Fill) -> None:
    """The whole life of one, as a person goes through it."""
    page.goto(f"{working.url}/tenants")
    page.get_by_role("link", name="Create the first tenant").click()
    page.get_by_role("link", name=re.compile("General dentistry")).click()
    fill(slug="rive")
    page.get_by_role("button", name="Preview the changes").click()

    page.wait_for_url("**/jobs/*")
    create = page.get_by_role("button", name="Create rive")
    create.wait_for()
    expect(page.get_by_role("heading", name="Cabinet database")).to_be_visible()
    expect(page.get_by_text("11 to create")).to_be_visible()
    page.locator("summary", has_text=re.compile("Role rive")).click()
    expect(page.locator("tr", has_text="password").get_by_text("[secret]")).to_be_visible()
    look(page, "preview-of-a-new-tenant")
    assert working.run("SELECT count(*) FROM tenants") == [(0,)]  # a preview leaves nothing behind

    create.click()
    page.wait_for_url("**/jobs/*")
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()  # only when it is done
    seen = progress_until_done(page)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(seen) > 2, "the progress was seen only at its end"
    expect(page.get_by_role("status")).to_contain_text("Apply of rive: Succeeded")
    assert page.locator(".steps li", has_text="Done").count() == 6
    page.get_by_text(re.compile("^Log")).click()
    expect(page.get_by_role("list", name="Log")).to_contain_text("Cabinet database: completed")
    look(page, "job-that-succeeded")
    page.get_by_role("link", name="Continue").click()

    expect(page.get_by_role("heading", name="Cabinet Rive")).to_be_visible()
    expect(page.locator("dd", has_text="contact@rive.example")).to_be_visible()
    page.get_by_role("link", name="Change", exact=True).click()
    assert page.locator('[name="slug"]').get_attribute("readonly") is not None
    page.locator('[name="email"]').fill("hello@rive.example")
    page.locator("summary", has_text="Custom settings").click()
    page.locator("summary", has_text="Booking").click()
    page.get_by_label("Advance days").fill("45")
    page.get_by_role("button", name="Preview the changes").click()
    page.get_by_role("button", name="Apply these changes").wait_for()
    expect(page.locator("del", has_text="contact@rive.example")).to_be_visible()
    expect(page.locator("ins", has_text="hello@rive.example")).to_be_visible()
    expect(page.locator("tr", has_text="settings.booking.advanceDays").locator("ins")).to_contain_text("45")
    look(page, "preview-of-a-change")
    page.get_by_role("button", name="Apply these changes").click()
    page.get_by_role("link", name="Continue").click(timeout=LONG)
    expect(page.locator("dd", has_text="hello@rive.example")).to_be_visible()
    look(page, "tenant")

    page.get_by_role("button", name="Check for drift").click()
    expect(page.get_by_text("Nothing has drifted")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="Continue").click()

    page.get_by_role("row", name=re.compile("2 objects changed")).get_by_role("link", name="Roll back").click()
    expect(page.locator("ins", has_text="contact@rive.example")).to_be_visible()
    look(page, "undo")
    page.get_by_label("Type rive to confirm").fill("wrong")
    page.get_by_role("button", name="Roll back this run").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the name")
    page.get_by_label("Type rive to confirm").fill("rive")
    page.get_by_role("button", name="Roll back this run").click()
    page.get_by_role("link", name="Continue").click(timeout=LONG)
    expect(page.locator("dd", has_text="contact@rive.example")).to_be_visible()

    page.get_by_role("link", name="Remove this cabinet").click()
    page.get_by_label("Type rive to confirm").fill("rive")
    page.get_by_role("button", name="Remove this cabinet").click()
    page.get_by_role("link", name="Continue").click(timeout=LONG)
    expect(page.get_by_role("heading", name="This tenant is removed")).to_be_visible()
    assert working.run("SELECT count(*) FROM pg_database WHERE datname = 'cabinet_rive'") == [(0,)]


def test_one_that_breaks_says_why_and_is_tried_again(
    page: Page, working: Site, fill: Fill, taken: Callable[[str], None]
) -> None:
    taken("broken")
    new(page, working)
    fill(slug="broken", name="Cabinet Broken")
    page.get_by_role("button", name="Create without a preview").click()
    expect(page.get_by_role("heading", name="It failed, and was rolled back")).to_be_visible(timeout=LONG)
    step = page.locator(".steps li", has_text="Cabinet database")
    expect(step).to_contain_text("Cannot create database 'cabinet_broken': it exists already")
    expect(page.get_by_role("link", name="Continue")).to_have_count(0)
    look(page, "job-that-was-rolled-back")
    working.run('DROP DATABASE "cabinet_broken"')
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("link", name="Continue").click(timeout=LONG)
    expect(page.locator(".title .pill")).to_contain_text("Active")


def test_one_step_is_tried_again_where_nothing_was_rolled_back(
    page: Page, working: Site, fill: Fill, taken: Callable[[str], None]
) -> None:
    taken("half")
    new(page, working)
    fill(slug="half", name="Cabinet Half")
    page.get_by_label("Enable rollback").uncheck()
    page.get_by_role("button", name="Create without a preview").click()
    expect(page.get_by_role("heading", name="It failed")).to_be_visible(timeout=LONG)
    look(page, "job-that-failed")
    address = page.url
    page.get_by_role("link", name="Show the tenant").click()
    expect(page.get_by_role("heading", name="The last run failed")).to_be_visible()
    look(page, "tenant-that-failed")
    page.goto(address)
    working.run('DROP DATABASE "cabinet_half"')
    page.get_by_role("button", name="Try this step again").click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible(timeout=LONG)
    job = working.api("GET", f"/jobs/{page.url.rsplit('/', 1)[-1]}")
    assert job["status"] == "succeeded"


def test_a_step_that_can_be_left_out_is(page: Page, working: Site, fill: Fill, taken: Callable[[str], None]) -> None:
    taken("without")
    new(page, working)
    fill(slug="without", name="Cabinet Without")
    page.get_by_role("button", name="Create without a preview").click()
    page.get_by_role("button", name="Go on without this step").click(timeout=LONG)
    expect(page.get_by_role("link", name="Continue")).to_be_visible(timeout=LONG)
    assert working.api("GET", "/tenants/without")["manifest"]["skipDatabaseCreation"] is True


def test_without_a_script_a_job_is_followed_all_the_same(
    browser: Browser, working: Site, manifest_data: dict[str, Any]
) -> None:
    """The page loads itself again every 2 seconds, until the job has ended."""
    context = context_of(browser, working, working.token(), java_script_enabled=False)
    page = context.new_page()
    new(page, working)
    for name in ("name", "slug", "phone", "email"):
        page.locator(f'[name="{name}"]').fill(manifest_data[name].replace("acme", "plain"))
    for name, text in manifest_data["address"].items():
        page.locator(f'[name="address.{name}"]').fill(text)
    page.get_by_role("button", name="Preview the changes").click()
    page.get_by_role("button", name="Create plain").click(timeout=LONG)
    # Read again until it is there: the page may be loading itself anew just then, and is empty for that moment.
    expect(page.locator("noscript p")).to_contain_text("This page loads itself again every 2 seconds")
    page.get_by_role("link", name="Continue").click(timeout=LONG)
    expect(page.get_by_role("heading", name="Cabinet Acme")).to_be_visible()
    context.close()


def test_a_job_that_runs_is_cancelled(page: Page, working: Site, fill: Fill) -> None:
    new(page, working)
    fill(slug="stopped", name="Cabinet Stopped")
    page.get_by_role("button", name="Create without a preview").click()
    page.wait_for_url("**/jobs/*")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title .pill")).to_contain_text("Cancelled", timeout=LONG)
    look(page, "job-that-was-cancelled")
