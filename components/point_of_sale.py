"""The tenant of the POS line: its steps, and in which order they come and go (POS-3).

Decides the order: the engine is looked at first; then the company with its accounts; then, side by side, warehouses,
settings, items and customer; the profile, which names them; its session. What is removed goes the other way round. What
a step is made of is its engine's to say (`pos_args.Engine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components.pos_args import Engine, Made, PosArgs
from components.step import StepComponent
from components.tenant import Tenant
from providers.errors import ConfigurationError
from providers.pos_record import PosActivation, PosRecord

PROVISIONED, PARTIAL = "PROVISIONED", "PARTIAL"
Resources = Sequence[pulumi.Resource]


class PointOfSale(Tenant):
    """One point of sale. `outputs` are the stack's outputs. Raises ConfigurationError for an engine there is not."""

    def __init__(self, name: str, args: PosArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tenantry:pos:PointOfSale", name, None, opts)
        self._name = name
        self._made: list[Made] = []
        engine = engine_of(args)
        first = self._step("EngineCheck", ())
        checked = self._take(first, engine.check(first.child_options))
        record = PosRecord(name, _row(args), first.child_options(*checked))
        company = self._run("Company", engine.company, (record,))
        accounts = self._run("ChartOfAccounts", engine.chart, company)
        stores = self._run("Warehouses", engine.warehouses, accounts)
        settings = self._run("Settings", engine.settings, stores)
        items = self._run("Items", engine.items, stores)
        customer = self._run("Customer", engine.customer, accounts)
        self._till(engine, args, [*stores, *settings, *items, *customer])
        self.outputs = self._outputs(args)
        self.register_outputs(self.outputs)

    def _till(self, engine: Engine, args: PosArgs, after: Resources) -> None:
        step = self._step("Profile", after)
        profile = self._take(step, engine.profile(step.child_options))
        # All that is critical is there: what fails from here on leaves a point of sale that works.
        options = step.child_options(*profile)
        self._active = PosActivation(self._name, slug=args.slug, tenant_mark=args.tenant_mark, opts=options)
        self._run("Session", engine.session, [*profile, self._active])

    def _run(self, kind: str, make: Any, after: Resources) -> Resources:
        step = self._step(kind, after)
        return self._take(step, make(step.child_options))

    def _step(self, kind: str, after: Resources) -> StepComponent:
        return StepComponent(f"tenantry:pos:{kind}", self._name, tenant=self, after=after)

    def _take(self, step: StepComponent, made: Made) -> Resources:
        self._made.append(made)
        step.register_outputs(dict(made.references))
        return made.ready

    def _outputs(self, args: PosArgs) -> dict[str, Any]:
        optional = [ready for made in self._made for ready in made.optional]
        status = pulumi.Output.all(self._active.status, *optional).apply(lambda all_: status_of(all_[1:]))
        return {
            "slug": args.slug,
            "region": args.region,
            "engine": args.engine,
            "template": f"{args.template_id}@{args.template_version}",
            "provisioningType": args.provisioning_type,
            "references": {name: value for made in self._made for name, value in made.references.items()},
            "status": status,
        }


def status_of(ready: Sequence[bool]) -> str:
    """Of a point of sale whose critical objects are all there, by whether the others are (POS-4)."""
    return PROVISIONED if all(ready) else PARTIAL


def engine_of(args: PosArgs) -> Engine:
    """What makes the steps. Raises ConfigurationError."""
    match args.engine:
        case "erpnext":
            from components.pos_on_erpnext import PosOnErpNext

            return PosOnErpNext(args)
        case "odoo":
            from components.pos_on_odoo import PosOnOdoo

            return PosOnOdoo(args)
        case other:
            raise ConfigurationError(
                f"point of sale {args.slug!r}: no engine is called {other!r}. Use erpnext or odoo."
            )


def _row(args: PosArgs) -> dict[str, Any]:
    names = ("slug", "tenant_mark", "name", "region", "engine", "category", "country_code", "provisioning_type")
    return {name: getattr(args, name) for name in (*names, "admin_email", "template_id", "template_version")}
