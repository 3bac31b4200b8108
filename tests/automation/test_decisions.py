"""Pure decisions: rollback, engine, retries, redaction, wording of the engine's errors, diffs."""

import os
import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation import errors
from automation.cli_support import _masked
from automation.engine_events import clean, property_changes
from automation.engines import choose
from automation.jobs.run import _explained
from automation.messages import engine_failure, is_transient, summary
from automation.redaction import redactor, secret_values
from automation.rollback import Plan, Situation, Stop, decide
from automation.serving import load_serve_settings
from automation.settings import load_settings, passphrase_environment
from automation.tokens import load_token_settings
from automation.worker.settings import load_worker_settings
from automation.workspace import holder_is_dead


def situation(**values: Any) -> Situation:
    plain: dict[str, Any] = {
        "operation": "up",
        "stop": Stop.NONE,
        "touched": True,
        "enable_rollback": True,
        "has_last_good": False,
        "was_active": False,
    }
    return Situation(**(plain | values))


@pytest.mark.parametrize(
    ("values", "plan", "reason"),
    [
        ({}, Plan.DESTROY, "never worked"),
        ({"stop": Stop.LIMIT}, Plan.DESTROY, "never worked"),
        ({"has_last_good": True}, Plan.REAPPLY, "last good"),
        ({"has_last_good": True, "was_active": True}, Plan.REAPPLY, "last good"),
        ({"was_active": True}, Plan.LEAVE, "live tenant is never destroyed"),
        ({"enable_rollback": False}, Plan.LEAVE, "switched off"),
        ({"touched": False}, Plan.LEAVE, "before it changed anything"),
        ({"stop": Stop.USER}, Plan.LEAVE, "by hand"),
        ({"stop": Stop.LOCK_LOST}, Plan.LEAVE, "lock was lost"),
        ({"stop": Stop.STUCK}, Plan.LEAVE, "did not stop"),
        ({"operation": "destroy"}, Plan.LEAVE, "repeated"),
        ({"operation": "refresh"}, Plan.LEAVE, "repeated"),
    ],
)
def test_what_follows_a_failure(values: dict[str, Any], plan: Plan, reason: str) -> None:
    decision = decide(situation(**values))
    assert decision.plan is plan
    assert reason in decision.reason


def test_a_tenant_that_worked_is_never_destroyed() -> None:
    flags = (False, True)
    for operation, stop, touched, enabled, good, active in product(
        ("up", "destroy", "refresh", "rollback"), Stop, flags, flags, flags, flags
    ):
        decision = decide(
            situation(
                operation=operation,
                stop=stop,
                touched=touched,
                enable_rollback=enabled,
                has_last_good=good,
                was_active=active,
            )
        )
        if decision.plan is Plan.DESTROY:
            assert not good
            assert not active


@pytest.mark.parametrize(
    ("wanted", "found", "engine", "reason"),
    [
        ("auto", "/usr/bin/pulumi", "stock", "on PATH"),
        ("auto", None, "embedded", "no `pulumi` on PATH"),
        ("embedded", "/usr/bin/pulumi", "embedded", "TENANTRY_ENGINE=embedded"),
        ("stock", "/usr/bin/pulumi", "stock", "TENANTRY_ENGINE=stock"),
    ],
)
def test_the_engine_in_use(wanted: str, found: str | None, engine: str, reason: str) -> None:
    choice = choose(wanted, which=lambda _name: found)
    assert choice.name == engine
    assert reason in choice.reason


def test_a_stock_engine_that_is_not_there() -> None:
    with pytest.raises(errors.EngineError, match="no `pulumi` on PATH") as caught:
        choose("stock", which=lambda _name: None)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "connection refused",
        'connection to server at "db", port 5432 failed: timeout expired',
        "server closed the connection unexpectedly",
        "could not serialize access due to concurrent update",
        "canceling statement due to statement timed out",
        "HTTP status 503",
        "429: rate limit exceeded",
        "FATAL: the database system is starting up",
        "FATAL: sorry, too many clients already",
        "deadlock detected",
        "OAuth client 'Billing' of tenantry/acme: the server https://login answered 503 to POST /register: x.",
        "tag 'tenantry/acme': n8n at https://n8n answered 429 to GET /api/v1/tags: nothing more.",
        "its probe: n8n does not answer (Server disconnected without sending a response.). Check that it runs.",
        "cannot create Pod a/b: the API server at https://x did not answer in time. It was tried for 60 s: see it",
        "cannot create Pod a/b: the server is unable to handle the request. It was tried for 60 s: retry later",
    ],
)
def test_errors_that_pass(text: str) -> None:
    assert is_transient(text)


