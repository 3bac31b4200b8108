"""Every type through its life over gRPC: made, read, drifted, changed, imported, removed."""

from typing import Any

import pytest

from tests.providers.plugin import UNKNOWN, CheckError, Plugin, PluginError, Resource, Server, secret

ODD_NAMES = ["plain", "With Space", "Zahnärzte-München", "歯科医院", "quo\"te's", "🦷 smile", "semi;--drop", "100%s {}"]


def test_database(plugin: Plugin, server: Server, unique: str) -> None:
    database = plugin.create("Database", "main", name=unique, connectionLimit=7)
    assert database.id == unique
    assert database.outputs["encoding"] == "UTF8"
    assert database.outputs["template"] == "template0"
    assert database.outputs["owner"] == "postgres"
    assert database.outputs["allowConnections"] is True
    assert server.query("SELECT datconnlimit FROM pg_database WHERE datname = %s", unique) == 7
    assert plugin.diff(database, name=unique, connectionLimit=7).changes == 1

    server.query(f'ALTER DATABASE "{unique}" CONNECTION LIMIT 3')
    assert plugin.refresh(database)
    assert database.outputs["connectionLimit"] == 3
    found = plugin.diff(database, name=unique, connectionLimit=7)
    assert (list(found.diffs), list(found.replaces)) == (["connectionLimit"], [])

    plugin.update(database, name=unique, connectionLimit=7, allowConnections=False)
    assert server.query("SELECT datallowconn FROM pg_database WHERE datname = %s", unique) is False
    assert server.query("SELECT datconnlimit FROM pg_database WHERE datname = %s", unique) == 7

    imported = plugin.read("Database", "main", unique)
    assert imported is not None
    assert imported.inputs["name"] == unique
    assert imported.inputs["allowConnections"] is False

    plugin.delete(database)
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", unique) is None
    assert not plugin.refresh(database)
    assert plugin.read("Database", "main", unique) is None
    plugin.delete(database)


def test_a_database_is_renamed_in_place(plugin: Plugin, server: Server, unique: str) -> None:
    database = plugin.create("Database", "main", name=unique)
    oid = server.query("SELECT oid FROM pg_database WHERE datname = %s", unique)
    found = plugin.diff(database, name=f"{unique}_new")
    assert (list(found.diffs), list(found.replaces)) == (["name"], [])
    plugin.update(database, name=f"{unique}_new")
    assert server.query("SELECT oid FROM pg_database WHERE datname = %s", f"{unique}_new") == oid
    assert plugin.refresh(database)
    assert database.outputs["name"] == f"{unique}_new"
    plugin.delete(database)
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", f"{unique}_new") is None


def test_a_database_in_use_is_dropped(plugin: Plugin, server: Server, unique: str) -> None:
    import psycopg

    database = plugin.create("Database", "main", name=unique, isTemplate=True)
    url = psycopg.conninfo.make_conninfo(server.url, dbname=unique)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        plugin.delete(database)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_database_and_its_objects_change_owner(plugin: Plugin, server: Server, unique: str) -> None:
    for name in ("a", "b"):
        plugin.create("Role", name, name=f"{unique}_{name}")
    database = plugin.create("Database", "main", name=unique, owner=f"{unique}_a", alterObjectOwnership=True)
    assert database.outputs["owner"] == f"{unique}_a"
    server.query(f'SET ROLE "{unique}_a"; CREATE SCHEMA s; CREATE TABLE s.t ()', database=unique)
    plugin.update(database, name=unique, owner=f"{unique}_b", alterObjectOwnership=True)
    assert server.query("SELECT tableowner FROM pg_tables WHERE tablename = 't'", database=unique) == f"{unique}_b"


