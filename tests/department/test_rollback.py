"""Each step fails in turn, in each operation: the error names it, in bounded time; then each server is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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


def _token_of_new_scope(yard: Yard) -> None:
    # All is in place, and one part does not work as its users use it.
    yard.apis["oauth"].breaks(r"POST ", body="grant_type=client_credentials.*reports", status=400)


CREATING: dict[str, Break] = {
    "record": _record,
    "database": _database,
    "credential": lambda yard: yard.apis["oauth"].breaks(r"(POST|PUT) "),
    "container": _container,
    "workflows": lambda yard: yard.apis["n8n"].breaks(r"(POST|PUT) /api/v1/workflows"),
    "gateway": lambda yard: yard.apis["gateway"].breaks(r"(POST|PUT|PATCH) "),
    "health": lambda yard: yard.apis["oauth"].breaks(r"POST ", body="grant_type=client_credentials", status=400),
}
"""How each step is made to fail when the department is made."""


def _login(yard: Yard) -> None:
    # Tables are made already: of the database, it is the administrator's login that goes wrong.
    yard.environment["TENANTRY_BACKEND_LOCAL_DATABASE"] = "not the administrator's"


def _role(yard: Yard) -> None:
    # Of the database only its own limits change: whoever changes the role waits.
    identifier = f"department_{yard.slug.replace('-', '_')}"
    yard.holds(DATABASE, f"ALTER ROLE {identifier}_app CONNECTION LIMIT 99")
    yard.environment["TENANTRY_STEP_TIMEOUT"] = "15"


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
    assert statuses["health"] == ("rolled_back" if step == "health" else "skipped")


_SCOPE = {"customSettings": {"credential": {"scopes": ["documents"]}}}
_SCOPES = {"customSettings": {"credential": {"scopes": ["documents", "reports"]}}}
_LOG_LEVEL = {"customSettings": {"application": {"environment": {"LOG_LEVEL": "debug"}}}}
_PATIENCE = {"customSettings": {"workflows": {"database": {"parameters": {"timeoutSeconds": 40}}}}}
_LIMIT = {"customSettings": {"gateway": {"requestsPerMinute": 60}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the manifest from `base` that fails in `step`, by what `breaks`."""

    step: str
    changes: dict[str, Any]
    breaks: Break
    base: dict[str, Any] = field(default_factory=dict)


CHANGES = {
    "record": Change(step="record", changes={"name": "Another"}, breaks=_record),
    "database": Change(step="database", changes={"customSettings": {"size": {"connections": 5}}}, breaks=_role),
    "credential": Change(step="credential", base=_SCOPE, changes=_SCOPES, breaks=CREATING["credential"]),
    "credential, done": Change(
        step="credential",
        base=_SCOPE,
        changes=_SCOPES,
        breaks=lambda yard: yard.apis["oauth"].breaks(r"PUT ", Fault.DENY, times=1),
    ),
    "container": Change(
        step="container",
        changes=_LOG_LEVEL,
        breaks=lambda yard: yard.apis["container"].breaks(r"POST /", body="reloadConfig"),
    ),
    "container, done": Change(
        step="container",
        changes=_LOG_LEVEL,
        breaks=lambda yard: yard.apis["container"].breaks(r"POST /", Fault.DENY, body="startProcess<", times=1),
    ),
    "workflows": Change(step="workflows", changes=_PATIENCE, breaks=CREATING["workflows"]),
    "workflows, done": Change(
        step="workflows",
        changes=_PATIENCE,
        breaks=lambda yard: yard.apis["n8n"].breaks(r"PUT /api/v1/workflows", Fault.DENY, times=1),
    ),
    "gateway": Change(step="gateway", changes=_LIMIT, breaks=CREATING["gateway"]),
    "gateway, done": Change(
        step="gateway",
        changes=_LIMIT,
        breaks=lambda yard: yard.apis["gateway"].breaks(r"(POST|PUT|PATCH) ", Fault.DENY, times=1),
    ),
    "health": Change(step="health", base=_SCOPE, changes=_SCOPES, breaks=_token_of_new_scope),
}
"""What is changed, and how that fails: before its server has changed anything, or, `done`, after."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_fails_is_taken_back(yard: Yard, name: str) -> None:
    case = CHANGES[name]
    yard.write(**case.base)
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    before = yard.facts()
    yard.write(**{"name": "Yet another name", **case.changes})
    case.breaks(yard)
    failed = yard.run("up", yard.slug, code=3)
    assert failed["status"] == "rolled_back"
    assert f"step '{case.step}' failed" in failed["error"]["message"]
    _heal(yard)
    assert yard.facts() == before
    assert yard.objects() == ONE
    assert yard.run("health", yard.slug)["healthy"]
    yard.write(**case.base)
    assert not yard.run("up", yard.slug, "--expect-no-changes")["changed"]


@pytest.mark.parametrize(
    ("step", "changes", "broken"),
    [("container", _LOG_LEVEL, _container), ("database", {"customSettings": {"size": {"connections": 5}}}, _login)],
)
def test_a_change_whose_server_cannot_be_seen_is_taken_back_by_the_next_run(
    yard: Yard, step: str, changes: dict[str, Any], broken: Break
) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    before = yard.facts()
    yard.write(**{"name": "Yet another name", **changes})
    broken(yard)
    failed = yard.run("up", yard.slug, code=4)
    assert failed["status"] == "rollback_failed"
    assert f"step '{step}' failed" in failed["error"]["message"]
    assert failed["leftovers"]
    assert yard.run("show", yard.slug)["status"] == "failed"
    _heal(yard)
    yard.write()
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    assert yard.facts() == before
    assert yard.objects() == ONE


def _removal_of_the_row(yard: Yard) -> None:
    yard.query(
        yard.main,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the test lets no department go'; END $$;"
        " CREATE TRIGGER refuses BEFORE DELETE ON departments FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


_GATEWAY_GONE = {**ONE, "routes": 0}
_WORKFLOWS_GONE = {**_GATEWAY_GONE, "workflows": 0, "credentials": 0, "tags": 0}
_CONTAINER_GONE = {**_WORKFLOWS_GONE, "processes": 0}
_CREDENTIAL_GONE = {**_CONTAINER_GONE, "clients": 0}
_DATABASE_GONE = {**_CREDENTIAL_GONE, "schemas": 0, "roles": 0}
REMOVING: dict[str, tuple[Break, dict[str, int]]] = {
    "gateway": (lambda yard: yard.apis["gateway"].breaks(r"(DELETE|POST|PUT|PATCH) "), ONE),
    "workflows": (lambda yard: yard.apis["n8n"].breaks(r"(DELETE|POST) "), _GATEWAY_GONE),
    "container": (_container, _WORKFLOWS_GONE),
    "credential": (lambda yard: yard.apis["oauth"].breaks(r"DELETE "), _CONTAINER_GONE),
    "database": (_login, _CREDENTIAL_GONE),
    "record": (_removal_of_the_row, _DATABASE_GONE),
}
"""How each step is made to fail when the department is removed, and what is left then: in DEP-3's order, all before."""


