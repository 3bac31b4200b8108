"""The steps of a point of sale in Odoo, of its typed resources (POS-3, POS-9).

Decides which of them are optional, and what is what there: the profile is a point of sale with its payment methods and
their journals, settings are fields of the company, and a demo item is a product with its price. Odoo's session is that
of whoever opens it, so that no cashier is made; and its goods are sold without being counted. The order of the steps is
`PointOfSale`'s.
"""

from __future__ import annotations

from typing import Any

import pulumi

from components.pos_args import Made, Options, PosArgs, PosItem, PosPayment
from providers.odoo.charts import ChartOfAccounts
from providers.odoo.company import Company
from providers.odoo.health import EngineCheck
from providers.odoo.session import PosSession
from providers.odoo.settings import Settings
from providers.odoo.stock import Product, Warehouse
from providers.odoo.till import Customer, Journal, PaymentMethod, PosConfig, code_of

_MAIN, _POS = "MAIN", "POS"
"""Odoo has a short name for each warehouse of a company."""


class PosOnOdoo:
    """Called step by step, in order. Each remembers what the next ones name."""

    def __init__(self, args: PosArgs) -> None:
        self._args = args
        self._name = args.slug
        self._ours: dict[str, Any] = {"region": args.region, "tenant_mark": args.tenant_mark}
        self._pos_store: Warehouse | None = None

    def check(self, options: Options) -> Made:
        return Made(ready=(EngineCheck(self._name, region=self._args.region, opts=options()),))

    def company(self, options: Options) -> Made:
        args = self._args
        self._company = Company(
            self._name,
            **self._ours,
            company=args.company,
            currency=args.currency,
            country=args.country_code,
            opts=options(),
        )
        self._inside = {**self._ours, "company": self._company.record_id}
        return Made(ready=(self._company,), references={"company": self._company.reference})

    def chart(self, options: Options) -> Made:
        args = self._args
        accounts = ChartOfAccounts(
            self._name,
            region=args.region,
            company=self._company.record_id,
            country=args.country_code,
            wish=args.chart,
            opts=options(),
        )
        chart = {"chartOfAccounts": accounts.chart_of_accounts, "chartNote": accounts.chart_note}
        return Made(ready=(accounts,), references=chart)

    def warehouses(self, options: Options) -> Made:
        wanted = self._args.warehouses
        self._main_store = self._warehouse("main-store", wanted.main, _MAIN, options)
        references = {"mainStore": self._main_store.reference}
        if wanted.pos is None:
            return Made(ready=(self._main_store,), references=references)
        self._pos_store = self._warehouse("pos-store", wanted.pos, _POS, options, optional=True)
        return Made(
            ready=(self._main_store, self._pos_store),
            references={**references, "posStore": self._pos_store.reference},
            optional=[self._pos_store.ready],
        )

    def _warehouse(
        self, name: str, warehouse: str, code: str, options: Options, *, optional: bool = False
    ) -> Warehouse:
        name = f"{self._name}-{name}"
        return Warehouse(name, **self._inside, warehouse=warehouse, code=code, optional=optional, opts=options())

    def settings(self, options: Options) -> Made:
        fields = {**self._args.selling, **self._args.stock}
        if not fields:
            return Made(ready=())
        made = Settings(
            self._name,
            region=self._args.region,
            company=self._company.record_id,
            fields=fields,
            optional=True,
            opts=options(),
        )
        return Made(ready=(made,), optional=[made.ready])

    def items(self, options: Options) -> Made:
        made = [self._item(item, options) for item in self._args.items]
        references = {"items": [item.reference for item in made]} if made else {}
        return Made(ready=made, references=references, optional=[item.ready for item in made])

    def _item(self, item: PosItem, options: Options) -> Product:
        name = f"{self._name}-{item.code}"
        return Product(
            name, **self._inside, code=item.code, product=item.name, price=item.price, optional=True, opts=options()
        )

    def customer(self, options: Options) -> Made:
        made = Customer(self._name, **self._inside, customer=self._args.customer.name, opts=options())
        return Made(ready=(made,), references={"customer": made.reference})

    def profile(self, options: Options) -> Made:
        methods = [self._method(payment, options) for payment in self._args.payments]
        self._till = PosConfig(
            self._name,
            **self._inside,
            till=self._args.profile,
            methods=[method.record_id for method in methods],
            operation=self._selling_from(),
            opts=options(*methods),
        )
        references = {
            "posProfile": self._till.reference,
            "modesOfPayment": [method.reference for method in methods],
        }
        return Made(ready=(self._till,), references=references)

    def _method(self, payment: PosPayment, options: Options) -> PaymentMethod:
        # A journal of its own for each: Odoo lets no two cash methods share one.
        name, kind = f"{self._name}-{payment.mode.lower()}", "cash" if payment.kind == "Cash" else "bank"
        journal = Journal(
            name,
            **self._inside,
            journal=f"{payment.mode} (till)",
            code=code_of(payment.mode),
            kind=kind,
            opts=options(),
        )
        return PaymentMethod(
            name, **self._inside, method=payment.mode, journal=journal.record_id, opts=options(journal)
        )

    def _selling_from(self) -> pulumi.Output[int]:
        if self._pos_store is None:
            return self._main_store.till_operation
        # One that is not ready has none: the till sells from the main store until it is.
        both = pulumi.Output.all(self._pos_store.till_operation, self._main_store.till_operation)
        return both.apply(lambda ids: int(ids[0] or ids[1]))

    def session(self, options: Options) -> Made:
        if not self._args.session:
            return Made(ready=())
        made = PosSession(
            self._name,
            region=self._args.region,
            till=self._till.record_id,
            company=self._company.record_id,
            optional=True,
            opts=options(),
        )
        return Made(ready=(made,), references={"posSession": made.session}, optional=[made.ready])
