"""Semantics 11: a resource that goes by another name keeps its object, and everything that refers to it follows."""

from __future__ import annotations

from engine.resource import split_provider_ref
from tests.engine.core.dsl import Stack, create, delete, replace, update
from tests.engine.core.program import BUCKET, GROUP, Resource, bucket, group, provider, read, ref, together

OTHER = "fake:index:Crate"
STACK_URN = "urn:pulumi:test::project::pulumi:pulumi:Stack::project-test"


def crate(name: str, opts: dict[str, object] | None = None, **inputs: object) -> Resource:
    return Resource(name=name, type=OTHER, inputs=inputs, opts=opts or {})


def named(*aliases: object, **more: object) -> dict[str, object]:
    return {"aliases": list(aliases), **more}


# ------------------------------------------------------------------ one resource


def test_a_resource_is_found_by_its_old_name(stack: Stack) -> None:
    stack.up(bucket("old", size=1)).succeeds()
    stack.up(bucket("new", named({"name": "old"}), size=1)).does_nothing()
    assert stack.names == ["new"]
    stack.agrees_with_cloud()


def test_a_resource_is_found_by_its_whole_old_urn(stack: Stack) -> None:
    stack.up(bucket("old", size=1)).succeeds()
    stack.up(bucket("new", named(stack.urn("old")), size=1)).does_nothing()
    assert stack.names == ["new"]


def test_without_an_alias_it_is_another_resource(stack: Stack) -> None:
    stack.up(bucket("old", size=1)).succeeds()
    stack.up(bucket("new", size=1)).expect(create("new"), delete("old"))


def test_an_alias_of_nothing_says_nothing(stack: Stack) -> None:
    stack.up(bucket("a", named({"name": "never"}, {"name": "was"}), size=1)).expect(create("a"))


def test_the_first_alias_that_is_in_the_state_counts(stack: Stack) -> None:
    stack.up(bucket("one", size=1), bucket("two", size=1)).succeeds()
    result = stack.up(bucket("new", named({"name": "none"}, {"name": "two"}, {"name": "one"}), size=1))
    result.succeeds().expect(delete("one"))
    assert stack.resource("new").id == stack.cloud.id_of("two")


def test_a_resource_that_has_the_name_already_needs_no_alias(stack: Stack) -> None:
    """Even where the alias is a resource of its own: an alias that has done its work may stay in the program."""
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.up(bucket("a", size=1), bucket("b", named({"name": "a"}), size=1)).does_nothing()


def test_a_renamed_resource_can_change_in_the_same_update(stack: Stack) -> None:
    stack.up(bucket("old", size=1)).succeeds()
    stack.up(bucket("new", named({"name": "old"}), size=2)).expect(update("new")).calling("update new")
    assert stack.names == ["new"]


def test_a_renamed_resource_can_be_replaced_in_the_same_update(stack: Stack) -> None:
    stack.up(bucket("old", region="x")).succeeds()
    result = stack.up(bucket("new", named({"name": "old"}), region="y"))
    result.succeeds().expect(replace("new")).calling("create new", "delete old")
    stack.agrees_with_cloud()


def test_a_renamed_resource_can_be_replaced_by_deleting_first(stack: Stack) -> None:
    stack.up(bucket("old", zone="x"), bucket("user", of=ref("old"))).succeeds()
    result = stack.up(bucket("new", named({"name": "old"}), zone="y"), bucket("user", of=ref("new")))
    result.succeeds().expect(replace("new"), update("user"))
    assert stack.names == ["new", "user"]
    stack.agrees_with_cloud()


def test_an_alias_of_another_type_replaces(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.up(crate("a", named({"type": BUCKET}), size=1)).expect(replace("a"))
    assert stack.resource("a").type == OTHER


def test_aliases_of_another_stack_or_project(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=1)).succeeds()
    stack.saved = stack.saved.replace("test::project::fake:index:Bucket::a", "was::project::fake:index:Bucket::a")
    stack.saved = stack.saved.replace("test::project::fake:index:Bucket::b", "test::other::fake:index:Bucket::b")
    result = stack.up(bucket("a", named({"stack": "was"}), size=1), bucket("b", named({"project": "other"}), size=1))
    result.does_nothing()
    assert [stack.resource(name).urn for name in "ab"] == [stack.urn("a"), stack.urn("b")]


