"""Create, change, drop, destroy, preview, refresh: what every user does."""

import pytest

from engine.errors import BailError
from tests.engine.core.dsl import Stack, create, delete, replace, secret, update
from tests.engine.core.program import bucket, crash, exports, group, log, outputs, read, ref, together


def test_up_creates_then_changes_nothing(stack: Stack) -> None:
    program = (bucket("a", size=1), bucket("b", source=ref("a")), exports(arn=ref("b")))
    stack.up(*program).succeeds().expect(create("a"), create("b")).valid_after_every_step()
    assert stack.cloud.of("b")["source"] == "arn:a-1"
    assert stack.outputs == {"arn": "arn:b-2"}
    stack.up(*program).does_nothing()
    stack.agrees_with_cloud()


def test_up_updates_in_place(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    created = stack.resource("a").created
    stack.up(bucket("a", size=2)).succeeds().expect(update("a")).calling("update a")
    assert stack.cloud.of("a")["size"] == 2
    assert stack.resource("a").id == "a-1"
    assert stack.resource("a").created == created


def test_what_the_program_drops_is_deleted_dependents_first(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", source=ref("a")), bucket("c", opts={"depends_on": ["b"]}), bucket("d"))
    result = stack.up(bucket("d")).succeeds().expect(delete("a"), delete("b"), delete("c"))
    result.calling("delete c", "delete b", "delete a")
    assert stack.names == ["d"]
    stack.agrees_with_cloud()


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.up(group("g"), bucket("a", opts={"parent": "g"}), bucket("b", opts={"depends_on": ["g"]}))
    result = stack.destroy().succeeds().valid_after_every_step()
    result.expect(delete("a"), delete("b"), delete("g")).calling("delete b", "delete a")
    assert not stack.snapshot.resources
    assert not stack.cloud.objects


def test_preview_says_what_up_would_do(stack: Stack) -> None:
    stack.preview(bucket("a"), bucket("b", source=ref("a"))).succeeds().expect(create("a"), create("b"))
    stack.up(bucket("a"), bucket("b", source=ref("a")), bucket("c"))
    result = stack.preview(bucket("a", size=2), bucket("b", source=ref("a"), region="eu"))
    result.succeeds().expect(update("a"), replace("b"), delete("c"))
    assert result.outcome.changes == {"update": 1, "replace": 1, "delete": 1, "same": 1}


def test_preview_of_a_destroy_deletes_nothing(stack: Stack) -> None:
    stack.up(bucket("a"))
    before = stack.saved
    stack.destroy(dry_run=True).succeeds().expect(delete("a")).calling()
    assert stack.saved == before


def test_unknown_values_exist_only_in_previews(stack: Stack) -> None:
    result = stack.preview(bucket("a"), bucket("b", source=ref("a")), exports(arn=ref("a")))
    assert result.detail("b")["new"]["inputs"]["source"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    stack.up(bucket("a"), bucket("b", source=ref("a")))
    assert stack.resource("b").inputs == {"source": "arn:a-1"}


def test_a_failed_program_deletes_nothing(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"), exports(kept=1, changed=1))
    result = stack.up(bucket("a", size=2), exports(changed=2), crash("out of coffee"))
    result.fails("out of coffee").expect(update("a"))
    assert stack.names == ["a", "b"]
    assert stack.outputs == {"kept": 1, "changed": 2}


def test_a_check_failure_is_told_in_the_stock_engines_words(stack: Stack) -> None:
    result = stack.up(bucket("a", size=-1))
    result.fails("fake:index:Bucket resource 'a': property size value {-1} has a problem: must not be negative")
    assert isinstance(result.outcome.error, BailError)
    stack.up(bucket("a", cursed=True)).fails("fake:index:Bucket resource 'a' has a problem: nobody wants it")
    assert not stack.names


def test_the_same_name_twice_is_an_error(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("a")).fails(f"Duplicate resource URN '{stack.urn('a')}'")


def test_components_compare_inputs_and_say_their_outputs(stack: Stack) -> None:
    stack.up(group("g", x=1), outputs("g", y=1)).succeeds().expect(create("g")).calling()
    assert stack.resource("g").outputs == {"y": 1}
    stack.up(group("g", x=1), outputs("g", y=1)).does_nothing()
    stack.up(group("g", x=2), outputs("g", y=2)).succeeds().expect(update("g"))
    assert stack.resource("g").outputs == {"y": 2}
    stack.up(group("g", x=2), outputs("g", z=3)).succeeds().expect()
    assert stack.resource("g").outputs == {"z": 3}


def test_depending_on_a_component_is_depending_on_its_children(stack: Stack) -> None:
    stack.up(group("g"), bucket("child", opts={"parent": "g"}), bucket("after", opts={"depends_on": ["g"]}))
    stack.up().succeeds().calling("delete after", "delete child")


def test_registrations_run_side_by_side(stack: Stack) -> None:
    names = [f"n{i}" for i in range(8)]
    gates = [stack.cloud.hold("create", name) for name in names]
    stack.on_event = lambda _: [g.open.set() for g in gates] if all(g.entered.is_set() for g in gates) else None
    stack.cloud.gates.update()
    import threading

    def open_when_all_wait() -> None:
        for gate in gates:
            assert gate.entered.wait(20)
        for gate in gates:
            gate.open.set()

    waiter = threading.Thread(target=open_when_all_wait)
    waiter.start()
    stack.up(together(*(bucket(name) for name in names))).succeeds().expect(*(create(name) for name in names))
    waiter.join()
    stack.up(together(*(bucket(name) for name in names))).does_nothing()


def test_parallel_one_runs_one_step_at_a_time(stack: Stack) -> None:
    gate = stack.cloud.hold("create", "a")
    seen: list[str] = []

    def watch(event: dict[str, object]) -> None:
        if "resourcePreEvent" in event:
            seen.append(event["resourcePreEvent"]["metadata"]["urn"].rsplit("::", 1)[1])  # type: ignore[index]
        if "a" in seen:
            gate.open.set()

    stack.on_event = watch
    stack.up(together(bucket("a"), bucket("b")), parallel=1).succeeds()
    stack.agrees_with_cloud()


@pytest.mark.parametrize("severity", ["info", "warning", "error"])
def test_what_the_program_logs_is_shown(stack: Stack, severity: str) -> None:
    result = stack.up(log(severity, "look here"), log("debug", "hidden"))
    assert "look here" in result.messages(severity)
    assert "hidden" not in result.messages()
    assert "hidden" in stack.up(log("debug", "hidden"), debug=True).messages("debug")


def test_a_provider_that_cannot_tell_what_changed(stack: Stack) -> None:
    stack.cloud.tells_changes = False
    stack.up(bucket("a", size=1))
    stack.up(bucket("a", size=1)).does_nothing()
    stack.up(bucket("a", size=2)).succeeds().expect(update("a"))
    stack.up(bucket("a", size=2, region="eu")).succeeds().expect(replace("a"))


def test_detailed_diffs_are_told(stack: Stack) -> None:
    stack.cloud.detailed = True
    stack.up(bucket("a", size=1, color="red"))
    result = stack.preview(bucket("a", size=2, weight=3)).expect(update("a"))
    assert {k: v["diffKind"] for k, v in result.detail("a")["detailedDiff"].items()} == {
        "size": "update",
        "color": "delete",
        "weight": "add",
    }


def test_custom_timeouts_reach_the_provider(stack: Stack) -> None:
    timeouts = {"timeouts": {"create": "1h30m", "update": "90s", "delete": "500ms"}}
    stack.up(bucket("a", opts=timeouts, size=1))
    stack.up(bucket("a", opts=timeouts, size=2))
    stack.up()
    assert stack.cloud.timeouts == {"create a": 5400, "update a": 90, "delete a": 0.5}


def test_a_timeout_that_is_none_is_refused(stack: Stack) -> None:
    stack.up(bucket("a", opts={"timeouts": {"create": "soon"}})).fails()
    assert not stack.names


def test_secrets_stay_secret(stack: Stack) -> None:
    program = (bucket("a", password=secret("hunter2"), opts={"additionalSecretOutputs": ["arn"]}), exports(p=ref("a")))
    result = stack.up(*program).succeeds()
    assert "hunter2" not in stack.saved
    assert "hunter2" not in str(result.events)
    assert "arn:a-1" not in str(result.events)
    assert stack.cloud.of("a")["password"] == "hunter2"
    state = stack.resource("a")
    assert state.outputs["password"].value == "hunter2"
    assert state.outputs["arn"].value == "arn:a-1"
    assert stack.outputs["p"].value == "arn:a-1"
    stack.up(*program).does_nothing()


def test_outputs_named_as_a_secret_input_are_secret_again(stack: Stack) -> None:
    stack.cloud.accept_secrets = False
    stack.up(
        bucket("a", password=secret("hunter2"), nested={"key": secret("s"), "items": [secret("t"), "u"]})
    ).succeeds()
    state = stack.resource("a")
    assert state.outputs["password"].value == "hunter2"
    assert state.outputs["nested"]["key"].value == "s"
    # A list is secret as a whole: a provider may give its items back in another order.
    assert state.outputs["nested"]["items"] == secret(["t", "u"])
    assert "hunter2" not in stack.saved
    stack.refresh().succeeds()
    assert stack.resource("a").outputs["password"].value == "hunter2"


def test_refresh_takes_what_is_there(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b", source=ref("a")), bucket("c", opts={"depends_on": ["b"]}))
    stack.cloud.change("a", size=7)
    stack.cloud.lose("b")
    result = stack.refresh().succeeds().valid_after_every_step()
    assert result.outcome.changes == {"same": 2, "update": 1, "delete": 1}
    assert stack.resource("a").inputs["size"] == 7
    assert stack.names == ["a", "c"]
    assert stack.resource("c").dependencies == []
    program = (bucket("a", size=1), bucket("b", source=ref("a")), bucket("c", opts={"depends_on": ["b"]}))
    stack.up(*program).succeeds().expect(update("a"), create("b"))
    stack.agrees_with_cloud()


def test_a_preview_of_a_refresh_saves_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1))
    stack.cloud.change("a", size=7)
    before = stack.saved
    result = stack.refresh(dry_run=True).succeeds()
    assert result.outcome.changes["update"] == 1
    assert stack.saved == before


def test_up_with_refresh_mends_drift_at_once(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b"))
    stack.cloud.change("a", size=7)
    stack.cloud.lose("b")
    assert stack.preview(bucket("a", size=1), bucket("b"), refresh=True).succeeds().outcome.changes["create"] == 1
    stack.up(bucket("a", size=1), bucket("b"), refresh=True).succeeds()
    assert stack.cloud.of("a")["size"] == 1
    stack.agrees_with_cloud()


def test_destroy_with_refresh(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b"))
    stack.cloud.lose("b")
    stack.destroy(refresh=True, parallel=1).succeeds().calling("read a", "read b", "delete a")
    assert not stack.cloud.objects


def test_refresh_warns_of_what_is_not_ready_and_the_next_up_tries_again(stack: Stack) -> None:
    stack.up(bucket("a"))
    stack.cloud.fail("read", "a", kind="unready", times=1)
    stack.refresh().succeeds().warns("it did not become ready")
    assert stack.resource("a").init_errors == ["it did not become ready"]
    stack.up(bucket("a")).succeeds().expect(update("a"))
    assert stack.resource("a").init_errors == []


def test_a_refresh_that_fails_changes_nothing(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("b"))
    stack.cloud.fail("read", "b")
    stack.refresh().fails("the cloud refuses to read b")
    assert stack.names == ["a", "b"]


def test_reads_belong_to_nobody(stack: Stack) -> None:
    stack.cloud.objects["theirs"] = {"size": 5, "arn": "arn:theirs"}
    stack.cloud.names["theirs"] = "theirs"
    program = (read("r", "theirs"), bucket("a", size=ref("r", "size")))
    stack.preview(*program).succeeds()
    stack.up(*program).succeeds().calling("read r", "create a")
    assert stack.resource("r").external
    assert stack.cloud.of("a")["size"] == 5
    stack.up(*program).succeeds().calling("read r")
    stack.refresh().succeeds()
    stack.destroy().succeeds().calling("delete a")
    assert list(stack.cloud.objects) == ["theirs"]


def test_reading_what_is_not_known_yet(stack: Stack) -> None:
    program = (bucket("a"), read("r", ref("a", "id")))
    stack.preview(*program).succeeds()
    stack.up(*program).succeeds()
    assert stack.resource("r").id == "a-1"


def test_from_read_to_owned_and_back(stack: Stack) -> None:
    stack.cloud.objects["theirs"] = {"size": 5, "arn": "arn:theirs"}
    stack.cloud.names["theirs"] = "r"
    stack.up(read("r", "theirs")).succeeds()
    stack.up(bucket("r", size=5)).succeeds().expect(replace("r"))
    assert not stack.resource("r").external
    mine = stack.resource("r").id
    assert set(stack.cloud.objects) == {"theirs", mine}
    stack.up(read("r", "theirs")).succeeds()
    assert set(stack.cloud.objects) == {"theirs"}
    stack.up(read("r", "theirs")).succeeds()


def test_an_object_of_its_own_may_be_let_go_by_reading_it(stack: Stack) -> None:
    stack.up(bucket("r", size=5))
    stack.up(read("r", "r-1")).succeeds()
    assert stack.resource("r").external
    stack.up().succeeds()
    assert list(stack.cloud.objects) == ["r-1"]
