"""The program text of imported resources: it can be read, it is Python, and it holds no secret."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from engine.import_code import argument, class_path, python_program, variable
from engine.resource import SIG_KEY, Secret, State

ROOT = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
PROVIDER = "urn:pulumi:dev::proj::pulumi:providers:aws::default"


def a(name: str, type_: str = "aws:s3/bucket:Bucket", **more: Any) -> State:
    known: dict[str, Any] = {"custom": True, "parent": ROOT, "provider": f"{PROVIDER}::id", **more}
    return State(urn=f"urn:pulumi:dev::proj::{type_}::{name}", type=type_, **known)


def program(*states: State, **names: str) -> str:
    text = python_program(states, {urn: name for name, urn in names.items()})
    ast.parse(text)
    return text


def test_a_resource() -> None:
    assert program(
        a("my-bucket", inputs={"forceDestroy": True, "acl": "private", "tags": {"Name": "x"}}, protect=True)
    ) == (
        "import pulumi\n"
        "import pulumi_aws as aws\n"
        "\n"
        'my_bucket = aws.s3.Bucket("my-bucket",\n'
        '    acl="private",\n'
        "    force_destroy=True,\n"
        '    tags={"Name": "x"},\n'
        "    opts=pulumi.ResourceOptions(protect=True))\n"
    )


def test_a_resource_without_inputs() -> None:
    assert program(a("b")).endswith('b = aws.s3.Bucket("b")\n')


def test_values_of_every_kind() -> None:
    inputs = {
        "n": None,
        "b": False,
        "i": 3,
        "f": 1.5,
        "s": 'a "q" \n ü \x7f',
        "l": [1, [2, {}]],
        "d": {"a-b": {"c": []}},
    }
    call = ast.parse(program(a("x", inputs=inputs))).body[-1]
    assert isinstance(call, ast.Assign)
    assert isinstance(call.value, ast.Call)
    assert {k.arg: ast.literal_eval(k.value) for k in call.value.keywords} == inputs


def test_long_values_are_written_over_several_lines() -> None:
    text = program(
        a("x", inputs={"rules": [{"description": "r" * 30, "cidrBlocks": ["10.0.0.0/8"]} for _ in range(3)]})
    )
    assert "    rules=[\n        {" in text
    assert max(map(len, text.splitlines())) < 100


def test_what_the_engine_keeps_for_itself_is_no_argument() -> None:
    assert "__" not in program(a("x", inputs={"__defaults": [], "__internal": {}, "size": 1}))


# ------------------------------------------------------------------ secrets


def test_a_secret_comes_from_the_configuration() -> None:
    text = program(a("db", inputs={"password": Secret("hush"), "auth": {"keys": [Secret({"k": "whisper"})]}}))
    assert "hush" not in text
    assert "whisper" not in text
    assert "config = pulumi.Config()" in text
    assert "#   pulumi config set --secret db-password\n" in text
    assert "#   pulumi config set --secret db-auth-keys-0   (as JSON)\n" in text
    assert 'password=config.require_secret("db-password")' in text
    assert '"keys": [config.require_secret_object("db-auth-keys-0")]' in text


def test_secrets_of_two_resources_have_keys_of_their_own() -> None:
    text = program(a("x", inputs={"p": Secret("1")}), a("x", "aws:a/b:B", inputs={"p": Secret("2")}))
    assert 'require_secret("x-p")' in text
    assert 'require_secret("x-p2")' in text


# ------------------------------------------------------------------ parents, providers, packages


def test_parents_come_first_and_are_named() -> None:
    top = a("top")
    child = a("child", parent=top.urn)
    text = program(child, top)
    assert text.index("top = ") < text.index("child = ")
    assert "opts=pulumi.ResourceOptions(parent=top)" in text


def test_parents_and_providers_of_the_name_table() -> None:
    group = "urn:pulumi:dev::proj::my:Group::group"
    text = program(a("x", parent=group), shop=group, west=PROVIDER)
    assert "opts=pulumi.ResourceOptions(parent=shop, provider=west)" in text


def test_names_of_the_file_are_the_names_in_the_program() -> None:
    state = a("logical")
    assert 'theName = aws.s3.Bucket("logical")' in program(state, theName=state.urn).replace("the_name", "theName")


def test_a_component_is_left_to_the_program() -> None:
    component = a("vpc", "my:net:Vpc", custom=False, provider="")
    text = program(a("x", parent=component.urn), component)
    assert "# vpc: a component of type my:net:Vpc" in text
    assert "parent=vpc" in text
    assert "import pulumi_my" not in text


def test_a_component_of_a_provider_is_declared() -> None:
    assert 'site = my.net.Site("site")' in program(a("site", "my:net:Site", custom=False))


def test_several_packages() -> None:
    text = program(a("x"), a("y", "azure-native:storage:Account"))
    assert "import pulumi_aws as aws\nimport pulumi_azure_native as azure_native\n" in text


def test_assets_and_archives() -> None:
    def signed(sig: str, **more: Any) -> dict[str, Any]:
        return {SIG_KEY: sig, "hash": "h", **more}

    asset, archive = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
    text = program(
        a(
            "x",
            inputs={
                "a": signed(asset, path="f"),
                "b": signed(asset, text="t"),
                "c": signed(archive, uri="u"),
                "d": signed(archive, assets={"k": signed(asset, path="g")}),
                "e": {SIG_KEY: "5cf8f73096256a8f31e491e813e4eb8e", "urn": ROOT, "id": "the-id"},
            },
        )
    )
    assert 'a=pulumi.FileAsset("f")' in text
    assert 'b=pulumi.StringAsset("t")' in text
    assert 'c=pulumi.RemoteArchive("u")' in text
    assert 'd=pulumi.AssetArchive({"k": pulumi.FileAsset("g")})' in text
    assert 'e="the-id"' in text


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        ("aws:s3/bucketV2:BucketV2", "aws.s3.BucketV2"),
        ("random:index/randomId:RandomId", "random.RandomId"),
        ("kubernetes:apps/v1:Deployment", "kubernetes.apps.v1.Deployment"),
        ("fakecloud:index:Obj", "fakecloud.Obj"),
        ("azure-native:storage:Account", "azure_native.storage.Account"),
    ],
)
def test_where_a_class_is(type_: str, path: str) -> None:
    assert class_path(type_) == path


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("cidrBlock", "cidr_block"),
        ("ipv6CIDRBlock", "ipv6_cidr_block"),
        ("from", "from_"),
        ("name", "name"),
        ("vpcID", "vpc_id"),
    ],
)
def test_argument_names(key: str, name: str) -> None:
    assert argument(key) == name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("my-bucket", "my_bucket"),
        ("1st", "_1st"),
        ("a.b/c", "a_b_c"),
        ("class", "class_"),
        ("pulumi", "pulumi_"),
        ("-", "resource"),
    ],
)
def test_variable_names(name: str, found: str) -> None:
    assert variable(name) == found