@pytest.mark.parametrize(
    "text",
    [
        "permission denied to create database",
        'connection to server failed: FATAL: password authentication failed for user "x"',
        "syntax error at or near",
        "HTTP status 404",
        'duplicate key value violates unique constraint "cabinets_slug_key"',
        "the slug acme-500 is taken",
        "n8n at https://n8n answered 400 to POST /api/v1/workflows: node 503 is unknown.",
        "the server answered 503 to POST /register. It may have registered the client nevertheless: look there.",
    ],
)
def test_errors_that_do_not_pass(text: str) -> None:
    assert not is_transient(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("error: incorrect passphrase", errors.EngineError),
        ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", errors.EngineError),
        ("error: the stack is currently locked by 1 lock(s).", errors.LockedError),
        ("error: write x: no space left on device", errors.EngineError),
        ("error: failed to load checkpoint: unexpected end of JSON input", errors.EngineError),
        ("error: open state: permission denied", errors.EngineError),
    ],
)
def test_what_the_engine_says(text: str, kind: type[errors.TenantryError]) -> None:
    error = engine_failure(text, tenant="acme", backend="file://state")
    assert type(error) is kind
    assert "acme" in error.message
    assert error.hint


def test_what_we_do_not_know_stays_unknown() -> None:
    assert engine_failure("error: something new", tenant="acme", backend="file://state") is None


def test_a_commands_summary_is_its_error_line() -> None:
    text = "\n code: 1\n stdout: Updating (acme)\n stderr: warning: old\nerror: no such thing\nmore"
    assert summary(text) == "no such thing"
    assert summary("") == "no reason given"


def test_a_traceback_becomes_a_sentence() -> None:
    text = (
        "<{%fg 1%}>Exception calling application: the disk\nTraceback (most recent call last):\n"
        '  File "x.py", line 1, in create\n    raise UnreachableError("no")\n'
        "providers.errors.UnreachableError: acme's database: it is not there. Start it.\n"
    )
    assert clean(text) == "acme's database: it is not there. Start it"
    assert clean("error: plain words") == "plain words"


def test_redaction_of_known_values_and_of_urls() -> None:
    redact = redactor(["hunter2hunter2", "abc"])
    assert redact("login hunter2hunter2 failed") == "login [secret] failed"
    assert redact("abc is too short to be a secret") == "abc is too short to be a secret"
    assert redact("postgresql://me:pa55word@host/db") == "postgresql://me:[secret]@host/db"
    assert redact("host=h password='x y' dbname=d") == "host=h password=[secret] dbname=d"


def test_redaction_of_a_value_that_ends_in_a_newline_or_is_shown_escaped() -> None:
    redact = redactor(["n8n-key-hunter2\n", "first\nhunter2-second"])
    assert redact("key n8n-key-hunter2, key b'n8n-key-hunter2\\n'") == "key [secret], key b'[secret]'"
    assert redact('{"key": "first\\nhunter2-second"}') == '{"key": "[secret]"}'


def test_a_fault_that_nobody_expected_shows_no_secret_of_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_BACKEND_EU_N8N", "n8n-key-hunter2\n")
    assert _masked("Traceback ... n8n-key-hunter2") == "Traceback ... [secret]"
    code, document = _explained(lambda: (int("n8n-key-hunter2"), {}))
    assert code == 1
    assert "hunter2" not in str(document)


@given(st.text(min_size=4, max_size=20), st.text(max_size=30), st.text(max_size=30))
def test_a_secret_never_stays(secret: str, before: str, after: str) -> None:
    if secret in "[secret]":
        return
    assert secret not in redactor([secret])(f"{before} {secret} {after}").replace("[secret]", "")


def test_what_changes_between_two_settings() -> None:
    before = {"a": {"b": 1, "c": 2}, "gone": True, "__provider": "x"}
    after = {"a": {"b": 1, "c": 3}, "new": [1], "__provider": "y"}
    assert [(row.path, row.before, row.after) for row in property_changes(before, after)] == [
        ("a.c", 2, 3),
        ("gone", True, None),
        ("new", None, [1]),
    ]


@pytest.mark.parametrize(
    ("load", "name", "value", "said"),
    [
        (load_settings, "TENANTRY_STEP_TIMEOUT", "soon", r"^wrong environment variable: {}: .*\(given: soon\)$"),
        (
            load_worker_settings,
            "TENANTRY_LEASE_SECONDS",
            "soon",
            r"^wrong environment variable: {}: .*\(given: soon\)$",
        ),
        (load_token_settings, "TENANTRY_JWT_LEEWAY", "soon", r"^wrong environment variable: {}: .*[^)]$"),
        (load_serve_settings, "TENANTRY_PORT", "soon", r"^wrong setting: {}: .*[^)]$"),
        (load_serve_settings, "TENANTRY_TLS_CERT", "/x", r"^wrong setting: {} and TENANTRY_TLS_KEY belong together"),
    ],
)
def test_wrong_settings_are_told_in_one_way(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[], object], name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.InputError, match=said.format(name)):
        load()


