"""Operations on some resources only: --target, --exclude, what depends on them, --replace, and globs."""

import time
from dataclasses import replace as changed

import pytest

from engine.errors import BailError
from engine.operation import Kind, Options
from engine.resource import State
from engine.snapshot import DependencyGraph
from engine.targets import Selection, UrnSet
from tests.engine.core.dsl import Result, Stack, create, delete, in_background, replace, update
from tests.engine.core.program import GROUP, Do, Run, bucket, exports, group, outputs, provider, read, ref, together


def three(v: int) -> tuple[object, ...]:
    """b depends on a, c uses b."""
    return (bucket("a", size=v), bucket("b", {"depends_on": ["a"]}, size=v), bucket("c", size=v, source=ref("b")))


def sames(result: Result) -> list[str]:
    """Names of what is said to stay as it is, in the order in which that is said; without the stack and providers."""
    pre = [event["resourcePreEvent"]["metadata"] for event in result.events if "resourcePreEvent" in event]
    names = [m["urn"].split("::")[-1] for m in pre if m["op"] == "same"]
    return [name for name in names if not name.startswith(("default", "project-"))]


# ------------------------------------------------------------------ up


def test_only_the_target_is_updated(stack: Stack) -> None:
    stack.up(*three(1))
    result = stack.up(*three(2), targets=(stack.urn("b"),)).succeeds().expect(update("b")).calling("update b")
    assert result.all_calls == ["check b", "diff b", "update b"]
    assert sames(result) == ["a", "c"]
    assert stack.resource("a").inputs == {"size": 1}
    assert stack.resource("c").inputs["size"] == 1
    stack.up(*three(2)).succeeds().expect(update("a"), update("c"))


def test_a_preview_shows_the_same(stack: Stack) -> None:
    stack.up(*three(1))
    result = stack.preview(*three(2), targets=(stack.urn("b"),)).succeeds().expect(update("b"))
    assert sames(result) == ["a", "c"]


def test_dependents_of_targets_come_along_however_far(stack: Stack) -> None:
    stack.up(*three(1), bucket("free", size=1))
    result = stack.up(*three(2), bucket("free", size=2), targets=(stack.urn("a"),), target_dependents=True)
    result.succeeds().expect(update("a"), update("b"), update("c"))


def test_children_of_a_target_are_dependents(stack: Stack) -> None:
    def program(v: int) -> tuple[object, ...]:
        return group("g"), bucket("in", {"parent": "g"}, size=v), bucket("out", size=v)

    stack.up(*program(1))
    only = stack.up(*program(2), targets=(stack.urn("g", GROUP),))
    only.succeeds().expect()
    both = stack.up(*program(2), targets=(stack.urn("g", GROUP),), target_dependents=True)
    both.succeeds().expect(update("in"))


def test_a_new_target_is_created_and_a_new_resource_that_is_none_is_not(stack: Stack) -> None:
    stack.up(bucket("a"))
    result = stack.up(bucket("a"), bucket("d"), bucket("e"), targets=(stack.urn("d"),)).succeeds()
    result.expect(create("d")).calling("create d")
    assert sames(result) == ["a", "e"]
    assert stack.names == ["a", "d"]
    assert stack.program is not None
    assert stack.program.last is not None
    assert not stack.program.last.failed
    assert stack.program.last.unknown == {"e"}


def test_targets_may_be_globs(stack: Stack) -> None:
    stack.up(*three(1))
    stack.up(*three(2), targets=("**::c",)).succeeds().expect(update("c"))
    stack.up(*three(2), targets=("urn:pulumi:*::*::*:*:*::b",)).succeeds().expect(update("b"))


def test_a_target_that_needs_an_untargeted_new_one(stack: Stack) -> None:
    program = (bucket("a"), bucket("b", source=ref("a")), bucket("c"))
    needs = f"Resource '{stack.urn('b')}' depends on '{stack.urn('a')}' which was was not specified in --target list."
    result = stack.up(*program, targets=(stack.urn("b"),)).fails(needs).calling()
    assert "update failed" not in result.messages("error")
    assert not stack.names
    result = stack.preview(*program, targets=(stack.urn("b"),)).fails(needs, "preview failed")
    assert create("b") in result.ops, "a preview goes on, to tell all there is to tell"
    stack.up(*program, targets=(stack.urn("c"),)).succeeds().expect(create("c"))
    stack.up(*program).succeeds().expect(create("a"), create("b"))


