"""A tenant without something optional: its run goes on, it ends partial, and the next up makes it whole."""

import pytest

from automation import operations
from automation.errors import InputError
from automation.fake_stack import FakeBackend
from automation.models import DeploymentStatus
from automation.run import Context
from automation.steps import Done, Mode, ModeChanged
from tests.automation.helpers import Recorder
from tests.automation.test_single_steps import status, up
from tests.automation.test_steps import at, done, ended, failed, run, short_of, started

WHY = "no such account"


def test_of_several_objects_each_reason_is_told_once() -> None:
    events = [started("first/a"), started("first/b"), started("first/c")]
    lacking = [short_of("first/a", WHY), short_of("first/b", WHY), short_of("first/c", "no price list")]
    assert run(*events, *lacking, ended(ok=True)).step("first").error == f"{WHY}\nno price list"


def test_what_a_rollback_makes_ready_again_is_not_lacking() -> None:
    before = (started("first/a"), short_of("first/a", WHY), started("second/b", 1), failed("second/b", 2))
    back = ModeChanged(mode=Mode.ROLLBACK_APPLY, at=at(3))
    assert run(*before, back).partial == ("first",)
    assert run(*before, back, started("first/a", 4, op="update"), done("first/a", 5, op="update")).partial == ()


def test_an_object_that_is_removed_is_not_lacking() -> None:
    gone = Done(urn="first/a", op="delete", custom=True, at=at(2), unready=WHY)
    assert run(started("first/a", 1, op="delete"), gone, ended(ok=True)).partial == ()


def test_the_tenant_ends_partial_and_the_next_up_makes_it_whole(
    context: Context, backend: FakeBackend, recorder: Recorder
) -> None:
    backend.lacking = {"settings": WHY}
    result = up(context)
    assert (result.status, result.error) == (DeploymentStatus.SUCCEEDED, None)
    assert result.partial == ("settings",)
    assert result.to_dict()["partial"] == ["settings"]
    assert status(context) == "partial"
    warned = [line.message for line in recorder.lines if line.level == "warning"]
    assert any(WHY in message for message in warned)
    assert operations.refresh(context, "acme").error is None
    assert status(context) == "partial", "a look makes nothing whole"
    backend.lacking = {}
    assert up(context).partial == ()
    assert status(context) == "active"


@pytest.mark.parametrize(("left", "after"), [({}, "active"), ({"schema": WHY}, "partial")])
def test_a_retry_makes_the_tenant_whole_only_if_nothing_else_lacks(
    context: Context, backend: FakeBackend, left: dict[str, str], after: str
) -> None:
    backend.lacking = {"settings": WHY, **left}
    up(context)
    backend.lacking = left
    assert up(context, steps=("settings",)).error is None
    assert status(context) == after


def test_a_change_that_fails_goes_back_to_what_lacks_something(context: Context, backend: FakeBackend) -> None:
    backend.lacking = {"settings": WHY}
    up(context)
    backend.changed, backend.failures = {"record"}, {("up", "activation"): ["broken"]}
    result = up(context, changes={"name": "Another"})
    assert result.status is DeploymentStatus.ROLLED_BACK
    assert status(context) == "partial"


def test_new_is_refused_for_a_partial_tenant(context: Context, backend: FakeBackend) -> None:
    backend.lacking = {"settings": WHY}
    up(context)
    with pytest.raises(InputError, match="taken"):
        up(context, new=True)