def test_names_change_over_several_updates(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    stack.up(bucket("b", named({"name": "a"}), size=1)).does_nothing()
    stack.up(bucket("c", named({"name": "a"}, {"name": "b"}), size=1)).does_nothing()
    stack.up(bucket("d", named({"name": "a"}, {"name": "b"}, {"name": "c"}), size=1)).does_nothing()
    assert stack.names == ["d"]
    assert stack.cloud.calls.count("create a") == 0
    stack.agrees_with_cloud()


def test_two_resources_swap_their_names_only_over_two_updates(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", size=2)).succeeds()
    stack.up(bucket("t", named({"name": "a"}), size=1), bucket("b", size=2)).does_nothing()
    stack.up(bucket("t", size=1), bucket("a", named({"name": "b"}), size=2)).does_nothing()
    assert sorted(stack.names) == ["a", "t"]


def test_a_preview_of_a_rename_changes_nothing(stack: Stack) -> None:
    stack.up(bucket("old", size=1)).succeeds()
    stack.preview(bucket("new", named({"name": "old"}), size=1)).does_nothing()


def test_the_state_keeps_no_aliases(stack: Stack) -> None:
    """As in the stock engine: when every reference is rewritten they say nothing more."""
    stack.up(bucket("old", size=1)).succeeds()
    stack.up(bucket("new", named({"name": "old"}), size=1)).succeeds()
    assert stack.resource("new").aliases == []


# ------------------------------------------------------------------ who refers to it


def test_references_of_every_kind_follow(stack: Stack) -> None:
    def program(name: str, *aliases: object) -> tuple[Resource, ...]:
        opts = {"depends_on": [name], "deleted_with": name, "replace_with": [name]}
        return bucket(name, named(*aliases), size=1), bucket("user", opts, of=ref(name))

    stack.up(*program("old")).succeeds()
    stack.up(*program("new", {"name": "old"})).does_nothing()
    user, urn = stack.resource("user"), stack.urn("new")
    assert (user.dependencies, user.deleted_with, user.replace_with) == ([urn], urn, [urn])
    assert user.property_dependencies == {"of": [urn]}


def test_an_explicit_provider_that_is_renamed_stays_the_same_one(stack: Stack) -> None:
    stack.up(provider("p", account="x"), bucket("a", {"provider": "p"}, size=1)).succeeds()
    before = stack.resource("p").id
    stack.up(provider("q", named({"name": "p"}), account="x"), bucket("a", {"provider": "q"}, size=1)).does_nothing()
    urn, id_ = split_provider_ref(stack.resource("a").provider)
    assert (urn, id_) == (stack.urn("q", "pulumi:providers:fake"), before)


def test_what_the_program_drops_follows_too(stack: Stack) -> None:
    """A resource that the update deletes refers to the new name until it is gone."""
    stack.up(bucket("old", size=1), bucket("user", of=ref("old"))).succeeds()
    stack.cloud.fail("delete", "user")
    stack.up(bucket("new", named({"name": "old"}), size=1)).fails("the cloud refuses to delete user")
    assert stack.resource("user").dependencies == [stack.urn("new")]
    stack.cloud.heal()
    stack.up(bucket("new", size=1)).expect(delete("user"))


def test_a_rename_whose_update_fails_leaves_the_old_name(stack: Stack) -> None:
    stack.up(bucket("old", size=1), bucket("user", of=ref("old"))).succeeds()
    stack.cloud.fail("update", "new")
    stack.up(bucket("new", named({"name": "old"}), size=2), bucket("user", of=ref("new"))).fails("refuses")
    assert stack.names == ["old", "user"]
    assert stack.resource("user").dependencies == [stack.urn("old")]
    stack.cloud.heal()
    stack.up(bucket("new", named({"name": "old"}), size=2), bucket("user", of=ref("new"))).succeeds()
    assert stack.names == ["new", "user"]
    stack.agrees_with_cloud()


def test_a_replaced_resource_whose_deletion_fails_goes_by_its_new_name(stack: Stack) -> None:
    stack.up(bucket("old", region="x"), bucket("user", of=ref("old"))).succeeds()
    stack.cloud.fail("delete", "old")
    stack.up(bucket("new", named({"name": "old"}), region="y")).fails("refuses to delete old")
    assert stack.names == ["new", "-new"]
    stack.cloud.heal()
    # The cloud's name of the object is that of the URN now; its id is the old one.
    stack.up(bucket("new", region="y")).succeeds()
    assert stack.names == ["new"]
    stack.agrees_with_cloud()


def test_what_is_dropped_goes_before_what_it_needs_was_called_otherwise(stack: Stack) -> None:
    stack.up(bucket("old", region="x"), bucket("user", of=ref("old"))).succeeds()
    stack.up(bucket("new", named({"name": "old"}), region="y")).calling("create new", "delete user", "delete old")


def test_what_is_deleted_with_a_renamed_resource_is_not_deleted_by_itself(stack: Stack) -> None:
    stack.up(bucket("old", region="x"), bucket("in", {"deleted_with": "old"})).succeeds()
    stack.up(bucket("new", named({"name": "old"}), region="y")).succeeds().calling("create new", "delete old")


# ------------------------------------------------------------------ claims


def test_two_claimants_of_one_resource(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    result = stack.up(bucket("x", named({"name": "a"}), size=1), bucket("y", named({"name": "a"}), size=1))
    result.fails(
        f"Duplicate resource alias '{stack.urn('a')}' applied to resource with URN '{stack.urn('y')}' conflicting with "
        f"resource with URN '{stack.urn('x')}'"
    )
    assert stack.names == ["x"]
    stack.agrees_with_cloud()


def test_an_alias_that_is_a_living_resource(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    result = stack.up(bucket("a", size=1), bucket("b", named({"name": "a"}), size=1))
    result.fails(f"Duplicate resource alias '{stack.urn('a')}' applied to resource with URN '{stack.urn('b')}'")
    assert stack.names == ["a"]


def test_a_resource_whose_name_another_one_has_claimed(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    result = stack.up(bucket("b", named({"name": "a"}), size=1), bucket("a", size=1))
    result.fails(
        f"Duplicate resource URN '{stack.urn('a')}' conflicting with alias on resource with URN '{stack.urn('b')}'"
    )
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ parents


def test_children_follow_a_renamed_component(stack: Stack) -> None:
    stack.up(group("g"), bucket("a", {"parent": "g"}, size=1)).succeeds()
    stack.up(group("h", named({"name": "g"})), bucket("a", {"parent": "h"}, size=1)).does_nothing()
    assert stack.resource("a").urn == f"urn:pulumi:test::project::{GROUP}${BUCKET}::a"
    assert stack.resource("a").parent == stack.urn("h", GROUP)


def test_children_named_after_their_parent_follow_with_their_names(stack: Stack) -> None:
    stack.up(group("shop"), bucket("shop-data", {"parent": "shop"}, size=1)).succeeds()
    stack.up(group("store", named({"name": "shop"})), bucket("store-data", {"parent": "store"}, size=1)).does_nothing()
    assert stack.names == ["store", "store-data"]


def test_grandchildren_follow_a_component_of_another_type(stack: Stack) -> None:
    def program(top: str, opts: dict[str, object], type_: str = GROUP) -> tuple[Resource, ...]:
        return (
            Resource(name=top, type=type_, custom=False, opts=opts),
            group(f"{top}-mid", {"parent": top}),
            bucket(f"{top}-mid-low", {"parent": f"{top}-mid"}, size=1),
            bucket("other", {"parent": f"{top}-mid"}, size=1),
        )

    stack.up(*program("g", {})).succeeds()
    stack.up(*program("k", named({"name": "g"}))).does_nothing()
    assert stack.names == ["k", "k-mid", "k-mid-low", "other"]
    stack.up(*program("k", named({"type": GROUP}), "fake:index:Group2")).does_nothing()
    stack.up(*program("k", {}, "fake:index:Group2")).does_nothing()
    assert stack.resource("other").urn == f"urn:pulumi:test::project::fake:index:Group2${GROUP}${BUCKET}::other"


def test_a_child_is_renamed_together_with_its_parent(stack: Stack) -> None:
    stack.up(group("g"), bucket("one", {"parent": "g"}, size=1), bucket("two", {"parent": "g"}, size=1)).succeeds()
    old_two = f"urn:pulumi:test::project::{GROUP}${BUCKET}::two"
    stack.up(
        group("h", named({"name": "g"})),
        bucket("uno", named({"name": "one"}, parent="h"), size=1),
        bucket("due", named(old_two, parent="h"), size=1),
    ).does_nothing()
    assert stack.names == ["h", "uno", "due"]


def test_a_resource_moves_into_a_component_and_out_again(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", of=ref("a"))).succeeds()
    moved = stack.up(group("g"), bucket("a", named({"noParent": True}, parent="g"), size=1), bucket("b", of=ref("a")))
    moved.succeeds().expect(create("g")).calling()
    group_urn = stack.urn("g", GROUP)
    back = stack.up(bucket("a", named({"parentUrn": group_urn}), size=1), bucket("b", of=ref("a")))
    back.succeeds().expect(delete("g")).calling()
    assert stack.names == ["a", "b"]
    assert stack.resource("a").urn == stack.urn("a")


def test_a_resource_moves_between_components_that_are_renamed_meanwhile(stack: Stack) -> None:
    stack.up(group("g"), group("h"), bucket("a", {"parent": "g"}, size=1)).succeeds()
    # The alias names the parent by what it is called now; the resource is in the state under its old name.
    stack.up(
        Resource(name="g", type="fake:index:Group2", custom=False, opts=named({"type": GROUP})),
        group("h"),
        bucket("a", named({"parentUrn": stack.urn("g", "fake:index:Group2")}, parent="h"), size=1),
    ).does_nothing()
    assert stack.resource("a").parent == stack.urn("h", GROUP)


def test_components_move_with_what_is_in_them(stack: Stack) -> None:
    stack.up(group("top"), group("g"), bucket("a", {"parent": "g"}, size=1)).succeeds()
    stack.up(
        group("top"), group("g", named({"noParent": True}, parent="top")), bucket("a", {"parent": "g"}, size=1)
    ).does_nothing()
    assert stack.resource("a").urn == f"urn:pulumi:test::project::{GROUP}${GROUP}${BUCKET}::a"
    stack.agrees_with_cloud()


def test_the_root_stack_as_a_parent_is_none(stack: Stack) -> None:
    stack.up(bucket("a", size=1)).succeeds()
    moved = stack.up(group("g"), bucket("a", named({"parentUrn": STACK_URN}, parent="g"), size=1))
    moved.succeeds().expect(create("g")).calling()


def test_children_of_a_renamed_custom_resource_follow(stack: Stack) -> None:
    stack.up(bucket("p", size=1), bucket("c", {"parent": "p"}, size=1)).succeeds()
    stack.up(crate("p", named({"type": BUCKET}), size=1), bucket("c", {"parent": "p"}, size=1)).expect(replace("p"))
    assert stack.resource("c").parent == stack.urn("p", OTHER)
    stack.agrees_with_cloud()


def test_many_children_follow_at_once(stack: Stack) -> None:
    names = [f"g-{n}" for n in range(20)]
    stack.up(group("g"), together(*(bucket(n, {"parent": "g"}, size=1) for n in names))).succeeds()
    moved = [n.replace("g-", "h-") for n in names]
    stack.up(
        group("h", named({"name": "g"})), together(*(bucket(n, {"parent": "h"}, size=1) for n in moved))
    ).does_nothing()
    assert sorted(stack.names) == sorted(["h", *moved])


def test_a_read_has_no_aliases(stack: Stack) -> None:
    """A read owns nothing that could be lost: under a renamed parent it is made anew."""
    stack.up(bucket("a", size=1)).succeeds()
    id_ = stack.cloud.id_of("a")
    stack.up(bucket("a", size=1), read("r", id_)).succeeds()
    stack.up(bucket("a", size=1), read("s", id_)).expect(("read", "s"), ("discard", "r"))