@pytest.mark.parametrize("step", REMOVING)
def test_a_removal_that_fails_says_what_is_left_and_is_finished_by_the_next(yard: Yard, step: str) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    breaks, left = REMOVING[step]
    breaks(yard)
    failed = yard.run("destroy", yard.slug, "--yes", code=9)
    assert f"step '{step}' failed" in failed["error"]["message"]
    assert yard.objects() == left
    _heal(yard)
    assert yard.run("destroy", yard.slug, "--yes")["leftovers"] == []
    assert yard.objects() == NOTHING


def test_what_is_left_in_the_region_is_told(yard: Yard) -> None:
    assert yard.run("up", yard.slug)["status"] == "succeeded"
    stray = f"stray_{yard.slug.replace('-', '_')}"
    mark = f"tenantry tenant: tenantry/{yard.slug}"
    yard.query(DATABASE, f"CREATE SCHEMA {stray}; COMMENT ON SCHEMA {stray} IS '{mark}'")
    failed = yard.run("destroy", yard.slug, "--yes", code=9)
    assert f"schema {stray} in region local" in failed["error"]["message"]
    yard.query(DATABASE, f"DROP SCHEMA {stray}")
    assert yard.run("destroy", yard.slug, "--yes")["leftovers"] == []


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


_HANGS: dict[str, Break] = {
    "credential": lambda yard: yard.apis["oauth"].breaks(r"(POST|PUT|PATCH|GET) ", Fault.HANG),
    "workflows": lambda yard: yard.apis["n8n"].breaks(r"(POST|PUT|PATCH|GET) ", Fault.HANG),
    "gateway": lambda yard: yard.apis["gateway"].breaks(r"(POST|PUT|PATCH|GET) ", Fault.HANG),
    "container": lambda yard: yard.apis["container"].breaks(r"POST ", Fault.HANG),
    # No schema can be made in the region's database; whoever reads is served.
    "database": lambda yard: yard.holds(DATABASE, "LOCK TABLE pg_catalog.pg_namespace IN EXCLUSIVE MODE"),
}
_STEP_SECONDS = 10
_STOPPING_SECONDS = 3 * 15
"""The engine is asked to stop, asked again, and ended, each with TENANTRY_CANCEL_GRACE."""
_REST_SECONDS = 90
"""The steps before, and the removal of what they made, on a machine that has other things to do."""


@pytest.mark.parametrize("step", _HANGS)
def test_a_server_that_hangs_ends_in_an_error_of_its_step(yard: Yard, step: str) -> None:
    yard.environment["TENANTRY_STEP_TIMEOUT"] = str(_STEP_SECONDS)
    _HANGS[step](yard)
    failed = yard.run("up", yard.slug, code=3, seconds=300)
    assert failed["status"] == "rolled_back"
    assert f"step '{step}' " in failed["error"]["message"]
    assert failed["duration_ms"] < (_STEP_SECONDS + _STOPPING_SECONDS + _REST_SECONDS) * 1000
    _heal(yard)
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
    yard.lets_go()
    yard.environment.pop("TENANTRY_STEP_TIMEOUT", None)
    yard.environment |= {**yard.region.environment, "TENANTRY_BACKENDS": yard.environment["TENANTRY_BACKENDS"]}
    yard.query(DATABASE, _ALLOW_TABLES)
    yard.query(yard.main, "DROP FUNCTION IF EXISTS refuse() CASCADE")
    for api in yard.apis.values():
        api.heal()
