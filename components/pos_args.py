"""What a point of sale is made from, and the seam between its steps and the engine that they are made in.

Decides nothing. `PointOfSale` says in which order the steps come; an `Engine` registers each step's own resources,
and remembers of one step what the next ones need (docnames, accounts, ids). `components/pos_on_erpnext.py` is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi

Options = Callable[..., pulumi.ResourceOptions]
"""Of a step: `options(*more)` are a child's, which waits for the steps before it and for the resources `more`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PosWarehouses:
    """`pos` is None where there is to be none."""

    main: str
    pos: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PosItem:
    """A demo item: `price` and `cost` (what one is worth) in the company's currency, `stock` in `unit`s."""

    code: str
    name: str
    group: str
    unit: str
    price: float
    cost: float
    stock: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PosCustomer:
    name: str
    group: str | None = None
    territory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PosPayment:
    """A mode of payment; `kind` is Cash, Bank, General or Phone, `account` as the chart calls it (Cash has its own)."""

    mode: str
    kind: str
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PosArgs:
    """What a point of sale is made from. `selling`, `stock` and `items` are empty where their steps are left out.

    `chart` is a wish. `opening_stock`: the items are put in stock. `cashier` None is Tenantry's own user there.
    """

    slug: str
    tenant_mark: str
    name: str
    admin_email: str | None
    region: str
    engine: str
    category: str
    provisioning_type: str
    template_id: str
    template_version: str
    country_code: str
    company: str
    abbr: str
    currency: str
    chart: str
    warehouses: PosWarehouses
    selling: Mapping[str, Any]
    stock: Mapping[str, Any]
    items: Sequence[PosItem]
    price_list: str
    opening_stock: bool
    customer: PosCustomer
    profile: str
    payments: Sequence[PosPayment]
    session: bool
    cashier: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a step has registered.

    `ready` is what the steps after it wait for. `references` are its objects' names in the engine, which the stack's
    outputs keep. `optional` are the outputs `ready` of its non-critical resources: false where one failed.
    """

    ready: Sequence[pulumi.Resource]
    references: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)
    optional: Sequence[pulumi.Output[bool]] = ()


class Engine(Protocol):
    """The steps in an engine, called in this order, each with the options of its own step's children.

    A resource that is not critical is `optional`: its provider never fails, but says `ready: false` and a `reason`.
    """

    def check(self, options: Options) -> Made:
        """The engine is online and set up."""
        ...

    def company(self, options: Options) -> Made: ...

    def chart(self, options: Options) -> Made:
        """Five or more accounts are there."""
        ...

    def warehouses(self, options: Options) -> Made:
        """The main store; and the POS store, optional, where there is to be one."""
        ...

    def settings(self, options: Options) -> Made:
        """All of it optional, as are the next."""
        ...

    def items(self, options: Options) -> Made: ...

    def customer(self, options: Options) -> Made: ...

    def profile(self, options: Options) -> Made: ...

    def session(self, options: Options) -> Made:
        """One open session of the profile. Optional."""
        ...
