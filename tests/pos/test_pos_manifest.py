"""What a manifest of a point of sale may say, which template it means, and what comes of both."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.fields import _COUNTRIES
from stacks.lines import POS
from stacks.manifest import ManifestError
from stacks.pos.arguments import pos_args
from stacks.pos.countries import CURRENCIES
from stacks.resolve import ResolvedManifest
from stacks.shape import Pinned
from stacks.skips import skips, with_skip

STEPS = ("step_5_settings", "step_6_items", "step_9_pos_session")


@pytest.fixture(autouse=True)
def _region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    erpnext = {"url": "http://127.0.0.1:1", "keyFrom": "TENANTRY_BACKEND_A", "secretFrom": "TENANTRY_BACKEND_B"}
    odoo = {"url": "http://127.0.0.1:3", "database": "d", "user": "u", "keyFrom": "TENANTRY_BACKEND_D"}
    n8n = {"url": "http://127.0.0.1:2", "keyFrom": "TENANTRY_BACKEND_C"}
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump({"regions": {"local": {"erpnext": erpnext, "odoo": odoo}, "bare": {"n8n": n8n}}}))
    monkeypatch.setenv("TENANTRY_BACKENDS", str(file))


def manifest(**changes: Any) -> dict[str, Any]:
    content = {"kind": "pos", "slug": "duka", "name": "Duka Moja", "region": "local", "countryCode": "KE", **changes}
    return {key: value for key, value in content.items() if value is not None}


def resolved(pinned: Pinned | None = None, **changes: Any) -> ResolvedManifest[Any]:
    return POS.resolve(POS.parse(manifest(**changes)), POS.templates(), pinned=pinned)


def problems(**changes: Any) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        resolved(**changes)
    return {one.field: one.valid for one in caught.value.problems}


def includes(**changes: Any) -> dict[str, bool]:
    return dict(resolved(**changes).settings["includes"])


ITEM = {"code": "TEA", "name": "Tea", "group": "Products", "unit": "Nos", "price": 220, "cost": 160.5, "stock": 35}


@pytest.mark.parametrize("key", list(ITEM))
def test_nothing_of_a_demo_item_is_made_of_another_type(key: str) -> None:
    """As its schema says: a name is a text, a price a number; 5 is no name, and "5" and true are no prices."""
    text = isinstance(ITEM[key], str)
    wrong: tuple[Any, ...] = (True, None, [], {}, *((5, 5.5, "") if text else ("5", "1.5", -1)))
    field = f"customSettings.demo.items[0].{key}"
    for value in wrong:
        assert set(problems(customSettings={"demo": {"items": [{**ITEM, key: value}]}})) == {field}, value
    assert resolved(customSettings={"demo": {"items": [ITEM]}}).settings["demo"]["items"][0][key] == ITEM[key]


@pytest.mark.parametrize(
    ("changes", "template"),
    [
        ({}, "retail"),
        ({"category": "pharmacy"}, "pharmacy"),
        ({"category": "restaurant", "provisioningType": "BASIC"}, "restaurant"),
        ({"category": "bakery"}, "full-pos"),
        ({"category": "bakery", "provisioningType": "BASIC"}, "basic"),
        ({"category": "bakery", "provisioningType": "CUSTOM"}, "custom"),
        ({"category": "pharmacy", "templateId": "basic"}, "basic"),
    ],
)
def test_the_template_is_the_businesss_else_the_types(changes: dict[str, Any], template: str) -> None:
    assert resolved(**changes).template_id == template


def test_the_schema_requires_what_a_manifest_has_to_say_and_no_more() -> None:
    assert resolved().template_id == "retail"
    asked_for = set(POS.schema()["required"])
    assert asked_for == set(manifest()) - {"region"}
    for key in asked_for - {"kind"}:
        assert key in problems(**{key: None})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"posStore": True, "settings": True, "demoItems": False, "session": True}),
        ({"provisioningType": "BASIC"}, dict.fromkeys(("posStore", "settings", "demoItems", "session"), False)),
        ({"templateId": "basic"}, dict.fromkeys(("posStore", "settings", "demoItems", "session"), False)),
        (
            {"provisioningType": "BASIC", "includeDemoData": True, "posStoreEnabled": True},
            {"posStore": True, "settings": False, "demoItems": True, "session": False},
        ),
        (
            {"provisioningType": "CUSTOM", "customSettings": {"includes": {"session": True}}},
            {"posStore": False, "settings": False, "demoItems": False, "session": True},
        ),
        (
            {"posStoreEnabled": False, "includeDemoData": True, "skip": list(STEPS)},
            {"posStore": False, "settings": False, "demoItems": False, "session": False},
        ),
    ],
)
def test_what_is_optional_is_there_as_the_type_has_it_unless_the_manifest_says_otherwise(
    changes: dict[str, Any], expected: dict[str, bool]
) -> None:
    assert includes(**changes) == expected


def test_a_manifest_as_it_was_resolved_is_what_is_built_again() -> None:
    first = resolved(includeDemoData=True, skip=["step_5_settings"])
    assert POS.restore(first.to_dict()).settings == first.settings
    args = pos_args(POS.restore(first.to_dict()), "tenantry/duka")
    assert (args.selling, args.stock) == ({}, {})
    assert [item.code for item in args.items][:2] == ["MILK-1L", "BREAD"]


def test_a_version_that_the_tenant_was_built_from_is_kept() -> None:
    with pytest.raises(ManifestError, match=r"0\.9\.0"):
        resolved(Pinned(template=("retail", "0.9.0")))


@pytest.mark.parametrize(
    ("country", "changes", "chart", "currency"),
    [
        ("KE", {}, "Kenya", "KES"),
        ("UG", {}, "Uganda", "UGX"),
        ("CH", {}, "Standard", "CHF"),
        ("DE", {"countryTemplate": "SKR03"}, "SKR03", "EUR"),
        ("KE", {"customSettings": {"company": {"currency": "USD"}}}, "Kenya", "USD"),
    ],
)
def test_chart_and_currency_are_the_countrys(country: str, changes: dict[str, Any], chart: str, currency: str) -> None:
    args = pos_args(resolved(countryCode=country, **changes), "tenantry/duka")
    assert (args.chart, args.currency) == (chart, currency)


def test_every_country_has_one_currency() -> None:
    assert set(CURRENCIES) == set(_COUNTRIES)


def test_names_come_of_the_tenants_and_may_be_given() -> None:
    args = pos_args(resolved(adminEmail="owner@duka.example"), "tenantry/duka")
    assert (args.company, args.abbr, args.profile) == ("Duka Moja", "DUKA", "Duka Moja POS")
    assert (args.cashier, args.customer.name) == ("owner@duka.example", "Walk-In Customer")
    own = {"company": {"name": "Duka Ltd", "abbr": "DL"}, "till": {"name": "Till 1", "cashier": "ann@duka.example"}}
    args = pos_args(resolved(customSettings=own, adminEmail="owner@duka.example"), "tenantry/duka")
    assert (args.company, args.abbr, args.profile, args.cashier) == ("Duka Ltd", "DL", "Till 1", "ann@duka.example")
    assert args.price_list == "Duka Ltd Selling"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"skip": ["step_2_company"]}, "skip", "step_9_pos_session"),
        ({"skip": ["step_5_settings", "step_5_settings"]}, "skip", "each once"),
        ({"provisioningType": "SOME"}, "provisioningType", "FULL_POS"),
        ({"provisioningType": ["BASIC"], "category": "bakery"}, "provisioningType", "FULL_POS"),
        ({"provisioningType": {"BASIC": 1}}, "provisioningType", "FULL_POS"),
        ({"countryCode": "XX"}, "countryCode", "ISO 3166-1"),
        ({"engine": "sap"}, "engine", "erpnext"),
        ({"region": "bare"}, "region", "erpnext"),
        ({"region": "nowhere"}, "region", "local"),
        ({"category": "Big Shop"}, "category", "retail"),
        ({"templateId": "retial"}, "templateId", "retail"),
        ({"name": "D" * 101}, "name", "customSettings.company.name"),
        (
            {"includeDemoData": True, "customSettings": {"demo": {"items": []}}},
            "includeDemoData",
            "demo items",
        ),
        (
            {"customSettings": {"till": {"payments": [{"mode": "Card", "kind": "Bank"}]}}},
            "customSettings.till.payments[0].account",
            "Card",
        ),
        (
            {"customSettings": {"warehouses": {"pos": "Main Store"}}},
            "customSettings.warehouses.pos",
            "warehouses.main",
        ),
        (
            {"customSettings": {"demo": {"items": [{"code": "A", "name": "A", "price": 1}] * 2}}},
            "customSettings.demo.items[1].code",
            "once",
        ),
    ],
)
def test_a_problem_names_the_field_and_what_is_valid(changes: dict[str, Any], field: str, words: str) -> None:
    found = problems(**changes)
    assert words in found.get(field, ""), found


def test_in_odoo_a_mode_of_payment_needs_no_account_and_the_settings_are_the_companys() -> None:
    till = {"till": {"payments": [{"mode": "Cash"}, {"mode": "Card", "kind": "Bank"}]}}
    args = pos_args(resolved(engine="odoo", customSettings=till), "tenantry/duka")
    assert [(one.mode, one.account) for one in args.payments] == [("Cash", None), ("Card", None)]
    assert (args.selling, args.stock) == ({"point_of_sale_update_stock_quantities": "real"}, {})


@pytest.mark.parametrize("template", ["retail", "restaurant", "pharmacy", "full-pos", "basic", "custom"])
def test_every_template_has_demo_items_with_prices(template: str) -> None:
    args = pos_args(resolved(templateId=template, includeDemoData=True), "tenantry/duka")
    assert len(args.items) >= 4
    assert all(item.price > 0 for item in args.items)
    assert any(item.stock > 0 for item in args.items)


def test_skipping_a_second_step_keeps_the_first_one_skipped() -> None:
    one = with_skip(manifest(), POS.skips["step_5_settings"])
    both = with_skip(one, POS.skips["step_9_pos_session"])
    assert both["skip"] == ["step_5_settings", "step_9_pos_session"]
    assert with_skip(both, POS.skips["step_5_settings"]) == both
    assert [step for step in STEPS if skips(both, POS.skips[step])] == ["step_5_settings", "step_9_pos_session"]


def test_the_steps_are_those_of_the_requirements() -> None:
    assert [step.key for step in POS.steps] == [
        "step_0_engine_check",
        "step_2_company",
        "step_3_chart_of_accounts",
        "step_4_warehouses",
        "step_5_settings",
        "step_6_items",
        "step_7_customer",
        "step_8_pos_profile",
        "step_9_pos_session",
    ]
    assert tuple(step.key for step in POS.steps if step.optional) == STEPS
