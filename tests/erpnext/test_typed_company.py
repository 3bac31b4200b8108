"""A company, its chart of accounts, and what is in the way of making and of deleting it."""

from __future__ import annotations

import pytest

from providers.erpnext.charts import ChartOfAccountsProvider, choose
from providers.erpnext.company import CompanyProvider, said_of_chart
from providers.erpnext.errors import (
    LinkedError,
    WizardUnfinishedError,
)
from providers.erpnext.stock import suffixed
from providers.errors import ConfigurationError, NotReadyError, OwnershipError
from sandbox.erpnext.faults import Kind
from tests.erpnext.running import REGION, Engine, Erp, Made, created
from tests.erpnext.shop import company, company_inputs


def test_the_chart_falls_back_and_says_so(engine: Engine, here: Erp) -> None:
    engine.up(company)
    outs = engine.made["company"].outs
    assert outs["chart_of_accounts"] == "Standard"
    assert outs["chart_note"] == "the site offers no chart 'Kenya' for Kenya: 'Standard' is used"


def test_a_chart_that_the_site_offers_is_taken_without_a_word(engine: Engine, here: Erp) -> None:
    here.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    engine.up(company)
    outs = engine.made["company"].outs
    assert (outs["chart_of_accounts"], outs["chart_note"]) == ("Kenya - Chart of Accounts", "")


def wished(made: Made, chart: str) -> str:
    """What is said of its chart once another one is wished, also after an update for another reason."""
    news = {**made.inputs, "chart": chart}
    found = made.provider.diff(made.id, made.outs, news)
    assert (found.changes, found.replaces) == (False, [])
    outs = made.outs
    said = said_of_chart(chart, noted=outs["chart"], used=str(outs["chart_of_accounts"]), note=str(outs["chart_note"]))
    later = made.provider.update(made.id, outs, news).outs
    assert (later["chart_note"], later["chart"]) == (said, chart)
    return said


def test_another_chart_that_is_wished_changes_what_is_said_and_nothing_else(here: Erp) -> None:
    here.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    made = created(CompanyProvider(), company_inputs(chart="Standard"))
    assert made.outs["chart_note"] == ""
    before, asked = here.state(), len(here.asked(where="get_charts_for_country"))
    stays = "the company has the chart 'Standard' already, which stays; {!r} was wished"
    # One that the site offers, and one that it does not: it is not asked.
    assert wished(made, "Kenya") == stays.format("Kenya")
    assert wished(made, "Narnia") == stays.format("Narnia")
    assert wished(made, "Standard") == ""
    assert made.outs["chart_of_accounts"] == "Standard"
    assert (here.state(), len(here.asked(where="get_charts_for_country"))) == (before, asked)


def test_what_the_site_said_when_the_company_was_made_is_said_as_long_as_it_is_true(here: Erp) -> None:
    made = created(CompanyProvider(), company_inputs())
    note = "the site offers no chart 'Kenya' for Kenya: 'Standard' is used"
    assert made.outs["chart_note"] == note
    here.change("Company", "Shop", country="Uganda")
    assert made.refresh()
    assert made.up()
    assert made.outs["chart_note"] == note
    here.change("Company", "Shop", chart_of_accounts="Standard with Numbers")
    assert made.refresh()
    assert wished(made, "Uganda").startswith("the company has the chart 'Standard with Numbers' already, which stays")


def test_of_a_company_that_stood_before_it_is_not_said_what_the_site_offers(here: Erp) -> None:
    created(CompanyProvider(), company_inputs(chart="Standard"))
    here.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    # As after a run that was killed before it could note the company.
    again = created(CompanyProvider(), company_inputs())
    assert again.outs["chart_note"] == "the company has the chart 'Standard' already, which stays; 'Kenya' was wished"
    assert created(CompanyProvider(), company_inputs(chart="Standard")).outs["chart_note"] == ""


def test_a_company_that_is_made_anew_gets_the_chart_that_is_wished_by_then(here: Erp) -> None:
    provider = CompanyProvider()
    made = created(provider, company_inputs())
    here.delete("Company", "Shop")
    here.site.switch(charts={"Kenya": ["Kenya - Chart of Accounts"]})
    outs = provider.update(made.id, made.outs, company_inputs(chart="Narnia")).outs
    assert outs["chart_note"] == "the site offers no chart 'Narnia' for Kenya: 'Standard' is used"
    here.delete("Company", "Shop")
    outs = provider.update(made.id, outs, company_inputs()).outs
    assert (outs["chart_of_accounts"], outs["chart_note"]) == ("Kenya - Chart of Accounts", "")


