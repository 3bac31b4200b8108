"""Every page, by its route (one that is new and not visited fails): looks, links, buttons, marks, hostile texts."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser, Page, expect

from service.web.routes import router
from tests.auth.routes_table import Row, rows
from tests.service.helpers import token
from tests.web.browser import LONG, context_of, look, watched
from tests.web.full import HOSTILE, Full, fill_up
from tests.web.reading import Sheet, read_page
from tests.web.site import Site

READERS = {
    "member": token("mia", tenants={"acme": "member", "broke": "member", "goes-on": "member", "corner-shop": "member"}),
    "tenant_admin": token(
        "adam", tenants={"acme": "admin", "broke": "admin", "goes-on": "admin", "corner-shop": "admin"}
    ),
    "owner": token("olga", tenants={"acme": "owner", "broke": "owner", "goes-on": "owner", "corner-shop": "owner"}),
    "creator": token("carla", roles=("creator",)),
    "platform_admin": token("root", roles=("admin",)),
}
NO_PAGES = {"/", "/static/{digest}/{name}"}
_FROM = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def full(site: Site) -> Full:
    return fill_up(site)


def routes(method: str) -> set[str]:
    found = iter_route_contexts(router.routes)
    return {str(getattr(one, "path", "")) for one in found if method in (getattr(one, "methods", None) or ())}


def client(site: Site, cookie: str | None) -> httpx.Client:
    cookies = {"tenantry_session": cookie} if cookie else {}
    return httpx.Client(base_url=site.url, cookies=cookies, timeout=60, trust_env=False)


def test_every_route_that_is_a_page_is_visited(full: Full) -> None:
    assert set(full.pages()) == routes("GET") - NO_PAGES


@pytest.mark.parametrize("route", sorted(routes("GET") - NO_PAGES))
def test_a_page_with_something_in_it_is_clean_in_every_look(page: Page, site: Site, full: Full, route: str) -> None:
    page.goto(f"{site.url}{full.pages()[route]}")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    name = "full-" + (re.sub(r"\W+", "-", route).strip("-") or "front")
    look(page, name)
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("which", ["preview", "running", "job"])
def test_jobs_of_other_kinds_are_clean_in_every_look(page: Page, site: Site, full: Full, which: str) -> None:
    page.goto(f"{site.url}/jobs/{getattr(full, which)}")
    look(page, f"full-job-{which}")


# Texts of others


def test_hostile_texts_are_texts_wherever_they_are_shown(page: Page, site: Site, full: Full) -> None:
    """Also where the script puts in what has changed while somebody looks."""
    plain = ("/tenants", f"/tenants/acme/deployments/{full.by_hand}", f"/jobs/{full.failed}", "/audit")
    for path in (*plain, "/workspaces/corner-shop"):
        page.goto(f"{site.url}{path}")
        assert HOSTILE in page.locator("main").inner_text(), path
        assert page.evaluate("window.pwned") is None, path
    page.goto(f"{site.url}/jobs/{full.running}")
    with page.expect_response(lambda answer: answer.url.endswith(str(full.running))):
        site.run(
            "INSERT INTO deployment_logs (deployment_id, level, message) VALUES (%s, 'info', %s)",
            full.running_run,
            f"later {HOSTILE}",
        )
    page.locator("#log-box > summary").click()
    expect(page.get_by_role("list", name="Log")).to_contain_text(f"later {HOSTILE}")
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script").count() == 0


def test_hostile_texts_in_an_address_and_in_a_form_are_texts(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/tenants?q=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E%22%20onfocus%3Dalert(1)%20autofocus")
    expect(page.get_by_label("Search")).to_have_value('<script>window.pwned=1</script>" onfocus=alert(1) autofocus')
    page.goto(f"{site.url}/tenants/new?line=cabinet&template=default-dental")
    page.locator('[name="slug"]').fill(HOSTILE)
    page.locator('[name="name"]').fill(HOSTILE)
    page.get_by_role("button", name="Preview the changes").click()
    expect(page.locator('[name="name"]')).to_have_value(HOSTILE)
    expect(page.locator("#f-slug-wrong")).to_contain_text("<script>window.pwned")
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_role("textbox", name="Manifest")).to_have_value(re.compile("</textarea>"))
    assert page.evaluate("window.pwned") is None


# What a reader is offered


def visited(site: Site, cookie: str) -> dict[str, Sheet]:
    """Every page that links lead to from the front page, with what it offers."""
    found: dict[str, Sheet] = {}
    waiting = ["/tenants"]
    with client(site, cookie) as http:
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            answer = http.get(path)
            assert answer.status_code == 200, f"a link leads to {path}, which answers {answer.status_code}"
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy, path
            assert "default-src 'none'" in policy, path
            assert answer.headers["cache-control"] == "no-store", path
            found[path] = read_page(answer.text)
            waiting += [link for link in found[path].links if link.startswith("/") and not link.startswith("/static/")]
            assert len(found) < 200, "links without end"
    return found


def row_for(method: str, path: str, route: str) -> Row | None:
    """The table's row of a form's address."""
    pattern = re.sub(r"\{[^}]+\}", "[^/]+", route)
    if re.fullmatch(pattern, path) is None:
        return None
    return next(row for row in rows() if row.key == (method, route))


@pytest.mark.parametrize("reader", sorted(READERS))
def test_nobody_is_shown_a_link_or_a_button_that_is_not_for_them(site: Site, full: Full, reader: str) -> None:
    pages = visited(site, READERS[reader])
    offered = {
        urlsplit(urljoin(path, action)).path
        for path, sheet in pages.items()
        for method, action, _ in sheet.forms
        if method == "POST"
    }
    known = routes("POST")
    for action in offered:
        row = next(row for route in sorted(known, key=len) if (row := row_for("POST", action, route)) is not None)
        assert row.expected(reader) == "through" or row.path == "/webhooks/new", (action, row)
    if reader == "member":
        assert offered == {"/sign-out"}
    if reader in {"owner", "tenant_admin"}:
        wanted = {"/tenants/acme/edit", "/tenants/acme/destroy", f"/tenants/acme/rollback/{full.run}", "/webhooks/new"}
        assert wanted <= offered
        assert {f"/jobs/{full.running}/cancel", f"/jobs/{full.failed}/steps/database/retry"} <= offered


def test_every_page_has_one_heading_captions_and_nothing_inline(site: Site, full: Full) -> None:
    pages = visited(site, READERS["platform_admin"])
    assert len(pages) > 25
    assert {path: sheet.wrong for path, sheet in pages.items() if sheet.wrong} == {}
    titles = [sheet.title for sheet in pages.values()]
    assert all(title.endswith("Tenantry") for title in titles), titles


# Forms of other sites


def posts(full: Full) -> Iterator[str]:
    """An address for each route that takes a form."""
    values: dict[str, Any] = {
        "slug": "acme",
        "run_id": full.run,
        "job_id": full.running,
        "step": "database",
        "what": "retry",
        "webhook_id": full.webhook,
        "delivery": uuid.uuid4(),
    }
    for route in sorted(routes("POST") - {"/sign-in", "/sign-out"}):
        yield route.format(**values)


def test_no_form_is_taken_without_the_sessions_own_token(site: Site, full: Full) -> None:
    addresses = list(posts(full))
    assert len(addresses) > 14
    before = site.run("SELECT count(*) FROM jobs"), site.run("SELECT count(*) FROM audit")
    with client(site, READERS["platform_admin"]) as http:
        form = read_page(http.get("/webhooks/new").text).forms[-1][2]
        for address in addresses:
            for headers, fields in (
                (_FROM, {}),
                (_FROM, {"csrf_token": "0" * 64}),
                ({"origin": "https://evil.example"}, form),
                ({"sec-fetch-site": "cross-site"}, form),
            ):
                answer = http.post(address, data={**fields, "confirm": "acme"}, headers=headers)
                assert answer.status_code == 403, (address, headers, answer.status_code)
                assert "You may not do this" in answer.text
        assert http.post("/sign-out", headers={"origin": "https://evil.example"}).status_code == 403
        assert http.post("/sign-in", headers={"origin": "https://evil.example"}, data=form).status_code == 403
    assert (site.run("SELECT count(*) FROM jobs"), site.run("SELECT count(*) FROM audit")) == before


# Live


def test_what_is_shown_of_a_job_is_at_most_two_seconds_old(page: Page, site: Site, full: Full) -> None:
    """With events, and where they do not get through."""
    for broken in (False, True):
        if broken:
            page.route("**/events", lambda route: route.abort())
        page.goto(f"{site.url}/jobs/{full.running}")
        for progress in (50, 55, 60) if broken else (41, 42, 43):
            site.run("UPDATE jobs SET progress = %s WHERE id = %s", progress, full.running)
            if not broken:
                site.run("SELECT tenantry_event(%s, 'progress', '{}')", full.running)
            expect(page.locator("progress")).to_have_attribute("value", str(progress), timeout=2000)


def test_a_page_whose_service_is_away_says_so_and_goes_on_when_it_is_back(page: Page, site: Site, full: Full) -> None:
    away = re.compile("does not answer")
    for path in (f"/jobs/{full.running}", "/tenants"):
        page.goto(f"{site.url}{path}")
        expect(page.get_by_role("alert")).to_have_count(0)
        page.route("**/*", lambda route: route.abort())
        expect(page.get_by_role("alert")).to_contain_text(away)
        page.unroute("**/*")
        expect(page.get_by_role("alert")).to_have_count(0)


def test_times_are_told_by_the_services_clock(browser: Browser, site: Site, full: Full) -> None:
    """The reader's is years off."""
    context = context_of(browser, site, site.token())
    page = context.new_page()
    page.clock.install(time="2019-05-01T00:00:00Z")
    page.goto(f"{site.url}/jobs/{full.running}")
    page.clock.run_for(3000)
    for one in page.locator("time[data-ago]").all_inner_texts():
        assert re.fullmatch(r"just now|\d+ (s|min) ago", one), one
    assert re.fullmatch(r"\d+ s", page.locator("[data-since]").first.inner_text())
    context.close()


