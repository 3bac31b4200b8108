"""Faults: each gives one clear line that says what to do, in bounded time, with no secret in it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from sandbox import postgres as sandbox_postgres
from tests.providers.plugin import (
    SECRET,
    SIGNATURE,
    UNKNOWN,
    CheckError,
    Plugin,
    PluginError,
    Resource,
    Server,
    launch,
    secret,
    struct,
)
from tests.servers import own_postgres


@pytest.fixture
def alone() -> Iterator[Plugin]:
    plugin = launch()
    yield plugin
    plugin.stop()


def test_wrong_password(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.configure(**server.args | {"password": "not-the-p4ssword"})
    began = time.monotonic()
    with pytest.raises(
        PluginError, match=r"cannot sign in to PostgreSQL at .*check the provider's username and password"
    ) as e:
        plugin.create("Role", "app", name=unique)
    # A server that is away is asked again, for seven seconds.
    assert time.monotonic() - began < 6
    assert "not-the-p4ssword" not in str(e.value)
    plugin.configure(**server.args)


def test_wrong_database_and_wrong_tls(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.configure(**server.args | {"database": f"{unique}_none"})
    with pytest.raises(PluginError, match=f"database '{unique}_none'.*create it first"):
        plugin.create("Role", "app", name=unique)
    plugin.configure(**server.args | {"sslmode": "verify-full", "sslrootcert": "/nowhere.pem"})
    with pytest.raises(PluginError, match="sslmode"):
        plugin.create("Role", "app", name=unique)
    plugin.configure(**server.args)


def test_nothing_listens_there(alone: Plugin, unique: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone.configure(
        host="127.0.0.1", port=port, username="u", password="s3cret-w0rd", sslmode="disable", connectTimeout=3
    )
    began = time.monotonic()
    with pytest.raises(
        PluginError, match=rf"cannot reach PostgreSQL at 127\.0\.0\.1:{port}.*server runs there"
    ) as error:
        alone.create("Role", "app", name=unique)
    assert 0.9 < time.monotonic() - began < 6
    assert "s3cret-w0rd" not in str(error.value)


def test_a_server_that_comes_up_late_is_waited_for(alone: Plugin, unique: str) -> None:
    with own_postgres() as (home, server):
        alone.configure(
            host=server.host, port=server.port, username="postgres", password=server.password, sslmode="disable"
        )
        role = alone.create("Role", "app", name=unique)
        server.stop()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(alone.refresh, role)
            time.sleep(0.2)  # the first try has failed by now, and three more come within seven seconds
            sandbox_postgres.start(home)
            assert reading.result(60)
        os.kill(sandbox_postgres.start(home).pid, signal.SIGKILL)
        sandbox_postgres.start(home)
        assert alone.refresh(role)
        assert role.outputs["name"] == unique


def test_something_else_listens_there(alone: Plugin, unique: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        alone.configure(
            host="127.0.0.1", port=port, username="u", password="s3cret", sslmode="disable", connectTimeout=2
        )
        began = time.monotonic()
        with pytest.raises(PluginError, match="cannot reach PostgreSQL"):
            alone.create("Role", "app", name=unique)
        assert time.monotonic() - began < 12


def test_a_blocked_statement_ends_in_time(plugin: Plugin, server: Server, unique: str) -> None:
    import psycopg

    schema = plugin.create("Schema", "s", name=unique, database="postgres")
    with psycopg.connect(server.url) as blocker:
        blocker.execute(f'CREATE TABLE "{unique}".t ()'.encode())
        blocker.commit()
        blocker.execute(f'LOCK TABLE "{unique}".t'.encode())
        given: dict[str, Any] = {"role": "public", "database": "postgres", "schema": unique, "objectType": "table"}
        plugin.update(schema, name=unique, database="postgres", dropCascade=True)
        request = provider_pb2.DeleteRequest(
            id=schema.id, urn=schema.urn, properties=struct(schema.outputs), timeout=1.0
        )
        began = time.monotonic()
        with pytest.raises(PluginError, match=rf"cannot drop schema '{unique}'.*(customTimeouts|holds a lock)"):
            plugin.call("Delete", request)
        assert time.monotonic() - began < 15
        blocker.rollback()
    assert given["schema"] == unique


@contextmanager
def waiting_drop(plugin: Plugin, server: Server, schema: Resource) -> Iterator[tuple[threading.Thread, list[str]]]:
    """A deletion of the schema, in a thread, that waits for a lock held here; and what the plugin said to it."""
    import psycopg

    said: list[str] = []

    def drop() -> None:
        try:
            plugin.call("Delete", provider_pb2.DeleteRequest(urn=schema.urn, properties=struct(schema.outputs)))
        except PluginError as error:
            said.append(str(error))

    with psycopg.connect(server.url) as blocker:
        blocker.execute(f'CREATE TABLE "{schema.id.partition(".")[2]}".t ()'.encode())
        blocker.commit()
        blocker.execute(f'LOCK TABLE "{schema.id.partition(".")[2]}".t'.encode())
        thread = threading.Thread(target=drop)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.query(f"SELECT 1 {WAITING_DROPS}"):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield thread, said
        blocker.rollback()


WAITING_DROPS = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP%'"


def test_a_cut_connection_is_told_as_such(plugin: Plugin, server: Server, unique: str) -> None:
    schema = plugin.create("Schema", "s", name=unique, database="postgres", dropCascade=True)
    with waiting_drop(plugin, server, schema) as (thread, said):
        server.query(f"SELECT pg_terminate_backend(pid) {WAITING_DROPS}")
        thread.join(20)
    assert len(said) == 1
    assert "connection was lost" in said[0]


def test_cancel_ends_what_runs_and_refuses_what_comes(alone: Plugin, server: Server, unique: str) -> None:
    alone.configure(**server.args)
    schema = alone.create("Schema", "s", name=unique, database="postgres", dropCascade=True)
    with waiting_drop(alone, server, schema) as (thread, said):
        alone.cancel()
        thread.join(10)
        assert said
    with pytest.raises(PluginError, match="cancelled"):
        alone.create("Role", "late", name=unique)
    server.query(f'DROP SCHEMA "{unique}" CASCADE')


def test_secrets_come_back_as_secrets_and_nowhere_else(plugin: Plugin, server: Server, unique: str) -> None:
    password = "hunter2'; DROP ROLE x; --"
    given = {"name": secret(unique), "login": True, "password": secret(password)}
    role = plugin.create("Role", "app", **given)
    assert role.inputs["password"] == {SIGNATURE: SECRET, "value": password}
    assert role.outputs["password"] == {SIGNATURE: SECRET, "value": password}
    assert role.outputs["name"] == {SIGNATURE: SECRET, "value": unique}
    assert plugin.refresh(role)
    assert role.outputs["password"] == {SIGNATURE: SECRET, "value": password}
    plain_password = plugin.create("Role", "plain", name=f"{unique}_plain", password=password)
    assert plain_password.outputs["password"] == {SIGNATURE: SECRET, "value": password}
    with pytest.raises(PluginError) as caught:
        plugin.create("Role", "other", name=unique, password=secret(password))
    assert password not in str(caught.value)
    with pytest.raises(PluginError) as caught:
        plugin.create("Role", "late", name=f"{unique}_late", password=secret(password), validUntil=f"no time {unique}")
    assert password not in str(caught.value)
    assert "SCRAM" not in str(caught.value)

    import psycopg

    arguments: dict[str, Any] = {"user": unique, "password": password, "connect_timeout": 5}
    with psycopg.connect(server.url, **arguments) as connection:
        assert connection.info.user == unique


@pytest.mark.parametrize("password", ["plain", "ünïcödé 🦷 ½", "NULL", "100% {sure}"])
def test_a_password_changed_behind_our_back_is_drift(
    plugin: Plugin, server: Server, unique: str, password: str
) -> None:
    role = plugin.create("Role", "app", name=unique, login=True, password=secret(password))
    assert plugin.refresh(role)
    assert plugin.diff(role, name=unique, login=True, password=secret(password)).changes == 1
    if password == "NULL":
        assert server.query("SELECT rolpassword FROM pg_authid WHERE rolname = '" + unique + "'") is None
        return
    server.query(f"ALTER ROLE \"{unique}\" PASSWORD 'other'")
    assert plugin.refresh(role)
    assert list(plugin.diff(role, name=unique, login=True, password=secret(password)).diffs) == ["password"]
    plugin.update(role, name=unique, login=True, password=secret(password))
    assert plugin.refresh(role)
    assert plugin.diff(role, name=unique, login=True, password=secret(password)).changes == 1


def test_what_is_not_served_is_refused_by_name(process: Plugin) -> None:
    for token in ("postgresql:index/publication:Publication", "postgresql:index/function:Function"):
        with pytest.raises(PluginError, match=f"type {token} is not served here.*stock plugin"):
            process.check(token, "x", name="x")
    with pytest.raises(PluginError, match="function postgresql:index/getTables:getTables is not served"):
        process.call("Invoke", provider_pb2.InvokeRequest(tok="postgresql:index/getTables:getTables"))
    with pytest.raises(PluginError, match="a Grant cannot be imported"):
        process.read("Grant", "g", "a_b_table")
    with pytest.raises(PluginError, match=r"id of a Schema is DATABASE\.SCHEMA"):
        process.read("Schema", "s", "nodot")
    asset = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    with pytest.raises(PluginError, match="property 'name' holds an asset"):
        process.check("Role", "r", name=asset)


def test_wrong_configuration_is_named(alone: Plugin) -> None:
    def check(**news: Any) -> dict[str, str]:
        answer = alone.call("CheckConfig", provider_pb2.CheckRequest(news=struct(news)))
        return {failure.property: failure.reason for failure in answer.failures}

    assert check(host="h", port="5432", superuser="true", password=secret("x"), connectTimeout="180") == {}
    wrong = check(port="many", sslmode="maybe", awsRdsIamAuth="true", colour="red", clientcert='{"cert": "c"}')
    assert set(wrong) == {"port", "sslmode", "awsRdsIamAuth", "colour", "clientcert.key"}
    with pytest.raises(PluginError, match="property 'sslmode' must be one of"):
        alone.configure(sslmode="maybe")
    checked = alone.call("CheckConfig", provider_pb2.CheckRequest(news=struct({"password": "x", "port": 5432})))
    assert checked.inputs["password"][SIGNATURE] == SECRET
    assert checked.inputs["port"] == "5432"
    found = alone.call(
        "DiffConfig",
        provider_pb2.DiffRequest(
            old_inputs=struct({"host": "a", "port": "1"}), news=struct({"host": "b", "port": "1"})
        ),
    )
    assert (list(found.diffs), list(found.replaces)) == (["host"], [])


def test_unknown_configuration_waits(alone: Plugin, unique: str) -> None:
    alone.configure(host=UNKNOWN, sslmode="disable")
    assert alone.preview_create("Role", "app", name=unique)["name"] == unique
    with pytest.raises(PluginError, match="cannot connect yet: its host is not known"):
        alone.create("Role", "app", name=unique)


def test_configuration_from_the_environment(server: Server, unique: str) -> None:
    names = {"host": "PGHOST", "port": "PGPORT", "username": "PGUSER", "password": "PGPASSWORD", "sslmode": "PGSSLMODE"}
    env = {variable: server.args[name] for name, variable in names.items()}
    plugin = launch(os.environ | env)
    try:
        answer = plugin.call("CheckConfig", provider_pb2.CheckRequest(news=struct({})))
        assert server.password not in str(answer.inputs)
        plugin.call("Configure", provider_pb2.ConfigureRequest(variables={"postgresql:config:connectTimeout": "20"}))
        role = plugin.create("Role", "app", name=unique)
        assert plugin.refresh(role)
        plugin.delete(role)
    finally:
        plugin.stop()


def test_about_itself(process: Plugin) -> None:
    import json
    from importlib.metadata import version

    assert process.call("GetPluginInfo", Empty()).version == version("pulumi-postgresql")
    process.call("Attach", plugin_pb2.PluginAttach(address="127.0.0.1:1"))
    shaken = process.call("Handshake", provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    assert shaken.accept_secrets
    assert not shaken.accept_outputs
    schema = json.loads(process.call("GetSchema", provider_pb2.GetSchemaRequest()).schema)
    assert schema["resources"]["postgresql:index/role:Role"]["properties"]["password"]["secret"] is True
    configured = process.configure(sslmode="disable")
    assert (configured.acceptSecrets, configured.supportsPreview, configured.acceptOutputs) == (True, True, False)


def test_its_properties_are_the_sdks() -> None:
    """What is served, refused by name included, is exactly what the SDK package offers."""
    import inspect

    import pulumi_postgresql

    from providers.plugin.resource import title
    from providers.postgresql.config import SPEC
    from providers.postgresql.registry import TYPES

    def offered(name: str) -> set[str]:
        import re

        arguments = getattr(pulumi_postgresql, f"{name}Args").__init__
        names = set(inspect.signature(arguments).parameters) - {"__self__"}
        return {re.sub(r"_(\w)", lambda found: found.group(1).upper(), each) for each in names}

    for kind in TYPES.values():
        assert {prop.name for prop in kind.spec} == offered(title(kind.token)), kind.token
    assert {prop.name for prop in SPEC} == offered("Provider")


def test_it_starts_without_loading_the_sdk_or_the_driver() -> None:
    code = (
        "import sys, providers.plugin.server, providers.postgresql.registry;"
        "print(sorted({'pulumi', 'psycopg', 'pydantic', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_it_ends_with_its_engine() -> None:
    code = (
        "import subprocess, sys, time;"
        "p = subprocess.Popen([sys.executable, '-m', 'providers.postgresql'], stdout=subprocess.PIPE);"
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        pid = int(engine.stdout.readline())
        engine.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the plugin outlived its engine")


def test_a_check_error_is_not_an_error_of_the_plugin(process: Plugin) -> None:
    with pytest.raises(CheckError):
        process.check("Database", "x", name=7, owner=["a"])
