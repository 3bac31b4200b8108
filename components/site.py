"""The tenant of the site line: its record, the site that bench makes, and its activation.

Decides the order: the site waits for the row, the activation for the site. What is removed goes the other way round.
The administrator's password is made here, and is an output that is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.step import StepComponent
from components.tenant import Tenant
from providers.password import Password
from providers.site.resource import Site as BenchSite
from providers.site_record import SiteActivation, SiteRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteArgs:
    """What a site is made from. `host` is its name on the bench; `apps` are installed beside frappe, in that order."""

    slug: str
    tenant_mark: str
    name: str
    admin_email: str | None
    region: str
    host: str
    apps: Sequence[str]
    backup_on_delete: bool
    template_id: str
    template_version: str


class Site(Tenant):
    """One site. `outputs` are the stack's outputs; only `adminPassword` is a secret."""

    def __init__(self, name: str, args: SiteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tenantry:site:Site", name, None, opts)
        self.record = Record(name, _row(args), tenant=self)
        self.bench = Bench(name, args, tenant=self, after=[self.record.anchor])
        self.activation = Activation(name, args, tenant=self, after=[self.bench.site])
        self.outputs = {
            "slug": args.slug,
            "region": args.region,
            "template": f"{args.template_id}@{args.template_version}",
            "site": self.bench.site.site,
            "apps": self.bench.site.installed,
            "adminPassword": self.bench.password,
            "status": self.activation.status,
        }
        self.register_outputs(self.outputs)


class Record(StepComponent):
    """The site's row in the main database. `anchor` is the row."""

    def __init__(self, name: str, row: Mapping[str, Any], *, tenant: pulumi.Resource) -> None:
        super().__init__("tenantry:site:Record", name, tenant=tenant, after=())
        self.anchor = SiteRecord(name, dict(row), self.child_options())
        self.register_outputs({"recordId": self.anchor.record_id})


class Bench(StepComponent):
    """The site with its apps, and the password of its Administrator, which is never shown."""

    def __init__(self, name: str, args: SiteArgs, *, tenant: pulumi.Resource, after: Sequence[pulumi.Resource]) -> None:
        super().__init__("tenantry:site:Bench", name, tenant=tenant, after=after)
        self.password = Password(name, owner=args.host, opts=self.child_options()).value
        self.site = BenchSite(
            name,
            region=args.region,
            tenant_mark=args.tenant_mark,
            site=args.host,
            apps=args.apps,
            admin_password=self.password,
            backup_on_delete=args.backup_on_delete,
            opts=self.child_options(),
        )
        self.register_outputs({"site": self.site.site})


class Activation(StepComponent):
    """`status` is `active`: the site is there with all its apps."""

    def __init__(self, name: str, args: SiteArgs, *, tenant: pulumi.Resource, after: Sequence[pulumi.Resource]) -> None:
        super().__init__("tenantry:site:Activation", name, tenant=tenant, after=after)
        activation = SiteActivation(name, slug=args.slug, tenant_mark=args.tenant_mark, opts=self.child_options())
        self.status = activation.status
        self.register_outputs({"status": self.status})


def _row(args: SiteArgs) -> dict[str, Any]:
    return {
        "slug": args.slug,
        "tenant_mark": args.tenant_mark,
        "name": args.name,
        "admin_email": args.admin_email,
        "region": args.region,
        "host": args.host,
        "template_id": args.template_id,
        "template_version": args.template_version,
    }
