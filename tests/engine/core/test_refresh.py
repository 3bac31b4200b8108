"""Semantics 14: the state takes over what is there; what cannot be read stays, and what is gone leaves no trace."""

from __future__ import annotations

import json

import pytest

from engine.resource import Secret
from tests.engine.core.dsl import Stack, create, delete, secret, update
from tests.engine.core.program import bucket, group, provider, read, ref


def found(result: object, name: str) -> str:
    """The operation that the events tell last of a resource."""
    op: str = result.detail(name)["op"]  # type: ignore[attr-defined]
    return op


def resources(stack: Stack) -> list[dict[str, object]]:
    """The state, without the empty lists that a refresh, as in the stock engine, drops from propertyDependencies."""
    found: list[dict[str, object]] = json.loads(stack.saved)["resources"]
    for one in found:
        named = one.pop("propertyDependencies", {})
        one["propertyDependencies"] = {key: urns for key, urns in named.items() if urns}  # type: ignore[attr-defined]
    return found


# ------------------------------------------------------------------ what is found


def test_what_has_changed_is_taken_over_and_mended_by_the_next_update(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.cloud.change("a", size=5)
    result = stack.refresh(parallel=1).succeeds().calling("read a", "read b")
    assert (found(result, "a"), found(result, "b")) == ("update", "same")
    assert stack.resource("a").inputs == {"size": 5}
    assert result.outcome.changes == {"same": 2, "update": 1}
    stack.up(bucket("a", size=1), bucket("b", size=1)).expect(update("a"))


def test_the_change_is_told_as_it_happened(stack: Stack) -> None:
    stack.cloud.detailed = True
    stack.up(bucket("a", size=1, label="x")).succeeds()
    stack.cloud.objects[stack.cloud.id_of("a")] = {"size": 2, "extra": True, "arn": "arn"}
    told = stack.refresh().succeeds().detail("a")
    assert {path: diff["diffKind"] for path, diff in told["detailedDiff"].items()} == {
        "size": "update",
        "extra": "add",
        "label": "delete",
    }
    assert sorted(told["diffs"]) == ["extra", "label", "size"]


def test_what_is_gone_leaves_the_state_with_every_reference_to_it(stack: Stack) -> None:
    stack.up(
        bucket("a", size=1),
        bucket("child", {"parent": "a"}, size=1),
        bucket("user", {"deleted_with": "a", "depends_on": ["a"], "replace_with": ["a"]}, of=ref("a"), other=1),
    ).succeeds()
    stack.cloud.lose("a")
    result = stack.refresh().succeeds().valid_after_every_step()
    assert found(result, "a") == "delete"
    assert stack.names == ["child", "user"]
    user = stack.resource("user")
    assert (user.dependencies, user.deleted_with, user.replace_with) == ([], "", [])
    assert user.property_dependencies.get("of", []) == []
    assert stack.resource("child").parent == ""


def test_what_is_gone_is_made_again_by_the_next_update(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).succeeds()
    stack.cloud.lose("a")
    stack.refresh().succeeds()
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).expect(create("a"), update("b"))
    stack.agrees_with_cloud()


