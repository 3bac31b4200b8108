"""How an attempt ends its job: the whole table, without a process."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from automation.errors import EXIT_CODES
from automation.jobs.model import Ending, Job
from automation.jobs.run import ATTEMPT_LOST, LOST
from automation.jobs.waiting import TURNS
from automation.models_jobs import JobOperation, JobStatus
from automation.worker.outcome import LOCKED_ATTEMPTS, Ended, Why, before_beginning, ending

MOST = 3
NOW = datetime(2026, 3, 1, tzinfo=UTC)
DEPLOYMENT = uuid.uuid4()
AGAIN = "again"


def job(attempts: int = 1, *, cancel: bool = False, turns: int = 0) -> Job:
    names = (
        "address retry_of deployment_id worker lease_until current_step error result started_at ended_at duration_ms"
    )
    nothing: dict[str, Any] = dict.fromkeys((*names.split(), "manifest_version"))
    return Job(
        id=uuid.uuid4(),
        number=1,
        tenant="acme",
        line="cabinet",
        operation=JobOperation.UP,
        status=JobStatus.RUNNING,
        options={TURNS: turns} if turns else {},
        actor="zoe",
        correlation_id="c0ffee",
        attempts=attempts,
        not_before=NOW,
        cancel_requested_at=NOW if cancel else None,
        progress=0,
        message="",
        created_at=NOW,
        **nothing,
    )


def document(code: int) -> dict[str, Any]:
    error = {"kind": "x", "message": f"it ended with {code}.", "hint": "", "exit_code": code, "details": {}}
    return {
        "type": "result",
        "deployment": str(DEPLOYMENT),
        "changes": {"create": 2, "same": 7},
        "steps": [],
        "error": error if code else None,
    }


def of(code: int, why: Why = Why.NONE, attempts: int = 1, *, answered: bool = True) -> Ending | None:
    ended = Ended(code=code, document=document(code) if answered else None, said="last words")
    return ending(job(attempts), ended, why=why, most=MOST)


def short(found: Ending | None) -> str:
    return "nothing" if found is None else AGAIN if found.status is None else found.status.value


ALL = tuple(Why)
TABLE: dict[int, dict[Why, str]] = {
    0: dict.fromkeys(ALL, "succeeded"),
    1: dict.fromkeys(ALL, "failed"),
    2: dict.fromkeys(ALL, "failed"),
    3: dict.fromkeys(ALL, "rolled_back"),
    4: dict.fromkeys(ALL, "rollback_failed"),
    5: dict.fromkeys(ALL, AGAIN) | {Why.CANCEL: "cancelled"},
    6: dict.fromkeys(ALL, AGAIN) | {Why.CANCEL: "cancelled"},
    7: dict.fromkeys(ALL, "failed"),
    8: dict.fromkeys(ALL, "failed"),
    9: dict.fromkeys(ALL, "failed"),
    10: dict.fromkeys(ALL, "failed"),
    11: dict.fromkeys(ALL, "failed"),
    130: {Why.NONE: AGAIN, Why.CANCEL: "cancelled", Why.DRAIN: AGAIN, Why.LEASE: AGAIN, Why.LIMIT: "failed"},
    12: dict.fromkeys(ALL, AGAIN) | {Why.CANCEL: "cancelled"},
    ATTEMPT_LOST: dict.fromkeys(ALL, "nothing"),
}


@pytest.mark.parametrize("why", ALL)
@pytest.mark.parametrize("code", TABLE)
def test_the_first_attempt(code: int, why: Why) -> None:
    found = of(code, why)
    assert short(found) == TABLE[code][why]
    if found is not None:
        assert found.deployment_id == DEPLOYMENT or (found.status is None and code == 130) or why is Why.CANCEL


@pytest.mark.parametrize("exit_code", [-9, 120])
@pytest.mark.parametrize("why", ALL)
@pytest.mark.parametrize("code", TABLE)
def test_a_process_that_dies_once_it_has_told_its_end_ends_as_it_told(code: int, why: Why, exit_code: int) -> None:
    told = document(code) if code != ATTEMPT_LOST else {"type": LOST}
    died = ending(job(1), Ended(code=exit_code, document=told), why=why, most=MOST)
    assert died == of(code, why)


def test_every_exit_code_is_in_the_table() -> None:
    assert set(TABLE) == {code for code, _ in EXIT_CODES} | {ATTEMPT_LOST}


@pytest.mark.parametrize(
    ("why", "status"),
    [(Why.NONE, AGAIN), (Why.CANCEL, "cancelled"), (Why.DRAIN, AGAIN), (Why.LEASE, AGAIN), (Why.LIMIT, "failed")],
)
@pytest.mark.parametrize("code", [-9, -15, 0, 137])
def test_a_process_that_left_no_answer(why: Why, status: str, code: int) -> None:
    assert short(of(code, why, answered=False)) == status


@pytest.mark.parametrize("code", [6, 130, -9])
def test_attempts_have_an_end(code: int) -> None:
    last = of(code, attempts=MOST, answered=code > 0)
    assert last is not None
    assert last.status is JobStatus.FAILED
    assert str(MOST) in last.message
    if code == -9:
        assert "last words" in last.message


def test_a_tenant_that_somebody_else_holds_is_waited_for_longer() -> None:
    assert short(of(5, attempts=LOCKED_ATTEMPTS - 1)) == AGAIN
    assert short(of(5, attempts=LOCKED_ATTEMPTS)) == "failed"


def test_a_deploy_never_fails_a_job() -> None:
    for code in (130, -9):
        assert short(of(code, Why.DRAIN, attempts=50, answered=code > 0)) == AGAIN


def test_each_attempt_waits_longer_than_the_one_before() -> None:
    delays = [found.delay for attempts in (1, 2) if (found := of(6, attempts=attempts)) is not None]
    assert delays == sorted(delays)
    assert delays[0] > 0


@pytest.mark.parametrize(
    ("attempts", "cancel", "status"),
    [(1, False, None), (1, True, "cancelled"), (2, True, "cancelled"), (MOST + LOCKED_ATTEMPTS + 1, False, "failed")],
)
def test_a_job_that_is_not_begun_again(attempts: int, cancel: bool, status: str | None) -> None:
    found = before_beginning(job(attempts, cancel=cancel), most=MOST)
    assert (found.status.value if found is not None and found.status is not None else None) == status
    if found is not None and cancel:
        assert ("before it began" in found.message) == (attempts == 1)


def test_what_a_success_says() -> None:
    found = of(0)
    assert found is not None
    assert found.message == "up of 'acme' succeeded: 2 create"
    assert found.error is None
    assert found.result is not None
    assert "steps" not in found.result


def test_waiting_is_no_attempt_that_failed() -> None:
    """However often it has looked in vain: it is neither given up for it, nor has it an attempt less."""
    waited = job(200, turns=199)
    assert before_beginning(waited, most=MOST) is None
    found = ending(waited, Ended(code=12, document=document(12)), why=Why.NONE, most=MOST)
    assert found is not None
    assert (found.again, found.waited) == (True, True)
    first = ending(job(), Ended(code=12, document=document(12)), why=Why.NONE, most=MOST)
    assert first is not None
    assert 0 < first.delay < found.delay


@pytest.mark.parametrize("code", [5, 6, 130, -9])
def test_what_fails_after_waiting_is_tried_as_often_as_without(code: int) -> None:
    def after_waiting(begun: int) -> Ending | None:
        ended = Ended(code=code, document=document(code) if code > 0 else None)
        return ending(job(begun + 40, turns=40), ended, why=Why.NONE, most=MOST)

    first = after_waiting(1)
    assert first is not None
    assert short(first) == AGAIN
    assert first.delay == getattr(of(code, answered=code > 0), "delay", None)
    assert "attempt 1" in first.message
    last = after_waiting(LOCKED_ATTEMPTS if code == 5 else MOST)
    assert short(last) == "failed"


def test_what_has_only_waited_is_cancelled_before_it_began() -> None:
    found = before_beginning(job(9, cancel=True, turns=8), most=MOST)
    assert found is not None
    assert "before it began" in found.message


def test_a_success_names_the_steps_that_lack_something_optional() -> None:
    steps = [{"key": "items", "status": "failed"}, {"key": "company", "status": "completed"}]
    found = ending(job(), Ended(code=0, document=document(0) | {"steps": steps}), why=Why.NONE, most=MOST)
    assert found is not None
    assert (found.status, found.message) == (
        JobStatus.SUCCEEDED,
        "up of 'acme' succeeded: 2 create; not in place: items",
    )
