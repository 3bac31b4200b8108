"""Fixtures shared by all areas: one embedded PostgreSQL a session, and a fresh main database a test."""

import gc
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from engine.program_host import adapt_sdk
from sandbox.postgres import EmbeddedPostgres
from tests.servers import own_postgres

# Shared machines stall now and then: a slow example is no failure, and a failure must come again on the next run.
settings.register_profile("tenantry", deadline=None, derandomize=True, max_examples=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tenantry"))

# This process constructs more dynamic resources than the SDK's pickler bears.
adapt_sdk()

_AMBIENT = ("DB_", "PULUMI_", "PG", "TENANTRY_ENGINE", "TENANTRY_DB")
_KEPT = {"PULUMI_HOME"}


def pytest_collection_finish() -> None:
    """What has been imported stays to the end: each collection of garbage would look through all of it again."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True, kw_only=True)
class MainDatabase:
    """A fresh, empty database; the environment (DB_HOST ... DB_NAME) names it."""

    name: str
    server: EmbeddedPostgres

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url, autocommit=True, connect_timeout=10)


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller's shell says about servers and stacks must not reach a test."""
    for name in list(os.environ):
        if name.startswith(_AMBIENT) and name not in _KEPT:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The session's server. Tests that stop or break a server start their own."""
    with own_postgres() as (_, server):
        yield server


@pytest.fixture
def main_db(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainDatabase]:
    """A fresh main database, named by DB_NAME and reached with DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_SSL."""
    name = f"tenantry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True, connect_timeout=10) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    for key, value in (postgres.env() | {"DB_NAME": name}).items():
        monkeypatch.setenv(key, value)
    yield MainDatabase(name=name, server=postgres)
    with psycopg.connect(postgres.url(), autocommit=True, connect_timeout=10) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
