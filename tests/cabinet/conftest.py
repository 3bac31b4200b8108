"""Fixtures of the cabinet line: a valid manifest, and a main database with its `cabinets` table."""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pulumi
import pytest
from pulumi.runtime import mocks, settings, stack

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


class Recorder(pulumi.runtime.Mocks):
    """Stands for the engine: remembers each registration, and answers as the providers would."""

    def __init__(self) -> None:
        self.inputs: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.requests: dict[str, Any] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        key = f"{args.typ} {args.name}"
        self.inputs[key] = args.inputs
        self.order.append(key)
        computed: dict[str, Any] = (
            {"value": pulumi.Output.secret("generated-word")} if args.typ.endswith(":Password") else {}
        )
        if args.typ.endswith(":CabinetRecord"):
            computed = {"record_id": "7f1c"}
        return f"{args.name}-id", {**args.inputs, **computed}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"no function is called, but {args.token} was")

    def key(self, ending: str) -> str:
        found = [key for key in self.order if key.split()[0].endswith(ending)]
        assert len(found) == 1, (ending, self.order)
        return found[0]


class Monitor(mocks.MockMonitor):
    """Keeps what goes over the wire, which the mocks are not shown."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        self.mocks.requests[f"{request.type} {request.name}"] = request
        # The SDK would make a loop for this thread, and leave it open.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return super().RegisterResource(request)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    # The SDK keeps an event loop and a monitor per process: each test gets, and gives back, its own.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    recorder = Recorder()
    settings.reset_options(project="tenantry", stack="acme")
    mocks.set_mocks(recorder, project="tenantry", stack="acme", preview=False, monitor=Monitor(recorder))
    yield recorder
    settings.reset_options(project="", stack="")
    loop.close()
    asyncio.set_event_loop(None)


def run_program(program: Callable[[], Any]) -> dict[str, Any]:
    """The stack's outputs after the program."""
    found: dict[str, Any] = {}

    async def go() -> None:
        await stack.run_pulumi_func(program)
        root = settings.get_root_resource()
        assert root is not None
        for name, value in root.outputs.items():  # type: ignore[attr-defined]
            output = pulumi.Output.from_input(value)
            found[name] = (await output.future(), await output.is_secret())

    asyncio.get_event_loop().run_until_complete(go())
    return found


@pytest.fixture
def run(recorder: Recorder) -> Callable[[Callable[[], Any]], dict[str, Any]]:
    """Runs a program on the recorder; gives the stack's outputs as (value, whether it is a secret)."""
    return run_program
