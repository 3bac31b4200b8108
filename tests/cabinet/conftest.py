"""Fixtures of the cabinet line: a valid manifest, and a main database with its `cabinets` table."""

import importlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

MARK = "tenantry/acme"


@pytest.fixture
def manifest_data() -> dict[str, Any]:
    """A manifest that is valid, with every optional key left out."""
    return {
        "kind": "cabinet",
        "name": "Cabinet Acme",
        "slug": "acme",
        "address": {"street": "1, rue du Lac", "city": "Genève", "postalCode": "1207", "country": "CH"},
        "phone": "+41225550142",
        "email": "contact@acme.example",
        "templateId": "default-dental",
    }


@pytest.fixture
def cabinets(main_db: Any) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs a query on a main database that has the table `cabinets`, exactly as the automation makes it."""
    revision = importlib.import_module("automation.migrations.versions.0001_control_tables")
    statement = next(text for text in revision.STATEMENTS if "CREATE TABLE cabinets" in text)
    with main_db.connect() as connection:
        connection.execute(statement)

    def query(text: str, *values: Any) -> list[tuple[Any, ...]]:
        with main_db.connect() as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    return query


@pytest.fixture
def record_props() -> dict[str, Any]:
    return {
        "slug": "acme",
        "tenant_mark": MARK,
        "name": "Cabinet Acme",
        "street": "1, rue du Lac",
        "city": "Genève",
        "postal_code": "1207",
        "country": "CH",
        "phone": "+41225550142",
        "email": "contact@acme.example",
        "template_id": "default-dental",
        "template_version": "1.0.0",
        "database_name": "cabinet_acme",
    }


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries as many times as ever, without the waiting."""
    monkeypatch.setattr("providers.session.WAITS", (0.01, 0.01, 0.01))


@pytest.fixture
def app_role(main_db: Any) -> Any:
    """A login role that a test may grant rights to; gone afterwards with all it was granted."""
    name = f"{main_db.name}_app"
    with main_db.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'correct-horse' CONNECTION LIMIT 5")
    yield name
    with main_db.connect() as connection, connection.transaction():
        connection.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def as_app(main_db: Any, app_role: str) -> Callable[[], "psycopg.Connection[Any]"]:
    """Connects to the main database as the application's role."""
    server = main_db.server

    def connect() -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=server.host,
            port=server.port,
            user=app_role,
            password="correct-horse",
            dbname=main_db.name,
            autocommit=True,
            connect_timeout=10,
        )

    return connect
