"""Without what many do without: a page with its script switched off, and one whose reader has a keyboard only."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.browser import CABINET, LONG, context_of, fill_cabinet, violations
from tests.web.full import Full, fill_up
from tests.web.site import Site

TABS = 80


@pytest.fixture(scope="module")
def full(site: Site) -> Full:
    return fill_up(site)


@pytest.fixture
def plain(browser: Browser, site: Site) -> Iterator[Page]:
    """A browser without scripts, of somebody who has not signed in."""
    context = context_of(browser, site, None, java_script_enabled=False)
    yield context.new_page()
    context.close()


def sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/")
    page.get_by_label("Token").fill(site.token())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Tenants", level=1)).to_be_visible()


def test_without_a_script_everything_but_the_live_parts_works(plain: Page, site: Site, full: Full) -> None:
    page = plain
    sign_in(page, site)
    page.get_by_label("Search").fill("broke")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.get_by_label("Status").select_option("Active")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No tenant matches")).to_be_visible()

    page.goto(f"{site.url}/jobs/{full.failed}")
    log = page.get_by_role("list", name="Log")
    expect(log).to_be_visible()  # it failed: open
    page.locator("#log-box > summary").click()
    expect(log).to_be_hidden()
    page.get_by_role("button", name="Try this step again").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title .pill")).to_have_text("Cancelled")

    page.goto(f"{site.url}/tenants/acme")
    page.get_by_role("row", name=re.compile("Succeeded")).first.get_by_role("link", name="Roll back").click()
    page.get_by_label("Type acme to confirm").fill("acm")
    page.get_by_role("button", name="Roll back this run").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the name. Type acme to confirm")
    page.goto(f"{site.url}/tenants/acme/destroy")
    page.get_by_role("button", name="Remove this cabinet").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was touched")
    page.get_by_label("Type acme to confirm").fill("acme")
    page.get_by_role("button", name="Remove this cabinet").click()
    expect(page.get_by_role("heading", name="Remove acme")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title .pill")).to_have_text("Cancelled")

    page.goto(f"{site.url}/webhooks/{full.webhook}")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("status")).to_contain_text("The webhook is changed")
    page.get_by_role("link", name="Audit").click()
    page.locator("summary").first.click()
    expect(page.locator("tr.more").first).to_contain_text("active")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{site.url}/tenants")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_without_a_script_a_form_says_what_is_wrong_and_keeps_what_was_entered(plain: Page, site: Site) -> None:
    page = plain
    sign_in(page, site)
    page.get_by_role("link", name=re.compile("New tenant|Create the first tenant")).first.click()
    page.get_by_role("link", name=re.compile("Pediatric")).click()
    fill_cabinet(page, slug="No!", phone="none")
    page.get_by_role("button", name="Preview the changes").click()
    summary = page.get_by_role("alert")
    expect(summary.get_by_role("link")).to_have_text(["Slug", "Phone"])
    expect(page).to_have_title(re.compile("^Wrong: "))
    summary.get_by_role("link", name="Phone").click()
    expect(page.locator('[name="phone"]')).to_be_in_viewport()
    expect(page.locator("#f-phone-wrong")).to_contain_text('"none" is not valid')
    expect(page.locator('[name="name"]')).to_have_value(CABINET["name"])
    page.locator('[name="slug"]').fill("by-hand")
    page.locator('[name="phone"]').fill(CABINET["phone"])
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_role("textbox", name="Manifest")).to_have_value(re.compile("slug: by-hand"))
    page.get_by_role("button", name="Preview the changes").click()
    expect(page.get_by_role("heading", name="Preview by-hand")).to_be_visible()
    assert '<meta http-equiv="refresh" content="2">' in page.content()
    page.get_by_role("link", name="Let it stand still").click()
    assert "http-equiv" not in page.content()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title .pill")).to_have_text("Cancelled")


def tab_to(page: Page, wanted: Locator) -> None:
    """Presses Tab until `wanted` has the focus, which must then be seen."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            outline = wanted.evaluate("one => parseFloat(getComputedStyle(one).outlineWidth)")
            assert outline >= 2, "the focus is not seen"
            expect(wanted).to_be_in_viewport()
            return
    raise AssertionError(f"{TABS} times Tab do not lead to {wanted}")


@pytest.mark.timeout(400)
def test_with_a_keyboard_alone_a_cabinet_is_made_broken_off_and_removed(
    browser: Browser, site: Site, full: Full
) -> None:
    """From signing in to signing out, without a click."""
    context = context_of(browser, site, None)
    page = context.new_page()
    page.goto(f"{site.url}/sign-in")
    tab_to(page, page.get_by_label("Token"))
    page.keyboard.insert_text(site.token())
    page.keyboard.press("Enter")
    page.wait_for_url("**/tenants")
    tab_to(page, page.get_by_role("link", name="New tenant"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name=re.compile("Pediatric")))
    page.keyboard.press("Enter")
    page.wait_for_url("**/tenants/new?*")
    for name, text in {"name": CABINET["name"], "slug": "by keys", **CABINET}.items():  # in the page's order
        tab_to(page, page.locator(f'[name="{name}"]'))
        page.keyboard.type(text)
    page.keyboard.press("Enter")  # within a field: as the first button does
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    tab_to(page, summary.get_by_role("link", name="Slug"))
    page.keyboard.press("Enter")
    slug = page.locator('[name="slug"]')
    expect(slug).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("by-keys")
    tab_to(page, page.get_by_role("button", name="Create without a preview"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    tab_to(page, page.get_by_role("button", name="Cancel"))
    page.keyboard.press("Enter")
    expect(page.locator(".title .pill")).to_have_text("Cancelled", timeout=LONG)
    log = page.locator("#log-box > summary")
    tab_to(page, log)
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Log")).to_be_visible()
    assert violations(page) == []

    page.goto(f"{site.url}/tenants/acme")
    tab_to(page, page.get_by_role("link", name="Remove this cabinet"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Type acme to confirm"))
    page.keyboard.type("acne")
    page.keyboard.press("Enter")
    confirm = page.get_by_label("Type acme to confirm")
    expect(confirm).to_be_focused()
    page.keyboard.type("acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Remove acme")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
