"""Update plans: an update does what its preview promised, and nothing else. In the stock engine's words."""

from dataclasses import replace
from typing import Any

import pytest

from engine.plan import Plan
from engine.resource import StepOp
from tests.engine.core.dsl import Stack, create, delete, secret, update
from tests.engine.core.dsl import replace as replacement
from tests.engine.core.program import Do, Resource, bucket, crash, exports, group, outputs, provider, read, ref

PROGRAM = (bucket("a", size=1), bucket("b", source=ref("a")), exports(arn=ref("b")))
BUCKET = "urn:pulumi:test::project::fake:index:Bucket::"


def refused(stack: Stack, plan: Plan, message: str, *program: Any) -> None:
    """The update says why, and touches nothing."""
    before = dict(stack.cloud.objects)
    stack.up(*program, plan=plan).fails(message)
    assert stack.cloud.objects == before


def steps(plan: Plan, name: str) -> list[str]:
    return [op.value for op in plan.resources[BUCKET + name].steps]


# ------------------------------------------------------------------ what keeps to its plan


def test_a_plan_is_carried_out(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    stack.up(*PROGRAM, plan=plan).succeeds().expect(create("a"), create("b"))
    changed = (bucket("a", size=2), bucket("c"), exports(arn=ref("a")))
    plan = stack.plan(*changed)
    assert steps(plan, "a") == ["update"]
    assert steps(plan, "b") == ["delete"]
    assert steps(plan, "c") == ["create"]
    stack.up(*changed, plan=plan).succeeds().expect(update("a"), delete("b"), create("c"))
    stack.up(*changed, plan=stack.plan(*changed)).does_nothing()


@pytest.mark.parametrize("where", ["region", "zone"])
def test_a_replacement_is_carried_out_with_its_dependents(stack: Stack, where: str) -> None:
    def program(value: str) -> tuple[Resource, ...]:
        return bucket("a", **{where: value}), bucket("b", **{where: ref("a")})

    stack.up(*program("x")).succeeds()
    plan = stack.plan(*program("y"))
    parts = {"replace", "create-replacement", "delete-replaced"}
    assert set(steps(plan, "a")) == parts
    assert set(steps(plan, "b")) == parts
    stack.up(*program("y"), plan=plan).succeeds().expect(replacement("a"), replacement("b"))
    stack.agrees_with_cloud()


def test_automatic_names_are_those_of_the_preview(stack: Stack) -> None:
    program = bucket("a", auto=True)
    plan = stack.plan(program)
    goal = plan.resources[BUCKET + "a"].goal
    assert goal is not None
    label = goal.input_diff.adds["label"]
    stack.up(program, plan=plan).succeeds()
    assert stack.resource("a").inputs["label"] == label
    # A replacement has a name of its own, and that one, too, is the previewed one.
    program = bucket("a", auto=True, region="eu")
    plan = stack.plan(program)
    stack.up(program, plan=plan).succeeds()
    assert stack.resource("a").inputs["label"] == f"auto-{plan.resources[BUCKET + 'a'].seed.hex()[:8]}" != label


def test_without_a_plan_names_are_new_each_time(stack: Stack) -> None:
    plan = stack.plan(bucket("a", auto=True))
    stack.up(bucket("a", auto=True))
    assert stack.resource("a").inputs["label"] != f"auto-{plan.resources[BUCKET + 'a'].seed.hex()[:8]}"


def test_less_than_planned_is_allowed(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    stack.up(*PROGRAM).succeeds()
    stack.up(*PROGRAM, plan=plan).does_nothing()
    stack.up(bucket("a", region="x"))
    plan = stack.plan(bucket("a", region="y"))
    stack.up(bucket("a", region="y")).succeeds()
    stack.up(bucket("a", region="y"), plan=plan).does_nothing()


def test_a_delete_that_was_done_already_is_not_missed(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    plan = stack.plan(bucket("a"))
    stack.up(bucket("a"))
    stack.up(bucket("a"), plan=plan).does_nothing()


def test_what_is_unknown_in_the_plan_may_come_out_as_anything(stack: Stack) -> None:
    def program(value: Any) -> tuple[Any, ...]:
        return bucket("a"), bucket("b", tags={"x": 1, "y": value}, items=[value, 2], whole=value)

    plan = stack.plan(*program(ref("a")))
    stack.up(*program(ref("a")), plan=plan).succeeds()
    tags = stack.resource("b").inputs["tags"]
    assert tags["y"].startswith("arn:")


def test_a_plan_may_be_previewed(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    stack.preview(*PROGRAM, plan=plan).succeeds()
    stack.preview(bucket("a", size=7), plan=plan).fails("++size[{1}!={7}]")


def test_what_the_plan_does_not_know_may_stay_as_it_is(stack: Stack) -> None:
    plan = stack.plan(bucket("a"))
    stack.up(bucket("later", size=1))
    stack.up(bucket("a"), bucket("later", size=1), plan=plan).succeeds().expect(create("a"))


def test_reads_need_no_plan(stack: Stack) -> None:
    stack.up(bucket("a"))
    program = (bucket("a"), read("seen", stack.cloud.id_of("a")))
    stack.up(*program, plan=stack.plan(*program)).succeeds()
    stack.up(bucket("a"), plan=stack.plan(bucket("a"))).succeeds()


def test_a_refresh_first_keeps_to_the_plan(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    stack.cloud.change("a", size=5)
    plan = stack.plan(bucket("a", size=2), refresh=True)
    stack.up(bucket("a", size=2), plan=plan, refresh=True).succeeds()
    assert stack.cloud.of("a")["size"] == 2


def test_a_renamed_resource_keeps_to_its_plan(stack: Stack) -> None:
    stack.up(bucket("old", region="x"))
    renamed = bucket("new", opts={"aliases": [stack.urn("old")]}, region="y")
    plan = stack.plan(renamed)
    assert steps(plan, "new") == ["create-replacement", "replace", "delete-replaced"]
    assert BUCKET + "old" not in plan.resources
    stack.up(renamed, plan=plan).succeeds()
    stack.agrees_with_cloud()


@pytest.mark.parametrize("size", [1, 2])
def test_an_import_keeps_to_its_plan(stack: Stack, size: int) -> None:
    stack.cloud.objects["x-1"] = {"size": 1, "arn": "arn:x-1"}
    stack.cloud.names["x-1"] = "a"
    program = bucket("a", size=size, opts={"importId": "x-1"})
    plan = stack.plan(program)
    assert steps(plan, "a") == ["import", "update"][:size]
    refused(stack, plan, "importID changed (expected x-1)", bucket("a", size=size))
    stack.up(program, plan=plan).succeeds()
    assert stack.cloud.objects["x-1"]["size"] == size
    other = bucket("b", size=3, opts={"importId": "x-1"})
    plan = stack.plan(other)
    refused(stack, plan, "violates plan: properties changed", bucket("b", size=4, opts={"importId": "x-1"}))


def test_a_plan_of_some_targets_allows_these_only(stack: Stack) -> None:
    targets = (BUCKET + "b",)
    program = (bucket("a"), bucket("b"))
    plan = stack.plan(*program, targets=targets)
    refused(stack, plan, "create is not allowed by the plan: this resource is constrained to same", *program)
    stack.up(*program, plan=plan, targets=targets).succeeds().expect(create("b"))
    stack.up(*program).succeeds()
    program = (bucket("a", size=1), bucket("b", size=1))
    plan = stack.plan(*program, targets=targets)
    refused(stack, plan, "a violates plan: properties changed: =+size[{1}]", *program)
    stack.up(*program, plan=plan, targets=targets).succeeds().expect(update("b"))


# ------------------------------------------------------------------ what does not


@pytest.mark.parametrize(
    ("planned", "now", "message"),
    [
        ({"size": 1}, {"size": 2}, "++size[{1}!={2}]"),
        ({"size": 1}, {}, "+-size[{1}]"),
        ({}, {"size": 1}, "=+size[{1}]"),
        ({"tags": {"a": "b"}}, {"tags": {"a": "c"}}, "++tags[{map[a:{b}]}!={map[a:{c}]}]"),
        ({"items": [1, 2]}, {"items": [1]}, "++items[{[{1} {2}]}!={[{1}]}]"),
    ],
)
def test_other_inputs_than_planned(stack: Stack, planned: Any, now: Any, message: str) -> None:
    plan = stack.plan(bucket("a", **planned))
    refused(stack, plan, f"resource {BUCKET}a violates plan: properties changed: {message}", bucket("a", **now))
    assert stack.names == []


@pytest.mark.parametrize(
    ("before", "planned", "now", "message"),
    [
        ({"size": 1}, {"size": 2}, {"size": 3}, "~~size[{2}!={3}]"),
        ({"size": 1}, {"size": 2}, {"size": 1}, "~=size[{2}!={1}]"),
        ({"size": 1}, {"size": 2}, {}, "~-size[{2}]"),
        ({"size": 1}, {}, {"size": 1}, "-=size[{1}]"),
        ({"size": 1}, {}, {"size": 2}, "-~size[{2}]"),
        ({"size": 1}, {"size": 1}, {"size": 2}, "=~size[{2}]"),
        ({"size": 1}, {"size": 1}, {}, "=-size"),
        ({"size": 1}, {"size": 1, "n": 1}, {"size": 1, "n": 2}, "++n[{1}!={2}]"),
    ],
)
def test_another_change_than_planned(stack: Stack, before: Any, planned: Any, now: Any, message: str) -> None:
    stack.up(bucket("a", **before))
    plan = stack.plan(bucket("a", **planned))
    refused(stack, plan, f"resource {BUCKET}a violates plan: properties changed: {message}\n", bucket("a", **now))


def test_the_state_changed_since_the_preview(stack: Stack) -> None:
    stack.up(bucket("a", size=1, n=1))
    plan = stack.plan(bucket("a", size=2, n=1))
    stack.up(bucket("a", size=1, n=2))
    refused(stack, plan, "=~n[{1}]", bucket("a", size=2, n=1))


def test_secrets_are_compared_and_never_shown(stack: Stack) -> None:
    plan = stack.plan(bucket("a", password=secret("first-secret"), n=1))
    result = stack.up(bucket("a", password=secret("other-secret"), n=1), plan=plan)
    result.fails("++password[{&{[secret]}}!={&{[secret]}}]")
    assert "other-secret" not in str(result.events)
    # A value that was secret in the plan stays hidden when the program forgets to say so.
    result = stack.up(bucket("a", password="other-secret", n=1), plan=plan).fails("++password[{&{[secret]}}!=")
    assert "first-secret" not in str(result.events)
    stack.up(bucket("a", password=secret("first-secret"), n=1), plan=plan).succeeds()


@pytest.mark.parametrize(
    ("planned", "now", "message"),
    [
        ({"protect": True}, {}, "protect changed (expected true)"),
        ({}, {"protect": True}, "protect changed (expected false)"),
        ({"delete_before_replace": True}, {}, "deleteBeforeReplace changed (expected true)"),
        ({}, {"delete_before_replace": False}, "deleteBeforeReplace changed (expected no value)"),
        ({"timeouts": {"create": "5m"}}, {}, "create timeout changed (expected 300)"),
        ({"timeouts": {"update": "5m"}}, {"timeouts": {"update": "6m"}}, "update timeout changed (expected 300)"),
        ({}, {"timeouts": {"delete": "6m"}}, "delete timeout changed (expected 0)"),
        ({"ignoreChanges": ["x"]}, {"ignoreChanges": ["y"]}, "ignoreChanges changed: added y; deleted x"),
        ({}, {"additionalSecretOutputs": ["arn"]}, "additionalSecretOutputs changed: added arn"),
        ({"aliases": [f"{BUCKET}z"]}, {}, f"aliases changed: deleted {BUCKET}z"),
        ({"aliases": [{"name": "z"}]}, {"aliases": [{"name": "y"}]}, "aliases changed: added name y; deleted name z"),
        ({"depends_on": ["base"]}, {}, f"dependencies changed: deleted {BUCKET}base"),
        ({}, {"parent": "g"}, "create is not allowed by the plan: no steps were expected for this resource"),
    ],
)
def test_other_options_than_planned(stack: Stack, planned: Any, now: Any, message: str) -> None:
    base = (group("g"), bucket("base"))
    plan = stack.plan(*base, bucket("a", opts=planned))
    stack.up(*base, bucket("a", opts=now), plan=plan).fails(message)
    assert stack.cloud.count("a") == 0


def test_another_provider_than_planned(stack: Stack) -> None:
    def program(name: str) -> tuple[Resource, ...]:
        return provider("one"), provider("two"), bucket("a", opts={"provider": name})

    plan = stack.plan(*program("one"))
    refused(
        stack, plan, "provider changed (expected urn:pulumi:test::project::pulumi:providers:fake::one", *program("two")
    )
    stack.up(*program("one"), plan=plan).succeeds()


def test_other_dependencies_of_a_property(stack: Stack) -> None:
    base = (bucket("x"), bucket("y"))
    both = {"depends_on": ["x", "y"]}
    plan = stack.plan(*base, bucket("a", opts=both, source=ref("x")))
    message = f"dependencies for source changed: added {BUCKET}y; deleted {BUCKET}x"
    stack.up(*base, bucket("a", opts=both, source=ref("y")), plan=plan).fails(message)
    assert stack.cloud.count("a") == 0


def test_a_resource_that_is_not_in_the_plan(stack: Stack) -> None:
    plan = stack.plan(bucket("a"))
    message = "create is not allowed by the plan: no steps were expected for this resource"
    stack.up(bucket("a"), bucket("more"), plan=plan).fails(message)
    assert stack.cloud.count("more") == 0


def test_a_change_of_what_is_not_in_the_plan(stack: Stack) -> None:
    plan = stack.plan(bucket("a"))
    stack.up(bucket("later", size=1))
    stack.up(bucket("a"), bucket("later", size=2), plan=plan).fails("later violates plan: properties changed: =~size")
    assert stack.cloud.of("later")["size"] == 1


def test_a_planned_resource_that_is_not_registered(stack: Stack) -> None:
    stack.up(bucket("a"))
    plan = stack.plan(bucket("a"), bucket("b"))
    stack.up(bucket("a"), plan=plan).fails(f"expected resource operations for {BUCKET}b but none were seen")


def test_a_delete_that_was_not_planned(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    plan = stack.plan(bucket("a"), bucket("b"))
    refused(stack, plan, "delete is not allowed by the plan: this resource is constrained to same", bucket("a"))
    assert stack.names == ["a", "b"]


def test_a_planned_delete_that_does_not_come(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    plan = stack.plan(bucket("a"))
    refused(
        stack, plan, f"resource {BUCKET}b violates plan: resource unexpectedly not deleted", bucket("a"), bucket("b")
    )


def test_a_worse_step_than_planned(stack: Stack) -> None:
    stack.up(bucket("z"), bucket("a"))
    plan = stack.plan(bucket("z"), bucket("a"))
    # The same inputs, and yet another operation: the plan was made for an object that was there.
    stack.up(bucket("z"))
    message = "create is not allowed by the plan: this resource is constrained to same"
    refused(stack, plan, message, bucket("z"), bucket("a"))


def test_more_steps_than_planned(stack: Stack) -> None:
    plan = stack.plan(bucket("a"))
    emptied = Plan(resources={urn: replace(r, steps=[]) for urn, r in plan.resources.items()})
    refused(stack, emptied, "is not allowed by the plan: no more steps were expected for this resource", bucket("a"))


def test_other_outputs_than_planned(stack: Stack) -> None:
    plan = stack.plan(group("g"), outputs("g", x=1, y=2), exports(z=1))
    stack.up(group("g"), outputs("g", x=1), exports(z=1), plan=plan).fails(
        "resource violates plan: properties changed: +-y[{2}]"
    )
    stack.up(group("g"), outputs("g", x=1, y=2), exports(z=3), plan=plan).fails(
        "resource violates plan: properties changed: ++z[{1}!={3}]"
    )
    stack.up(group("g"), outputs("g", x=1, y=2), exports(z=1), plan=plan).succeeds()


def test_a_component_that_became_a_resource(stack: Stack) -> None:
    plan = stack.plan(bucket("z"), Resource(name="a", custom=False))
    stack.up(bucket("z"), bucket("a"), plan=plan).fails("resource kind changed (expected component)")
    assert stack.cloud.count("a") == 0


# ------------------------------------------------------------------ when something else goes wrong


def test_a_failure_is_told_without_what_did_not_come_because_of_it(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    stack.cloud.fail("create", "a")
    result = stack.up(*PROGRAM, plan=plan).fails("the cloud refuses to create a")
    assert "none were seen" not in result.messages("error")
    stack.cloud.heal()
    result = stack.up(bucket("a", size=1), crash(), plan=plan).fails("the program is broken")
    assert "none were seen" not in result.messages("error")


def test_a_preview_that_failed_has_no_plan(stack: Stack) -> None:
    outcome = stack.preview(bucket("a", size=-1), make_plan=True).fails("must not be negative").outcome
    assert outcome.plan is None
    assert stack.preview(bucket("a")).succeeds().outcome.plan is None


def test_a_cancelled_update_does_not_ask_for_the_rest(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    result = stack.up(bucket("a", size=1), Do(lambda _: stack.cancel.signal()), plan=plan).fails("update canceled")
    assert "none were seen" not in result.messages("error")


def test_what_went_wrong_can_be_done_with_the_same_plan(stack: Stack) -> None:
    plan = stack.plan(*PROGRAM)
    stack.cloud.fail("create", "b")
    stack.up(*PROGRAM, plan=plan).fails("refuses to create b")
    stack.cloud.heal()
    stack.up(*PROGRAM, plan=plan).succeeds().expect(create("b"))
    stack.agrees_with_cloud()


def test_the_plan_says_each_step_in_the_words_of_the_events(stack: Stack) -> None:
    plan = stack.plan(bucket("a"))
    assert plan.resources[BUCKET + "a"].steps == [StepOp.CREATE]
    root = plan.resources["urn:pulumi:test::project::pulumi:pulumi:Stack::project-test"]
    assert root.outputs == {}