def test_role(plugin: Plugin, server: Server, unique: str) -> None:
    group = plugin.create("Role", "group", name=f"{unique}_group")
    given: dict[str, Any] = {
        "name": unique,
        "login": True,
        "connectionLimit": 5,
        "validUntil": "2099-01-02T03:04:05Z",
        "searchPaths": ["$user", "My Schema", 'quo"te'],
        "statementTimeout": 5000,
        "roles": [group.outputs["name"]],
    }
    role = plugin.create("Role", "app", **given)
    assert role.id == unique
    assert plugin.refresh(role)
    assert role.outputs["searchPaths"] == ["$user", "My Schema", 'quo"te']
    assert role.outputs["validUntil"] == "2099-01-02T03:04:05Z"
    assert plugin.diff(role, **given).changes == 1

    server.query(f'ALTER ROLE "{unique}" CREATEDB CONNECTION LIMIT 1; REVOKE "{unique}_group" FROM "{unique}"')
    assert plugin.refresh(role)
    found = plugin.diff(role, **given)
    assert set(found.diffs) == {"createDatabase", "connectionLimit", "roles"}
    assert not found.replaces
    plugin.update(role, **given)
    assert server.query("SELECT rolcreatedb FROM pg_roles WHERE rolname = %s", unique) is False
    assert server.query("SELECT pg_has_role(%s, %s, 'MEMBER')", unique, f"{unique}_group") is True

    fewer = {name: value for name, value in given.items() if name not in {"statementTimeout", "searchPaths", "roles"}}
    assert set(plugin.diff(role, **fewer).diffs) == {"statementTimeout", "searchPaths", "roles"}
    plugin.update(role, **fewer)
    assert server.query("SELECT rolconfig FROM pg_roles WHERE rolname = %s", unique) is None

    imported = plugin.read("Role", "app", unique)
    assert imported is not None
    assert imported.inputs["login"] is True
    plugin.delete(role)
    plugin.delete(role)
    assert not plugin.refresh(role)


def test_a_role_is_renamed_and_keeps_its_password(plugin: Plugin, server: Server, unique: str) -> None:
    role = plugin.create("Role", "app", name=unique, login=True, password=secret("p4ss"))
    plugin.update(role, name=f"{unique}_new", login=True, password=secret("p4ss"))
    assert plugin.refresh(role)
    assert role.outputs["name"] == f"{unique}_new"
    assert role.outputs["password"] == secret("p4ss")


