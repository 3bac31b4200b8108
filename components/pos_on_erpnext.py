"""The steps of a point of sale in ERPNext, of its typed resources (POS-3).

Decides which of them are optional, and what names which: the profile sells from the POS store where there is one, by
the tenant's price list where there are items. The order of the steps is `PointOfSale`'s.
"""

from __future__ import annotations

from typing import Any

import pulumi

from components.pos_args import Made, Options, PosArgs, PosPayment
from components.pos_items_on_erpnext import ErpNextItems
from providers.erpnext.charts import ChartOfAccounts
from providers.erpnext.company import Company
from providers.erpnext.country import Country
from providers.erpnext.document import Document
from providers.erpnext.health import EngineCheck
from providers.erpnext.selling import Customer, ModeOfPayment, PosProfile
from providers.erpnext.session import PosSession
from providers.erpnext.settings import Settings
from providers.erpnext.stock import Warehouse, suffixed
from providers.erpnext.user import User


class PosOnErpNext:
    """Called step by step, in order. Each remembers what the next ones name."""

    def __init__(self, args: PosArgs) -> None:
        self._args = args
        self._name = args.slug
        self._ours: dict[str, Any] = {"region": args.region, "tenant_mark": args.tenant_mark}
        self._pos_store: Warehouse | None = None
        self._items: ErpNextItems | None = None

    def check(self, options: Options) -> Made:
        self._engine = EngineCheck(self._name, region=self._args.region, opts=options())
        return Made(ready=(self._engine,))

    def company(self, options: Options) -> Made:
        args = self._args
        country = Country(self._name, region=args.region, code=args.country_code, opts=options())
        self._company = Company(
            self._name,
            **self._ours,
            company=args.company,
            abbr=args.abbr,
            currency=args.currency,
            country=country.docname,
            chart=args.chart,
            opts=options(country),
        )
        made = pulumi.Output.all(company=self._company.docname, creation=self._company.creation)
        # All else of the tenant is within it, or has a row of it.
        self._ours["within"] = made
        return Made(ready=(self._company,), references={"company": self._company.docname})

    def chart(self, options: Options) -> Made:
        company = self._company
        self._accounts = ChartOfAccounts(self._name, region=self._args.region, company=company.docname, opts=options())
        note = company.said_of_its_chart(self._args.chart)
        chart = {"chartOfAccounts": company.chart_of_accounts, "chartNote": note}
        return Made(ready=(self._accounts,), references=chart)

    def warehouses(self, options: Options) -> Made:
        wanted = self._args.warehouses
        self._main_store = self._warehouse("main-store", wanted.main, options)
        references = {"mainStore": self._main_store.docname}
        if wanted.pos is None:
            return Made(ready=(self._main_store,), references=references)
        self._pos_store = self._warehouse("pos-store", wanted.pos, options, optional=True)
        return Made(
            ready=(self._main_store, self._pos_store),
            references={**references, "posStore": self._pos_store.docname},
            optional=[self._pos_store.ready],
        )

    def _warehouse(self, name: str, warehouse: str, options: Options, *, optional: bool = False) -> Warehouse:
        company = self._company
        return Warehouse(
            f"{self._name}-{name}",
            **self._ours,
            warehouse=warehouse,
            company=company.docname,
            abbr=company.abbr,
            optional=optional,
            opts=options(),
        )

    def settings(self, options: Options) -> Made:
        wanted = {"Selling Settings": self._args.selling, "Stock Settings": self._args.stock}
        made = {
            doctype: Settings(
                f"{self._name}-{doctype.split()[0].lower()}",
                **self._ours,
                doctype=doctype,
                fields=fields,
                optional=True,
                opts=options(),
            )
            for doctype, fields in wanted.items()
            if fields
        }
        return Made(ready=tuple(made.values()), optional=[one.ready for one in made.values()])

    def items(self, options: Options) -> Made:
        if not self._args.items:
            return Made(ready=())
        self._items = ErpNextItems(self._args, self._ours, self._company, self._main_store, options)
        return self._items.made

    def customer(self, options: Options) -> Made:
        wanted = self._args.customer
        given = {"customer_group": wanted.group, "territory": wanted.territory}
        more = {name: value for name, value in given.items() if value is not None}
        self._customer = Customer(self._name, **self._ours, customer=wanted.name, more=more, opts=options())
        return Made(ready=(self._customer,), references={"customer": self._customer.docname})

    def profile(self, options: Options) -> Made:
        args, accounts = self._args, self._accounts
        modes = [self._mode(payment, options) for payment in args.payments]
        prices = {} if self._items is None else {"selling_price_list": self._items.price_list}
        self._profile = PosProfile(
            self._name,
            **self._ours,
            profile=args.profile,
            company=self._company.docname,
            currency=args.currency,
            warehouse=self._selling_from(),
            write_off_account=accounts.write_off_account,
            write_off_cost_center=accounts.cost_center,
            modes=[mode.docname for mode in modes],
            more={"customer": self._customer.docname, **prices},
            opts=options(*modes),
        )
        references = {"posProfile": self._profile.docname, "modesOfPayment": [mode.docname for mode in modes]}
        return Made(ready=(self._profile,), references=references)

    def _mode(self, payment: PosPayment, options: Options) -> ModeOfPayment:
        account: pulumi.Input[str] = self._accounts.cash_account
        if payment.account is not None:
            named = payment.account
            account = self._company.abbr.apply(lambda abbr: suffixed(named, abbr))
        return ModeOfPayment(
            f"{self._name}-{payment.mode.lower().replace(' ', '-')}",
            **self._ours,
            mode=payment.mode,
            kind=payment.kind,
            company=self._company.docname,
            account=account,
            opts=options(),
        )

    def _selling_from(self) -> pulumi.Output[str]:
        if self._pos_store is None:
            return self._main_store.docname
        # One that is not ready has no name: the till sells from the main store until it is.
        both = pulumi.Output.all(self._pos_store.docname, self._main_store.docname)
        return both.apply(lambda names: str(names[0] or names[1]))

    def session(self, options: Options) -> Made:
        made: dict[str, Document] = {}
        if self._items is not None and (entry := self._items.put_in_stock(self._accounts, self._profile)) is not None:
            made["openingStock"] = entry
        if self._args.session:
            made["posSession"] = self._opened(options)
        return Made(
            ready=tuple(made.values()),
            references={name: one.docname for name, one in made.items()},
            optional=[one.ready for one in made.values()],
        )

    def _opened(self, options: Options) -> PosSession:
        args = self._args
        cashiers: list[Document] = []
        if args.cashier is not None:
            cashiers.append(User(self._name, **self._ours, email=args.cashier, optional=True, opts=options()))
        return PosSession(
            self._name,
            **self._ours,
            profile=self._profile.docname,
            cashier=args.cashier,
            time_zone=self._engine.time_zone,
            optional=True,
            opts=options(*cashiers),
        )
