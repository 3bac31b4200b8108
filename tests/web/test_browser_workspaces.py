"""A person creates a workspace and watches it until its till is open; one whose engine is away; one that lacks a part.

In a browser, against the service, a worker and a simulated ERPNext.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox.faults import Fault, Kind
from sandbox.postgres import EmbeddedPostgres
from tests.web.browser import LONG, context_of, look, progress_until_done, watched
from tests.web.shops import PASSWORD, SHOP, ShopSite, create, fill, opened


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopSite]:
    with opened(tmp_path_factory.mktemp("shops"), postgres) as made:
        yield made


@pytest.fixture(autouse=True)
def _healed(site: ShopSite) -> Iterator[None]:
    yield
    site.erp.site.faults.heal()


@pytest.mark.timeout(400)
def test_a_workspace_goes_from_nothing_to_an_open_session(page: Page, site: ShopSite) -> None:
    page.goto(f"{site.url}/tenants")
    page.get_by_role("link", name="New workspace").click()
    fill(page, site)
    look(page, "workspace-form")
    page.locator('[name="admin_password"]').fill(PASSWORD)
    page.get_by_role("button", name="Create workspace").click()

    page.wait_for_url("**/workspaces/duka-la-njeri")
    expect(page.get_by_role("heading", name="Duka la Njeri")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()  # only when it is done
    assert page.locator(".steps li").count() == 9
    seen = progress_until_done(page)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(seen) > 2, "the progress was seen only at its end"
    expect(page.locator(".title .pill")).to_have_text("Provisioned")
    expect(page.get_by_role("status")).to_contain_text("It is ready to sell.")
    assert page.locator(".steps .state", has_text="Failed").count() == 0
    page.get_by_text(re.compile("^Log")).click()
    expect(page.get_by_role("list", name="Log")).to_contain_text("Open session: completed")
    expect(page.get_by_role("row", name=re.compile("Main Store - DUKA.* Warehouse"))).to_be_visible()
    look(page, "workspace-provisioned")

    (session,) = site.docs("POS Opening Entry")
    assert (session["docstatus"], session["status"]) == (1, "Open")
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", name="Duka la Njeri")).to_be_visible()
    expect(page.locator(".title .pill")).to_have_text("Active")
    page.get_by_role("link", name="Provisioning, and each object of it").click()
    expect(page.get_by_role("heading", name="What was made")).to_be_visible()


@pytest.mark.timeout(400)
def test_one_on_odoo_goes_from_nothing_to_an_open_session(page: Page, site: ShopSite) -> None:
    fill(page, site, engine="odoo", name="Odoo Shop", admin_email="odoo@duka.example")
    page.get_by_role("button", name="Create workspace").click()
    page.wait_for_url("**/workspaces/odoo-shop")
    seen = progress_until_done(page)
    assert (seen, seen[-1]) == (sorted(seen), 100)
    expect(page.locator(".title .pill")).to_have_text("Provisioned")
    assert page.locator(".steps .state", has_text="Failed").count() == 0
    expect(page.locator(".steps li", has_text="Open session").locator(".state")).to_have_text("Done")
    company = site.odoo.row("res.company", name="Odoo Shop")
    till = site.odoo.row("pos.config", company_id=company["id"])
    session = site.odoo.row("pos.session", config_id=till["id"])
    assert session["state"] == "opened"
    expect(page.get_by_role("row", name=re.compile("^Odoo Shop res.company,.* Company"))).to_be_visible()
    look(page, "workspace-on-odoo")
    assert site.docs("Company", company_name="Odoo Shop") == []


def test_what_is_wrong_stands_beside_its_field_and_the_password_is_not_shown_again(page: Page, site: ShopSite) -> None:
    fill(page, site, country_code="Kenya", admin_password="short")
    page.get_by_role("button", name="Create workspace").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_text(["Country", "Password"])
    expect(page.get_by_label("Name of the business")).to_have_value(SHOP["name"])
    expect(page.locator('[name="admin_password"]')).to_have_value("")
    look(page, "workspace-form-wrong")
    assert site.run("SELECT count(*) FROM tenants WHERE slug = 'duka-la-njeri-2'") == [(0,)]


@pytest.mark.timeout(400)
def test_with_the_engine_away_it_waits_and_begins_by_itself(page: Page, site: ShopSite) -> None:
    site.erp.site.faults.add(Fault(kind=Kind.DROP))
    create(page, site, name="Waiting Shop", admin_email="waiting@duka.example")
    expect(page.get_by_role("heading", name="Waiting for its engine")).to_be_visible()
    expect(page.locator(".note")).to_contain_text("offline")
    expect(page.locator(".title .pill")).to_have_text("Not provisioned")
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    look(page, "workspace-that-waits")
    site.erp.site.faults.heal()
    expect(page.get_by_role("link", name="Continue")).to_be_visible(timeout=2 * LONG)
    expect(page.locator(".title .pill")).to_have_text("Provisioned")


@pytest.mark.timeout(400)
def test_what_is_optional_and_missing_is_tried_again_or_gone_on_without(page: Page, site: ShopSite) -> None:
    site.erp.site.faults.add(Fault(kind=Kind.ERROR, status=403, method="POST", where="POS Opening Entry"))
    create(page, site, name="Partial Shop", admin_email="partial@duka.example")
    expect(page.locator(".title .pill")).to_have_text("Partial", timeout=2 * LONG)
    expect(page.get_by_role("heading", name="Ready to sell, with something missing")).to_be_visible()
    step = page.locator(".steps li", has_text="Open session")
    expect(step.locator(".state")).to_have_text("Missing")
    expect(step.get_by_role("button", name="Go on without this step")).to_be_visible()
    look(page, "workspace-that-is-partial")
    site.erp.site.faults.heal()
    step.get_by_role("button", name="Try this step again").click()
    expect(page.locator(".title .pill")).to_have_text("Provisioned", timeout=2 * LONG)


@pytest.mark.timeout(400)
def test_a_failure_says_why_and_all_that_failed_is_tried_again(page: Page, site: ShopSite) -> None:
    site.erp.site.faults.add(Fault(kind=Kind.ERROR, status=403, method="POST", where="POS Profile"))
    create(page, site, name="Failing Shop", admin_email="failing@duka.example")
    expect(page.get_by_role("heading", name="It could not be provisioned")).to_be_visible(timeout=2 * LONG)
    expect(page.locator(".note.bad")).to_contain_text("POS profile")
    expect(page.get_by_role("button", name="Continue")).to_be_disabled()
    # It has opened by itself; whoever closes it is left alone.
    expect(page.get_by_role("list", name="Log")).to_be_visible()
    expect(page.get_by_role("list", name="Log")).to_contain_text("POS profile: failed")
    look(page, "workspace-that-failed")
    site.erp.site.faults.heal()
    page.get_by_role("button", name="Try all that failed again").click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible(timeout=2 * LONG)
    assert len(site.docs("Company", company_name="Failing Shop")) == 1


@pytest.mark.timeout(400)
def test_without_a_script_it_is_created_and_watched_all_the_same(browser: Browser, site: ShopSite) -> None:
    context = context_of(browser, site, site.token(), java_script_enabled=False)
    page = context.new_page()
    create(page, site, name="Plain Shop", admin_email="plain@duka.example")
    # Read again until it is there: the page may be loading itself anew just then, and is empty for that moment.
    expect(page.locator("noscript p")).to_contain_text("This page loads itself again every 2 seconds")
    page.get_by_role("link", name="Continue").click(timeout=2 * LONG)
    expect(page.get_by_role("heading", name="Plain Shop")).to_be_visible()
    context.close()


def test_its_admin_signs_in_sees_only_that_and_changes_the_password(browser: Browser, site: ShopSite) -> None:
    context = context_of(browser, site, None)
    page = context.new_page()
    wrong = watched(page)
    page.goto(f"{site.url}/workspaces/duka-la-njeri")
    page.get_by_label("E-mail address").fill(SHOP["admin_email"])
    page.get_by_label("Password", exact=True).fill("not the one")
    page.get_by_role("button", name="Log in with a password").click()
    beside = page.get_by_role("form", name="With a password").get_by_role("alert")
    expect(beside).to_contain_text("address or the password is wrong")
    look(page, "sign-in-with-a-wrong-password")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in with a password").click()
    expect(page).to_have_url(f"{site.url}/workspaces/duka-la-njeri")
    page.goto(f"{site.url}/tenants")
    expect(page.locator("#tenants tbody tr")).to_have_count(1)

    page.get_by_role("link", name="Password").click()
    page.get_by_label("Password now").fill("not the one")
    for again in ("New password", "New password again"):
        page.get_by_label(again, exact=True).fill(f"{PASSWORD} too")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_label("Password now")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("the password that you sign in with now")
    look(page, "account-password-wrong")
    page.get_by_label("Password now").fill(PASSWORD)
    for again in ("New password", "New password again"):
        page.get_by_label(again, exact=True).fill(f"{PASSWORD} too")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    page.get_by_label("E-mail address").fill(SHOP["admin_email"])
    page.get_by_label("Password", exact=True).fill(f"{PASSWORD} too")
    page.get_by_role("button", name="Log in with a password").click()
    expect(page).to_have_url(f"{site.url}/tenants")
    assert wrong == []
    context.close()
