"""An ISP's own database on its region's server: its role, and the schema that is the application's own.

Decides that the application makes its tables itself, as it comes with its own migrations: its role may create in its
schema, which sessions find first, and nowhere else; the server lets it hold no more connections than are granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pulumi
import pulumi_postgresql as postgresql

from components.database import connection_url, own_database
from components.isp_args import IspArgs, Options
from providers.backends import database_of
from providers.connection import DatabaseSettings

SCHEMA = "isp"


class IspDatabase:
    """`url`, `inner_url` (as containers reach it) and `password` are secrets. `ready` is its last object."""

    def __init__(self, args: IspArgs, options: Options) -> None:
        backend = database_of(args.region)
        settings = backend.settings()
        made = own_database(
            args.slug,
            database=args.identifier,
            role=f"{args.identifier}_app",
            schema=SCHEMA,
            settings=settings,
            connections=args.granted_connections,
            options=options,
        )
        schema = postgresql.Schema(
            args.slug, name=SCHEMA, database=made.database.name, owner=settings.user, opts=made.within(made.last)
        )
        self.ready: pulumi.Resource = postgresql.Grant(
            f"{args.slug}-schema",
            database=made.database.name,
            role=made.role.name,
            schema=schema.name,
            object_type="schema",
            privileges=["CREATE", "USAGE"],
            opts=made.within(schema),
        )
        self.host, self.port = settings.host, settings.port
        self.name, self.role, self.password = made.database.name, made.role.name, made.password
        login = pulumi.Output.all(self.name, self.role, self.password)
        self.url: pulumi.Output[str] = pulumi.Output.secret(login.apply(lambda given: _url(backend.settings(), given)))
        self.inner_url: pulumi.Output[str] = pulumi.Output.secret(
            login.apply(lambda given: _url(backend.settings_inside(), given))
        )


def _url(settings: DatabaseSettings, given: Sequence[str]) -> str:
    database, role, password = given
    return connection_url(replace(settings, main_database=database), role, password)