def test_of_a_long_log_the_last_lines_are_shown(page: Page, site: Site, full: Full) -> None:
    site.run(
        "INSERT INTO deployment_logs (deployment_id, level, message)"
        " SELECT %s, 'info', 'line ' || n FROM generate_series(1, 1500) AS n",
        full.running_run,
    )
    page.goto(f"{site.url}/jobs/{full.running}")
    summary = page.locator("#log-box > summary")
    expect(summary).to_contain_text("the last 1000 lines")
    summary.click()
    lines = page.get_by_role("list", name="Log").get_by_role("listitem")
    expect(lines.first).to_contain_text("line 501")
    expect(lines.last).to_contain_text("line 1500")


def test_many_pages_of_jobs_that_go_on_are_open_at_once(browser: Browser, site: Site, full: Full) -> None:
    """A browser has six connections to a server: pages that nobody looks at must not keep theirs."""
    context = context_of(browser, site, site.token())
    pages = [context.new_page() for _ in range(8)]
    for one in pages:
        wrong = watched(one)
        # Headless, every page counts as looked at; here only the last one is.
        one.add_init_script(
            "Object.defineProperty(document, 'hidden', { get: () => window.unseen === true });"
            "window.leave = () => { window.unseen = true; document.dispatchEvent(new Event('visibilitychange')) }"
        )
        one.goto(f"{site.url}/jobs/{full.running}", timeout=LONG)
        expect(one.get_by_role("button", name="Cancel")).to_be_visible()
        one.evaluate("window.leave()")
        assert wrong == []
    context.close()
