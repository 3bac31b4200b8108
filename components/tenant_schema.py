"""Step `database` of a department: its schema in the region's database, its role, and its tables behind row security.

Decides the order: role, schema, tables. So what is removed goes the other way round: the schema with all that is in it,
then its role.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql

from components.database import administrator, connection_url
from components.step import StepComponent
from providers.backends import database_of
from providers.isolated_schema import IsolatedSchema
from providers.migrations import SchemaMigrations
from providers.password import Password
from providers.row_security import SETTING

BUNDLE = "department"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSizing:
    """`connections` at once, which the server holds to; milliseconds per statement, where a session sets no other."""

    connections: int
    statement_timeout_ms: int


class TenantSchema(StepComponent):
    """`url`, `inner_url` and `password` are secrets. `anchor` is the schema, `ready` its tables.

    `inner_url` is the same as containers reach it.
    The URL names the tenant for the session (`options=-c tenantry.tenant=...`); a client that leaves this out acts for
    its role's tenant all the same, and one that names another finds nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        schema: str,
        role: str,
        region: str,
        tenant_mark: str,
        sizing: DatabaseSizing,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:department:TenantSchema", name, tenant=tenant, after=after)
        backend = database_of(region)
        settings = backend.settings()
        self.admin = administrator(name, settings, self.child_options())
        on_server = pulumi.ResourceOptions.merge(self.child_options(), pulumi.ResourceOptions(provider=self.admin))
        generated = Password(name, owner=role, opts=self.child_options())
        login = postgresql.Role(
            name,
            name=role,
            login=True,
            password=generated.value,
            connection_limit=sizing.connections,
            statement_timeout=sizing.statement_timeout_ms,
            search_paths=[schema],
            opts=on_server,
        )
        self.anchor = IsolatedSchema(
            name, region=region, schema=schema, tenant_mark=tenant_mark, role=role, opts=self.child_options(login)
        )
        self.host, self.port, self.database = settings.host, settings.port, settings.main_database
        self.schema, self.role, self.password = schema, login.name, generated.value
        self.ready = SchemaMigrations(
            name,
            tenant_mark=tenant_mark,
            database=self.database,
            schema=schema,
            bundle=BUNDLE,
            app_role=role,
            region=region,
            opts=pulumi.ResourceOptions.merge(
                self.child_options(self.anchor), pulumi.ResourceOptions(deleted_with=self.anchor)
            ),
        )
        login_as = pulumi.Output.all(login.name, generated.value)
        own = f"-c {SETTING}={tenant_mark}"
        self.url: pulumi.Output[str] = pulumi.Output.secret(
            login_as.apply(lambda both: connection_url(settings, *both, options=own))
        )
        inside = backend.settings_inside()
        self.inner_url: pulumi.Output[str] = pulumi.Output.secret(
            login_as.apply(lambda both: connection_url(inside, *both, options=own))
        )
        self.register_outputs({"schema": schema, "role": login.name, "database": self.database})
