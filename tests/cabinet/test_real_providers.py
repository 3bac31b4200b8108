"""The whole cabinet on a real server, by its real providers: what it leaves behind, and what its role may do there.

Stands for the engine: creates each resource as it is registered, and deletes them in reverse order.
"""

import asyncio
import base64
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pulumi
import pytest
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, resource_pb2

from providers.plugin.declared import Declared
from providers.plugin.engine_log import EngineLog
from providers.plugin.server import PluginProvider
from providers.postgresql.registry import PACKAGE
from stacks.lines import CABINET
from stacks.manifest import parse_manifest
from stacks.resolve import resolve
from stacks.templates import TemplateStore

PROVIDER = "pulumi:providers:postgresql"
Query = Callable[..., list[tuple[Any, ...]]]


class NoMocks(pulumi.runtime.Mocks):
    """Components only: their inputs are their outputs."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        assert not args.custom, args.typ
        return "", args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


class LiveMonitor(mocks.MockMonitor):
    """Creates what is registered, and remembers how to delete it."""

    def __init__(self, plugin: Any) -> None:
        super().__init__(NoMocks())
        self.plugin = plugin
        self.made: list[tuple[str, Callable[[], Any]]] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            if not request.custom:
                return super().RegisterResource(request)
            urn = self.make_urn(request.parent, request.type, request.name)
            identity, outputs = self._created(request, urn, loop)
            return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=outputs)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _created(self, request: Any, urn: str, loop: asyncio.AbstractEventLoop) -> tuple[str, Any]:
        if request.type == PROVIDER:
            checked = self.plugin.CheckConfig(provider_pb2.CheckRequest(urn=urn, news=request.object))
            assert not checked.failures, checked.failures
            self.plugin.Configure(provider_pb2.ConfigureRequest(args=checked.inputs, acceptSecrets=True))
            return "provider", checked.inputs
        if request.type.startswith("postgresql:"):
            checked = self.plugin.Check(provider_pb2.CheckRequest(urn=urn, news=request.object))
            assert not checked.failures, checked.failures
            made = self.plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=checked.inputs, timeout=30))
            gone = provider_pb2.DeleteRequest(urn=urn, id=made.id, properties=made.properties, timeout=30)
            self.made.append((request.type, lambda: self.plugin.Delete(gone)))
            return made.id, made.properties
        return self._created_dynamically(request, loop)

    def _created_dynamically(self, request: Any, loop: asyncio.AbstractEventLoop) -> tuple[str, Any]:
        props = {
            name: rpc.unwrap_rpc_secret(value) for name, value in rpc.deserialize_properties(request.object).items()
        }
        provider = pickle.loads(base64.b64decode(props.pop("__provider")))  # noqa: S301 - the SDK has just made it
        checked = provider.check({}, props)
        assert not checked.failures
        made = provider.create(checked.inputs)
        assert provider.diff(made.id, made.outs, checked.inputs).changes is False, "a second run would change it"
        assert provider.read(made.id, made.outs).outs == made.outs, "a refresh would change it"
        self.made.append((request.type, lambda: provider.delete(made.id, made.outs)))
        return made.id, loop.run_until_complete(rpc.serialize_properties(made.outs, {}))


@pytest.fixture
def plugin() -> Iterator[Any]:
    server = grpc.server(ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(PluginProvider(Declared(PACKAGE), EngineLog()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(0).wait()


@pytest.fixture
def live(plugin: Any, cabinets: Query) -> Iterator[LiveMonitor]:
    """Registers on the real server; what a test leaves behind is deleted."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = LiveMonitor(plugin)
    settings.reset_options(project="tenantry", stack="acme")
    mocks.set_mocks(monitor.mocks, project="tenantry", stack="acme", preview=False, monitor=monitor)
    yield monitor
    destroy(monitor)
    settings.reset_options(project="", stack="")
    loop.close()
    asyncio.set_event_loop(None)


def destroy(monitor: LiveMonitor) -> None:
    while monitor.made:
        monitor.made.pop()[1]()


