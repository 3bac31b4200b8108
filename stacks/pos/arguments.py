"""From a resolved manifest to the arguments of the point of sale's component. Imports the SDK.

Decides what is called how where a manifest does not say. It never talks to a server.
"""

from __future__ import annotations

from components.pos_args import PosArgs, PosCustomer, PosItem, PosPayment, PosWarehouses
from stacks.pos.countries import chart_of, currency_of
from stacks.pos.manifest import PosManifest
from stacks.pos.settings import PosSettings
from stacks.resolve import ResolvedManifest


def pos_args(resolved: ResolvedManifest[PosManifest], mark: str) -> PosArgs:
    """Plain values, no Outputs."""
    manifest = resolved.manifest
    settings = PosSettings.model_validate(dict(resolved.settings))
    includes, company = settings.includes, settings.company
    name = company.name or manifest.name
    # The slug is one tenant's alone; initials, as ERPNext would take them, are many a company's.
    abbr = company.abbr or manifest.slug.upper()
    return PosArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        admin_email=manifest.admin_email,
        region=manifest.region,
        engine=manifest.engine,
        category=manifest.category,
        provisioning_type=settings.provisioning_type,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
        country_code=manifest.country_code,
        company=name,
        abbr=abbr,
        currency=company.currency or currency_of(manifest.country_code),
        chart=manifest.country_template or chart_of(manifest.country_code),
        warehouses=PosWarehouses(
            main=settings.warehouses.main, pos=settings.warehouses.pos if includes.pos_store else None
        ),
        **_kept_settings(manifest.engine, settings),
        items=_items(settings) if includes.demo_items else (),
        price_list=settings.demo.price_list or f"{name} Selling",
        opening_stock=settings.demo.opening_stock,
        customer=PosCustomer(**settings.customer.model_dump()),
        profile=settings.till.name or f"{name} POS",
        payments=tuple(PosPayment(**one.model_dump()) for one in settings.till.payments),
        session=bool(includes.session),
        cashier=settings.till.cashier or manifest.admin_email,
    )


def _kept_settings(engine: str, settings: PosSettings) -> dict[str, dict[str, object]]:
    """In Odoo selling and stock are set at the company, in one place."""
    wanted = settings.engine_settings
    if not settings.includes.settings:
        return {"selling": {}, "stock": {}}
    if engine == "odoo":
        return {"selling": dict(wanted.odoo), "stock": {}}
    return {"selling": dict(wanted.selling), "stock": dict(wanted.stock)}


def _items(settings: PosSettings) -> tuple[PosItem, ...]:
    return tuple(PosItem(**one.model_dump()) for one in settings.demo.items)
