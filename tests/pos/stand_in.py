"""A stand-in for an engine, for points of sale: the real component and providers, without processes in between.

What is registered is made at once; what it was given from a run before is brought up, as an engine would. Its rows in
the main database are not its subject here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import resource_pb2

from components.point_of_sale import PointOfSale
from components.pos_args import PosArgs, PosCustomer, PosItem, PosPayment, PosWarehouses
from tests.erpnext.running import MARK, REGION, Engine, created
from tests.erpnext.running import Made as Resource

TEA = PosItem(code="TEA", name="Tea", group="Products", unit="Nos", price=220, cost=160, stock=35)
GIFT = PosItem(code="GIFT", name="Gift card", group="Services", unit="Nos", price=1000, cost=0, stock=0)
_ROWS = ("PosRecord", "PosActivation")


class Made(Engine):
    """As an engine of tests/erpnext; by type and name, since all that a tenant has one of is called as the tenant is.

    `before` is the state that a run before has left.
    """

    def __init__(self, before: Mapping[str, Resource] | None = None) -> None:
        super().__init__()
        self._one_by_one = threading.Lock()
        self._before = dict(before or {})
        self.failure: Exception | None = None
        """Why the run has failed. The SDK, which registers many at once, may tell of one that was not begun for it."""
        self.order: list[str] = []
        self.last: list[Resource] = []
        """What was replaced, and goes once the rest is done."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        kind = request.type.rsplit(":", 1)[-1]
        with self._one_by_one:
            if request.custom:
                self.order.append(kind)
            if kind in _ROWS:
                row = {"record_id": "1", "status": "active"}
                told = rpc.struct_pb2.Struct()
                told.update(row)
                urn = self.make_urn(request.parent, request.type, request.name)
                return resource_pb2.RegisterResourceResponse(urn=urn, id="1", object=told)
            # A run that has failed begins nothing more, of which nobody would know.
            assert self.failure is None, "the run has failed"
            try:
                answer = super().RegisterResource(request)
            except Exception as error:
                self.failure = error
                raise
            if request.custom:
                self.made[_key(request)] = self.made.pop(request.name)
            return answer

    def placed(self, request: Any, provider: Any, props: Mapping[str, Any]) -> Resource:
        known = self._before.get(_key(request))
        return (
            super().placed(request, provider, props) if known is None else brought_up(known, provider, props, self.last)
        )

    def tidied(self) -> None:
        """The end of a run that went well: what is registered no more goes, as does what was replaced."""
        dropped = [key for key in self._before if key not in self.made]
        self.last.extend(self._before.pop(key) for key in dropped)
        while self.last:
            self.last.pop().delete()

    @property
    def state(self) -> dict[str, Resource]:
        """What it has left, in the order in which it came: also what of the run before it did not come to."""
        rest = {key: known for key, known in self._before.items() if key not in self.made}
        return {**rest, **self.made}


def brought_up(known: Resource, provider: Any, props: Mapping[str, Any], last: list[Resource]) -> Resource:
    """As an engine's step of what is in the state already: the same, updated, or replaced, the old one going first or
    `last`."""
    checked = provider.check(known.inputs, dict(props))
    assert not checked.failures, [each.reason for each in checked.failures]
    found = provider.diff(known.id, known.outs, checked.inputs)
    if found.replaces:
        if found.delete_before_replace:
            known.delete()
        else:
            last.append(known)
        return created(provider, checked.inputs)
    outs = provider.update(known.id, known.outs, checked.inputs).outs if found.changes else known.outs
    return Resource(provider=provider, id=known.id, inputs=checked.inputs, outs=outs)


def in_place_of_the_sdks(monitor: Made) -> Made:
    """The SDK of this process talks to it from now on; a fixture `engine` gives the SDK its own back."""
    settings.reset_options(project="tenantry", stack="shop")
    mocks.set_mocks(monitor.mocks, project="tenantry", stack="shop", preview=False, monitor=monitor)
    return monitor


def _key(request: Any) -> str:
    return f"{request.type.rsplit(':', 1)[-1]} {request.name}"


def args(**changes: Any) -> PosArgs:
    given: dict[str, Any] = {
        "slug": "shop",
        "tenant_mark": MARK,
        "name": "Shop",
        "admin_email": None,
        "region": REGION,
        "engine": "erpnext",
        "category": "retail",
        "provisioning_type": "FULL_POS",
        "template_id": "retail",
        "template_version": "1.0.0",
        "country_code": "KE",
        "company": "Shop",
        "abbr": "SHOP",
        "currency": "KES",
        "chart": "Kenya",
        "warehouses": PosWarehouses(main="Main Store", pos="POS Store"),
        "selling": {"so_required": "No"},
        "stock": {"item_naming_by": "Item Code"},
        "items": (TEA, GIFT),
        "price_list": "Shop Selling",
        "opening_stock": False,
        "customer": PosCustomer(name="Walk-In Customer"),
        "profile": "Shop POS",
        "payments": (PosPayment(mode="Cash", kind="Cash"),),
        "session": True,
        "cashier": None,
    }
    return PosArgs(**(given | changes))


def up(made: Made, **changes: Any) -> dict[str, Any]:
    """The stack's outputs."""
    told: dict[str, Any] = {}

    def program() -> None:
        shop = PointOfSale("shop", args(**changes))
        pulumi.Output.from_input(shop.outputs).apply(told.update)

    made.up(program)
    return told
