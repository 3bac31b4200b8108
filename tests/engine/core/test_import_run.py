"""`pulumi import`: objects are taken into the state without a program, and nothing else changes."""

from __future__ import annotations

import pytest

from engine.operation import Import
from engine.resource import Secret
from tests.engine.core.dsl import Stack, update
from tests.engine.core.program import BUCKET, GROUP, bucket, group, provider, ref

STACK_URN = "urn:pulumi:test::project::pulumi:pulumi:Stack::project-test"


def wanted(name: str, id_: str, **more: object) -> Import:
    return Import(type=BUCKET, name=name, id=id_, **more)  # type: ignore[arg-type]


def test_an_import_into_an_empty_stack_makes_the_stack_and_the_provider(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.import_(wanted("a", "x-1"))
    result.succeeds().expect(("import", "a")).calling("read a").valid_after_every_step()
    assert result.all_calls == ["read a", "check a"]
    assert [s.urn for s in stack.snapshot.resources] == [
        STACK_URN,
        stack.urn("default", "pulumi:providers:fake"),
        stack.urn("a"),
    ]
    state = stack.resource("a")
    assert (state.id, state.inputs, state.parent, state.protect) == ("x-1", {"size": 1}, STACK_URN, True)
    assert state.import_id == ""
    assert state.created
    assert result.outcome.changes == {"create": 1, "import": 1}


def test_the_next_update_finds_nothing_to_do(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1", protect=False)).succeeds()
    stack.up(bucket("a", size=1)).does_nothing()
    stack.up(bucket("a", size=2)).expect(update("a"))


def test_what_is_there_stays_as_it_is(stack: Stack) -> None:
    stack.up(bucket("b", size=1), bucket("c", of=ref("b"))).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    before = [stack.resource("b").inputs, stack.resource("c").dependencies]
    result = stack.import_(wanted("a", "x-1"))
    result.succeeds().calling("read a")
    assert [stack.resource("b").inputs, stack.resource("c").dependencies] == before
    assert stack.names == ["b", "c", "a"]
    assert result.outcome.changes == {"same": 3, "import": 1}


def test_what_waits_for_its_deletion_goes_on_waiting(stack: Stack) -> None:
    stack.up(bucket("b", region="x")).succeeds()
    stack.cloud.fail("delete", "b")
    stack.up(bucket("b", region="y")).fails("refuses to delete b")
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1")).succeeds()
    assert stack.names == ["b", "a", "-b"]


def test_a_preview_reads_and_keeps_nothing(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    before = stack.saved
    result = stack.import_(wanted("a", "x-1"), dry_run=True)
    result.succeeds().expect(("import", "a")).calling("read a")
    assert stack.saved == before


def test_many_objects_at_once(stack: Stack) -> None:
    for number in range(20):
        stack.cloud.put(f"b{number}", f"x-{number}", size=number)
    stack.import_(*(wanted(f"b{n}", f"x-{n}") for n in range(20))).succeeds()
    assert {stack.resource(f"b{n}").inputs["size"] for n in range(20)} == set(range(20))


def test_an_object_that_is_in_the_state_is_left_alone(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1")).succeeds()
    stack.cloud.change("a", size=9)
    stack.import_(wanted("a", "x-1", protect=False)).succeeds().expect().calling()
    assert stack.resource("a").protect
    assert stack.resource("a").inputs == {"size": 1}


def test_another_object_of_the_same_name_is_an_error(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.put("other", "x-1", size=1)
    stack.import_(wanted("a", "x-1")).fails(f"resource '{stack.urn('a')}' already exists").calling()
    assert stack.names == ["a"]


def test_an_object_that_does_not_exist(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    result = stack.import_(wanted("a", "x-1"), wanted("d", "nope"))
    result.fails(
        "resource 'nope' does not exist", "update failed: step application failed: resource 'nope' does not exist"
    )
    assert stack.names == ["a"]
    assert stack.pending == []


def test_a_provider_that_cannot_import(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.fail("read", "a", kind="no inputs")
    stack.import_(wanted("a", "x-1")).fails("provider does not support importing resources")


def test_an_object_that_is_not_ready_is_imported_with_its_errors(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.cloud.fail("read", "a", kind="unready", times=1)
    stack.import_(wanted("a", "x-1", protect=False)).succeeds()
    assert stack.resource("a").init_errors
    stack.up(bucket("a", size=1)).expect(update("a"))


def test_two_imports_of_one_name(stack: Stack) -> None:
    stack.import_(wanted("a", "1"), wanted("a", "2")).fails(f"update failed: duplicate import 'a' of type '{BUCKET}'")


@pytest.mark.parametrize("type_", ["fake", "fake:Bucket", "fake::Bucket", "a:b:c:d"])
def test_a_type_that_is_none(stack: Stack, type_: str) -> None:
    stack.import_(Import(type=type_, name="a", id="1")).fails(
        f'import type "{type_}" is not a valid resource type token'
    )


# ------------------------------------------------------------------ inputs


def test_chosen_properties_only(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1, label="l", region="r")
    stack.import_(wanted("a", "x-1", properties=("size", "label", "none"))).succeeds()
    assert stack.resource("a").inputs == {"size": 1, "label": "l"}


def test_inputs_that_the_provider_would_refuse_are_told_and_imported(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=-1)
    result = stack.import_(wanted("a", "x-1")).succeeds()
    result.warns("This is almost certainly a bug in the `fake` provider.")
    result.warns("property size value {-1} has a problem: must not be negative")
    assert stack.resource("a").inputs == {"size": -1}


def test_chosen_inputs_that_do_not_suffice_are_told_otherwise(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=-1)
    result = stack.import_(wanted("a", "x-1", properties=("size",))).succeeds()
    result.warns("Try specifying a different set of properties to import with in the future.")


# ------------------------------------------------------------------ parents


def test_a_parent_that_is_in_the_state(stack: Stack) -> None:
    stack.up(group("g")).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    urn = stack.urn("g", GROUP)
    stack.import_(wanted("a", "x-1", parent=urn)).succeeds()
    assert (stack.resource("a").parent, stack.resource("a").urn) == (
        urn,
        f"urn:pulumi:test::project::{GROUP}${BUCKET}::a",
    )


def test_components_are_made_with_what_is_in_them_whatever_the_order(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    top, mid = stack.urn("top", GROUP), f"urn:pulumi:test::project::{GROUP}${GROUP}::mid"
    stack.import_(
        wanted("a", "x-1", parent=mid, protect=False),
        Import(type=GROUP, name="mid", parent=top, component=True, protect=False),
        Import(type=GROUP, name="top", component=True, protect=False),
    ).succeeds()
    assert stack.names == ["top", "mid", "a"]
    assert stack.resource("mid").id == ""
    result = stack.up(group("top"), group("mid", {"parent": "top"}), bucket("a", {"parent": "mid"}, size=1))
    result.does_nothing()


def test_a_component_that_a_provider_makes_has_a_provider(stack: Stack) -> None:
    stack.import_(Import(type="fake:index:Site", name="s", component=True, remote=True)).succeeds()
    assert stack.resource("s").provider.startswith(stack.urn("default", "pulumi:providers:fake"))


def test_a_parent_that_is_nowhere(stack: Stack) -> None:
    parent = stack.urn("none", GROUP)
    stack.import_(wanted("a", "x-1", parent=parent)).fails(
        f"unknown parent '{parent}' for resource 'urn:pulumi:test::project::{GROUP}${BUCKET}::a'"
    ).calling()


# ------------------------------------------------------------------ providers


def test_an_explicit_provider(stack: Stack) -> None:
    stack.up(provider("p", account="x")).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    urn = stack.urn("p", "pulumi:providers:fake")
    stack.import_(wanted("a", "x-1", provider=urn)).succeeds()
    assert stack.resource("a").provider == f"{urn}::{stack.resource('p').id}"
    assert [s.urn for s in stack.snapshot.resources if "default" in s.urn] == []


def test_a_provider_that_is_not_in_the_state(stack: Stack) -> None:
    urn = stack.urn("p", "pulumi:providers:fake")
    stack.import_(wanted("a", "x-1", provider=urn)).fails(f"unknown provider '{urn}' for resource '{stack.urn('a')}'")


def test_a_version_has_a_default_provider_of_its_own(stack: Stack) -> None:
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1", version="1.2.3")).succeeds()
    default = stack.resource("default_1_2_3")
    assert default.inputs["version"] == "1.2.3"
    assert stack.resource("a").provider == f"{default.urn}::{default.id}"


def test_without_a_version_the_programs_default_provider_serves(stack: Stack) -> None:
    stack.up(bucket("b", {"version": "4.5.6"}, size=1)).succeeds()
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1", protect=False)).succeeds()
    assert stack.resource("a").provider == stack.resource("b").provider


def test_the_default_provider_is_configured_as_in_an_update(stack: Stack) -> None:
    stack.config, stack.secret_keys = {"fake:account": "hush"}, frozenset({"fake:account"})
    stack.cloud.put("a", "x-1", size=1)
    stack.import_(wanted("a", "x-1")).succeeds()
    assert stack.resource("default").inputs == {"account": Secret("hush")}


def test_a_configuration_that_the_provider_refuses(stack: Stack) -> None:
    stack.config = {"fake:account": "forbidden"}
    stack.import_(wanted("a", "x-1")).fails("the account is closed").calling()
