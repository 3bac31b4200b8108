"""Replacement, in both orders, with what depends on it."""

from tests.engine.core.dsl import Stack, create, delete, replace, update
from tests.engine.core.program import bucket, crash, group, provider, ref


def test_a_replacement_is_created_first_and_deleted_after_the_program(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("b", source=ref("a")))
    result = stack.up(bucket("a", region="us"), bucket("b", source=ref("a"))).succeeds()
    result.expect(replace("a"), update("b")).calling("create a", "update b", "delete a").valid_after_every_step()
    assert stack.cloud.of("b")["source"] == stack.cloud.of("a")["arn"]
    stack.agrees_with_cloud()


def test_check_sees_nothing_of_the_old_object(stack: Stack) -> None:
    stack.up(bucket("a", auto=True, region="eu"))
    label = stack.resource("a").inputs["label"]
    stack.up(bucket("a", auto=True, region="eu", size=1)).expect(update("a"))
    assert stack.resource("a").inputs["label"] == label
    stack.up(bucket("a", auto=True, region="us", size=1)).expect(replace("a"))
    assert stack.resource("a").inputs["label"] != label


def test_a_provider_may_want_the_delete_first(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.up(bucket("a", zone="y")).succeeds().expect(replace("a")).calling("delete a", "create a")
    stack.agrees_with_cloud()


def test_the_option_overrides_the_provider(stack: Stack) -> None:
    first, after = {"delete_before_replace": True}, {"delete_before_replace": False}
    stack.up(bucket("a", region="eu"), bucket("b", zone="x"))
    result = stack.up(bucket("a", region="us", opts=first), bucket("b", zone="y", opts=after)).succeeds()
    result.calling("delete a", "create a", "create b", "delete b")


def test_dependents_that_would_be_replaced_go_along(stack: Stack) -> None:
    def program(zone: str) -> tuple[object, ...]:
        return (
            bucket("a", zone=zone),
            bucket("replaced", region=ref("a")),
            bucket("updated", source=ref("a")),
            bucket("deeper", region=ref("replaced")),
            bucket("ordered", opts={"depends_on": ["a"]}),
        )

    stack.up(*program("x")).succeeds()
    result = stack.up(*program("y")).succeeds().valid_after_every_step()
    result.expect(replace("a"), replace("replaced"), replace("deeper"), update("updated"))
    result.calling(
        "delete deeper", "delete replaced", "delete a", "create a", "create replaced", "update updated", "create deeper"
    )
    stack.agrees_with_cloud()


def test_what_is_deleted_with_or_replaced_with_it_goes_along(stack: Stack) -> None:
    def program(zone: str) -> tuple[object, ...]:
        return (
            bucket("a", zone=zone),
            bucket("inside", opts={"deleted_with": "a"}),
            bucket("twin", opts={"replace_with": ["a"]}),
        )

    stack.cloud.holds["inside"] = "a"
    stack.up(*program("x"))
    result = stack.up(*program("y")).succeeds().expect(replace("a"), replace("inside"), replace("twin"))
    assert result.calls.index("delete twin") < result.calls.index("delete a")
    assert "delete inside" not in result.calls
    assert stack.cloud.count("inside") == stack.cloud.count("twin") == 1
    stack.agrees_with_cloud()


def test_a_replaced_provider_takes_its_resources_along(stack: Stack) -> None:
    stack.up(provider("p", account="1"), bucket("a", opts={"provider": "p"}))
    stack.up(provider("p", account="2"), bucket("a", opts={"provider": "p"})).succeeds()
    assert stack.resource("a").provider.startswith(stack.resource("p").urn)
    assert stack.cloud.count("a") == 1
    stack.agrees_with_cloud()


def test_a_dependent_that_the_program_drops_is_only_deleted(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    stack.up(bucket("a", zone="y")).succeeds()
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


def test_a_failed_create_after_the_delete_is_made_up_for(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y")).fails("the cloud refuses to create a").valid_after_every_step()
    assert stack.resource("a").pending_replacement
    stack.preview(bucket("a", zone="y")).succeeds().expect(replace("a"))
    stack.refresh().succeeds()
    stack.up(bucket("a", zone="y")).succeeds().calling("create a")
    stack.agrees_with_cloud()
    stack.up(bucket("a", zone="y")).does_nothing()


def test_what_was_deleted_for_a_replacement_and_is_not_wanted_any_more(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y"), bucket("b")).fails()
    stack.up(bucket("b")).succeeds().calling()
    assert stack.names == ["b"]


def test_a_failed_delete_of_the_old_one_is_tried_again(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    stack.cloud.fail("delete", "a", times=1)
    stack.up(bucket("a", region="us")).fails("the cloud refuses to delete a")
    assert sorted(stack.names) == ["-a", "a"]
    stack.up(bucket("a", region="us")).succeeds().calling("delete a")
    assert stack.names == ["a"]
    stack.agrees_with_cloud()


def test_a_failed_first_delete_leaves_the_old_one(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.cloud.fail("delete", "a", times=1)
    stack.up(bucket("a", zone="y")).fails("the cloud refuses to delete a")
    assert not stack.resource("a").pending_replacement
    stack.up(bucket("a", zone="y")).succeeds().calling("delete a", "create a")


def test_a_program_error_after_a_replacement_leaves_the_old_one_to_be_deleted(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    stack.up(bucket("a", region="us"), crash()).fails()
    assert sorted(stack.names) == ["-a", "a"]
    stack.destroy().succeeds()
    assert not stack.cloud.objects


def test_replace_on_changes(stack: Stack) -> None:
    stack.cloud.detailed = True
    opts = {"replaceOnChanges": ["size"]}
    stack.up(bucket("a", size=1, color="red", opts=opts))
    stack.up(bucket("a", size=1, color="blue", opts=opts)).expect(update("a"))
    stack.up(bucket("a", size=2, color="blue", opts=opts)).succeeds().expect(replace("a"))


def test_replace_on_any_change_without_details(stack: Stack) -> None:
    opts = {"replaceOnChanges": ["*"]}
    stack.up(bucket("a", size=1, opts=opts))
    stack.up(bucket("a", size=2, opts=opts)).succeeds().expect(replace("a"))


def test_replace_named_on_the_command_line(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    stack.up(bucket("a"), bucket("b"), replace=(stack.urn("a"),)).succeeds().expect(replace("a"))
    stack.up(bucket("a"), bucket("b"), replace=(stack.urn("nobody"),)).fails("could not be found in the stack")
    stack.agrees_with_cloud()


def test_a_child_of_another_parent_of_the_same_type_is_the_same_resource(stack: Stack) -> None:
    stack.up(bucket("base"), group("g"), bucket("child", opts={"parent": "g"}, source=ref("base")))
    moved = (bucket("base"), group("h"), bucket("child", opts={"parent": "h"}, source=ref("base")))
    stack.up(*moved).succeeds().expect(delete("g"), create("h")).calling().valid_after_every_step()
    assert stack.resource("child").parent == stack.resource("h").urn
