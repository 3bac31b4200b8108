"""Every page in a browser: signing in, lists, empty states, forms and their errors, keyboard, what axe finds."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import context_of, look, violations, watched
from tests.web.site import Site

Fill = Callable[..., None]


@pytest.fixture
def stranger(browser: Browser, site: Site) -> Iterator[Page]:
    """Somebody who is not signed in."""
    context = context_of(browser, site, None)
    page = context.new_page()
    wrong = watched(page)
    yield page
    context.close()
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("tenants-empty", "/tenants", "No tenants yet"),
        ("jobs-empty", "/jobs", "No jobs yet"),
        ("audit-empty", "/audit", "Nothing has been changed yet"),
        ("webhooks-empty", "/webhooks", "No webhooks"),
        ("system-empty", "/system", "No worker runs"),
        ("choose-a-template", "/tenants/new", "Orthodontics"),
        ("templates", "/templates", "Pediatric dentistry"),
        ("template", "/templates/orthodontics", "slotMinutes: 45"),
        ("not-found", "/tenants/nobody", "There is nothing here"),
        ("no-such-page", "/nothing/of/the/kind", "There is nothing here"),
    ],
)
def test_a_page_is_there_in_every_look(page: Page, site: Site, name: str, path: str, text: str) -> None:
    page.goto(f"{site.url}{path}")
    expect(page.get_by_text(text).first).to_be_visible()
    look(page, name)


def test_signing_in_by_token_leads_to_where_one_wanted_to_go(stranger: Page, site: Site) -> None:
    stranger.goto(f"{site.url}/templates/pediatric")
    expect(stranger).to_have_url(re.compile("/sign-in"))
    look(stranger, "sign-in")
    stranger.get_by_label("Token").fill("no.such.token")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_contain_text("This token is not accepted")
    look(stranger, "sign-in-refused")
    stranger.get_by_label("Token").fill(site.token())
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger).to_have_url(f"{site.url}/templates/pediatric")
    cookie = next(one for one in stranger.context.cookies() if one["name"] == "tenantry_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger).to_have_url(f"{site.url}/sign-in")
    assert stranger.context.cookies() == []


def test_a_link_with_a_token_signs_in_and_keeps_it_out_of_the_address(stranger: Page, site: Site) -> None:
    stranger.goto(f"{site.url}/sign-in#token={site.token()}")
    stranger.wait_for_url(f"{site.url}/tenants")
    stranger.go_back()
    assert "token" not in stranger.url


@pytest.mark.parametrize(
    ("roles", "tenants", "seen", "unseen"),
    [
        (("admin",), {}, {"Tenants", "Jobs", "Templates", "Audit", "Webhooks", "System"}, set()),
        ((), {"rive": "owner"}, {"Tenants", "Jobs", "Audit", "Webhooks"}, {"System"}),
        ((), {"rive": "member"}, {"Tenants", "Jobs", "Templates"}, {"Audit", "Webhooks", "System"}),
    ],
)
def test_the_menu_has_what_the_reader_may_see(
    browser: Browser, site: Site, roles: tuple[str, ...], tenants: dict[str, str], seen: set[str], unseen: set[str]
) -> None:
    context = context_of(browser, site, site.token("someone", roles=roles, **tenants))
    page = context.new_page()
    page.goto(f"{site.url}/tenants")
    shown = set(page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts())
    assert seen <= shown
    assert not unseen & shown
    assert page.get_by_role("link", name="New tenant").count() == (1 if roles else 0)
    context.close()


def test_somebody_without_the_role_is_told_so(browser: Browser, site: Site) -> None:
    context = context_of(browser, site, site.token("someone", roles=(), rive="member"))
    page = context.new_page()
    assert page.goto(f"{site.url}/system").status == 403  # type: ignore[union-attr]
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    look(page, "forbidden")
    context.close()


def test_errors_stand_beside_their_fields_and_in_a_summary(page: Page, site: Site, fill: Fill) -> None:
    page.goto(f"{site.url}/tenants/new?line=cabinet&template=default-dental")
    look(page, "form")
    page.get_by_role("button", name="Preview the changes").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_count(8)
    look(page, "form-left-empty")
    fill(slug="Rive!")
    page.locator('[name="address.postalCode"]').fill("12")
    page.locator('[name="customSettings.booking.advanceDays"]').evaluate("field => { field.value = 'soon' }")
    page.locator('[name="customSettings.workingHours.monday"]').evaluate("field => { field.value = '- {open: 8' }")
    page.get_by_role("button", name="Preview the changes").click()
    expect(summary.get_by_role("link")).to_have_text(["Slug", "Postal code", "Monday", "Advance days"])
    field = page.get_by_label("Advance days")
    expect(field).to_be_visible()  # the closed section that holds it is open now
    expect(field).to_have_value("soon")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = (field.get_attribute("aria-describedby") or "").split()[-1]
    expect(page.locator(f"#{described}")).to_contain_text("a whole number")
    summary.get_by_role("link", name="Postal code").click()
    expect(page.locator('[name="address.postalCode"]')).to_be_focused()
    expect(page.locator('[name="name"]')).to_have_value("Cabinet Rive")  # nothing that was entered is lost
    look(page, "form-with-errors")


def test_the_same_is_entered_as_yaml_and_back(page: Page, site: Site, fill: Fill) -> None:
    page.goto(f"{site.url}/tenants/new?line=cabinet&template=pediatric")
    fill(slug="rive")
    page.get_by_role("button", name="YAML").click()
    area = page.get_by_role("textbox", name="Manifest")
    expect(area).to_have_value(re.compile("^kind: cabinet\n"))
    area.fill(area.input_value().replace("slug: rive", "slug: lac") + "customSettings:\n  booking: {advanceDays: 14}\n")
    look(page, "form-as-yaml")
    page.get_by_role("button", name="Form").click()
    expect(page.locator('[name="slug"]')).to_have_value("lac")
    expect(page.get_by_label("Advance days")).to_have_value("14")
    page.get_by_role("button", name="YAML").click()
    page.get_by_role("textbox", name="Manifest").fill("kind: cabinet\nname: [")
    page.get_by_role("button", name="Form").click()
    expect(page.get_by_role("alert")).to_contain_text("line 2")
    expect(page.get_by_role("textbox", name="Manifest")).to_have_value("kind: cabinet\nname: [")


def test_a_job_that_waits_is_cancelled_and_two_at_once_lead_to_the_first(
    page: Page, site: Site, fill: Fill, manifest_data: dict[str, Any]
) -> None:
    """No worker runs in this module: what is asked for waits."""
    page.goto(f"{site.url}/tenants/new?line=cabinet&template=default-dental")
    fill(slug="waits")
    page.get_by_role("button", name="Create without a preview").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    look(page, "job-that-waits")
    address = page.url
    page.goto(f"{site.url}/tenants/new?line=cabinet&template=default-dental")
    fill(slug="waits")
    page.get_by_role("button", name="Preview the changes").click()
    expect(page.get_by_role("alert")).to_contain_text("a name that no other tenant has")
    page.goto(f"{site.url}/tenants/waits")
    expect(page.get_by_role("heading", name="Apply is going on")).to_be_visible()
    look(page, "tenant-in-progress")
    page.goto(f"{site.url}/tenants/waits/edit")
    page.get_by_role("button", name="Apply without a preview").click()
    expect(page.get_by_role("alert")).to_contain_text("waits")
    page.goto(address)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title .pill")).to_contain_text("Cancelled")


def test_lists_are_searched_and_paged(page: Page, site: Site, manifest_data: dict[str, Any]) -> None:
    site.api("POST", "/tenants", manifest_data)
    site.run(
        "INSERT INTO tenants (slug, name, status) "
        "SELECT 'many-' || lpad(n::text, 4, '0'), 'Cabinet ' || n, 'active' FROM generate_series(1, 1000) AS n"
    )
    site.run(
        "INSERT INTO tenants (slug, name, status) VALUES (%s, %s, 'removed')",
        "a-slug-of-all-the-forty-characters-there",
        f"Centre médico-dentaire pluridisciplinaire {'Donaudampfschifffahrtsgesellschaft' * 4}",
    )
    page.goto(f"{site.url}/tenants?status=active")
    expect(page.get_by_text("1 to 50 of 1,000")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("51 to 100 of 1,000")).to_be_visible()
    page.get_by_label("Search").fill("many-0007")
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.goto(f"{site.url}/tenants?status=all&q=a")
    look(page, "tenants")
    page.goto(f"{site.url}/tenants/a-slug-of-all-the-forty-characters-there")
    look(page, "tenant-with-a-long-name")
    page.go_back()
    page.get_by_label("Search").fill("no such thing")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No tenant matches")).to_be_visible()
    page.goto(f"{site.url}/audit")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    page.locator("details summary").first.click()
    look(page, "audit")
    page.goto(f"{site.url}/jobs")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    look(page, "jobs")


def test_webhooks_are_made_tried_switched_off_and_deleted(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/webhooks/new")
    look(page, "webhook-form")
    page.get_by_label("URL").fill("http://127.0.0.1/hook")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "webhook-form-refused")
    page.get_by_label("URL").fill("https://93.184.216.34/hook")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_role("textbox", name="Secret")).not_to_have_value("")
    look(page, "webhook-secret")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a ping").click()
    expect(page.get_by_role("status")).to_contain_text("A ping is on its way")
    page.locator("details summary", has_text="ping").click()
    look(page, "webhook")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
    page.goto(f"{site.url}/webhooks")
    look(page, "webhooks")
    page.get_by_role("rowheader").get_by_role("link").click()
    page.get_by_text("Delete this webhook").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No webhooks")).to_be_visible()


def test_everything_is_reached_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/tenants")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New workspace")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New tenant")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/tenants/new")
    assert violations(page) == []


def test_nothing_is_loaded_from_elsewhere_and_nothing_moves_once_shown(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(
        """window.shift = 0;
        const add = list => { for (const one of list.getEntries()) window.shift += one.value };
        new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true })"""
    )
    page.goto(f"{site.url}/tenants?status=all")
    page.wait_for_timeout(3500)  # one round of keeping the list current
    assert all(address.startswith(site.url) for address in asked), asked
    assert page.evaluate("window.shift") < 0.01
