"""How a cabinet is wired: which resources it has, what belongs to which step, and what waits for what."""

import itertools
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.cabinet import Cabinet, CabinetArgs
from providers.connection import DatabaseSettings
from stacks.cabinet import cabinet_args
from stacks.lines import CABINET
from stacks.manifest import parse_manifest
from stacks.resolve import ResolvedManifest, resolve
from stacks.steps import STEPS, Step, step_of
from stacks.templates import TemplateStore

SERVER = DatabaseSettings(
    host="db", port=5432, user="admin", password="top-secret-word", sslmode="disable", main_database="tenantry"
)


def args_for(own_database: bool = True, **changes: Any) -> CabinetArgs:
    values: dict[str, Any] = {
        "slug": "acme",
        "tenant_mark": "tenantry/acme",
        "name": "Cabinet Acme 🦷",
        "street": "1",
        "city": "Genève",
        "postal_code": "1207",
        "country": "CH",
        "phone": "+41225550142",
        "email": "a@acme.example",
        "template_id": "default-dental",
        "template_version": "1.0.0",
        "settings": {"timezone": "Europe/Zurich", "branding": {"logoUrl": None, "primaryColor": "#000000"}},
        "own_database": own_database,
        "server": SERVER,
    }
    return CabinetArgs(**values | changes)


def cabinet(own_database: bool = True) -> Callable[[], Any]:
    def program() -> None:
        made = Cabinet("acme", args_for(own_database))
        for name, value in made.outputs.items():
            pulumi.export(name, value)

    return program


@pytest.fixture
def resolved(manifest_data: dict[str, Any]) -> ResolvedManifest:
    return resolve(parse_manifest(manifest_data), TemplateStore())


def depends(recorder: Any, key: str) -> set[str]:
    return {urn.split("::", 3)[2].split("$")[-1] for urn in recorder.requests[key].dependencies}


def test_every_step_is_a_component_under_the_tenant(recorder: Any, run: Any) -> None:
    run(cabinet())
    for step in STEPS:
        if step.component_type is not None:
            request = recorder.requests[f"{step.component_type} acme"]
            assert request.parent.endswith("tenantry:cabinet:Cabinet::acme")
            assert request.custom is False


def test_every_resource_belongs_to_a_step(recorder: Any, run: Any) -> None:
    run(cabinet())
    steps: dict[str, set[str]] = {}
    for key, request in recorder.requests.items():
        kind, name = key.split()
        if request.custom:
            parents = request.parent.split("::", 3)[2]
            steps.setdefault(str(step_of(f"urn:pulumi:acme::tenantry::{parents}${kind}::{name}")), set()).add(kind)
    assert steps == {
        "record": {"pulumi-python:dynamic/tenantry:CabinetRecord"},
        "database": {
            "pulumi:providers:postgresql",
            "pulumi-python:dynamic/tenantry:Password",
            "postgresql:index/role:Role",
            "postgresql:index/database:Database",
            "postgresql:index/grant:Grant",
            "postgresql:index/defaultPrivileges:DefaultPrivileges",
        },
        "schema": {"pulumi-python:dynamic/tenantry:SchemaMigrations"},
        "settings": {"pulumi-python:dynamic/tenantry:CabinetSettings"},
        "activation": {"pulumi-python:dynamic/tenantry:CabinetActivation"},
    }


@pytest.mark.parametrize("own_database", [True, False])
def test_each_step_waits_for_the_one_before(recorder: Any, run: Any, own_database: bool) -> None:
    run(cabinet(own_database))
    order = ["CabinetRecord", "SchemaMigrations", "CabinetSettings", "CabinetActivation"]
    for before, after in itertools.pairwise(order):
        needed = depends(recorder, recorder.key(f"tenantry:{after}"))
        if own_database and after == "SchemaMigrations":
            assert {
                "postgresql:index/database:Database",
                "postgresql:index/defaultPrivileges:DefaultPrivileges",
            } <= needed
        else:
            assert f"pulumi-python:dynamic/tenantry:{before}" in needed
    if own_database:
        database = [
            key
            for key, request in recorder.requests.items()
            if request.custom and "tenantry:cabinet:Database" in request.parent
        ]
        assert len(database) == 8
        assert all("pulumi-python:dynamic/tenantry:CabinetRecord" in depends(recorder, key) for key in database)


def test_what_is_inside_the_database_goes_with_it(recorder: Any, run: Any) -> None:
    run(cabinet())
    inside = {key.split()[0].split(":")[-1] for key, request in recorder.requests.items() if request.deletedWith}
    assert inside == {"Grant", "DefaultPrivileges", "SchemaMigrations", "CabinetSettings"}


def test_what_is_inside_the_main_database_is_deleted_by_itself(recorder: Any, run: Any) -> None:
    run(cabinet(own_database=False))
    assert not [key for key, request in recorder.requests.items() if request.deletedWith]


