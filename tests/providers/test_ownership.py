"""Adopt or create: what an interrupted run left is taken up, a stranger's object is refused, none is made twice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.providers.plugin import Plugin, PluginError, Server, secret


def test_an_object_made_before_the_state_was_written_is_adopted(plugin: Plugin, server: Server, unique: str) -> None:
    first = plugin.create("Role", "app", keep=False, name=unique, login=True, connectionLimit=3)
    again = plugin.create("Role", "app", name=unique, login=False, password=secret("new"), searchPaths=["a"])
    assert again.id == first.id
    assert server.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", unique) is False
    assert server.query("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", unique) == -1
    assert server.query("SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = '" + unique + "'") is True

    plugin.create("Database", "main", keep=False, name=unique, connectionLimit=3)
    oid = server.query("SELECT oid FROM pg_database WHERE datname = %s", unique)
    server.query("CREATE TABLE kept ()", database=unique)
    plugin.create("Database", "main", name=unique, connectionLimit=9, owner=unique)
    assert server.query("SELECT oid FROM pg_database WHERE datname = %s", unique) == oid
    assert server.query("SELECT datconnlimit FROM pg_database WHERE datname = %s", unique) == 9
    assert server.query("SELECT to_regclass('kept')::text", database=unique) == "kept"


@pytest.mark.parametrize(("kind", "made"), [("Role", "CREATE ROLE"), ("Database", "CREATE DATABASE")])
def test_a_strangers_object_is_refused_and_untouched(
    plugin: Plugin, server: Server, unique: str, kind: str, made: str
) -> None:
    server.query(f'{made} "{unique}"')
    try:
        with pytest.raises(PluginError, match=rf"cannot create {kind.lower()} '{unique}': it exists already.*import"):
            plugin.create(kind, "main", name=unique)
    finally:
        server.query(f'DROP {kind.upper()} "{unique}"')


def test_another_resources_object_is_refused_by_its_urn(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "first", name=unique)
    with pytest.raises(PluginError, match=r"belongs to urn:pulumi:dev::tests::.*::first"):
        plugin.create("Database", "second", name=unique)
    plugin.create("Schema", "first", name="app", database=unique)
    with pytest.raises(PluginError, match=r"belongs to urn:pulumi:dev::tests::.*::first"):
        plugin.create("Schema", "second", name="app", database=unique)
    server.query("CREATE SCHEMA theirs", database=unique)
    with pytest.raises(PluginError, match="cannot create schema 'theirs': it exists"):
        plugin.create("Schema", "third", name="theirs", database=unique, ifNotExists=False)
    # The stock provider's default takes an unmarked schema as its own.
    plugin.create("Schema", "fourth", name="theirs", database=unique)


def test_a_half_made_database_is_made_anew(plugin: Plugin, server: Server, unique: str) -> None:
    import hashlib

    urn = "urn:pulumi:dev::tests::postgresql:index/database:Database::main"
    passing = "pulumi-creating-" + hashlib.sha256(f"{urn}\0{unique}".encode()).hexdigest()[:24]
    server.query(f'CREATE DATABASE "{passing}"')
    plugin.create("Database", "main", name=unique)
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", passing) is None
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", unique) == 1


def test_a_create_that_the_server_refuses_leaves_nothing(plugin: Plugin, server: Server, unique: str) -> None:
    with pytest.raises(PluginError, match=f"cannot create database '{unique}'.*does not exist"):
        plugin.create("Database", "main", name=unique, owner="nobody_here")
    with pytest.raises(PluginError, match=f"grant role 'nobody_here' to role '{unique}'"):
        plugin.create("Role", "app", name=unique, roles=["nobody_here"])
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", unique) is None
    assert server.query("SELECT 1 FROM pg_database WHERE datname LIKE 'pulumi-creating-%'") is None


def test_many_at_once_on_the_same_objects(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)

    def make(number: int) -> list[Any]:
        name = f"{unique}_{number}"
        role = plugin.create("Role", name, name=name)
        given = {"role": name, "database": unique}
        return [
            role,
            plugin.create("Grant", f"{name}d", **given, objectType="database", privileges=["CONNECT"]),
            plugin.create("Grant", f"{name}s", **given, objectType="schema", schema="public", privileges=["USAGE"]),
        ]

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(make, range(16)))
    assert all(plugin.refresh(resource) for resources in made for resource in resources)
    assert all(resources[1].outputs["privileges"] == ["CONNECT"] for resources in made)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(plugin.delete, [resource for resources in made for resource in resources[1:]]))
        list(pool.map(plugin.delete, [resources[0] for resources in made]))
    assert server.query("SELECT count(*) FROM pg_roles WHERE rolname LIKE %s", f"{unique}\\_%") == 0


def test_a_role_goes_with_its_traces_in_every_database(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    role = plugin.create("Role", "app", name=f"{unique}_app")
    server.query(
        f'CREATE TABLE public.t (); ALTER TABLE public.t OWNER TO "{unique}_app"; GRANT USAGE ON SCHEMA public'
        f' TO "{unique}_app"; ALTER DEFAULT PRIVILEGES FOR ROLE "{unique}_app" GRANT SELECT ON TABLES TO PUBLIC',
        database=unique,
    )
    plugin.delete(role)
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", f"{unique}_app") is None
    assert server.query("SELECT tableowner FROM pg_tables WHERE tablename = 't'", database=unique) == "postgres"


def test_a_role_can_be_left_in_place(plugin: Plugin, server: Server, unique: str) -> None:
    role = plugin.create("Role", "app", name=unique, skipDropRole=True)
    plugin.delete(role)
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", unique) == 1
    kept = plugin.create("Role", "app", name=unique, skipReassignOwned=True)
    plugin.delete(kept)
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", unique) is None


def test_an_administrator_without_superuser_makes_a_tenant(plugin: Plugin, server: Server, unique: str) -> None:
    server.query(f"CREATE ROLE \"{unique}_admin\" LOGIN CREATEDB CREATEROLE PASSWORD 'x'")
    try:
        plugin.configure(**server.args | {"username": f"{unique}_admin", "password": "x", "superuser": False})
        role = plugin.create("Role", "app", keep=False, name=f"{unique}_app", login=True, password=secret("y"))
        database = plugin.create("Database", "db", keep=False, name=unique, owner=f"{unique}_app")
        schema = plugin.create("Schema", "s", keep=False, name="app", database=unique, owner=f"{unique}_app")
        given: dict[str, Any] = {"role": f"{unique}_app", "database": unique, "objectType": "database"}
        grant = plugin.create("Grant", "g", keep=False, **given, privileges=["CONNECT"])
        assert all(plugin.refresh(each) for each in (role, database, schema, grant))
        plugin.update(role, name=f"{unique}_app", login=True, password=secret("z"), connectionLimit=3)
        for resource in (grant, schema, database, role):
            plugin.delete(resource)
        with pytest.raises(PluginError, match=r"cannot create role .*another user"):
            plugin.create("Role", "boss", name=f"{unique}_boss", superuser=True)
    finally:
        plugin.configure(**server.args)
        server.query(f'DROP DATABASE IF EXISTS "{unique}"')
        server.query(f'DROP ROLE IF EXISTS "{unique}_app"')
        server.query(f'DROP ROLE "{unique}_admin"')
