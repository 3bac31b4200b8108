"""What a program's requests say, field by field: names that are none, references to nothing, and what is answered."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import alias_pb2, resource_pb2, source_pb2

from engine.registration import goal_of, source_position
from engine.resource import UNKNOWN, from_struct, to_struct
from tests.engine.core.dsl import Stack
from tests.engine.core.program import Do, Resource, Run, bucket, group, outputs, ref

NOBODY = "urn:pulumi:test::project::fake:index:Bucket::nobody"
BAD = "no-urn"


def _register(answers: list[Any], **fields: Any) -> Do:
    def action(run: Run) -> None:
        known: dict[str, Any] = {"type": "fake:index:Bucket", "name": "x", "custom": True, **fields}
        try:
            answers.append(run.monitor.RegisterResource(resource_pb2.RegisterResourceRequest(**known)))
        except grpc.RpcError as error:
            answers.append((error.code(), error.details()))
            raise

    return Do(action)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"parent": BAD}, 'invalid parent URN: invalid URN "no-urn"'),
        ({"dependencies": [BAD]}, 'invalid dependency URN: invalid URN "no-urn"'),
        ({"dependencies": [""]}, 'invalid dependency URN: invalid URN ""'),
        ({"deletedWith": BAD}, "invalid DeletedWith URN"),
        ({"replace_with": [BAD]}, "invalid ReplaceWith URN"),
        ({"aliasURNs": [BAD]}, "invalid alias URN"),
        ({"aliases": [alias_pb2.Alias(urn=BAD)]}, "invalid alias URN"),
        ({"aliases": [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(parentUrn=BAD))]}, "invalid parent alias URN"),
        ({"type": "Bucket"}, "Type 'Bucket' is not a valid type token (must have format '*:*:*')"),
    ],
)
def test_names_that_are_none_fail_the_registration(stack: Stack, fields: dict[str, Any], text: str) -> None:
    answers: list[Any] = []
    stack.up(_register(answers, **fields)).fails(text).calling()
    assert answers[0][0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("field", ["dependencies", "replace_with", "deletedWith"])
def test_references_to_nothing_fail_the_update(stack: Stack, field: str) -> None:
    value = NOBODY if field == "deletedWith" else [NOBODY]
    stack.up(bucket("kept"))
    stack.up(bucket("kept"), _register([], **{field: value})).fails("which the program has not registered").calling()
    assert stack.names == ["kept"]


def test_a_parent_that_is_not_there(stack: Stack) -> None:
    stack.up(_register([], parent=NOBODY)).fails(f"could not find parent resource {NOBODY}").calling()


def test_a_component_may_have_any_type(stack: Stack) -> None:
    stack.up(Resource(name="c", type="Whatever", custom=False)).succeeds()
    assert stack.names == ["c"]


# ------------------------------------------------------------------ what is answered


def test_a_component_is_not_told_its_outputs_of_the_last_run(stack: Stack) -> None:
    program = (group("g"), bucket("a", opts={"parent": "g"}), outputs("g", arn=ref("a")))
    stack.up(*program)
    got: list[Any] = []
    stack.up(*program, Do(lambda run: got.append(dict(run.got["g"])))).succeeds()
    assert got == [{}]
    assert stack.resource("g").outputs == {"arn": "arn:a-1"}


@pytest.mark.parametrize(("partial", "wanted"), [(True, {"arn": UNKNOWN, "size": 1}), (False, {"size": 1})])
def test_unknown_outputs_are_for_programs_that_know_them(stack: Stack, partial: bool, wanted: dict[str, Any]) -> None:
    answers: list[Any] = []
    more = {"object": to_struct({"size": 1}), "supportsPartialValues": partial, "acceptSecrets": True}
    stack.preview(_register(answers, **more)).succeeds()
    assert from_struct(answers[0].object) == wanted


def test_what_is_only_read_has_its_id_told(stack: Stack) -> None:
    stack.cloud.objects["other"] = {"size": 1, "arn": "arn:other"}
    stack.cloud.names["other"] = "other"
    answers: list[Any] = []

    def read(run: Run) -> None:
        request = resource_pb2.ReadResourceRequest(type="fake:index:Bucket", name="r", id="other")
        answers.append(run.monitor.ReadResource(request))

    stack.up(Do(read)).succeeds()
    assert (answers[0].id, answers[0].result, answers[0].unknown) == ("other", resource_pb2.SUCCESS, False)


# ------------------------------------------------------------------ single fields


def test_properties_without_a_word_depend_on_all_that_the_resource_does() -> None:
    request = resource_pb2.RegisterResourceRequest(
        type="a:b:C", name="x", custom=True, object=to_struct({"p": 1, "q": 2}), dependencies=[NOBODY]
    )
    assert goal_of(request, Path("/")).property_dependencies == {"p": [NOBODY], "q": [NOBODY]}
    request.propertyDependencies["p"].SetInParent()
    assert goal_of(request, Path("/")).property_dependencies == {"p": [], "q": []}


@pytest.mark.parametrize(
    ("said", "defined", "wanted"), [(True, False, True), (False, True, False), (False, False, None), (True, True, True)]
)
def test_delete_before_replace_may_be_said_without_saying_so(said: bool, defined: bool, wanted: bool | None) -> None:
    request = resource_pb2.RegisterResourceRequest(
        type="a:b:C", name="x", custom=True, deleteBeforeReplace=said, deleteBeforeReplaceDefined=defined
    )
    assert goal_of(request, Path("/")).delete_before_replace is wanted


@pytest.mark.parametrize(
    ("position", "wanted"),
    [
        ({"uri": "file:///home/me/proj/main.py", "line": 12}, "project:///main.py#12"),
        ({"uri": "file:///home/me/proj/a%20b/x.py", "line": 1, "column": 5}, "project:///a%20b/x.py#1,5"),
        ({"uri": "file:///home/me/lib.py", "line": 3}, "project:///../lib.py#3"),
        ({"uri": "https://host/main.py", "line": 3}, ""),
        ({"uri": "file:///home/me/proj/main.py", "line": -1}, ""),
        ({}, ""),
    ],
)
def test_where_in_the_program(position: dict[str, Any], wanted: str) -> None:
    assert source_position(source_pb2.SourcePosition(**position), Path("/home/me/proj")) == wanted


def test_the_position_is_kept_in_the_state(stack: Stack, tmp_path: Path) -> None:
    position = source_pb2.SourcePosition(uri=(tmp_path / "main.py").as_uri(), line=7)
    stack.up(_register([], sourcePosition=position)).succeeds()
    assert stack.resource("x").source_position == "project:///main.py#7"
    moved = source_pb2.SourcePosition(uri=(tmp_path / "main.py").as_uri(), line=8)
    # Another line is no change of the resource.
    stack.up(_register([], sourcePosition=moved)).does_nothing()
    assert stack.resource("x").source_position == "project:///main.py#8"