def test_a_standard_chart_is_not_the_one_of_another_name(here: Erp) -> None:
    created(CompanyProvider(), company_inputs(chart="Standard with Numbers"))
    assert "'Standard' was wished" in created(CompanyProvider(), company_inputs(chart="Standard")).outs["chart_note"]


@pytest.mark.parametrize(
    ("wish", "offer", "name", "said"),
    [
        ("Standard", ["Standard with Numbers", "Standard"], "Standard", False),
        ("Standard with Numbers", ["Standard", "Standard with Numbers"], "Standard with Numbers", False),
        ("Standard", ["Standard with Numbers"], "Standard with Numbers", True),
        ("Uganda", ["uganda - full", "Standard"], "uganda - full", False),
        ("Kenya", ["Kenya A", "Kenya B", "Standard"], "Standard", True),
    ],
)
def test_which_chart_is_chosen(wish: str, offer: list[str], name: str, said: bool) -> None:
    chart = choose(wish, offer, country="X")
    assert (chart.name, bool(chart.note)) == (name, said)


def test_a_site_that_offers_nothing_to_fall_back_on_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match=r"'Kenya'.*offers for Kenya: SKR03, SKR04\. Choose one"):
        choose("Kenya", ["SKR03", "SKR04"], country="Kenya")


def test_too_few_accounts_are_no_chart(engine: Engine, here: Erp) -> None:
    engine.up(company)
    with here.alone():
        for account in here.docs("Account", is_group=0)[4:]:
            here.site.records.delete("Account", account["name"])
    with pytest.raises(NotReadyError, match="has 4 accounts, and 5 are the least"):
        created(ChartOfAccountsProvider(), {"region": REGION, "company": "Shop", "ready": True})


def test_an_abbreviation_that_another_has_names_them(here: Erp) -> None:
    here.put("Company", company_name="Other", abbr="SH", default_currency="KES", country="Kenya")
    with pytest.raises(OwnershipError, match="abbreviation 'SH' is that of 'Other'"):
        created(CompanyProvider(), company_inputs())


def test_what_a_company_is_called_and_counts_in_stays(here: Erp) -> None:
    olds = company_inputs()
    news = company_inputs(key={"company_name": "Store"}, initial={"abbr": "ST"}, fields={"default_currency": "UGX"})
    failures = CompanyProvider().check(olds, news).failures
    assert [each.property for each in failures] == ["company_name", "abbr", "default_currency"]
    assert CompanyProvider().check(olds, company_inputs()).failures == []


def test_a_company_on_a_site_without_its_wizard_says_what_to_do(raw: Erp) -> None:
    with pytest.raises(WizardUnfinishedError, match=r"Warehouse Type: Transit.*finish the wizard"):
        created(CompanyProvider(), company_inputs())
    assert raw.docs("Company") == []
    raw.site.finish_setup()
    assert created(CompanyProvider(), company_inputs()).outs["mine"] is True


def test_a_company_that_takes_longer_than_is_waited_for_is_made_once(
    here: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompanyProvider, "seconds", 0.05)
    monkeypatch.setattr("providers.http.WAITS", (0.2, 0.4, 0.8))
    here.fault(Kind.LATENCY, method="POST", where="Company", seconds=0.2, times=1)
    made = created(CompanyProvider(), company_inputs())
    assert (made.outs["mine"], len(here.docs("Company"))) == (True, 1)


def test_a_company_with_a_ledger_is_not_deleted(here: Erp) -> None:
    made = created(CompanyProvider(), company_inputs())
    account = here.docs("Account", company="Shop", is_group=0)[0]["name"]
    here.put("GL Entry", company="Shop", account=account, debit=5)
    before = here.state()
    with pytest.raises(LinkedError, match="Transaction Deletion Record"):
        made.delete()
    assert here.state() == before


@pytest.mark.parametrize(
    ("given", "wanted"), [("Main", "Main - SH"), ("Main - SH", "Main - SH"), ("Main SH", "Main SH - SH")]
)
def test_the_suffix_of_a_company_is_not_doubled(given: str, wanted: str) -> None:
    assert suffixed(given, "SH") == wanted