def test_schema(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    owner = plugin.create("Role", "owner", name=f"{unique}_owner")
    policies = [{"role": f"{unique}_owner", "usage": True, "createWithGrant": True}]
    schema = plugin.create("Schema", "s", name="app", database=unique, policies=policies)
    assert schema.id == f"{unique}.app"
    assert server.query(f"SELECT has_schema_privilege('{unique}_owner', 'app', 'CREATE')", database=unique)
    server.query('ALTER SCHEMA app OWNER TO "' + owner.outputs["name"] + '"', database=unique)
    assert plugin.refresh(schema)
    assert schema.outputs["owner"] == f"{unique}_owner"
    found = plugin.diff(schema, name="app", database=unique, owner="postgres", policies=policies)
    assert (list(found.diffs), list(found.replaces)) == (["owner"], [])
    plugin.update(schema, name="renamed", database=unique, owner="postgres", policies=[])
    assert server.query("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'renamed'", database=unique)
    moved = plugin.diff(schema, name="renamed", database="postgres")
    assert list(moved.replaces) == ["database"]
    imported = plugin.read("Schema", "s", f"{unique}.renamed")
    assert imported is not None
    assert imported.outputs["owner"] == "postgres"
    assert plugin.read("Schema", "s", f"{unique}.nothing") is None
    assert plugin.read("Schema", "s", f"{unique}_no_database.x") is None

    server.query("CREATE TABLE renamed.t ()", database=unique)
    with pytest.raises(PluginError, match=r"cannot drop schema 'renamed'.*depend on it"):
        plugin.delete(schema)
    plugin.update(schema, name="renamed", database=unique, dropCascade=True)
    plugin.delete(schema)
    assert server.query("SELECT 1 FROM pg_namespace WHERE nspname = 'renamed'", database=unique) is None


@pytest.mark.parametrize(
    ("kind", "extra", "privileges", "more"),
    [
        ("database", {}, ["CONNECT", "TEMP"], ["CREATE", "CONNECT"]),
        ("schema", {"schema": "app"}, ["USAGE"], ["USAGE", "CREATE"]),
        ("table", {"schema": "app"}, ["SELECT", "INSERT"], ["ALL"]),
        ("table", {"schema": "app", "objects": ["people"]}, ["SELECT"], ["SELECT", "DELETE"]),
        ("sequence", {"schema": "app"}, ["USAGE"], ["USAGE", "SELECT"]),
        ("function", {"schema": "app", "objects": ["twice(int)"]}, ["EXECUTE"], []),
        ("routine", {"schema": "app"}, ["EXECUTE"], []),
        ("procedure", {"schema": "app", "objects": ["noop"]}, ["EXECUTE"], []),
        (
            "column",
            {"schema": "app", "objects": ["people"], "columns": ["name", "id"]},
            ["SELECT"],
            ["SELECT", "UPDATE"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_grant(
    plugin: Plugin,
    server: Server,
    unique: str,
    kind: str,
    extra: dict[str, Any],
    privileges: list[str],
    more: list[str],
) -> None:
    plugin.create("Database", "db", name=unique)
    plugin.create("Role", "app", name=f"{unique}_app")
    server.query(
        "CREATE SCHEMA app; CREATE TABLE app.people (id serial, name text); CREATE VIEW app.view AS SELECT 1 AS x;"
        " CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';"
        " CREATE FUNCTION app.twice(n text) RETURNS text LANGUAGE sql AS 'SELECT n || n';"
        " CREATE PROCEDURE app.noop() LANGUAGE sql AS '';"
        " REVOKE ALL ON ALL ROUTINES IN SCHEMA app FROM PUBLIC",
        database=unique,
    )
    given = {"role": f"{unique}_app", "database": unique, "objectType": kind, **extra}
    grant = plugin.create("Grant", "g", **given, privileges=privileges)
    assert grant.id.startswith(f"{unique}_app_{unique}_")
    assert plugin.refresh(grant)
    assert plugin.diff(grant, **given, privileges=privileges).changes == 1
    assert plugin.diff(grant, **given, privileges=[each.lower() for each in reversed(privileges)]).changes == 1

    if kind == "table":
        server.query(f'REVOKE SELECT ON app.people FROM "{unique}_app"', database=unique)
        assert plugin.refresh(grant)
        assert list(plugin.diff(grant, **given, privileges=privileges).diffs) == ["privileges"]
    plugin.update(grant, **given, privileges=more)
    assert plugin.refresh(grant)
    assert plugin.diff(grant, **given, privileges=more).changes == 1
    if more:
        assert list(plugin.diff(grant, **given, privileges=more, withGrantOption=True).replaces) == ["withGrantOption"]
    plugin.delete(grant)
    plugin.delete(grant)
    assert grant.outputs["objectType"] == kind
    plugin.refresh(grant)
    assert grant.outputs.get("privileges", []) == []


def test_grants_on_foreign_things(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    plugin.create("Role", "app", name=f"{unique}_app")
    server.query('CREATE FOREIGN DATA WRAPPER "Odd w"; CREATE SERVER far FOREIGN DATA WRAPPER "Odd w"', database=unique)
    for kind, name in (("foreign_data_wrapper", "Odd w"), ("foreign_server", "far")):
        given = {"role": f"{unique}_app", "database": unique, "objectType": kind, "objects": [name]}
        grant = plugin.create("Grant", kind, **given, privileges=["USAGE"])
        assert grant.id == f"{unique}_app_{unique}_{kind}_{name}"
        assert plugin.refresh(grant)
        assert plugin.diff(grant, **given, privileges=["USAGE"]).changes == 1
        plugin.delete(grant)
        assert plugin.refresh(grant)
        assert grant.outputs["privileges"] == []


def test_a_grant_on_what_is_not_there_is_named(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    plugin.create("Role", "app", name=f"{unique}_app")
    given = {"role": f"{unique}_app", "database": unique, "schema": "public", "objectType": "table"}
    with pytest.raises(PluginError, match="cannot grant on table nothing: there is none"):
        plugin.create("Grant", "g", **given, objects=["nothing"], privileges=["SELECT"])
    server.query("CREATE TABLE public.t ()", database=unique)
    grant = plugin.create("Grant", "g", **given, objects=["t"], privileges=["SELECT"])
    server.query("DROP TABLE public.t", database=unique)
    assert plugin.refresh(grant)
    assert list(plugin.diff(grant, **given, objects=["t"], privileges=["SELECT"]).diffs) == ["privileges"]
    plugin.delete(grant)


def test_a_grant_goes_with_what_it_is_on(plugin: Plugin, unique: str) -> None:
    database = plugin.create("Database", "db", name=unique)
    role = plugin.create("Role", "app", name=f"{unique}_app")
    given = {"role": f"{unique}_app", "database": unique, "objectType": "schema", "schema": "public"}
    grant = plugin.create("Grant", "g", **given, privileges=["USAGE"], withGrantOption=True)
    plugin.delete(database)
    assert not plugin.refresh(grant)
    plugin.delete(grant)
    plugin.delete(role)


def test_grant_to_public(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    grant = plugin.create("Grant", "g", role="public", database=unique, objectType="database", privileges=[])
    assert server.query("SELECT datacl::text FROM pg_database WHERE datname = %s", unique).count("=Tc/") == 0
    assert plugin.refresh(grant)
    assert grant.outputs["privileges"] == []
    server.query(f'GRANT CONNECT ON DATABASE "{unique}" TO PUBLIC')
    assert plugin.refresh(grant)
    assert grant.outputs["privileges"] == ["CONNECT"]


def test_grant_role(plugin: Plugin, server: Server, unique: str) -> None:
    for name in ("member", "group"):
        plugin.create("Role", name, name=f"{unique}_{name}")
    given = {"role": f"{unique}_member", "grantRole": f"{unique}_group"}
    grant = plugin.create("GrantRole", "g", **given)
    assert grant.id == f"{unique}_member_{unique}_group_false"
    found = plugin.diff(grant, **given, withAdminOption=True)
    assert list(found.replaces) == ["withAdminOption"]
    assert found.deleteBeforeReplace
    server.query(f'REVOKE "{unique}_group" FROM "{unique}_member"')
    assert not plugin.refresh(grant)
    plugin.delete(grant)


def test_default_privileges(plugin: Plugin, server: Server, unique: str) -> None:
    plugin.create("Database", "db", name=unique)
    for name in ("owner", "reader"):
        plugin.create("Role", name, name=f"{unique}_{name}")
    server.query(f'CREATE SCHEMA app AUTHORIZATION "{unique}_owner"', database=unique)
    given = {
        "role": f"{unique}_reader",
        "owner": f"{unique}_owner",
        "database": unique,
        "schema": "app",
        "objectType": "table",
    }
    privileges = plugin.create("DefaultPrivileges", "d", **given, privileges=["SELECT"])
    assert privileges.id == f"{unique}_reader_{unique}_app_{unique}_owner_table"
    server.query(f'SET ROLE "{unique}_owner"; CREATE TABLE app.t ()', database=unique)
    assert server.query(f"SELECT has_table_privilege('{unique}_reader', 'app.t', 'SELECT')", database=unique)
    plugin.update(privileges, **given, privileges=["SELECT", "UPDATE"])
    assert plugin.refresh(privileges)
    assert plugin.diff(privileges, **given, privileges=["UPDATE", "SELECT"]).changes == 1
    assert list(plugin.diff(privileges, **given, privileges=["SELECT"]).diffs) == ["privileges"]
    everywhere = plugin.create(
        "DefaultPrivileges",
        "all",
        role=f"{unique}_reader",
        owner=f"{unique}_owner",
        database=unique,
        objectType="schema",
        privileges=["ALL"],
    )
    assert everywhere.id == f"{unique}_reader_{unique}_noschema_{unique}_owner_schema"
    assert plugin.refresh(everywhere)
    assert everywhere.outputs["privileges"] == ["ALL"]
    plugin.delete(privileges)
    assert not plugin.refresh(privileges)


def test_extension(plugin: Plugin, server: Server, unique: str) -> None:
    if server.query("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'") is None:
        pytest.skip("this server ships no pg_trgm")
    plugin.create("Database", "db", name=unique)
    server.query("CREATE SCHEMA ext", database=unique)
    extension = plugin.create("Extension", "e", name="pg_trgm", database=unique)
    assert extension.id == f"{unique}.pg_trgm"
    assert extension.outputs["schema"] == "public"
    plugin.update(extension, name="pg_trgm", database=unique, schema="ext")
    assert plugin.refresh(extension)
    assert extension.outputs["schema"] == "ext"
    imported = plugin.read("Extension", "e", f"{unique}.pg_trgm")
    assert imported is not None
    assert imported.outputs["version"] == extension.outputs["version"]
    plugin.delete(extension)
    plugin.delete(extension)
    assert not plugin.refresh(extension)


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_names_of_any_script(plugin: Plugin, server: Server, unique: str, odd: str) -> None:
    name = f"{unique} {odd}"
    role = plugin.create("Role", odd, name=f"{name}R", login=True)
    database = plugin.create("Database", odd, name=name, owner=f"{name}R")
    schema = plugin.create("Schema", odd, name=odd, database=name, owner=f"{name}R")
    given: dict[str, Any] = {"role": f"{name}R", "database": name, "objectType": "table", "schema": odd}
    grant = plugin.create("Grant", odd, **given, privileges=["SELECT"])
    resources: list[Resource] = [role, database, schema, grant]
    assert all(plugin.refresh(resource) for resource in resources)
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", name) == 1
    assert plugin.diff(schema, name=odd, database=name, owner=f"{name}R").changes == 1
    for resource in reversed(resources):
        plugin.delete(resource)
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = %s", f"{name}R") is None


def test_preview_touches_nothing_and_knows_what_it_cannot(plugin: Plugin, server: Server, unique: str) -> None:
    outputs = plugin.preview_create("Database", "main", name=unique, owner=UNKNOWN)
    assert outputs["owner"] == UNKNOWN
    assert outputs["encoding"] == UNKNOWN
    assert outputs["name"] == unique
    assert server.query("SELECT 1 FROM pg_database WHERE datname = %s", unique) is None
    assert plugin.preview_create("Schema", "s", name="s", database=unique, policies=UNKNOWN)["policies"] == UNKNOWN
    role = plugin.create("Role", "app", name=unique)
    changed = plugin.update(role, preview=True, name=unique, login=True, connectionLimit=UNKNOWN)
    assert changed["login"] is True
    assert changed["connectionLimit"] == UNKNOWN
    assert server.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", unique) is False
    found = plugin.diff(role, name=unique, connectionLimit=UNKNOWN)
    assert list(found.diffs) == ["connectionLimit"]


def test_auto_naming_as_the_bridge_does(plugin: Plugin, unique: str) -> None:
    role = plugin.create("Role", unique)
    name = role.outputs["name"]
    assert name.startswith(f"{unique}-")
    assert len(name) == len(unique) + 8
    assert "name" in role.inputs["__defaults"]
    assert plugin.check("Role", unique, olds=role.inputs)["name"] == name
    assert plugin.diff(role).changes == 1
    assert not plugin.diff(role).deleteBeforeReplace
    assert len(plugin.check("Role", "歯" * 40)["name"].encode()) <= 63


def test_ignored_changes_are_no_difference(plugin: Plugin, unique: str) -> None:
    role = plugin.create("Role", "app", name=unique)
    assert plugin.diff(role, name=unique, login=True).changes == 2
    assert plugin.diff(role, ignore=("login",), name=unique, login=True).changes == 1


def test_replacements_are_the_stock_providers(plugin: Plugin, unique: str) -> None:
    database = plugin.create("Database", "main", name=unique)
    found = plugin.diff(database, name=unique, encoding="LATIN1", template="template1")
    assert set(found.replaces) == {"encoding", "template"} or list(found.replaces) == ["encoding"]
    assert found.deleteBeforeReplace
    assert plugin.diff(database, name=unique, encoding="utf-8").changes == 1
    assert plugin.diff(database, name=unique, encoding="DEFAULT").changes == 1


@pytest.mark.parametrize(
    ("kind", "inputs", "wrong"),
    [
        ("Database", {"name": "x", "colour": "red"}, "colour"),
        ("Database", {"name": "x" * 64}, "name"),
        ("Database", {"name": ""}, "name"),
        ("Database", {"name": "a\0b"}, "name"),
        ("Database", {"connectionLimit": -2}, "connectionLimit"),
        ("Database", {"connectionLimit": "many"}, "connectionLimit"),
        ("Role", {"login": "perhaps"}, "login"),
        ("Role", {"roles": "admin"}, "roles"),
        ("Role", {"roles": [["a"]]}, "roles[0]"),
        ("Role", {"encryptedPassword": False}, "encryptedPassword"),
        ("Role", {"passwordWo": "x"}, "passwordWo"),
        ("Schema", {"policies": [{"rule": "x"}]}, "policies[0].rule"),
        ("Schema", {"policies": [{"create": True, "createWithGrant": True}]}, "policies[0].create"),
        ("Grant", {"role": "a", "database": "d", "objectType": "planet", "privileges": []}, "objectType"),
        ("Grant", {"role": "a", "database": "d", "objectType": "table", "privileges": []}, "schema"),
        ("Grant", {"role": "a", "objectType": "database", "privileges": []}, "database"),
        (
            "Grant",
            {"role": "a", "database": "d", "objectType": "database", "privileges": ["SELECT; DROP TABLE x"]},
            "privileges[0]",
        ),
        (
            "Grant",
            {"role": "a", "database": "d", "schema": "s", "objectType": "column", "privileges": ["SELECT"]},
            "objects",
        ),
        ("GrantRole", {"role": "a", "grantRole": "a"}, "grantRole"),
        (
            "DefaultPrivileges",
            {
                "role": "public",
                "owner": "o",
                "database": "d",
                "objectType": "table",
                "privileges": ["SELECT"],
                "withGrantOption": True,
            },
            "withGrantOption",
        ),
    ],
)
def test_wrong_inputs_are_named(process: Plugin, kind: str, inputs: dict[str, Any], wrong: str) -> None:
    with pytest.raises(CheckError) as caught:
        process.check(kind, "x", **inputs)
    assert wrong in caught.value.failures
    assert wrong.partition("[")[0].partition(".")[0] in caught.value.failures[wrong]
