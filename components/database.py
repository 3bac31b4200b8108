"""Step `database`: the cabinet's own database, and the role that its application logs in with.

Decides who may do what: the administrator owns the database and what is in it; the application's role may log in, read
and write rows, and nothing else; PUBLIC may not even connect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

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
        made = own_database(
            name,
            database=database,
            role=role,
            schema=schema,
            settings=settings,
            connections=CONNECTION_LIMIT,
            options=self.child_options,
        )
        self.role, self.database, self.password = made.role, made.database, made.password
        self.register_outputs({"database": self.database.name, "role": self.role.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDatabase:
    """A tenant's database, and the role that its application logs in with. `password` is a secret."""

    admin: postgresql.Provider
    role: postgresql.Role
    database: postgresql.Database
    password: pulumi.Output[str]
    last: pulumi.Resource
    """The last of the grants: what uses the role waits for it."""
    _options: Callable[..., pulumi.ResourceOptions]

    def within(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        """For what is part of the database, and goes with it."""
        inside = pulumi.ResourceOptions(provider=self.admin, deleted_with=self.database)
        return pulumi.ResourceOptions.merge(self._options(*more), inside)


def own_database(
    name: str,
    *,
    database: str,
    role: str,
    schema: str,
    settings: DatabaseSettings,
    connections: int,
    options: Callable[..., pulumi.ResourceOptions],
) -> OwnDatabase:
    """Makes them with what the role may do: at most `connections` at once, whose search path is `schema`.

    `options` are those of a step's child, which may depend on more resources.
    """
    admin = administrator(name, settings, options())

    def on_server(*more: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(options(*more), pulumi.ResourceOptions(provider=admin))

    generated = Password(name, owner=role, opts=options())
    login = postgresql.Role(
        name,
        name=role,
        login=True,
        password=generated.value,
        connection_limit=connections,
        search_paths=[schema],
        opts=on_server(),
    )
    made = postgresql.Database(name, name=database, opts=on_server(login))
    inside = pulumi.ResourceOptions(deleted_with=made)

    def within(*more: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(on_server(*more), inside)

    last = _allow(name, made, login, settings.user, within)
    return OwnDatabase(admin=admin, role=login, database=made, password=generated.value, last=last, _options=options)


def _allow(
    name: str,
    made: postgresql.Database,
    login: postgresql.Role,
    administrator: str,
    within: Callable[..., pulumi.ResourceOptions],
) -> pulumi.Resource:
    database, role = made.name, login.name
    closed = postgresql.Grant(
        f"{name}-public",
        database=database,
        role="public",
        object_type="database",
        privileges=[],
        opts=within(),
    )
    # One after the other: both change the access list of the same database.
    connect = postgresql.Grant(
        f"{name}-connect",
        database=database,
        role=role,
        object_type="database",
        privileges=["CONNECT"],
        opts=within(closed),
    )
    for kind, privileges in (("table", ROWS), ("sequence", COUNTERS)):
        postgresql.DefaultPrivileges(
            f"{name}-{kind}s",
            database=database,
            owner=administrator,
            role=role,
            object_type=kind,
            privileges=list(privileges),
            opts=within(),
        )
    return connect


def connection_url(settings: DatabaseSettings, role: str, password: str, *, options: str = "") -> str:
    """libpq's URL for a tenant's application, with `options` for its sessions. Holds its password."""
    user, word, database = (quote(part, safe="") for part in (role, password, settings.main_database))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    query = f"sslmode={settings.sslmode}" + (f"&options={quote(options, safe='')}" if options else "")
    return f"postgresql://{user}:{word}@{host}:{settings.port}/{database}?{query}"