def test_the_role_may_log_in_and_nothing_else(recorder: Any, run: Any) -> None:
    run(cabinet())
    role = recorder.inputs[recorder.key("role:Role")]
    assert role["name"] == "cabinet_acme_app"
    assert role["login"] is True
    assert role["connectionLimit"] == 20
    assert not {"superuser", "createDatabase", "createRole", "replication", "bypassRowLevelSecurity", "roles"} & set(
        role
    )
    # Without an owner, the administrator owns the database.
    assert "owner" not in recorder.inputs[recorder.key("database:Database")]
    grants = [(inputs["role"], inputs["privileges"]) for key, inputs in recorder.inputs.items() if ":Grant " in key]
    assert grants == [("public", []), ("cabinet_acme_app", ["CONNECT"])]
    defaults = {inputs["objectType"]: inputs for key, inputs in recorder.inputs.items() if ":DefaultPrivileges " in key}
    assert defaults["table"]["privileges"] == ["SELECT", "INSERT", "UPDATE", "DELETE"]
    assert defaults["sequence"]["privileges"] == ["USAGE", "SELECT"]
    assert {inputs["owner"] for inputs in defaults.values()} == {"admin"}


def test_secrets_go_over_the_wire_as_secrets_and_are_no_input_of_ours(recorder: Any, run: Any) -> None:
    outputs = run(cabinet())
    for key, inputs in recorder.inputs.items():
        if "dynamic" in key:
            assert "top-secret-word" not in repr(inputs), key
    assert list(recorder.requests[recorder.key(":Password")].additionalSecretOutputs) == ["value"]
    assert outputs["password"] == ("generated-word", True)
    assert [name for name, (_, secret) in outputs.items() if secret] == ["password"]
    for ending, field in (("role:Role", "password"), ("providers:postgresql", "password")):
        # Pulumi's mark of a secret on the wire.
        assert "4dabf18193072939515e22adb298388d" in recorder.requests[recorder.key(ending)].object[field]


def test_the_outputs(recorder: Any, run: Any) -> None:
    outputs = {name: value for name, (value, _) in run(cabinet()).items()}
    password = outputs.pop("password")
    assert password == "generated-word"
    assert outputs == {
        "slug": "acme",
        "host": "db",
        "port": 5432,
        "database": "cabinet_acme",
        "role": "cabinet_acme_app",
        "schema": "cabinet",
        "schemaVersion": 3,
        "template": "default-dental@1.0.0",
        "status": "active",
    }


def test_without_an_own_database_the_main_one_holds_its_schema(recorder: Any, run: Any) -> None:
    outputs = {name: value for name, (value, _) in run(cabinet(own_database=False)).items()}
    assert not [key for key in recorder.order if "postgresql" in key or "tenantry:cabinet:Database" in key]
    assert (outputs["database"], outputs["schema"]) == ("tenantry", "cabinet_acme")
    assert not {"role", "password"} & set(outputs)
    assert recorder.inputs[recorder.key(":CabinetRecord")]["database_name"] == "tenantry"


def test_the_longest_slug_still_gives_identifiers_that_postgresql_keeps_whole() -> None:
    args = args_for(slug="a" + "-b" * 19 + "c")
    assert len(args.slug) == 40
    assert len(args.role or "") <= 63
    assert args_for(slug="a-b").role != args_for(slug="a-b-app").role


def test_the_program_passes_the_manifest_on(
    recorder: Any, run: Any, resolved: ResolvedManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "elsewhere")
    outputs = {name: value for name, (value, _) in run(CABINET.program(resolved)).items()}
    assert (outputs["host"], outputs["status"]) == ("elsewhere", "active")
    row = recorder.inputs[recorder.key(":CabinetRecord")]
    assert (row["name"], row["tenant_mark"], row["postal_code"]) == ("Cabinet Acme", "tenantry/acme", "1207")
    sent = recorder.inputs[recorder.key(":CabinetSettings")]
    assert sent["settings"]["booking"]["advanceDays"] == 30
    assert "logoUrl" not in sent["settings"]["branding"]


def test_the_program_refuses_another_tenants_stack(recorder: Any, run: Any, manifest_data: dict[str, Any]) -> None:
    other = resolve(parse_manifest(manifest_data | {"slug": "other"}), TemplateStore())
    with pytest.raises(pulumi.RunError, match=r"slug: given other; valid: the stack's name, acme"):
        run(CABINET.program(other))


def test_arguments_are_plain(resolved: ResolvedManifest) -> None:
    args = cabinet_args(resolved, "tenantry/acme")
    assert (args.template, args.own_database, args.database) == ("default-dental@1.0.0", True, "cabinet_acme")


@pytest.mark.parametrize(
    ("urn", "step"),
    [
        (
            "urn:pulumi:acme::tenantry::tenantry:cabinet:Cabinet$tenantry:cabinet:Record$pulumi-python:dynamic/tenantry:CabinetRecord::acme",
            "record",
        ),
        ("urn:pulumi:acme::tenantry::tenantry:cabinet:Cabinet$tenantry:cabinet:Database::acme", "database"),
        (
            "urn:pulumi:acme::tenantry::tenantry:cabinet:Cabinet$tenantry:cabinet:Database$pulumi:providers:postgresql::a::b$tenantry:cabinet:Schema",
            "database",
        ),
        ("urn:pulumi:acme::tenantry::tenantry:cabinet:Cabinet::acme", None),
        ("urn:pulumi:acme::tenantry::pulumi:pulumi:Stack::tenantry-acme", None),
        ("urn:pulumi:acme::tenantry::other:Schema::tenantry:cabinet:Schema", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_step_of_a_urn(urn: str, step: str | None) -> None:
    assert step_of(urn) == step


def test_the_steps_are_those_of_the_requirements() -> None:
    assert [step.key for step in STEPS] == ["validation", "record", "database", "schema", "settings", "activation"]
    assert STEPS[0] == Step(key="validation", title="Data validation", component_type=None)
