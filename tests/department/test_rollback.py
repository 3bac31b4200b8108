"""Each step fails in turn, in each operation: the error names it, in bounded time; then each server is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.region import DATABASE
from tests.department.faulty import Fault
from tests.department.test_end_to_end import ONE
from tests.department.yard import NOTHING, Yard

pytestmark = pytest.mark.timeout(500)

Break = Callable[[Yard], None]
_REFUSE_TABLES = """
    CREATE OR REPLACE FUNCTION public.test_refuses() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the test lets no tables be made'; END $$;
    DROP EVENT TRIGGER IF EXISTS test_refuses;
    CREATE EVENT TRIGGER test_refuses ON ddl_command_start WHEN TAG IN ('CREATE TABLE')
        EXECUTE FUNCTION public.test_refuses();
"""
_ALLOW_TABLES = "DROP EVENT TRIGGER IF EXISTS test_refuses; DROP FUNCTION IF EXISTS public.test_refuses()"


def _record(yard: Yard) -> None:
    yard.query(
        yard.main,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the test lets no department be written'; END $$;"
        " CREATE TRIGGER refuses BEFORE INSERT OR UPDATE OF name ON departments"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


def _database(yard: Yard) -> None:
    yard.query(DATABASE, _REFUSE_TABLES)


def _container(yard: Yard) -> None:
    # XML-RPC: whatever is asked of the supervisor.
    yard.apis["container"].breaks(r"POST /")


CREATING: dict[str, Break] = {
    "record": _record,
    "database": _database,
    "credential": lambda yard: yard.apis["oauth"].breaks(r"(POST|PUT) "),
    "container": _container,
    "workflows": lambda yard: yard.apis["n8n"].breaks(r"(POST|PUT) /api/v1/workflows"),
    "gateway": lambda yard: yard.apis["gateway"].breaks(r"(POST|PUT|PATCH) "),
}
"""How each step is made to fail when the department is made."""


def _login(yard: Yard) -> None:
    # Tables are made already: of the database, it is the administrator's login that goes wrong.
    yard.environment["TENANTRY_BACKEND_LOCAL_DATABASE"] = "not the administrator's"


CHANGING: dict[str, Break] = {**CREATING, "database": _login}
"""How each step is made to fail when the department is changed."""


@pytest.fixture(autouse=True)
def _healed(yard: Yard) -> Any:
    yield
    _heal(yard)


@pytest.mark.parametrize("step", CREATING)
def test_a_first_create_that_fails_leaves_nothing(yard: Yard, step: str) -> None:
    yard.run("db", "upgrade")
    CREATING[step](yard)
    failed = yard.run("up", yard.slug, code=3)
    assert failed["status"] == "rolled_back"
    assert f"step '{step}' failed" in failed["error"]["message"]
    assert failed["leftovers"] == []
    assert yard.objects() == NOTHING
    statuses = {one["key"]: one["status"] for one in failed["steps"]}
    assert statuses[step] == "rolled_back"
    assert statuses["health"] == "skipped"


CHANGES: dict[str, dict[str, Any]] = {
    "record": {"name": "Another"},
    "database": {"customSettings": {"size": {"connections": 5}}},
    "credential": {"customSettings": {"credential": {"rotation": 1, "graceSeconds": 0}}},
    "container": {"customSettings": {"application": {"environment": {"LOG_LEVEL": "debug"}}}},
    "workflows": {"customSettings": {"workflows": {"database": {"parameters": {"timeoutSeconds": 40}}}}},
    "gateway": {"customSettings": {"gateway": {"requestsPerMinute": 60}}},
}


@pytest.mark.parametrize("step", CHANGES)
def test_a_change_that_fails_is_taken_back(yard: Yard, step: str) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    state = yard.run("show", yard.slug)["record"]
    yard.write(**{"name": "Yet another name", **CHANGES[step]})
    CHANGING[step](yard)
    failed = yard.run("up", yard.slug, code=3)
    assert f"step '{step}' failed" in failed["error"]["message"]
    _heal(yard)
    yard.write()
    # What could not be taken back while the server was broken is taken back by the next run.
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    assert yard.objects() == ONE
    now = yard.run("show", yard.slug)["record"]
    assert {key: now[key] for key in ("name", "retention", "status")} == {
        key: state[key] for key in ("name", "retention", "status")
    }
    assert yard.run("health", yard.slug)["healthy"]


REMOVING: dict[str, Break] = {
    "credential": lambda yard: yard.apis["oauth"].breaks(r"DELETE "),
    "container": _container,
    "workflows": lambda yard: yard.apis["n8n"].breaks(r"(DELETE|POST) "),
    "gateway": lambda yard: yard.apis["gateway"].breaks(r"(DELETE|POST|PUT|PATCH) "),
    "database": _login,
}
"""How each step is made to fail when the department is removed."""


@pytest.mark.parametrize("step", REMOVING)
def test_a_removal_that_fails_says_what_is_left_and_is_finished_by_the_next(yard: Yard, step: str) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    REMOVING[step](yard)
    failed = yard.run("destroy", yard.slug, "--yes", code=9)
    assert f"step '{step}' failed" in failed["error"]["message"]
    left = yard.objects()
    assert left != NOTHING
    # In reverse order of creation: what comes before the step that failed has not been touched.
    assert left["schemas"] == left["roles"] == left["records"] == 1
    _heal(yard)
    assert yard.run("destroy", yard.slug, "--yes")["leftovers"] == []
    assert yard.objects() == NOTHING


@pytest.mark.parametrize("part", ["oauth", "n8n", "gateway", "container"])
def test_a_refresh_that_cannot_look_changes_nothing(yard: Yard, part: str) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    yard.apis[part].breaks(r"(GET|POST) ")
    failed = yard.run("refresh", yard.slug, code=9)
    assert failed["error"]["message"]
    assert yard.objects() == ONE
    _heal(yard)
    # What was seen not to work is looked at again, and nothing else.
    assert yard.run("up", yard.slug)["changes"].get("update", 0) <= 1
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]


@pytest.mark.parametrize("part", ["oauth", "n8n", "gateway", "container"])
def test_a_server_that_hangs_ends_in_an_error_of_its_step(yard: Yard, part: str) -> None:
    yard.environment["TENANTRY_STEP_TIMEOUT"] = "10"
    yard.apis[part].breaks(r"(POST|PUT|PATCH|GET) ", Fault.HANG)
    failed = yard.run("up", yard.slug, code=3, seconds=300)
    assert failed["status"] == "rolled_back"
    assert failed["error"]["message"]
    yard.apis[part].heal()
    assert yard.objects() == NOTHING


@pytest.mark.parametrize(
    ("part", "pattern"),
    [
        ("oauth", r"POST /(register|clients)"),
        ("n8n", r"POST /api/v1/(workflows|credentials|tags)$"),
        ("gateway", r"(POST|PUT|PATCH) "),
    ],
)
def test_an_answer_that_is_lost_makes_no_second_object(yard: Yard, part: str, pattern: str) -> None:
    yard.apis[part].breaks(pattern, Fault.LOSE, times=1)
    # Whether the provider finds out by itself or the next run does: there is one of each.
    first = yard.start_up()
    assert first in {0, 3}, "neither made nor rolled back"
    if first == 3:
        assert yard.objects() == NOTHING
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    assert yard.objects() == ONE


def _heal(yard: Yard) -> None:
    yard.environment |= yard.region.environment | {"TENANTRY_BACKENDS": yard.environment["TENANTRY_BACKENDS"]}
    yard.query(DATABASE, _ALLOW_TABLES)
    yard.query(yard.main, "DROP FUNCTION IF EXISTS refuse() CASCADE")
    for api in yard.apis.values():
        api.heal()