def up(manifest_data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def go() -> None:
        from pulumi.runtime import stack

        await stack.run_pulumi_func(CABINET.program(resolve(parse_manifest(manifest_data), TemplateStore())))
        root: Any = settings.get_root_resource()
        for name, value in root.outputs.items():
            found[name] = await pulumi.Output.from_input(value).future()

    asyncio.get_event_loop().run_until_complete(go())
    return found


def test_a_cabinet_comes_to_life_and_goes_without_a_trace(
    live: LiveMonitor, cabinets: Query, main_db: Any, manifest_data: dict[str, Any]
) -> None:
    before = cabinets("SELECT datname FROM pg_database"), cabinets("SELECT rolname FROM pg_roles")
    manifest_data["name"] = 'Zoé\'s "Zähne" 🦷 歯科; DROP TABLE cabinets'
    outputs = up(manifest_data)
    assert cabinets("SELECT name, status, database_name FROM cabinets") == [
        (manifest_data["name"], "active", "cabinet_acme")
    ]
    assert (outputs["status"], outputs["schemaVersion"]) == ("active", 3)
    destroy(live)
    assert (cabinets("SELECT datname FROM pg_database"), cabinets("SELECT rolname FROM pg_roles")) == before
    assert cabinets("SELECT count(*) FROM cabinets") == [(0,)]


def test_without_an_own_database_only_a_schema_is_made_and_goes_again(
    live: LiveMonitor, cabinets: Query, main_db: Any, manifest_data: dict[str, Any]
) -> None:
    up(manifest_data | {"skipDatabaseCreation": True})
    assert cabinets("SELECT value FROM cabinet_acme.settings WHERE section = 'timezone'") == [("Europe/Zurich",)]
    assert cabinets("SELECT datname FROM pg_database WHERE datname = 'cabinet_acme'") == []
    destroy(live)
    assert cabinets("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cabinet%%'") == []


def test_the_applications_role_has_its_rows_and_nothing_else(
    live: LiveMonitor, cabinets: Query, main_db: Any, manifest_data: dict[str, Any]
) -> None:
    outputs = up(manifest_data)

    def connect(database: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=outputs["host"],
            port=outputs["port"],
            user=outputs["role"],
            password=outputs["password"],
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    with connect(outputs["database"]) as app:
        app.execute("INSERT INTO patients (given_name, family_name) VALUES ('渡辺', 'O''Neil')")
        app.execute("UPDATE patients SET city = 'Nyon'")
        assert app.execute("SELECT value FROM settings WHERE section = 'timezone'").fetchone() == ("Europe/Zurich",)
        app.execute("DELETE FROM patients")
        for statement in (
            "CREATE TABLE mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE TEMPORARY TABLE mine (id int)",
            "CREATE SCHEMA mine",
            "DROP TABLE patients",
            "DROP DATABASE cabinet_acme",
            "CREATE ROLE mine",
            "DELETE FROM schema_migrations",
            "DELETE FROM audit_log",
            "ALTER ROLE postgres PASSWORD 'x'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)
        rights = "rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolconnlimit"
        role = app.execute(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user").fetchone()
        assert role == (True, False, False, False, False, 20)
        owner = app.execute(
            "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert owner != (outputs["role"],)

    # Tables of later migrations are the application's too, without a further grant.
    with psycopg.connect(main_db.server.url(outputs["database"]), autocommit=True) as admin:
        admin.execute("CREATE TABLE cabinet.later (id bigint GENERATED ALWAYS AS IDENTITY)")
    with connect(outputs["database"]) as app:
        app.execute("INSERT INTO later DEFAULT VALUES")


def test_one_cabinet_cannot_reach_another(
    live: LiveMonitor, cabinets: Query, main_db: Any, manifest_data: dict[str, Any]
) -> None:
    outputs = up(manifest_data)
    neighbour = f"{main_db.name}_neighbour"
    cabinets(f'CREATE DATABASE "{neighbour}"')
    try:
        cabinets(f'REVOKE ALL ON DATABASE "{neighbour}" FROM PUBLIC')  # as the Database component does
        with pytest.raises(psycopg.OperationalError, match=r"permission denied for database"):
            psycopg.connect(
                host=outputs["host"],
                port=outputs["port"],
                user=outputs["role"],
                password=outputs["password"],
                dbname=neighbour,
                connect_timeout=10,
            )
    finally:
        cabinets(f'DROP DATABASE "{neighbour}" WITH (FORCE)')
    rights = cabinets("SELECT has_database_privilege('public', 'cabinet_acme', 'CONNECT')")
    assert rights == [(False,)]
