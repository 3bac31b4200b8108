"""What a site is asked and how its refusals read: by status and exc_type, without a secret, within a budget."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from providers import metering
from providers.erpnext.api import site_of
from providers.erpnext.errors import (
    ErpNextError,
    LinkedError,
    MissingLinkError,
    StaleError,
    TakenError,
    refusal,
)
from providers.errors import BudgetError, ConfigurationError, RefusedError, UnreachableError
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import KEY, REGION, SECRET, VARIABLES, Erp, name_region

WHAT = "Customer 'X'"


def looks(times: int) -> None:
    for _ in range(times):
        site_of(REGION).get("Company", "x", what=WHAT)


def refused(status: int, body: Any, *, secrets: tuple[str, ...] = ()) -> ErpNextError:
    text = body if isinstance(body, str) else json.dumps(body)
    return refusal(
        WHAT,
        name="ERPNext at https://erp.example",
        request="POST /api/resource/Customer",
        status=status,
        text=text,
        variables=VARIABLES,
        secrets=secrets,
    )


@pytest.mark.parametrize(
    ("status", "exc_type", "kind", "words"),
    [
        (409, "DuplicateEntryError", TakenError, "has one of that name already"),
        (417, "UniqueValidationError", TakenError, "another with the same value"),
        (417, "TimestampMismatchError", StaleError, "was changed meanwhile"),
        (417, "LinkExistsError", LinkedError, "Delete or cancel those first"),
        (417, "LinkValidationError", MissingLinkError, "has not what it links to"),
        (417, "MandatoryError", ErpNextError, "misses a field"),
        (417, "SomethingNew", ErpNextError, "refuses it"),
        (401, "AuthenticationError", ErpNextError, f"valid ones in {VARIABLES[0]} and {VARIABLES[1]}"),
        (403, "PermissionError", ErpNextError, f"the user of {VARIABLES[0]}"),
        (500, "ImportError", ErpNextError, "erpnext installed"),
    ],
)
def test_a_refusal_is_what_its_exc_type_says(status: int, exc_type: str, kind: type[ErpNextError], words: str) -> None:
    # The messages say another thing, in another language: nothing is decided on them.
    error = refused(
        status, {"exc_type": exc_type, "_server_messages": json.dumps([json.dumps({"message": "Já existe"})])}
    )
    assert type(error) is kind
    assert words in str(error)
    assert (error.status, error.exc_type) == (status, exc_type)
    assert str(error).startswith(WHAT)
    assert "Já existe" in str(error)


def test_messages_are_shown_without_their_html_and_without_secrets() -> None:
    messages = [
        json.dumps({"message": f'Cannot delete <a href="/app/x?{SECRET}">Main &amp; Co</a>, token {SECRET}'}),
        "plain",
    ]
    error = refused(417, {"exc_type": "LinkExistsError", "_server_messages": json.dumps(messages)}, secrets=(SECRET,))
    assert "Cannot delete Main & Co, token [secret]; plain" in str(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize("body", ["<html>no</html>", "[]", "null", "", '{"exc_type": 7, "_server_messages": "{"}'])
def test_what_is_no_answer_of_erpnext_is_an_error_all_the_same(body: str) -> None:
    error = refused(502, body)
    assert (error.exc_type, error.lost) == ("", True)
    assert "does not work at the moment" in str(error)
    assert not refused(417, body).lost


def test_a_document_is_there_or_it_is_not(here: Erp) -> None:
    site = site_of(REGION)
    assert site.get("Mode of Payment", "Cash", what=WHAT)
    assert site.get("Mode of Payment", "Shells / and more?", what=WHAT) is None
    with pytest.raises(ErpNextError, match="does not know that doctype"):
        site.get("No Such Type", "x", what=WHAT)
    with pytest.raises(ErpNextError, match="unknown_method"):
        site.method("unknown_method", what=WHAT)


def test_a_list_is_longer_than_a_page_and_oldest_first(here: Erp) -> None:
    for number in range(25):
        here.put("Customer", customer_name=f"C{number}", customer_type="Company")
    rows = site_of(REGION).find("Customer", [("customer_type", "=", "Company")], what=WHAT, fields=("name",))
    assert [row["name"] for row in rows] == [f"C{number}" for number in range(25)]


def test_a_wrong_key_names_the_variables_and_not_the_key(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[1], "wrong-hunter4")
    with pytest.raises(ErpNextError, match=f"in {VARIABLES[0]} and {VARIABLES[1]}") as caught:
        site_of(REGION).get("Company", "x", what=WHAT)
    assert "hunter" not in str(caught.value) + repr(site_of(REGION))


@pytest.mark.parametrize(
    "fault",
    [{"kind": Kind.TOO_MANY, "seconds": 0.01}, {"kind": Kind.MAINTENANCE}, {"kind": Kind.TOO_MANY, "method": "POST"}],
)
def test_a_failure_that_passes_is_tried_again(here: Erp, fault: dict[str, Any]) -> None:
    here.fault(times=2, where="Customer", **fault)
    made = site_of(REGION).insert("Customer", {"customer_name": "X"}, what=WHAT)
    assert made["name"] == "X"
    assert [row.status for row in here.asked("POST")] == [503 if fault["kind"] is Kind.MAINTENANCE else 429] * 2 + [200]
    assert len(here.docs("Customer")) == 1


def test_a_rate_limit_that_asks_for_too_long_is_an_error_at_once(here: Erp) -> None:
    here.fault(Kind.TOO_MANY, seconds=3_600)
    with pytest.raises(RefusedError, match="takes no more requests for now") as caught:
        site_of(REGION).get("Company", "x", what=WHAT)
    assert caught.value.status == 429
    assert len(here.asked()) == 1


def test_a_post_whose_answer_is_lost_is_not_sent_again(here: Erp) -> None:
    here.fault(Kind.DROP, method="POST", after=True, times=1)
    with pytest.raises(UnreachableError):
        site_of(REGION).insert("Customer", {"customer_name": "X"}, what=WHAT)
    here.fault(Kind.ERROR, method="POST", status=502, times=1)
    with pytest.raises(ErpNextError) as caught:
        site_of(REGION).insert("Customer", {"customer_name": "Y"}, what=WHAT)
    assert caught.value.lost
    assert len(here.asked("POST")) == 2


def test_every_request_bears_the_runs_correlation_id(here: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_CORRELATION_ID", "run 7/ümlaut")
    site_of(REGION).get("Company", "x", what=WHAT)
    monkeypatch.delenv("TENANTRY_CORRELATION_ID")
    site_of(REGION).get("Company", "x", what=WHAT)
    assert [row.correlation for row in here.asked()] == ["run-7--mlaut", ""]


def test_a_run_counts_its_requests_and_ends_at_its_budget(
    here: Erp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name_region(monkeypatch, tmp_path, here.url, requestsPerRun=5)
    here.fault(Kind.MAINTENANCE, times=1)
    site_of(REGION).get("Company", "x", what=WHAT)
    assert site_of(REGION).requests == 2  # the one that was tried again counts
    with pytest.raises(BudgetError, match=r"'X'.*5 requests to ERPNext at .* \(5 for Customer 'X'\).*requestsPerRun"):
        looks(9)
    assert len(here.asked()) == 5
    monkeypatch.setenv("TENANTRY_CORRELATION_ID", "another")
    assert site_of(REGION).requests == 0


def test_requests_of_many_threads_are_all_counted() -> None:
    meter = metering.Meter("a site", 1_000)
    threads = [threading.Thread(target=lambda: [meter.count("x") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.sent == 400


def test_a_region_without_a_site_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "backends.yaml"
    file.write_text("regions: {here: {container: {platform: docker}}}\n")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))
    with pytest.raises(ConfigurationError, match="region 'here' has no erpnext"):
        site_of(REGION)


def test_no_error_shows_a_secret(here: Erp) -> None:
    here.site.switch(tracebacks=True)
    with pytest.raises(ErpNextError) as caught:
        site_of(REGION).insert(
            "Customer", {"customer_name": f"{KEY} {SECRET}", "customer_group": f"{SECRET}"}, what=WHAT
        )
    assert SECRET not in str(caught.value)
    assert "[secret]" in str(caught.value)