def test_a_wrong_variable_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("TENANTRY_STEP_TIMEOUT", "soon"),
        ("TENANTRY_ENGINE", "steam"),
        ("TENANTRY_RETRIES", "-1"),
        ("TENANTRY_STEPS", '{"schema": {"timeout": 0}}'),
        ("PROVISIONING_TIMEOUT", "0"),
        ("ROLLBACK_TIMEOUT", "two minutes"),
        ("HEALTH_CHECK_TIMEOUT", "-1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(errors.InputError, match=name) as caught:
                load_settings()
            assert caught.value.exit_code == 2
    monkeypatch.setenv("DB_PORT", "many")
    with pytest.raises(errors.InputError, match="DB_PORT"):
        _ = load_settings().database


def test_limits_of_single_steps(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_STEPS", '{"schema": {"timeout": 120, "retries": 1, "retry_delays": [0.5]}}')
    settings = load_settings()
    assert settings.step_limit("schema").seconds == 120
    assert settings.step_limit("database").seconds == 60
    own = (settings.step_limit("container", 240), settings.step_limit("schema", 240))
    assert [(one.seconds, one.variable) for one in own] == [(240, "TENANTRY_STEP_TIMEOUT"), (120, "TENANTRY_STEPS")]
    assert [settings.retry_delay("database", n) for n in (1, 2, 3, 4)] == [1, 2, 4, None]
    assert [settings.retry_delay("schema", n) for n in (1, 2)] == [0.5, None]


def test_a_limit_for_all_steps_is_also_for_those_that_may_take_longer(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_STEP_TIMEOUT", "20")
    assert load_settings().step_limit("container", 240).seconds == 20


def test_what_isps_have_of_their_own_goes_before_what_all_lines_have(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[float, str]]:
        settings = load_settings()
        limits = (
            *(settings.run_limit("isp"), settings.rollback_limit("isp"), settings.health_limit),
            settings.step_limit("health", 45, line="isp"),
        )
        return [(one.seconds, one.variable) for one in limits]

    own = ("PROVISIONING_TIMEOUT", "ROLLBACK_TIMEOUT", "HEALTH_CHECK_TIMEOUT")
    general = ("TENANTRY_RUN_TIMEOUT", "TENANTRY_ROLLBACK_TIMEOUT", "TENANTRY_STEP_TIMEOUT")
    # What nobody sets is what their requirements name: 300, 120 and 60 s, the step within its budget.
    assert told() == [(300, general[0]), (120, general[1]), (60, own[2]), (45, general[2])]
    for name, seconds in zip(general, ("500", "50", "20"), strict=True):
        monkeypatch.setenv(name, seconds)
    assert told() == [(500, general[0]), (50, general[1]), (60, own[2]), (20, general[2])]
    for name, seconds in zip(own, ("240", "100", "30"), strict=True):
        monkeypatch.setenv(name, seconds)
    assert told() == [(240, own[0]), (100, own[1]), (30, own[2]), (30, own[2])]
    settings = load_settings()
    assert settings.run_limit("department").seconds == 500
    assert settings.rollback_limit("cabinet").seconds == 50
    assert settings.step_limit("health", 60, line="department").seconds == 20


def test_a_passphrase_is_needed(tmp_path: Path) -> None:
    with pytest.raises(errors.EngineError, match="no passphrase"):
        passphrase_environment({})
    with pytest.raises(errors.EngineError, match="cannot be read"):
        passphrase_environment({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")})
    assert passphrase_environment({"PULUMI_CONFIG_PASSPHRASE": ""}) == {"PULUMI_CONFIG_PASSPHRASE": ""}
    file = tmp_path / "phrase"
    file.write_text("x")
    assert passphrase_environment({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == {
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)
    }


def test_the_project_is_found_from_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_settings().project_root == project
    assert load_settings().backend == f"file://{project}/.tenantry/state"
    monkeypatch.setenv("TENANTRY_PROJECT_DIR", str(below))
    with pytest.raises(errors.InputError, match=r"no Pulumi\.yaml"):
        _ = load_settings().project_root


def test_whether_a_lock_holder_is_dead() -> None:
    here = socket.gethostname()
    assert not holder_is_dead({"hostname": here, "pid": os.getpid()})
    assert holder_is_dead({"hostname": here, "pid": 2**22 + 7})
    assert not holder_is_dead({"hostname": "elsewhere", "pid": 2**22 + 7})
    assert not holder_is_dead({})


@pytest.mark.parametrize("name", ["DB_PASSWORD", "DOCKER_REGISTRY_PASS", "API_KEY", "TENANTRY_BACKEND_EU", "AUTH_DSN"])
def test_a_variable_that_is_called_as_secrets_are_is_masked(name: str) -> None:
    assert secret_values({name: "hunter2", "BYPASS": "on", "MONKEY_ISLAND": "x"}) == ("hunter2",)
