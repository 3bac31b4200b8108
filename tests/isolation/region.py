"""A region's database with departments in it, made by the providers, for tests of what lies between tenants."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import conninfo, sql

from components.database import connection_url
from providers.backends import backends_of
from providers.isolated_schema import IsolatedSchemaProvider
from providers.migration_files import digest_of, load_bundle
from providers.migrations import MigrationsProvider
from providers.row_security import SETTING

SCHEMA = IsolatedSchemaProvider()
TABLES = MigrationsProvider()
REGION = "test-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A server with a database `database`, which `admin` owns. `url` is a superuser's."""

    url: str = field(repr=False)
    admin: str
    password: str = field(repr=False)
    database: str

    def root(self, database: str | None = None) -> psycopg.Connection[Any]:
        """As a superuser, whom row security does not hold."""
        return psycopg.connect(self.url, dbname=database or self.database, autocommit=True, connect_timeout=10)

    def owner(self) -> psycopg.Connection[Any]:
        """As the administrator of departments, who owns what is in them and is no superuser."""
        where = {"user": self.admin, "password": self.password, "dbname": self.database}
        return psycopg.connect(self.url, **where, autocommit=True, connect_timeout=10)

    def version(self) -> int:
        with self.root("postgres") as connection:
            return connection.info.server_version // 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A department of a region."""

    region: Region
    name: str
    password: str = field(repr=False)
    given_mark: str = ""

    @property
    def mark(self) -> str:
        return self.given_mark or f"tenantry/{self.name}"

    @property
    def role(self) -> str:
        return f"{self.name}_app"

    @property
    def schema(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        settings = backends_of(REGION).database.settings()
        return connection_url(settings, self.role, self.password, options=f"-c {SETTING}={self.mark}")

    @property
    def schema_props(self) -> dict[str, Any]:
        names = {"region": REGION, "schema": self.schema, "tenant_mark": self.mark, "role": self.role}
        return {**names, "connect": True}

    @property
    def table_props(self) -> dict[str, Any]:
        migrations = load_bundle("department")
        return {
            "region": REGION,
            "tenant_mark": self.mark,
            "database": self.region.database,
            "schema": self.schema,
            "bundle": "department",
            "app_role": self.role,
            "version": float(migrations[-1].version),
            "digest": digest_of([migration.checksum for migration in migrations]),
            "fence": "closed",
        }

    def connect(self, **changes: Any) -> psycopg.Connection[Any]:
        """As the department's own application."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=10, **changes)


def make_role(region: Region, department: Department) -> None:
    """The role as the component makes it."""
    with region.owner() if exists(region, region.database) else as_admin(region) as connection:
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT 8")
        connection.execute(statement.format(sql.Identifier(department.role), sql.Literal(department.password)))
        search = sql.SQL("ALTER ROLE {} SET search_path TO {}")
        connection.execute(search.format(sql.Identifier(department.role), sql.Identifier(department.schema)))


def as_admin(region: Region) -> psycopg.Connection[Any]:
    """As the administrator, in the database that is always there."""
    return psycopg.connect(region.url, user=region.admin, password=region.password, autocommit=True)


def exists(region: Region, database: str) -> bool:
    with region.root("postgres") as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is not None


def make(region: Region, name: str, mark: str = "") -> Department:
    """A department with its role, schema and tables."""
    department = Department(region=region, name=name, password=secrets.token_hex(12), given_mark=mark)
    make_role(region, department)
    SCHEMA.create(department.schema_props)
    TABLES.create(department.table_props)
    return department


def remove(department: Department) -> None:
    """The schema, then the role."""
    SCHEMA.delete(f"{REGION}/{department.schema}", department.schema_props)
    with department.region.root() as connection:
        role = sql.Identifier(department.role)
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def write_backends(path: Path, region: Region, variable: str = "TENANTRY_BACKEND_TEST_DB") -> None:
    """The file of regions. Only its database is really there."""
    where = conninfo.conninfo_to_dict(region.url)
    database = {
        "host": where["host"],
        "port": int(str(where["port"])),
        "user": region.admin,
        "passwordFrom": variable,
        "name": region.database,
        "sslmode": where.get("sslmode", "prefer"),
    }
    elsewhere = "http://127.0.0.1:9"
    backends = {
        "database": database,
        "oauth": {"issuer": elsewhere},
        "container": {"platform": "docker"},
        "n8n": {"url": elsewhere, "keyFrom": "TENANTRY_BACKEND_TEST_N8N"},
        "gateway": {"admin": elsewhere, "domain": "tenants.localhost", "url": elsewhere},
    }
    path.write_text(yaml.safe_dump({"regions": {REGION: backends}}), encoding="utf-8")


@contextlib.contextmanager
def region_on(url: str, folder: Path, *, made: bool = True) -> Iterator[Region]:
    """A region on the server at `url`, known to this process; gone afterwards with all departments left in it."""
    unique = secrets.token_hex(4)
    region = Region(url=url, admin=f"admin_{unique}", password=secrets.token_hex(12), database=f"departments_{unique}")
    with region.root("postgres") as connection:
        statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(region.admin), sql.Literal(region.password)))
        if made:
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(sql.Identifier(region.database), sql.Identifier(region.admin)))
    write_backends(folder / "backends.yaml", region)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_BACKENDS", str(folder / "backends.yaml"))
        patch.setenv("TENANTRY_BACKEND_TEST_DB", region.password)
        yield region
    _clear(region)


def _clear(region: Region) -> None:
    with region.root("postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(region.database)))
        made = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'dept\\_%'").fetchall()
        for (role,) in made:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(region.admin)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(region.admin)))
