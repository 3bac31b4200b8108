"""What a server is asked, how its refusals read, and whether it can be worked with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.connection import CORRELATION_ID
from providers.errors import EngineDegradedError, EngineOfflineError, EngineUnfinishedError, ProviderError
from providers.odoo import health
from providers.odoo.api import odoo_at
from providers.odoo.errors import DeniedError, GoneError, InvalidError, OdooError, refusal
from providers.odoo.health import EngineCheckProvider, Status, demand_online, health_of
from providers.odoo.marks import full_mark
from sandbox.faults import Kind
from sandbox.odoo.api import DATABASE
from tests.odoo.running import KEY, REGION, VARIABLE, Server, name_region

WHAT = "res.partner 'X'"


def refused(name: str, message: str = "Nein", status: int = 200) -> OdooError:
    error = {"code": 200, "message": "Odoo Server Error", "data": {"name": name, "message": message, "debug": KEY}}
    return refusal(
        WHAT,
        name="Odoo at https://odoo.example",
        request="res.partner.load",
        status=status,
        text=json.dumps({"jsonrpc": "2.0", "error": error}),
        variable=VARIABLE,
        secrets=(KEY,),
    )


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("odoo.exceptions.AccessDenied", DeniedError, f"Put a valid API key of the region's user in {VARIABLE}"),
        ("odoo.exceptions.AccessError", DeniedError, "the right Settings"),
        ("odoo.exceptions.MissingError", GoneError, "no such record"),
        ("odoo.exceptions.UserError", InvalidError, "refuses it"),
        ("odoo.exceptions.ValidationError", InvalidError, "refuses it"),
        ("werkzeug.exceptions.NotFound", OdooError, "rpc.use_deprecated_services"),
        ("psycopg2.OperationalError", OdooError, "odoo.database"),
        ("builtins.TypeError", OdooError, "refuses it"),
    ],
)
def test_a_refusal_is_what_its_exception_says(name: str, kind: type[OdooError], words: str) -> None:
    error = refused(name)
    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith(WHAT)
    assert str(error).endswith("Nein.")
    assert error.lost is False


def test_a_refusal_shows_no_traceback_and_no_secret() -> None:
    error = refused("odoo.exceptions.UserError", f"token {KEY}")
    assert KEY not in str(error)
    assert "token [secret]" in str(error)


def test_a_gateways_page_may_have_been_carried_out() -> None:
    error = refusal(WHAT, name="Odoo", request="x.y", status=504, text="<html>", variable=VARIABLE)
    assert (error.lost, error.name) == (True, "")


def test_a_method_that_answers_nothing_answers_none(here: Server) -> None:
    owner = here.put("res.company", name="Else")
    odoo = odoo_at(REGION)
    with here.alone():
        number = here.row("res.users", login=odoo.user)["id"]
        here.site.root.set("res.users", number, company_ids=[1, owner])
    given = ([], "ke", owner)
    assert odoo.call("account.chart.template", "try_loading", *given, what=WHAT, company=owner) is None


def test_a_run_is_known_by_its_correlation_id(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CORRELATION_ID, "run-7")
    odoo_at(REGION).count("res.country", [], what=WHAT)
    assert {row.correlation for row in here.asked()} == {"run-7"}


def test_who_we_are_is_asked_once(here: Server) -> None:
    for _ in range(3):
        odoo_at(REGION).count("res.country", [], what=WHAT)
    assert len(here.asked("authenticate")) == 1


def test_a_mark_has_only_letters_that_odoo_takes_and_no_two_are_alike() -> None:
    marks = [full_mark(mark, "company") for mark in ("a/b", "a_b", "a.b", "A b", "a-b")]
    assert marks[0] == "tenantry.a_2fb_company"
    assert len(set(marks)) == len(marks)
    assert all(mark.count(".") == 1 and " " not in mark for mark in marks)


def test_a_server_is_online_and_is_looked_at_once_a_while(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found = health_of(REGION)
    assert (found.status, found.words) == (Status.ONLINE, "")
    asked = len(here.asked())
    assert health_of(REGION) is found
    assert len(here.asked()) == asked
    assert health_of(REGION, fresh=True).status is Status.ONLINE
    monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
    health_of(REGION)
    assert len(here.asked()) == 3 * asked
    assert odoo_at(REGION).requests == 0


def test_a_server_that_is_not_there_is_offline(here: Server) -> None:
    here.stop()
    found = health_of(REGION)
    assert found.status is Status.OFFLINE
    with pytest.raises(EngineOfflineError, match=r"does not answer.*It is offline"):
        demand_online(found)


@pytest.mark.parametrize(
    "fault", [{"kind": Kind.MAINTENANCE}, {"kind": Kind.ERROR, "status": 502}, {"kind": Kind.BUSY}]
)
def test_a_server_that_answers_with_failures_is_degraded(here: Server, fault: dict[str, Any]) -> None:
    here.fault(**fault)
    found = health_of(REGION)
    with pytest.raises(EngineDegradedError, match="It is degraded"):
        demand_online(found)
    assert len(here.asked()) == 3


def test_a_server_that_comes_back_within_three_tries_is_online(here: Server) -> None:
    here.fault(Kind.MAINTENANCE, method="version", times=2)
    assert health_of(REGION).status is Status.ONLINE


def test_a_server_that_takes_too_long_is_degraded(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CALL_SECONDS", 0.05)
    here.fault(Kind.LATENCY, seconds=0.5)
    assert "does not answer within 0.05 s" in health_of(REGION).words


def test_a_server_without_a_till_says_what_to_install(here: Server) -> None:
    number = here.row("ir.module.module", name="point_of_sale")["id"]
    here.change("ir.module.module", number, state="uninstalled")
    with pytest.raises(EngineUnfinishedError, match=r"lacks the modules point_of_sale\. Install Point of Sale"):
        EngineCheckProvider().create({"region": REGION, "ready": True})
    here.change("ir.module.module", number, state="installed")
    assert EngineCheckProvider().create({"region": REGION, "ready": True}).outs["ready"] is True


def test_a_server_that_is_too_old_is_said_to_be(here: Server) -> None:
    here.site.switch(version=16)
    found = health_of(REGION)
    assert found.status is Status.UNFINISHED
    assert "is version 16.0, and 17 is the least" in found.words


def test_a_server_that_has_left_this_api_says_how_it_comes_back(here: Server) -> None:
    here.site.switch(old_rpc=False)
    found = health_of(REGION)
    assert found.status is Status.DEGRADED
    assert "rpc.use_deprecated_services" in found.words


def test_a_wrong_key_is_no_state_of_the_engine(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "unknown")
    with pytest.raises(DeniedError, match=rf"does not accept the login .* for the database '{DATABASE}'.*{VARIABLE}"):
        health_of(REGION)


def test_a_key_that_was_taken_back_is_told(here: Server) -> None:
    odoo = odoo_at(REGION)
    odoo.uid(what=WHAT)
    here.site.add_user(odoo.user, key="another")
    with pytest.raises(DeniedError, match=VARIABLE):
        odoo.count("res.country", [], what=WHAT)


def test_a_wrong_database_is_named(here: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name_region(monkeypatch, tmp_path, here.url, database="nowhere")
    assert "Correct the region's odoo.database" in health_of(REGION).words


def test_something_else_at_the_address_is_said_to_be_no_odoo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None
) -> None:
    from tests.caddy.upstream import Upstream

    with Upstream(lambda _request: (200, {"Content-Type": "text/html"}, b"<html>hello</html>")) as other:
        name_region(monkeypatch, tmp_path, f"http://{other.address}")
        with pytest.raises(ProviderError, match="Is that an Odoo server"):
            odoo_at(REGION).count("res.country", [], what=WHAT)
        assert health_of(REGION).status is Status.DEGRADED