def test_another_id_is_taken_over(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    old = stack.cloud.id_of("a")
    stack.cloud.objects["moved"] = stack.cloud.objects.pop(old)
    stack.cloud.names["moved"] = "a"
    stack.cloud.also_known_as[old] = "moved"
    stack.refresh().succeeds()
    assert stack.resource("a").id == "moved"
    stack.agrees_with_cloud()


def test_secrets_stay_secret(stack: Stack) -> None:
    stack.up(bucket("a", size=secret("hush"))).succeeds()
    stack.cloud.accept_secrets = False
    stack.cloud.change("a", size="whisper")
    stack.refresh().succeeds()
    assert stack.resource("a").inputs == {"size": Secret("whisper")}
    assert stack.resource("a").outputs["size"] == Secret("whisper")


def test_what_waits_for_its_deletion_is_read_too(stack: Stack) -> None:
    stack.up(bucket("a", region="x")).succeeds()
    stack.cloud.fail("delete", "a")
    stack.up(bucket("a", region="y")).fails("refuses to delete a")
    stack.cloud.heal()
    old = next(s for s in stack.snapshot.resources if s.delete)
    del stack.cloud.objects[old.id]
    stack.refresh().succeeds()
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


def test_a_resource_that_was_only_read_is_read_again(stack: Stack) -> None:
    id_ = stack.cloud.put("x", "x-1", size=1)
    stack.up(read("r", id_)).succeeds()
    stack.cloud.change("x", size=2)
    result = stack.refresh().succeeds()
    assert found(result, "r") == "update"
    assert stack.resource("r").outputs["size"] == 2
    assert stack.resource("r").external
    assert "diff r" not in result.all_calls


def test_components_and_providers_are_not_read(stack: Stack) -> None:
    stack.up(group("g", size=1), provider("p")).succeeds()
    before = resources(stack)
    stack.refresh().succeeds().calling()
    assert resources(stack) == before


def test_an_empty_stack_is_refreshed_at_once(stack: Stack) -> None:
    stack.refresh().succeeds().calling()


def test_nothing_changes_where_nothing_has_changed(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).succeeds()
    before = resources(stack)
    result = stack.refresh().succeeds()
    assert not result.outcome.changed
    assert resources(stack) == before


# ------------------------------------------------------------------ what cannot be read


def test_one_that_cannot_be_read_keeps_no_other_from_it(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a")), bucket("c", size=1)).succeeds()
    for name in "bc":
        stack.cloud.change(name, size=7)
    stack.cloud.fail("read", "a")
    result = stack.refresh(parallel=1)
    result.fails("the cloud refuses to read a", "update failed").calling("read a", "read b", "read c")
    assert stack.resource("a").inputs == {"size": 1}
    assert [stack.resource(name).inputs["size"] for name in "bc"] == [7, 7]


def test_all_that_cannot_be_read_are_named(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.cloud.fail("read", "a")
    stack.cloud.fail("read", "b")
    stack.refresh().fails("the cloud refuses to read a", "the cloud refuses to read b")
    assert stack.names == ["a", "b"]


def test_an_update_that_refreshes_stops_where_that_fails(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.fail("read", "a")
    stack.up(bucket("a", size=2), refresh=True).fails("the cloud refuses to read a").calling("read a")
    stack.up(bucket("a", size=2), refresh=True, continue_on_error=True).fails("refuses to read a").calling("read a")
    stack.destroy(refresh=True).fails("refuses to read a").calling("read a")
    assert stack.names == ["a"]


def test_what_is_not_ready_is_warned_about(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.fail("read", "a", kind="unready", times=1)
    result = stack.refresh().succeeds()
    result.warns("Refreshed resource is in an unhealthy state:\n* ")
    assert stack.resource("a").init_errors
    stack.up(bucket("a", size=1)).expect(update("a"))
    assert stack.resource("a").init_errors == []


# ------------------------------------------------------------------ before an update


def test_an_update_that_refreshes_first_counts_only_itself(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.cloud.change("a", size=5)
    result = stack.up(bucket("a", size=1), bucket("b", size=1), refresh=True, parallel=1)
    result.succeeds().calling("read a", "read b", "update a")
    assert result.outcome.changes == {"same": 2, "update": 1}
    ops = [e["resOutputsEvent"]["metadata"]["op"] for e in result.events if "resOutputsEvent" in e]
    assert ops[:4] == ["refresh"] * 4


def test_a_provider_that_has_read_is_not_configured_again(stack: Stack) -> None:
    stack.config = {"fake:account": "x"}
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.configured.clear()
    stack.up(bucket("a", size=2), refresh=True).succeeds().calling("read a", "update a")
    assert len(stack.cloud.configured) == 1


def test_a_provider_whose_configuration_changes_is_configured_anew_after_the_refresh(stack: Stack) -> None:
    stack.up(provider("p", endpoint="x"), bucket("a", {"provider": "p"}, size=1)).succeeds()
    stack.cloud.configured.clear()
    result = stack.up(provider("p", endpoint="y"), bucket("a", {"provider": "p"}, size=1), refresh=True).succeeds()
    assert ("update", "p") in result.ops
    assert [config.get("endpoint") for config in stack.cloud.configured] == ["x", "y"]


def test_a_preview_that_refreshes_shows_what_the_update_would_do(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).succeeds()
    stack.cloud.change("a", size=5)
    result = stack.preview(bucket("a", size=1), bucket("b", of=ref("a")), refresh=True)
    assert ("update", "a") in result.succeeds().ops
    assert stack.resource("a").inputs == {"size": 1}


def test_a_destroy_that_refreshes_leaves_alone_what_is_gone(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.cloud.lose("a")
    stack.destroy(refresh=True, parallel=1).succeeds().calling("read a", "read b", "delete b")


def test_a_resource_that_asks_for_it_is_read_before_every_update(stack: Stack) -> None:
    stack.cloud.refresh_before_update = True
    stack.up(bucket("a", size=1)).succeeds()
    stack.cloud.refresh_before_update = False
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds().calling("read a", "create b")
    assert not stack.resource("a").refresh_before_update
    stack.cloud.refresh_before_update = True
    stack.up(bucket("a", size=2), bucket("b", size=2)).succeeds().calling("update a", "update b")
    stack.cloud.change("a", size=2, label="theirs")
    result = stack.up(bucket("a", size=2), bucket("b", size=2), parallel=1)
    result.succeeds().calling("read a", "read b", "update a")
    assert stack.cloud.of("a").get("label") is None
    assert all(stack.resource(name).refresh_before_update for name in "ab")


def test_what_asks_for_it_is_read_before_a_preview_and_a_destroy(stack: Stack) -> None:
    stack.cloud.refresh_before_update = True
    stack.up(bucket("a", size=1)).succeeds()
    stack.preview(bucket("a", size=1)).succeeds().calling("read a")
    stack.destroy().succeeds().calling("read a", "delete a")


def test_an_import_asks_for_it_too(stack: Stack) -> None:
    stack.cloud.refresh_before_update = True
    stack.cloud.put("a", "x-1", size=1)
    stack.up(bucket("a", {"importId": "x-1"}, size=1)).succeeds()
    assert stack.resource("a").refresh_before_update
    stack.up(bucket("a", size=1)).calling("read a")


# ------------------------------------------------------------------ interrupted creations


@pytest.fixture
def interrupted(stack: Stack) -> Stack:
    """Killed while `a` was being created: the object is there, the state knows only that it was begun."""
    stack.up(group("g")).succeeds()
    stack.on_save = lambda _: setattr(stack.cloud, "dead", stack.cloud.dead or "creating a" in stack.pending)
    stack.up(group("g"), bucket("a", {"parent": "g"}, size=1))
    stack.cloud.dead, stack.on_save = False, lambda _: None
    stack.cloud.put("a", "x-1", size=1)
    assert stack.pending == ["creating a"]
    return stack


def urn_of_a(stack: Stack) -> str:
    return stack.snapshot.pending[0].resource.urn


def test_an_interrupted_creation_is_kept_unless_something_is_said_of_it(interrupted: Stack) -> None:
    interrupted.refresh().succeeds().calling()
    assert interrupted.pending == ["creating a"]


def test_an_interrupted_creation_is_forgotten(interrupted: Stack) -> None:
    interrupted.refresh(clear_pending_creates=True).succeeds()
    assert interrupted.pending == []


def test_one_of_several_interrupted_creations_is_forgotten(interrupted: Stack) -> None:
    interrupted.refresh(forget_pending_creates=(urn_of_a(interrupted),)).succeeds()
    assert interrupted.pending == []


def test_an_interrupted_creation_is_completed_by_its_id(interrupted: Stack) -> None:
    interrupted.cloud.change("a", size=3)
    pair = (urn_of_a(interrupted), "x-1")
    result = interrupted.refresh(import_pending_creates=(pair,))
    result.succeeds().calling("read a").valid_after_every_step()
    assert interrupted.pending == []
    state = interrupted.resource("a")
    assert (state.id, state.inputs, state.parent) == ("x-1", {"size": 3}, interrupted.resource("g").urn)
    interrupted.agrees_with_cloud()
    interrupted.up(group("g"), bucket("a", {"parent": "g"}, size=3)).does_nothing()


def test_an_interrupted_creation_whose_object_is_not_there_is_forgotten(interrupted: Stack) -> None:
    result = interrupted.refresh(import_pending_creates=((urn_of_a(interrupted), "nope"),)).succeeds()
    assert found(result, "a") == "delete"
    assert interrupted.pending == []
    assert interrupted.names == ["g"]


def test_an_interrupted_creation_that_cannot_be_read_stays_one(interrupted: Stack) -> None:
    interrupted.cloud.fail("read", "a")
    interrupted.refresh(import_pending_creates=((urn_of_a(interrupted), "x-1"),)).fails("refuses to read a")
    assert interrupted.pending == ["creating a"]
    assert interrupted.names == ["g"]


def test_an_id_for_what_was_not_interrupted_is_warned_about(interrupted: Stack) -> None:
    urn = interrupted.urn("other")
    interrupted.refresh(import_pending_creates=((urn, "1"),)).succeeds().warns(
        f'"{urn}" did not correspond to a pending create'
    )
    assert interrupted.pending == ["creating a"]


def test_an_interrupted_creation_that_was_made_up_for_cannot_be_completed(interrupted: Stack) -> None:
    urn = urn_of_a(interrupted)
    interrupted.up(group("g"), bucket("a", {"parent": "g"}, size=1)).succeeds()
    interrupted.refresh(import_pending_creates=((urn, "x-1"),)).fails("Use --clear-pending-creates")
    assert interrupted.pending == ["creating a"]


def test_an_interrupted_creation_without_its_provider_cannot_be_completed(interrupted: Stack) -> None:
    interrupted.saved = interrupted.saved.replace("providers:fake::default", "providers:fake::gone", 1)
    urn = urn_of_a(interrupted)
    interrupted.refresh(import_pending_creates=((urn, "x-1"),)).fails("is not in the state")


def test_an_update_that_refreshes_does_not_warn_of_what_it_settles(interrupted: Stack) -> None:
    result = interrupted.up(group("g"), refresh=True).succeeds()
    assert "pending operations" not in result.messages("warning")
    interrupted.up(group("g")).warns("interrupted while creating")


def test_deleting_what_the_refresh_found_is_as_usual(interrupted: Stack) -> None:
    interrupted.refresh(import_pending_creates=((urn_of_a(interrupted), "x-1"),)).succeeds()
    interrupted.up(group("g")).expect(delete("a")).calling("delete a")
    interrupted.agrees_with_cloud()
