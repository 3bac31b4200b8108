"""What a point of sale can be set to: the typed model behind its templates and customSettings.

Decides which settings exist, which values each may have, and which do not fit together. Names of documents are as the
engine has them; prices and values are in the company's currency.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt

from stacks.fields import Email, LineText, ShortText, listed, matching
from stacks.problems import FieldProblem, shown
from stacks.settings import Currency, Section

LONGEST_NAME = 100
"""Of a company, as ShortText has it: an engine's own limit is 140, and what is called by the company has more words."""
ProvisioningType = Literal["FULL_POS", "BASIC", "CUSTOM"]

_Field = Annotated[str, matching(r"[a-z][a-z0-9_]{0,60}", "a field's name, such as so_required")]
_Value = StrictBool | StrictInt | StrictFloat | LineText
_Code = Annotated[str, matching(r"[A-Z0-9][A-Z0-9._-]{0,39}", "capitals, digits, '.', '_' and '-', such as TEA-250")]
_Abbr = Annotated[str, matching(r"[A-Z0-9][A-Z0-9-]{0,39}", "1 to 40 capitals, digits and '-', such as ACME")]
_Money = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]
_Pieces = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]


class Company(Section):
    """The company. Left out: called as the tenant is, its abbreviation from the slug, the currency of its country."""

    name: ShortText | None = None
    abbr: _Abbr | None = None
    currency: Currency | None = None


class Warehouses(Section):
    main: ShortText = "Main Store"
    pos: ShortText = "POS Store"


def _odoo_settings() -> dict[str, _Value]:
    """Each sale takes its goods out of stock at once, as Odoo recommends."""
    return {"point_of_sale_update_stock_quantities": "real"}


class EngineSettings(Section):
    """`selling` and `stock` are settings of a whole ERPNext site, of which these fields are kept: all tenants of a site
    share them. `odoo` are fields of the tenant's own company in Odoo."""

    selling: Annotated[dict[_Field, _Value], Field(max_length=50)] = Field(default_factory=dict)
    stock: Annotated[dict[_Field, _Value], Field(max_length=50)] = Field(default_factory=dict)
    odoo: Annotated[dict[_Field, _Value], Field(max_length=50)] = Field(default_factory=_odoo_settings)


class Item(Section):
    """A demo item. `price` is what it sells at, `cost` what one is worth in stock, `stock` how many there are."""

    code: _Code
    name: ShortText
    group: ShortText = "Products"
    unit: ShortText = "Nos"
    price: _Money
    cost: _Money = 0
    stock: _Pieces = 0


class Demo(Section):
    """Demo items, in a price list of the tenant's own.

    With `openingStock` they are in stock, by an entry in the engine's ledgers: which no engine lets go again as if it
    had never been (docs/pos.md). Without it they are sold and not counted.
    """

    price_list: ShortText | None = None
    opening_stock: bool = False
    items: Annotated[tuple[Item, ...], BeforeValidator(listed), Field(max_length=200)] = ()


class Customer(Section):
    name: ShortText = "Walk-In Customer"
    group: ShortText | None = None
    territory: ShortText | None = None


class Payment(Section):
    """A mode of payment. In ERPNext Cash goes to the company's own cash account; any other to the `account` of it that
    is named, as the chart calls it, without the company's abbreviation. In Odoo each has a journal of its own."""

    mode: ShortText
    kind: Literal["Cash", "Bank", "General", "Phone"] = "Cash"
    account: ShortText | None = None


class Till(Section):
    """The POS profile. `cashier` is who opens its session: left out, the manifest's adminEmail, and without one the
    engine's user that Tenantry is. The first of `payments` is the default."""

    name: ShortText | None = None
    cashier: Email | None = None
    payments: Annotated[tuple[Payment, ...], BeforeValidator(listed), Field(min_length=1, max_length=10)] = (
        Payment(mode="Cash"),
    )


class Includes(Section):
    """Which of the optional objects there are. Left out: as the provisioning type has it."""

    pos_store: bool | None = None
    settings: bool | None = None
    demo_items: bool | None = None
    session: bool | None = None


class PosSettings(Section):
    """All settings of one point of sale. Every key has a default, so that a partial mapping can be checked alone.

    `provisioningType` is that of a template; the manifest's goes before.
    """

    provisioning_type: ProvisioningType = "FULL_POS"
    includes: Includes = Includes()
    company: Company = Company()
    warehouses: Warehouses = Warehouses()
    engine_settings: EngineSettings = EngineSettings()
    demo: Demo = Demo()
    customer: Customer = Customer()
    till: Till = Till()


def inconsistencies(settings: PosSettings, *, prefix: str) -> Iterator[FieldProblem]:
    """Items and modes that are there twice, and two warehouses of one name."""
    for key, values in (
        ("demo.items[{}].code", [item.code for item in settings.demo.items]),
        ("till.payments[{}].mode", [payment.mode for payment in settings.till.payments]),
    ):
        for at, value in enumerate(values):
            if value in values[:at]:
                yield FieldProblem(field=f"{prefix}.{key.format(at)}", given=shown(value), valid="one used only once")
    if settings.warehouses.main == settings.warehouses.pos:
        given = shown(settings.warehouses.pos)
        yield FieldProblem(field=f"{prefix}.warehouses.pos", given=given, valid="another name than warehouses.main")
