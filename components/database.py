"""Step `database`: the cabinet's own database, and the role that its application logs in with.

Decides who may do what: the administrator owns the database and what is in it; the application's role may log in, read
and write rows, and nothing else; PUBLIC may not even connect.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_postgresql as postgresql

from components.step import StepComponent
from providers.connection import DatabaseSettings
from providers.password import Password

CONNECTION_LIMIT = 20
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
COUNTERS = ("USAGE", "SELECT")


def administrator(name: str, settings: DatabaseSettings, opts: pulumi.ResourceOptions) -> postgresql.Provider:
    """The provider of resources on a server, as its administrator."""
    return postgresql.Provider(
        name,
        host=settings.host,
        port=settings.port,
        database=settings.maintenance_database,
        username=settings.user,
        password=pulumi.Output.secret(settings.password) if settings.password else None,
        sslmode=settings.sslmode,
        connect_timeout=settings.connect_timeout,
        # Managed servers give an administrator who is no superuser; nothing here needs one.
        superuser=False,
        opts=opts,
    )


class Database(StepComponent):
    """`database` and `role` are names, `password` is a secret."""

    def __init__(
        self,
        name: str,
        *,
        database: str,
        role: str,
        schema: str,
        settings: DatabaseSettings,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("tenantry:cabinet:Database", name, tenant=tenant, after=after)
        self.admin = administrator(name, settings, self.child_options())
        generated = Password(name, owner=role, opts=self.child_options())
        self.role = postgresql.Role(
            name,
            name=role,
            login=True,
            password=generated.value,
            connection_limit=CONNECTION_LIMIT,
            search_paths=[schema],
            opts=self._on_server(),
        )
        self.database = postgresql.Database(name, name=database, opts=self._on_server(self.role))
        self._allow(name, settings.user)
        self.password = generated.value
        self.register_outputs({"database": self.database.name, "role": self.role.name})

    def _on_server(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self.child_options(*more), pulumi.ResourceOptions(provider=self.admin))

    def _within(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        """For what is part of the database, and goes with it."""
        inside = pulumi.ResourceOptions(deleted_with=self.database)
        return pulumi.ResourceOptions.merge(self._on_server(*more), inside)

    def _allow(self, name: str, administrator: str) -> None:
        database, role = self.database.name, self.role.name
        closed = postgresql.Grant(
            f"{name}-public",
            database=database,
            role="public",
            object_type="database",
            privileges=[],
            opts=self._within(),
        )
        # One after the other: both change the access list of the same database.
        postgresql.Grant(
            f"{name}-connect",
            database=database,
            role=role,
            object_type="database",
            privileges=["CONNECT"],
            opts=self._within(closed),
        )
        for kind, privileges in (("table", ROWS), ("sequence", COUNTERS)):
            postgresql.DefaultPrivileges(
                f"{name}-{kind}s",
                database=database,
                owner=administrator,
                role=role,
                object_type=kind,
                privileges=list(privileges),
                opts=self._within(),
            )
