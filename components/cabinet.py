"""The tenant of the cabinet line: its steps in order, and the names of what belongs to it.

Decides names and order. What each step holds is decided in the step's own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.activation import Activation
from components.database import Database
from components.record import Record
from components.schema import Schema
from components.settings import Settings
from components.tenant import Tenant
from providers.connection import DatabaseSettings

OWN_SCHEMA = "cabinet"
_ROW = ("slug", "tenant_mark", "name", "street", "city", "postal_code", "country", "phone", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetArgs:
    """What a cabinet is made from: effective `settings`; `own_database` is false for skipDatabaseCreation."""

    slug: str
    tenant_mark: str
    name: str
    street: str
    city: str
    postal_code: str
    country: str
    phone: str
    email: str
    template_id: str
    template_version: str
    settings: Mapping[str, Any]
    own_database: bool = True
    server: DatabaseSettings = field(default_factory=DatabaseSettings.from_env)

    @property
    def template(self) -> str:
        return f"{self.template_id}@{self.template_version}"

    @property
    def identifier(self) -> str:
        """The slug as a PostgreSQL identifier: at most 48 characters, and no two slugs give the same."""
        return f"cabinet_{self.slug.replace('-', '_')}"

    @property
    def database(self) -> str:
        return self.identifier if self.own_database else self.server.main_database

    @property
    def schema(self) -> str:
        return OWN_SCHEMA if self.own_database else self.identifier

    @property
    def role(self) -> str | None:
        return f"{self.identifier}_app" if self.own_database else None


class Cabinet(Tenant):
    """One cabinet. `outputs` are the stack's outputs; only `password` is a secret."""

    def __init__(self, name: str, args: CabinetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tenantry:cabinet:Cabinet", name, None, opts)
        row = {column: getattr(args, column) for column in _ROW}
        row |= {
            "template_id": args.template_id,
            "template_version": args.template_version,
            "database_name": args.database,
        }
        self.record = Record(name, row, tenant=self)
        last: pulumi.Resource = self.record
        self.database: Database | None = None
        if args.role is not None:
            self.database = last = Database(
                name,
                database=args.database,
                role=args.role,
                schema=args.schema,
                settings=args.server,
                tenant=self,
                after=[last],
            )
        inside = self.database.database if self.database is not None else None
        self.schema = Schema(
            name,
            tenant_mark=args.tenant_mark,
            database=args.database,
            schema=args.schema,
            app_role=args.role,
            tenant=self,
            after=[last],
            inside=inside,
        )
        self.settings = Settings(
            name,
            database=args.database,
            schema=args.schema,
            template=args.template,
            settings=args.settings,
            tenant=self,
            after=[self.schema],
            inside=inside,
        )
        self.activation = Activation(
            name, slug=args.slug, tenant_mark=args.tenant_mark, tenant=self, after=[self.settings]
        )
        self.outputs = self._outputs(args)
        self.register_outputs(self.outputs)

    def _outputs(self, args: CabinetArgs) -> dict[str, Any]:
        outputs: dict[str, Any] = {
            "slug": args.slug,
            "host": args.server.host,
            "port": args.server.port,
            "database": args.database,
            "schema": args.schema,
            "schemaVersion": self.schema.version,
            "template": args.template,
            "status": self.activation.status,
        }
        if self.database is not None:
            outputs |= {"role": self.database.role.name, "password": self.database.password}
        return outputs