@pytest.mark.parametrize(
    "second",
    [
        bucket("b", {"depends_on": ["a"]}),
        bucket("b", {"deleted_with": "a"}),
        bucket("b", {"replace_with": ["a"]}),
        bucket("b", {"parent": "a"}),
    ],
    ids=["dependsOn", "deletedWith", "replaceWith", "parent"],
)
def test_every_kind_of_need_counts(stack: Stack, second: object) -> None:
    stack.up(bucket("a"), second, targets=("**::b",)).fails("which was was not specified in --target list.").calling()


def test_a_preview_tells_of_every_missing_target_once(stack: Stack) -> None:
    program = (bucket("a"), bucket("x"), bucket("b", source=ref("a")), bucket("c", source=ref("a"), other=ref("x")))
    said = stack.preview(*program, targets=("**::b", "**::c")).fails().messages("error")
    assert said.count("was not specified") == 2
    assert f"'{stack.urn('b')}' depends on '{stack.urn('a')}'" in said
    assert f"'{stack.urn('c')}' depends on '{stack.urn('x')}'" in said


def test_a_target_that_is_nowhere(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b"))
    result = stack.up(bucket("a", size=2), bucket("b"), targets=(stack.urn("nobody"), "**::nothing"))
    result.fails(f"Target '{stack.urn('nobody')}' could not be found in the stack. Did you forget to escape $").expect()
    assert isinstance(result.outcome.error, BailError)
    assert "update failed" not in result.messages("error")
    assert "nothing" not in result.messages("error"), "a glob may match nothing"
    odd = stack.urn("nobody", f"{GROUP}$fake:index:Bucket")
    stack.up(bucket("a"), targets=(odd,)).fails(f"Target '{odd}' could not be found in the stack.\n")


def test_what_is_no_target_and_dropped_from_the_program_stays(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("dropped"), bucket("dropped-too"))
    result = stack.up(bucket("a", size=2), targets=(stack.urn("a"), stack.urn("dropped-too"))).succeeds()
    result.expect(update("a"), delete("dropped-too"))
    assert sames(result) == ["dropped"]
    assert stack.names == ["a", "dropped"]
    stack.agrees_with_cloud()


def test_a_dropped_dependency_of_what_stays_is_carried_over_before_it(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("middle", source=ref("base")), bucket("user", source=ref("middle")), bucket("a"))
    result = stack.up(bucket("user"), bucket("a", size=1), targets=(stack.urn("a"),)).succeeds().expect(update("a"))
    assert sames(result) == ["base", "middle", "user"]
    assert stack.names == ["base", "middle", "user", "a"]
    assert stack.resource("user").dependencies == [stack.urn("middle")]
    stack.up(bucket("user"), bucket("a", size=1)).succeeds().expect(update("user"), delete("middle"), delete("base"))


def test_a_dropped_provider_of_a_dropped_dependency_is_carried_over_too(stack: Stack) -> None:
    stack.up(provider("p"), bucket("base", {"provider": "p"}), bucket("user", source=ref("base")), bucket("a"))
    stack.up(bucket("user"), bucket("a", size=1), targets=(stack.urn("a"),)).succeeds().expect(update("a"))
    assert stack.names == ["p", "base", "user", "a"]


def test_a_target_is_deleted_though_what_stays_needed_it_only_if_nothing_does(stack: Stack) -> None:
    """What still needs a dropped target keeps it: the state could not be valid without it."""
    stack.up(bucket("base"), bucket("user", source=ref("base")), bucket("a"))
    result = stack.up(bucket("user"), bucket("a", size=1), targets=(stack.urn("a"), stack.urn("base"))).succeeds()
    result.expect(update("a"))
    assert stack.names == ["base", "user", "a"]


def test_what_is_carried_over_early_may_still_be_registered(stack: Stack) -> None:
    """The program now registers what a resource used to need after that resource."""
    stack.up(bucket("base", size=1), bucket("user", source=ref("base")), bucket("a"))
    program = (bucket("user"), bucket("base", size=2), bucket("later", source=ref("base")))
    stack.up(*program, targets=(stack.urn("later"),)).succeeds().expect(create("later"))
    assert stack.names == ["base", "user", "later", "a"]
    assert stack.resource("base").inputs == {"size": 1}
    assert stack.resource("later").inputs["source"] == stack.cloud.of("base")["arn"]


def test_it_is_told_where_that_is_a_target(stack: Stack) -> None:
    stack.up(bucket("base", size=1), bucket("user", source=ref("base")))
    result = stack.up(bucket("user"), bucket("base", size=2), targets=(stack.urn("base"),))
    result.fails(f"{stack.urn('base')} is a target, but a resource that is none needs it in the state").calling()


def test_what_only_the_state_says_is_needed_is_waited_for(stack: Stack) -> None:
    """Nothing in the program makes `user` wait for `base`, whose update is under way when `user` is registered."""
    stack.up(bucket("base", size=1), bucket("user", source=ref("base")))
    gate = stack.cloud.hold("update", "base")

    def let_go() -> None:
        assert gate.entered.wait(10)
        time.sleep(0.3)  # enough for the registration to have come
        gate.open.set()

    opener = in_background(let_go)

    def late(run: Run) -> None:
        assert gate.entered.wait(10)
        run.one(bucket("user"))

    result = stack.up(together(bucket("base", size=2), Do(late)), targets=(stack.urn("base"),))
    opener.join()
    result.succeeds().expect(update("base")).valid_after_every_step()
    assert stack.names == ["base", "user"]


def test_outputs_of_the_stack_are_taken_whatever_the_targets(stack: Stack) -> None:
    stack.up(*three(1), exports(v=1))
    stack.up(*three(2), exports(v=2), targets=(stack.urn("b"),)).succeeds()
    assert stack.outputs == {"v": 2}


def test_components_that_are_no_targets_say_their_outputs(stack: Stack) -> None:
    stack.up(group("g"), outputs("g", x=1), bucket("a"))
    stack.up(group("g"), outputs("g", x=2), bucket("a", size=1), group("new"), outputs("new", x=1), targets=("**::a",))
    assert stack.resource("g").outputs == {"x": 2}
    assert stack.names == ["g", "a"]


def test_providers_are_always_targets(stack: Stack) -> None:
    def program(color: str) -> tuple[object, ...]:
        return provider("p", color=color), bucket("a", {"provider": "p"}, color=color), bucket("b", color=color)

    stack.up(*program("red"))
    stack.up(*program("blue"), targets=(stack.urn("b"),)).succeeds().expect(update("p"), update("b"))
    assert stack.resource("p").inputs == {"color": "blue"}
    assert stack.resource("a").inputs == {"color": "red"}


def test_a_replaced_provider_whose_resource_is_no_target(stack: Stack) -> None:
    def program(account: str) -> tuple[object, ...]:
        return provider("p", account=account), bucket("a", {"provider": "p"}), bucket("b")

    stack.up(*program("1"))
    ref_ = stack.resource("a").provider
    result = stack.up(*program("2"), targets=(stack.urn("b"),))
    result.fails(
        f"provider {ref_} for resource {stack.urn('a')} has not been registered yet, this is due to a change of "
        "providers mixed with --target. Change your program back to the original providers"
    )
    stack.up(*program("1")).succeeds()
    stack.agrees_with_cloud()


def test_another_provider_for_what_is_no_target_is_not_taken(stack: Stack) -> None:
    def program(name: str, size: int) -> tuple[object, ...]:
        return provider("p"), provider("q"), bucket("a", {"provider": name}), bucket("b", size=size)

    stack.up(*program("p", 1))
    stack.up(*program("q", 2), targets=(stack.urn("b"),)).succeeds().expect(update("b"))
    assert stack.resource("a").provider.startswith(stack.resource("p").urn)


def test_what_is_no_target_keeps_its_name(stack: Stack) -> None:
    stack.up(bucket("old"), bucket("user", source=ref("old")), bucket("a"))
    renamed = bucket("new", {"aliases": [{"name": "old"}]})
    program = (renamed, bucket("user", source=ref("new")), bucket("a", size=1))
    stack.up(*program, targets=(stack.urn("a"),)).succeeds().expect(update("a"))
    assert stack.names == ["old", "user", "a"]
    stack.up(*program).succeeds()
    assert stack.names == ["new", "user", "a"]
    stack.agrees_with_cloud()


def test_what_is_no_target_follows_the_new_name_of_what_it_needs(stack: Stack) -> None:
    stack.up(bucket("old"), bucket("user", source=ref("old")))
    renamed = bucket("new", {"aliases": [{"name": "old"}]})
    stack.up(renamed, bucket("user", source=ref("new")), targets=(stack.urn("new"),)).succeeds()
    assert stack.names == ["new", "user"]
    assert stack.resource("user").dependencies == [stack.urn("new")]


def test_a_child_of_a_renamed_component_that_is_no_target(stack: Stack) -> None:
    stack.up(group("g"), bucket("in", {"parent": "g"}), bucket("a"))
    program = (
        group("h", {"aliases": [{"name": "g"}]}),
        bucket("in", {"parent": "h"}),
        bucket("a", size=1),
    )
    stack.up(*program, targets=(stack.urn("a"),)).succeeds().expect(update("a"))
    assert stack.names == ["g", "in", "a"]


def test_reads_are_made_whatever_the_targets(stack: Stack) -> None:
    stack.up(bucket("a"))
    stack.up(bucket("a", size=1), read("r", ref("a", "id")), targets=(stack.urn("a"),)).succeeds()
    assert stack.names == ["a", "r"]


def test_a_failed_target_leaves_the_others(stack: Stack) -> None:
    stack.up(*three(1))
    stack.cloud.fail("update", "b")
    stack.up(*three(2), targets=(stack.urn("b"),)).fails("the cloud refuses to update b").valid_after_every_step()
    assert sorted(stack.names) == ["a", "b", "c"]


def test_a_dependent_that_is_no_target_is_replaced_along_with_its_old_inputs(stack: Stack) -> None:
    def program(zone: str, size: int) -> tuple[object, ...]:
        return bucket("a", zone=zone), bucket("b", region=ref("a"), size=size)

    stack.up(*program("x", 1))
    arn = stack.resource("b").inputs["region"]
    result = stack.up(*program("y", 2), targets=(stack.urn("a"),)).succeeds().expect(replace("a"), replace("b"))
    result.calling("delete b", "delete a", "create a", "create b")
    assert stack.resource("b").inputs == {"region": arn, "size": 1}
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ exclude


def test_all_but_what_is_excluded(stack: Stack) -> None:
    stack.up(*three(1))
    stack.up(*three(2), excludes=(stack.urn("b"),)).succeeds().expect(update("a"), update("c"))
    assert stack.resource("b").inputs == {"size": 1}


def test_dependents_of_what_is_excluded(stack: Stack) -> None:
    stack.up(*three(1), bucket("free", size=1))
    result = stack.up(*three(2), bucket("free", size=2), excludes=("**::a",), exclude_dependents=True).succeeds()
    result.expect(update("free"))


def test_a_new_resource_that_is_excluded_is_not_created_and_nothing_that_needs_it(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"), excludes=(stack.urn("a"),)).succeeds().expect(create("b"))
    result = stack.up(bucket("a"), bucket("b", source=ref("a")), excludes=(stack.urn("a"),))
    result.fails(f"Resource '{stack.urn('b')}' depends on '{stack.urn('a')}' which --exclude leaves out.").calling()


def test_what_is_excluded_and_dropped_stays_with_all_it_needs(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("x", source=ref("base")), bucket("gone"))
    result = stack.up(excludes=(stack.urn("x"),)).succeeds().expect(delete("gone"))
    assert sames(result) == ["base", "x"]
    assert stack.names == ["base", "x"]


def test_an_exclude_that_is_nowhere_excludes_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    stack.up(bucket("a", size=2), excludes=(stack.urn("nobody"),)).succeeds().expect(update("a"))


# ------------------------------------------------------------------ refresh


def _changed(stack: Stack) -> None:
    stack.up(*three(1), bucket("free", size=1))
    for name in ("a", "b", "c", "free"):
        stack.cloud.change(name, size=9)


def _refreshed(stack: Stack) -> list[str]:
    return [s.name for s in stack.snapshot.resources if s.outputs.get("size") == 9]


def test_a_refresh_of_targets(stack: Stack) -> None:
    _changed(stack)
    stack.refresh(targets=(stack.urn("b"),)).succeeds().calling("read b")
    assert _refreshed(stack) == ["b"]


def test_a_refresh_of_targets_and_their_dependents(stack: Stack) -> None:
    _changed(stack)
    stack.refresh(targets=(stack.urn("b"),), target_dependents=True).succeeds()
    assert _refreshed(stack) == ["b", "c"]


def test_a_refresh_of_all_but_some(stack: Stack) -> None:
    _changed(stack)
    stack.refresh(excludes=("**::b",)).succeeds()
    assert _refreshed(stack) == ["a", "c", "free"]


def test_a_refresh_of_all_but_some_and_their_dependents(stack: Stack) -> None:
    _changed(stack)
    stack.refresh(excludes=("**::b",), exclude_dependents=True).succeeds()
    assert _refreshed(stack) == ["a", "free"]


@pytest.mark.parametrize("option", ["targets", "excludes"])
def test_a_refresh_of_what_is_nowhere_reads_nothing(stack: Stack, option: str) -> None:
    stack.up(bucket("a"))
    result = stack.refresh(**{option: (stack.urn("nobody"),)}).calling()
    result.fails(f"Target '{stack.urn('nobody')}' could not be found in the stack.")
    assert "update failed" not in result.messages("error")


def test_what_a_refresh_finds_gone_is_dropped_also_from_what_was_not_read(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", source=ref("a")))
    stack.cloud.lose("a")
    stack.refresh(targets=(stack.urn("a"),)).succeeds()
    assert stack.names == ["b"]
    assert stack.resource("b").dependencies == []


def test_an_update_refreshes_only_its_targets(stack: Stack) -> None:
    _changed(stack)
    result = stack.up(*three(1), bucket("free", size=1), targets=(stack.urn("b"),), refresh=True).succeeds()
    assert [call for call in result.calls if call.startswith("read")] == ["read b"]
    result.expect(("refresh", "b"), update("b"))


# ------------------------------------------------------------------ destroy


def test_a_destroy_of_a_target(stack: Stack) -> None:
    stack.up(*three(1))
    result = stack.destroy(targets=(stack.urn("c"),)).succeeds().expect(delete("c")).calling("delete c")
    assert sames(result) == ["a", "b"]
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()


def test_a_destroy_of_what_others_need(stack: Stack) -> None:
    stack.up(*three(1))
    texts = [
        f"Resource '{stack.urn(name)}' will be destroyed but was not specified in --target list.\n"
        "Either include resource in --target list or pass --target-dependents to proceed."
        for name in "bc"
    ]
    result = stack.destroy(targets=(stack.urn("a"),)).fails(*texts, "update failed").calling()
    assert not result.ops
    assert not sames(result)
    result = stack.run(Kind.DESTROY, (), targets=(stack.urn("a"),), dry_run=True).fails(*texts, "preview failed")
    assert result.ops == [delete("c"), delete("b"), delete("a")]
    assert stack.names == ["a", "b", "c"]


def test_a_destroy_of_targets_and_all_that_needs_them(stack: Stack) -> None:
    stack.up(*three(1), bucket("free"))
    result = stack.destroy(targets=(stack.urn("b"),), target_dependents=True).succeeds()
    result.expect(delete("b"), delete("c")).calling("delete c", "delete b")
    assert stack.names == ["a", "free"]


def test_providers_are_asked_about_dependents_as_the_stock_engine_asks_them(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", region=ref("a")), bucket("c", region=ref("b")))
    result = stack.destroy(targets=(stack.urn("a"),), target_dependents=True).succeeds()
    assert result.all_calls == ["diff b", "diff c", "diff c", "delete c", "delete b", "delete a"]


def test_a_destroy_of_a_component_and_its_children(stack: Stack) -> None:
    stack.up(group("g"), bucket("in", {"parent": "g"}), bucket("out"))
    inside = stack.resource("in").urn
    stack.destroy(targets=(stack.urn("g", GROUP),)).fails(f"Resource '{inside}' will be destroyed but was not")
    stack.destroy(targets=(stack.urn("g", GROUP), inside)).succeeds().expect(delete("g"), delete("in"))
    assert stack.names == ["out"]


def test_a_destroy_of_a_protected_target(stack: Stack) -> None:
    stack.up(bucket("a", {"protect": True}), bucket("b"))
    stack.destroy(targets=(stack.urn("a"),)).fails("because it is protected").calling()
    assert sorted(stack.names) == ["a", "b"]


def test_a_destroy_of_what_is_nowhere(stack: Stack) -> None:
    stack.up(bucket("a"))
    result = stack.destroy(targets=(stack.urn("nobody"),)).calling()
    assert str(result.outcome.error) == f"no resource named '{stack.urn('nobody')}' found"
    assert not any("summaryEvent" in event for event in result.events)
    stack.destroy(targets=("**::nobody",)).succeeds().expect()


def test_a_destroy_of_globs(stack: Stack) -> None:
    stack.up(*three(1), bucket("free"))
    stack.destroy(targets=("**Bucket::b", "**::c")).succeeds().expect(delete("b"), delete("c"))


def test_a_destroy_of_all_but_some_keeps_what_they_need(stack: Stack) -> None:
    stack.up(*three(1), bucket("free"), provider("p"), bucket("own", {"provider": "p"}))
    result = stack.destroy(excludes=("**::b", "**::own")).succeeds()
    result.expect(delete("c"), delete("free"))
    assert stack.names == ["a", "b", "p", "own"]


def test_a_destroy_of_all_but_some_and_their_dependents(stack: Stack) -> None:
    stack.up(*three(1), bucket("free"))
    stack.destroy(excludes=("**::a",), exclude_dependents=True).succeeds().expect(delete("free"))


def test_what_is_left_by_a_replacement_goes_with_its_target_only(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("b"))
    stack.cloud.fail("delete", "a", times=1)
    stack.up(bucket("a", region="us"), bucket("b")).fails()
    stack.up(bucket("a", region="us"), bucket("b", size=1), targets=(stack.urn("b"),)).succeeds()
    assert sorted(stack.names) == ["-a", "a", "b"]
    stack.destroy(targets=(stack.urn("b"),)).succeeds()
    assert sorted(stack.names) == ["-a", "a"]
    stack.destroy(targets=(stack.urn("a"),)).succeeds().calling("delete a", "delete a")
    assert not stack.cloud.objects


def test_what_is_protected_is_left_out_and_said_to_stay(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("kept", {"protect": True}, source=ref("base")), bucket("gone"))
    result = stack.destroy(exclude_protected=True).succeeds().expect(delete("gone"))
    assert sames(result) == ["base", "kept"]


# ------------------------------------------------------------------ replace


def test_replace_and_target_together(stack: Stack) -> None:
    stack.up(*three(1))
    result = stack.up(*three(2), targets=(stack.urn("c"),), replace=(stack.urn("c"),)).succeeds()
    result.expect(replace("c")).calling("create c", "delete c")
    assert result.all_calls == ["check c", "create c", "delete c"], "there is nothing to compare"
    replaced = [e["resourcePreEvent"]["metadata"] for e in result.events if "resourcePreEvent" in e]
    assert [m["keys"] for m in replaced if m["op"] == "replace"] == [["id"]]


def test_what_is_to_be_replaced_and_is_no_target_stays(stack: Stack) -> None:
    stack.up(*three(1))
    stack.up(*three(1), targets=(stack.urn("a"),), replace=(stack.urn("c"),)).succeeds().expect()


def test_globs_of_what_is_to_be_replaced(stack: Stack) -> None:
    stack.up(*three(1))
    stack.up(*three(1), replace=("**::c", "**::nothing")).succeeds().expect(replace("c"))
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ the pure parts


def test_globs() -> None:
    one = UrnSet(["urn:*::c", "literal"])
    assert "urn:x::c" in one
    assert "urn:x:y::c" not in one
    assert "xurn:x::c" not in one
    assert "literal" in one
    assert "literals" not in one
    assert "urn:x:y::c" in UrnSet(["urn:**::c"])
    assert "a.b" not in UrnSet(["a?b", "a*.c"])
    assert not UrnSet()
    assert 1 not in one


def test_a_selection_of_nothing_takes_all() -> None:
    selection = Selection(Options())
    state = State(urn="urn:pulumi:s::p::t::n", type="t", custom=True)
    assert selection.includes(state)
    assert not selection.limited
    assert selection.to_refresh([state]) == [state]
    assert selection.to_delete([state], DependencyGraph([state])) is None
    assert selection.is_asked_for(state.urn)


def test_what_shares_a_provider_is_refreshed_for_itself() -> None:
    provider_ = State(urn="urn:pulumi:s::p::pulumi:providers:x::p", type="pulumi:providers:x", custom=True, id="1")
    user = State(urn="urn:pulumi:s::p::x:y:Z::n", type="x:y:Z", custom=True, provider=f"{provider_.urn}::1")
    child = changed(user, urn="urn:pulumi:s::p::x:y:Z::m", dependencies=[user.urn])
    selection = Selection(Options(targets=(provider_.urn,), target_dependents=True))
    assert selection.to_refresh([provider_, user, child]) == [provider_]
    assert selection.includes(user), "for an update, what uses a provider is a dependent of it"


# ------------------------------------------------------------------ with the program run


def test_a_refresh_that_runs_the_program_keeps_to_its_targets(stack: Stack) -> None:
    _changed(stack)
    program = (*three(1), bucket("free", size=1))
    result = stack.refresh(*program, run_program=True, targets=(stack.urn("b"),)).succeeds()
    assert result.calls == ["read b"]
    assert _refreshed(stack) == ["b"]
    assert stack.names == ["a", "b", "c", "free"]


def test_a_refresh_that_runs_the_program_reads_dropped_targets_too(stack: Stack) -> None:
    _changed(stack)
    result = stack.refresh(bucket("free", size=1), run_program=True, targets=(stack.urn("a"),)).succeeds()
    assert result.calls == ["read a"]
    assert _refreshed(stack) == ["a"]


def test_a_refresh_that_runs_the_program_leaves_out_what_is_excluded(stack: Stack) -> None:
    _changed(stack)
    program = (*three(1), bucket("free", size=1))
    stack.refresh(*program, run_program=True, excludes=("**::a",), exclude_dependents=True).succeeds()
    assert _refreshed(stack) == ["free"]


def test_a_new_resource_that_is_no_target_of_a_refresh(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    program = (bucket("new"), bucket("needs", source=ref("new")), bucket("a", size=1))
    stack.refresh(*program, run_program=True, targets=(stack.urn("a"),)).succeeds().calling("read a")
    assert stack.names == ["a"]


def test_a_destroy_that_runs_the_program_deletes_only_its_targets(stack: Stack) -> None:
    program = (*three(1), group("g"), bucket("in", {"parent": "g"}))
    stack.up(*program)
    result = stack.destroy(*program, run_program=True, targets=(stack.urn("c"),)).succeeds()
    assert [op for op in result.ops if op[0] == "delete"] == [delete("c")]
    assert sorted(stack.names) == ["a", "b", "g", "in"]
    stack.agrees_with_cloud()


def test_a_destroy_that_runs_the_program_and_what_needs_its_targets(stack: Stack) -> None:
    stack.up(*three(1))
    result = stack.destroy(*three(1), run_program=True, targets=(stack.urn("b"),))
    result.fails(f"Resource '{stack.urn('c')}' will be destroyed but was not specified").calling()
    options = {"targets": (stack.urn("b"),), "target_dependents": True}
    stack.destroy(*three(1), run_program=True, **options).succeeds().calling("delete c", "delete b")
    assert stack.names == ["a"]


def test_a_destroy_that_runs_the_program_leaves_what_is_excluded(stack: Stack) -> None:
    stack.up(*three(1), bucket("free"))
    stack.destroy(*three(1), bucket("free"), run_program=True, excludes=("**::b",)).succeeds()
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()
