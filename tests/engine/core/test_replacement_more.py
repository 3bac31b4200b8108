"""Replacement for other reasons than a diff, in both orders, and what goes along: replaceWith, deletedWith, triggers,
taint, protection, and what is left of a replacement that failed."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from engine.departures import Departures
from engine.resource import UNKNOWN, State
from engine.steps import DeleteStep
from tests.engine.core.dsl import Result, Stack, create, delete, replace, secret, update
from tests.engine.core.program import GROUP, Do, Run, bucket, group, provider, read, ref

FIRST = {"delete_before_replace": True}


def taint(stack: Stack, *names: str) -> None:
    """As `state taint` does."""
    body = json.loads(stack.saved)
    for state in body["resources"]:
        if state["urn"].split("::")[-1] in names and not state.get("delete"):
            state["taint"] = True
    stack.saved = json.dumps(body)


def keys(result: Result, name: str) -> list[str]:
    """Why a resource is replaced, as the events tell."""
    pre = [e["resourcePreEvent"]["metadata"] for e in result.events if "resourcePreEvent" in e]
    (found,) = [m for m in pre if m["op"] == "replace" and m["urn"].endswith(f"::{name}")]
    return list(found.get("keys", ()))


# ------------------------------------------------------------------ replaceWith


@pytest.mark.parametrize("change", [{"region": "us"}, {"zone": "y"}], ids=["create first", "delete first"])
def test_what_is_replaced_with_another_goes_along_in_either_order(stack: Stack, change: dict[str, str]) -> None:
    old: dict[str, str] = dict.fromkeys(change, "x")
    stack.up(bucket("a", **old), bucket("twin", {"replace_with": ["a"]}), bucket("other"))
    result = stack.up(bucket("a", **change), bucket("twin", {"replace_with": ["a"]}), bucket("other")).succeeds()
    result.expect(replace("a"), replace("twin")).valid_after_every_step()
    stack.agrees_with_cloud()
    stack.up(bucket("a", **change), bucket("twin", {"replace_with": ["a"]}), bucket("other")).does_nothing()


def test_a_replacement_goes_on_along_a_row_of_them(stack: Stack) -> None:
    def program(region: str) -> tuple[Any, ...]:
        return (
            bucket("a", region=region),
            bucket("b", {"replace_with": ["a"]}),
            bucket("c", {"replace_with": ["b"]}),
        )

    stack.up(*program("eu"))
    result = stack.up(*program("us")).succeeds().expect(replace("a"), replace("b"), replace("c"))
    assert keys(result, "c") == ["replaceWith"]
    assert "diff b" not in result.all_calls, "its diff changes nothing"


def test_one_of_several_is_enough_and_a_new_tie_counts_at_once(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("b"), bucket("twin"))
    stack.up(bucket("a", region="us"), bucket("b"), bucket("twin", {"replace_with": ["b", "a"]})).succeeds().expect(
        replace("a"), replace("twin")
    )
    assert stack.resource("twin").replace_with == [stack.urn("b"), stack.urn("a")]


def test_a_tie_that_the_program_has_dropped_does_not_count(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("twin", {"replace_with": ["a"]}))
    stack.up(bucket("a", region="us"), bucket("twin")).succeeds().expect(replace("a"))
    assert stack.resource("twin").replace_with == []


def test_an_update_or_a_creation_of_the_other_does_not_count(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("twin", {"replace_with": ["a"]}))
    stack.up(bucket("a", size=2), bucket("twin", {"replace_with": ["a"]})).succeeds().expect(update("a"))
    stack.up(bucket("a", size=2), bucket("new"), bucket("twin", {"replace_with": ["new"]})).succeeds().expect(
        create("new")
    )


def test_a_component_is_replaced_with_another_resource(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), group("g", {"replace_with": ["a"]}))
    stack.up(bucket("a", region="us"), group("g", {"replace_with": ["a"]})).succeeds().expect(
        replace("a"), replace("g")
    )


def test_what_is_replaced_with_another_comes_after_it_has_the_order_that_its_option_says(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("twin", {"replace_with": ["a"], **FIRST}))
    result = stack.up(bucket("a", region="us"), bucket("twin", {"replace_with": ["a"], **FIRST})).succeeds()
    result.calling("create a", "delete twin", "create twin", "delete a")


# ------------------------------------------------------------------ deletedWith


def inside(stack: Stack, *names: str) -> None:
    for name in names:
        stack.cloud.holds[name] = "box"


@pytest.mark.parametrize("change", [{"region": "us"}, {"zone": "y"}], ids=["create first", "delete first"])
def test_what_is_deleted_with_another_is_made_again_and_not_deleted(stack: Stack, change: dict[str, str]) -> None:
    inside(stack, "in")
    old: dict[str, str] = dict.fromkeys(change, "x")
    stack.up(bucket("box", **old), bucket("in", {"deleted_with": "box"}))
    result = stack.up(bucket("box", **change), bucket("in", {"deleted_with": "box"})).succeeds()
    result.expect(replace("box"), replace("in"))
    assert "delete in" not in result.calls
    stack.agrees_with_cloud()


def test_a_row_of_what_is_deleted_with_another(stack: Stack) -> None:
    stack.cloud.holds.update({"in": "box", "deeper": "in"})

    def program(region: str) -> tuple[Any, ...]:
        return (
            bucket("box", region=region),
            bucket("in", {"deleted_with": "box"}),
            bucket("deeper", {"deleted_with": "in"}),
        )

    stack.up(*program("eu"))
    result = stack.up(*program("us")).succeeds().expect(replace("box"), replace("in"), replace("deeper"))
    assert keys(result, "deeper") == ["deletedWith"]
    assert [call for call in result.calls if call.startswith("delete")] == ["delete box"]
    stack.agrees_with_cloud()


def test_a_container_that_could_not_be_deleted_still_holds_what_is_in_it(stack: Stack) -> None:
    inside(stack, "in")
    stack.up(bucket("box"), bucket("in", {"deleted_with": "box"}), group("g"), bucket("sub", {"deleted_with": "box"}))
    stack.cloud.fail("delete", "box", times=1)
    stack.destroy().fails("the cloud refuses to delete box").valid_after_every_step()
    assert "in" in stack.names
    assert stack.owned() >= set(stack.cloud.objects)
    stack.cloud.holds["sub"] = "box"
    stack.destroy().succeeds()
    assert stack.names == []


def test_a_container_that_could_not_be_deleted_first_still_holds_what_is_in_it(stack: Stack) -> None:
    inside(stack, "in")
    stack.up(bucket("box", zone="x"), bucket("in", {"deleted_with": "box"}))
    stack.cloud.fail("delete", "box", times=1)
    stack.up(bucket("box", zone="y"), bucket("in", {"deleted_with": "box"})).fails("refuses to delete box")
    assert not stack.resource("in").pending_replacement
    stack.up(bucket("box", zone="x"), bucket("in", {"deleted_with": "box"})).does_nothing()
    stack.agrees_with_cloud()


def test_what_is_dropped_in_the_update_that_replaces_its_container_was_in_the_old_one(stack: Stack) -> None:
    inside(stack, "in")
    stack.up(bucket("box", region="eu"), bucket("in", {"deleted_with": "box"}))
    stack.up(bucket("box", region="us")).succeeds().expect(replace("box"), delete("in")).calling(
        "create box", "delete box"
    )
    stack.agrees_with_cloud()


def test_what_is_left_of_a_container_takes_nothing_along_that_is_in_the_new_one(stack: Stack) -> None:
    inside(stack, "in")
    stack.up(bucket("box", region="eu"))
    stack.cloud.fail("delete", "box", times=1)
    stack.up(bucket("box", region="us"), bucket("in", {"deleted_with": "box"})).fails("refuses to delete box")
    assert sorted(stack.names) == ["-box", "box", "in"]
    result = stack.up(bucket("box", region="us")).succeeds()
    assert sorted(result.calls) == ["delete box", "delete in"]
    stack.agrees_with_cloud()


def test_a_retained_container_lets_go_of_what_is_in_it(stack: Stack) -> None:
    retained = {"retainOnDelete": True}
    inside(stack, "in")
    stack.up(bucket("box", retained), bucket("in", {"deleted_with": "box"}, source=ref("box")))
    stack.destroy().succeeds().calling()
    assert stack.names == []
    assert stack.cloud.count("in") == 1


def test_a_protected_one_that_would_be_deleted_first_stops_the_replacement(stack: Stack) -> None:
    opts = {"deleted_with": "box", "protect": True}
    stack.up(bucket("box", zone="x"), bucket("in", opts))
    result = stack.up(bucket("box", zone="y"), bucket("in", opts)).calling()
    result.fails(
        f'unable to replace resource "{stack.urn("in")}" as part of replacing "{stack.urn("box")}" as it is currently '
        "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in your Pulumi "
        f'program and run `pulumi up`, or use the command:\n`pulumi state unprotect "{stack.urn("in")}"`'
    )


def test_departures_wait_for_their_holder_and_take_along_what_cannot_stay() -> None:
    def state(name: str, **known: Any) -> State:
        return State(urn=f"urn:{name}", type="t", custom=True, **known)

    box = state("box")
    child = state("child", deleted_with="urn:box", parent="urn:between")
    between = state("between")
    book = Departures({})
    for one in (box, child, between):
        book.goes(one)
    assert book.goes_along(child)
    assert not book.goes_along(between)
    assert book.wait(child, recreated=False)
    assert book.gone(between, recreated=False, called=False) == [], "it waits for what needs it"
    gone = [one.urn for one, _ in book.gone(box, recreated=False, called=True)]
    assert sorted(gone) == ["urn:between", "urn:box", "urn:child"]
    assert not book.wait(state("late", deleted_with="urn:box"), recreated=False), "its holder is gone already"


def test_departures_release_what_needs_something_that_is_really_gone() -> None:
    child = State(urn="urn:child", type="t", custom=True, deleted_with="urn:box", parent="urn:between")
    between = State(urn="urn:between", type="t", custom=True)
    book = Departures({"urn:old-box": "urn:box"})
    book.goes(State(urn="urn:old-box", type="t", custom=True))
    assert book.goes_along(child), "its holder goes by another name now"
    book.wait(child, recreated=False)
    assert [one.urn for one, _ in book.gone(between, recreated=False, called=True)] == ["urn:between", "urn:child"]


def test_what_leaves_the_state_together_is_written_before_anything_that_it_needs_leaves() -> None:
    """A delete that ends between the end of another and its writing would leave the child without its parent."""
    states = {
        "between": State(urn="urn:between", type="t", custom=False),
        "child": State(urn="urn:child", type="t", custom=True, deleted_with="urn:box", parent="urn:between"),
        "box": State(urn="urn:box", type="t", custom=True),
    }
    book, written, others = Departures({}), [], []

    class SlowJournal:
        def end(self, state: State, *, gone: Any = (), flagged: Any = ()) -> None:
            if state is states["box"]:
                others.append(threading.Thread(target=steps["between"].end, args=(self,), kwargs={"ok": True}))
                others[0].start()
                others[0].join(0.2)
            written.append([one.urn for one in gone])

    steps = {name: DeleteStep(old=state) for name, state in states.items()}
    context: Any = SimpleNamespace(departures=book, preview=True, provider_of=lambda _: None)
    for state in states.values():
        book.goes(state)
    for step in steps.values():
        step.apply(context)
    journal: Any = SlowJournal()
    steps["child"].end(journal, ok=True)
    steps["box"].end(journal, ok=True)
    others[0].join()
    assert written == [[], ["urn:box", "urn:child"], ["urn:between"]]


# ------------------------------------------------------------------ replacement triggers


def test_another_value_of_the_trigger_replaces(stack: Stack) -> None:
    stack.up(bucket("a", {"trigger": "x"}))
    assert stack.resource("a").replacement_trigger == "x"
    stack.up(bucket("a", {"trigger": "x"})).does_nothing()
    result = stack.up(bucket("a", {"trigger": "y"})).succeeds().expect(replace("a"))
    assert "diff a" not in result.all_calls
    assert keys(result, "a") == ["replacementTrigger"]
    assert stack.resource("a").replacement_trigger == "y"
    stack.up(bucket("a", {"trigger": "y"})).does_nothing()
    stack.agrees_with_cloud()


@pytest.mark.parametrize("value", [{"a": [1, True]}, [1, "x"], 1.5, False, 0])
def test_a_trigger_may_be_any_value(stack: Stack, value: Any) -> None:
    stack.up(bucket("a", {"trigger": value}))
    stack.up(bucket("a", {"trigger": value})).does_nothing()
    stack.up(bucket("a", {"trigger": [value]})).succeeds().expect(replace("a"))


def test_the_first_trigger_and_the_last_replace_nothing(stack: Stack) -> None:
    stack.up(bucket("a"))
    stack.up(bucket("a", {"trigger": "x"})).does_nothing()
    assert stack.resource("a").replacement_trigger == "x"
    stack.up(bucket("a", {"trigger": None})).does_nothing()
    assert stack.resource("a").replacement_trigger is None
    stack.up(bucket("a", {"trigger": "y"})).does_nothing()


def test_a_secret_trigger_is_the_same_and_stays_one(stack: Stack) -> None:
    stack.up(bucket("a", {"trigger": ["hunter2"]}))
    stack.up(bucket("a", {"trigger": [secret("hunter2")]})).does_nothing()
    assert stack.resource("a").replacement_trigger == [secret("hunter2")]
    assert "hunter2" not in stack.saved
    result = stack.up(bucket("a", {"trigger": [secret("hunter3")]})).succeeds().expect(replace("a"))
    assert "hunter" not in str(result.events)


def test_a_trigger_that_nobody_knows_yet_is_taken_for_another(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", {"trigger": "x"}))
    stack.preview(bucket("a", size=1), bucket("b", {"trigger": UNKNOWN})).succeeds().expect(replace("b"))
    result = stack.up(bucket("a", size=1), bucket("b", {"trigger": UNKNOWN})).calling()
    result.fails(f"replacement trigger contains unknowns for {stack.urn('b')}")


def test_a_trigger_from_an_output_follows_a_replacement(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"), bucket("b", {"trigger": ref("a")}))
    stack.up(bucket("a", region="us"), bucket("b", {"trigger": ref("a")})).succeeds().expect(replace("a"), replace("b"))


def test_a_trigger_of_a_protected_resource(stack: Stack) -> None:
    stack.up(bucket("a", {"trigger": "x", "protect": True}))
    stack.up(bucket("a", {"trigger": "y", "protect": True})).fails("currently marked for protection").calling()
    assert stack.resource("a").replacement_trigger == "x"


def test_the_engine_says_that_it_serves_triggers(stack: Stack) -> None:
    def look(run: Run) -> None:
        from pulumi.runtime.proto import resource_pb2

        request = resource_pb2.SupportsFeatureRequest(id="replacementTrigger")
        run.exported["served"] = run.monitor.SupportsFeature(request).hasSupport

    stack.up(Do(look)).succeeds()
    assert stack.outputs == {"served": True}


# ------------------------------------------------------------------ taint


def test_what_is_tainted_is_replaced_once(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    taint(stack, "a")
    assert stack.preview(bucket("a"), bucket("b")).succeeds().ops == [replace("a")]
    result = stack.up(bucket("a"), bucket("b")).succeeds().expect(replace("a")).calling("create a", "delete a")
    assert keys(result, "a") == ["id"]
    assert not stack.resource("a").taint
    stack.up(bucket("a"), bucket("b")).does_nothing()
    stack.agrees_with_cloud()


def test_the_mark_stays_until_the_replacement_is_there(stack: Stack) -> None:
    stack.up(bucket("a"))
    taint(stack, "a")
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a")).fails("the cloud refuses to create a")
    assert stack.resource("a").taint
    stack.refresh().succeeds()
    assert stack.resource("a").taint
    stack.up(bucket("a")).succeeds().expect(replace("a"))


def test_what_is_tainted_and_no_target_stays_so(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    taint(stack, "a")
    stack.up(bucket("a"), bucket("b", size=1), targets=(stack.urn("b"),)).succeeds().expect(update("b"))
    assert stack.resource("a").taint


def test_a_tainted_component_and_a_tainted_provider(stack: Stack) -> None:
    program = (group("g"), provider("p"), bucket("a", {"provider": "p", "parent": "g"}))
    stack.up(*program)
    taint(stack, "g", "p")
    stack.up(*program).succeeds().expect(replace("g"), replace("p"))
    stack.up(*program).does_nothing()
    stack.agrees_with_cloud()


def test_what_is_tainted_and_protected(stack: Stack) -> None:
    stack.up(bucket("a", {"protect": True}))
    taint(stack, "a")
    stack.up(bucket("a", {"protect": True})).fails(f'unable to replace resource "{stack.urn("a")}"').calling()
    stack.up(bucket("a")).succeeds().expect(replace("a"))


def test_what_is_tainted_and_dropped_is_only_deleted(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    taint(stack, "a")
    stack.up(bucket("b")).succeeds().expect(delete("a"))


# ------------------------------------------------------------------ protection in a preview


def test_a_refused_replacement_is_shown_by_the_preview_all_the_same(stack: Stack) -> None:
    opts = {"protect": True}
    stack.up(bucket("a", opts, region="eu"), bucket("b", size=1))
    result = stack.preview(bucket("a", opts, region="us"), bucket("b", size=2))
    result.fails(
        f'unable to replace resource "{stack.urn("a")}"\nas it is currently marked for protection. To unprotect the '
        "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
        "preview failed",
    ).expect(replace("a"), update("b"))
    failed = stack.up(bucket("a", opts, region="us"), bucket("b", size=2)).fails("marked for protection").calling()
    assert "update failed" not in failed.messages("error")


# ------------------------------------------------------------------ who goes along with a first delete


def test_what_was_registered_before_cannot_need_what_is_replaced_now(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    result = stack.up(bucket("b", region="own"), bucket("a", zone="y")).succeeds()
    result.expect(replace("b"), replace("a"))
    assert stack.cloud.count("b") == stack.cloud.count("a") == 1
    stack.agrees_with_cloud()


def test_changes_that_the_options_make_replacements_count(stack: Stack) -> None:
    stack.cloud.detailed = True
    opts = {"replaceOnChanges": ["source"]}
    stack.up(bucket("a", zone="x"), bucket("b", opts, source=ref("a")))
    result = stack.up(bucket("a", zone="y"), bucket("b", opts, source=ref("a"))).succeeds()
    result.expect(replace("a"), replace("b")).calling("delete b", "delete a", "create a", "create b")


def test_changes_that_the_options_ignore_do_not_count(stack: Stack) -> None:
    opts = {"ignoreChanges": ["region"]}
    stack.up(bucket("a", zone="x"), bucket("b", opts, region=ref("a")))
    stack.up(bucket("a", zone="y"), bucket("b", opts, region=ref("a"))).succeeds().expect(replace("a"))


def test_a_provider_that_cannot_tell_what_would_change(stack: Stack) -> None:
    stack.cloud.tells_changes = False
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")), bucket("c", source=ref("a")))
    result = stack.up(bucket("a", zone="y"), bucket("b", region=ref("a")), bucket("c", source=ref("a"))).succeeds()
    result.expect(replace("a"), replace("b"), update("c"))


def test_what_an_earlier_replacement_left_goes_before_what_it_needs(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a"), label="1"))
    stack.cloud.fail("delete", "b", times=1)
    taint(stack, "b")
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a"), label="1")).fails("refuses to delete b")
    assert sorted(stack.names) == ["-b", "a", "b"]
    result = stack.up(bucket("a", zone="y"), bucket("b", region=ref("a"), label="1")).succeeds()
    result.calling("delete b", "delete b", "delete a", "create a", "create b")
    assert stack.names == ["a", "b"]
    stack.agrees_with_cloud()


def test_a_dependent_under_a_new_name_is_made_again(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("old", region=ref("a")))
    renamed = bucket("new", {"aliases": [{"name": "old"}]}, region=ref("a"))
    stack.up(bucket("a", zone="y"), renamed).succeeds().expect(replace("a"), replace("new"))
    assert stack.names == ["a", "new"]
    stack.agrees_with_cloud()


@pytest.mark.parametrize("opts", [{}, FIRST], ids=["create first", "delete first"])
def test_a_replaced_provider_takes_its_resources_along_in_either_order(stack: Stack, opts: dict[str, Any]) -> None:
    def program(account: str) -> tuple[Any, ...]:
        return (
            provider("p", opts, account=account),
            bucket("a", {"provider": "p"}),
            bucket("b", {"provider": "p"}, source=ref("a")),
            bucket("free"),
        )

    stack.up(*program("1"))
    result = stack.up(*program("2")).succeeds().valid_after_every_step()
    result.expect(replace("p"), replace("a"), replace("b"))
    first = result.calls.index("delete a") < result.calls.index("create a")
    assert first == bool(opts)
    assert stack.resource("a").provider == f"{stack.resource('p').urn}::{stack.resource('p').id}"
    stack.agrees_with_cloud()
    stack.up(*program("2")).does_nothing()


def test_a_replaced_provider_deleted_first_whose_resources_cannot_be_made(stack: Stack) -> None:
    def program(account: str) -> tuple[Any, ...]:
        return provider("p", FIRST, account=account), bucket("a", {"provider": "p"})

    stack.up(*program("1"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(*program("2")).fails("refuses to create a").valid_after_every_step()
    assert stack.resource("a").pending_replacement
    stack.up(*program("2")).succeeds().calling("create a")
    stack.agrees_with_cloud()


def test_a_dependent_that_the_program_now_only_reads_is_not_left_to_be_deleted(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")))
    stack.cloud.put("b", "known-id")
    result = stack.up(bucket("a", zone="y"), read("b", "known-id")).succeeds()
    result.calling("delete b", "delete a", "create a", "read b")
    assert stack.names == ["a", "b"]
    assert stack.resource("b").external
    stack.up(bucket("a", zone="y"), read("b", "known-id")).succeeds().expect(("read", "b"))


def test_what_waits_for_its_replacement_and_is_only_read_now(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y")).fails("refuses to create a")
    stack.cloud.put("a", "known-id")
    stack.up(read("a", "known-id")).succeeds().calling("read a")
    assert stack.names == ["a"]


def test_children_and_ordered_ones_of_a_replaced_resource_stay(stack: Stack) -> None:
    def program(zone: str) -> tuple[Any, ...]:
        return (
            group("g"),
            bucket("a", {"parent": "g"}, zone=zone),
            bucket("child", {"parent": "a"}),
            bucket("after-group", {"depends_on": ["g"]}),
        )

    stack.up(*program("x"))
    stack.up(*program("y")).succeeds().expect(replace("a")).calling("delete a", "create a")


# ------------------------------------------------------------------ what is left of a failed replacement


def test_what_waits_for_its_replacement_and_is_not_wanted_any_more_is_forgotten_in_order(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a")), bucket("c"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y"), bucket("b", region=ref("a")), bucket("c")).fails("refuses to create a")
    result = stack.up(bucket("c")).succeeds().calling()
    ops = [e["resourcePreEvent"]["metadata"] for e in result.events if "resourcePreEvent" in e]
    assert [m["urn"].split("::")[-1] for m in ops if m["op"] == "remove-pending-replace"] == ["b", "a"]
    assert stack.names == ["c"]


def test_a_destroy_forgets_what_waits_for_its_replacement(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y")).fails()
    stack.destroy().succeeds().calling()
    assert not stack.snapshot.resources


def test_what_waits_for_its_replacement_is_made_though_nothing_else_changes(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"))
    stack.cloud.fail("create", "a", times=1)
    stack.up(bucket("a", zone="y")).fails()
    stack.up(bucket("a", zone="x")).succeeds().expect(replace("a")).calling("create a")
    stack.agrees_with_cloud()


def test_a_component_may_be_replaced_by_name(stack: Stack) -> None:
    stack.up(group("g"), bucket("in", {"parent": "g"}))
    stack.up(group("g"), bucket("in", {"parent": "g"}), replace=(stack.urn("g", GROUP),)).succeeds().expect(
        replace("g")
    )
