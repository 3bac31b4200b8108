"""No password is an argument, a variable, a line that is told, an error, a state or a file of ours."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from providers.errors import ProviderError
from providers.masking import shown_forms
from providers.site.resource import SiteProvider
from tests.site.conftest import ADMIN_PASSWORD, ROOT_PASSWORD, ROOT_VARIABLE, TestBench

NEXT_PASSWORD = "next-hunter2 $(of) the-site"
SECRETS = shown_forms((ADMIN_PASSWORD, ROOT_PASSWORD, NEXT_PASSWORD))


def shown_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_bench_gets_its_passwords_and_nobody_sees_them(real: TestBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_BACKEND_SOMETHING_ELSE", "an0ther-secret")
    told: list[str] = []
    monkeypatch.setattr("providers.live.speaker", lambda: told.append)
    outs = SiteProvider().create(real.props).outs or {}
    assert real.data()["admin"] == hashlib.sha256(ADMIN_PASSWORD.encode()).hexdigest()
    SiteProvider().update(real.site, outs, {**real.props, "apps": ["erpnext", "hrms"]})
    SiteProvider().create({**real.props, "admin_password": NEXT_PASSWORD})
    assert real.data()["admin"] == hashlib.sha256(NEXT_PASSWORD.encode()).hexdigest()
    read = SiteProvider().read(real.site, outs).outs
    SiteProvider().delete(real.site, outs)
    # What anybody on the bench's machine sees of its processes, and everything that is there afterwards.
    seen = (real.home / "calls").read_text()
    assert ROOT_VARIABLE not in seen
    assert "an0ther-secret" not in seen
    assert shown_in(seen) == []
    assert shown_in("\n".join(told)) == []
    assert shown_in(json.dumps([outs, read])) == []
    assert "admin_password" not in outs
    for place in (real.home, real.backups):
        for path in place.rglob("*"):
            if path.is_file() and path != real.home / "databases" / "root":
                assert shown_in(path.read_bytes().decode("utf-8", "replace")) == [], path


@pytest.mark.parametrize("command", ["new-site", "drop-site"])
def test_what_bench_says_of_a_password_is_masked(real: TestBench, command: str) -> None:
    """A traceback may hold the locals of what failed."""
    stage = {"new-site": "database", "drop-site": "start"}[command]
    outs = {} if command == "new-site" else (SiteProvider().create(real.props).outs or {})
    real.fails(command, after=stage, say=f"root_password = {ROOT_PASSWORD!r}, admin = {ADMIN_PASSWORD}")
    with pytest.raises(ProviderError) as caught:
        SiteProvider().create(real.props) if command == "new-site" else SiteProvider().delete(real.site, outs)
    assert "root_password = " in str(caught.value)
    if command == "new-site":
        assert shown_in(str(caught.value)) == []
    assert ROOT_PASSWORD not in str(caught.value)
    assert repr(ROOT_PASSWORD) not in str(caught.value)


def test_a_password_that_cannot_be_set_is_said_without_it_and_set_by_the_next_run(real: TestBench) -> None:
    SiteProvider().create(real.props)
    real.change(invoice=1)
    real.fails("set-admin-password", after="asked", say=f"pwd = {NEXT_PASSWORD!r}")
    props = {**real.props, "admin_password": NEXT_PASSWORD}
    with pytest.raises(ProviderError, match=r"set-admin-password on the bench .*exit code 1") as caught:
        SiteProvider().create(props)
    assert shown_in(str(caught.value)) == []
    assert real.data()["rows"] == {"invoice": 1}
    real.works()
    SiteProvider().create(props)
    assert real.data()["admin"] == hashlib.sha256(NEXT_PASSWORD.encode()).hexdigest()


def test_drivers_and_new_sites_do_not_show_them(real: TestBench) -> None:
    assert shown_in(repr(real.ops)) == []
    assert shown_in(repr(real.new)) == []


def test_what_is_kept_is_readable_for_its_owner_alone(real: TestBench) -> None:
    outs = SiteProvider().create(real.props).outs or {}
    SiteProvider().delete(real.site, outs)
    kept = [path for path in real.backups.rglob("*") if path.is_file()]
    assert len(kept) == 5
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}
    own = real.home / "sites" / ".tenantry"
    assert {path.stat().st_mode & 0o077 for path in (own, *Path(own).iterdir())} == {0}
