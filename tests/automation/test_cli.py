"""The command `tenantry`: every command, every fault, the JSON shapes, and no secret anywhere. On a fake engine."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from automation import run as run_module
from automation.cli import main
from automation.engines import EngineChoice
from automation.fake_stack import FakeBackend
from automation.models import HEAD
from tests.automation.helpers import MANIFEST, PASSPHRASE, ROOT, write_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content


Tenantry = Callable[[str], Answer]


@pytest.fixture
def tenantry(project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tenantry:
    """Runs a command line in this process; no secret may be in what it prints."""

    def call(words: str) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["tenantry", *shlex.split(words)])
        code = main()
        out, err = capfd.readouterr()
        for secret in (PASSPHRASE, __import__("os").environ.get("DB_PASSWORD", "")):
            assert not secret or secret not in out + err
        assert "Traceback" not in out + err
        return Answer(code=code, out=out, err=err)

    return call


@pytest.fixture
def fake(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, main_db: object) -> FakeBackend:
    """The fake engine behind the commands, and one manifest."""
    plain = run_module.Context

    def context(**values: Any) -> run_module.Context:
        return plain(**(values | {"stacks": backend.open, "choice": EngineChoice(name="fake", reason="a test")}))

    monkeypatch.setattr(run_module, "Context", context)
    write_manifest(Path.cwd())
    return backend


def test_the_whole_life_of_a_tenant(tenantry: Tenantry, fake: FakeBackend) -> None:
    assert "no tenants" in tenantry("list").out
    up = tenantry("up acme")
    assert up.code == 0
    assert "up of acme: succeeded" in up.out
    assert "Schema and tables: completed" in up.err
    assert "active" in tenantry("list").out
    shown = tenantry("show acme")
    assert "Schema and tables" in shown.out
    assert "Chez Zoé" in shown.out
    assert "nothing to change" in tenantry("up acme").out
    deployment = json.loads(tenantry("history acme --json").out)["deployments"][0]["id"]
    assert "unchanged" in tenantry(f"logs {deployment[:8]}").out
    assert tenantry("logs acme").out == tenantry(f"logs {deployment}").out
    assert tenantry("refresh acme --expect-no-changes").code == 0
    rolled = tenantry(f"rollback {deployment} --yes")
    assert rolled.code == 0
    assert "the settings before it" in rolled.out
    assert tenantry("destroy acme --yes").code == 0
    assert "no tenants" in tenantry("list").out
    assert "removed" in tenantry("list --removed").out
    assert "destroy" in tenantry("history acme").out


def test_json_documents(tenantry: Tenantry, fake: FakeBackend) -> None:
    result = tenantry("up acme --json --correlation-id ticket-7")
    assert result.err == ""
    document = result.document
    assert document["type"] == "result"
    assert document["status"] == "succeeded"
    assert document["correlation_id"] == "ticket-7"
    assert document["progress"] == 100
    assert document["error"] is None
    assert set(document["steps"][1]) == {
        "key",
        "title",
        "status",
        "attempts",
        "started_at",
        "ended_at",
        "duration_ms",
        "rolled_back_at",
        "message",
        "error",
    }
    assert tenantry("list --json").document["tenants"][0]["slug"] == "acme"
    assert tenantry("show acme --json").document["deployment"]["steps"][0]["status"] == "completed"
    assert tenantry("logs acme --json").document["lines"][0]["level"] == "info"
    assert tenantry("refresh acme --json").document["drift"] == []
    assert tenantry("db upgrade --json").document["revision"] == HEAD
    assert tenantry("destroy acme --yes --json").document["status"] == "succeeded"
    assert tenantry("engine --json").document["engine"] in {"stock", "embedded"}


def test_json_lines(tenantry: Tenantry, fake: FakeBackend) -> None:
    answer = tenantry("up acme --jsonl")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert {line["type"] for line in lines} == {"progress", "log", "result"}
    assert lines[-1]["type"] == "result"
    progress = [line["progress"] for line in lines if line["type"] == "progress"]
    assert progress == sorted(progress)
    assert answer.err == ""


def test_preview(tenantry: Tenantry, fake: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*arguments: Any) -> Any:
        return fake.open(*arguments)

    monkeypatch.setattr("automation.previewing.open_for_preview", opened)
    fresh = tenantry("preview acme --expect-no-changes")
    assert fresh.code == 7
    assert "+ create Object acme-record" in fresh.out
    assert fake.stacks == {}
    tenantry("up acme")
    assert "nothing to change" in tenantry("preview acme --expect-no-changes").out
    fake.changed = {"settings"}
    changed = tenantry("preview acme --json").document
    assert [(change["op"], change["step"]) for change in changed["changes"]] == [("update", "settings")]


def test_failures_have_exit_codes(tenantry: Tenantry, fake: FakeBackend) -> None:
    fake.failures = {("up", "schema"): ["no such table"]}
    failed = tenantry("up acme")
    assert failed.code == 3
    assert "error: up of 'acme': step 'schema' failed: no such table" in failed.err
    assert "what to do:" in failed.err
    fake.failures = {("up", "schema"): ["no such table"], ("destroy", "record"): ["it is held"]}
    assert tenantry("up acme").code == 4
    fake.failures = {("up", "schema"): ["no such table"]}
    assert tenantry("up acme --no-rollback").code == 9
    # To each command of it: after a run that was left as it was, it looks first at what is there.
    fake.command_errors = ["error: incorrect passphrase"] * 2
    answer = tenantry("up acme --json")
    assert answer.code == 8
    assert answer.document["error"]["kind"] == "engine"


def test_a_wrong_manifest_lists_every_problem(tenantry: Tenantry, fake: FakeBackend) -> None:
    write_manifest(Path.cwd(), phone="none", email="nowhere", templateId="unknown")
    for words in ("validate stacks/acme.yaml", "up acme", "preview acme"):
        answer = tenantry(words)
        assert answer.code == 2
        assert "phone" in answer.out + answer.err
        assert "email" in answer.out + answer.err
    document = tenantry("validate stacks/acme.yaml --json").document
    assert not document["valid"]
    assert {problem["field"] for problem in document["files"][0]["problems"]} >= {"phone", "email"}
    assert fake.calls == []


def test_validate(tenantry: Tenantry, fake: FakeBackend) -> None:
    assert tenantry("validate stacks/acme.yaml").out == "stacks/acme.yaml: valid\n"
    (Path.cwd() / "stacks" / "other.yaml").write_bytes((Path.cwd() / "stacks" / "acme.yaml").read_bytes())
    twice = tenantry("validate stacks/acme.yaml stacks/other.yaml")
    assert twice.code == 2
    assert "has the same one" in twice.out
    assert tenantry("validate stacks/none.yaml").code == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("up amce", 2, "did you mean 'acme'"),
        ("up acme --file nowhere.yaml", 2, "no manifest file"),
        ("up", 2, "no tenant given"),
        ("up acme --all", 2, "give one of the two"),
        ("show nobody", 2, "no tenant 'nobody'"),
        ("history nobody", 2, "no tenant 'nobody'"),
        ("logs nobody", 2, "no tenant 'nobody'"),
        ("rollback deadbeef --yes", 2, "no deployment has the id"),
        ("rollback deadbeef", 2, "--yes"),
        ("destroy acme", 2, "--yes"),
        ("refresh nobody", 2, "no tenant 'nobody'"),
        ("destroy nobody --yes", 2, "no tenant 'nobody'"),
        ("templates show unknown", 2, "default-dental"),
        ("templates add nowhere.yaml", 2, "nowhere.yaml"),
        ("nonsense", 2, "No such command"),
        ("up --nonsense", 2, "No such option"),
    ],
)
def test_wrong_words(tenantry: Tenantry, fake: FakeBackend, words: str, code: int, said: str) -> None:
    answer = tenantry(words)
    assert answer.code == code
    assert said in answer.err
    as_json = tenantry(f"{words} --json")
    assert as_json.code == code
    assert as_json.document["error"]["exit_code"] == code


def test_faults_of_the_environment(tenantry: Tenantry, fake: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, code, said in (
        ("DB_PASSWORD", "wrong-password", 6, "wrong password or user"),
        ("DB_PORT", "1", 6, "cannot be reached"),
        ("DB_PORT", "many", 2, "DB_PORT"),
        ("TENANTRY_STEP_TIMEOUT", "soon", 2, "TENANTRY_STEP_TIMEOUT"),
        ("PULUMI_CONFIG_PASSPHRASE", None, 8, "no passphrase"),
        ("TENANTRY_ENGINE", "steam", 2, "TENANTRY_ENGINE"),
    ):
        with monkeypatch.context() as patch:
            if value is None:
                patch.delenv(name)
            else:
                patch.setenv(name, value)
            answer = tenantry("up acme")
            assert (answer.code, said in answer.err) == (code, True), (name, answer)
            assert tenantry("up acme --json").document["error"]["exit_code"] == code
    assert fake.calls == []


def test_a_stock_engine_that_is_missing(
    tenantry: Tenantry, fake: FakeBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TENANTRY_ENGINE", "stock")
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = tenantry("engine")
    assert answer.code == 8
    assert "no `pulumi` on PATH" in answer.err


def test_a_missing_main_database_is_made(
    tenantry: Tenantry, fake: FakeBackend, monkeypatch: pytest.MonkeyPatch, postgres: Any
) -> None:
    monkeypatch.setenv("DB_NAME", "tenantry_made_by_itself")
    try:
        assert (
            tenantry("db upgrade").out
            == f"database 'tenantry_made_by_itself' was brought from nothing to revision {HEAD}\n"
        )
        assert "is up to date" in tenantry("db upgrade").out
    finally:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS tenantry_made_by_itself WITH (FORCE)")


def test_a_database_of_a_newer_version(tenantry: Tenantry, fake: FakeBackend, main_db: Any) -> None:
    tenantry("db upgrade")
    with main_db.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    answer = tenantry("list")
    assert answer.code == 6
    assert "another version of Tenantry" in answer.err


def test_templates(tenantry: Tenantry, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tenantry("templates list").out
    shops = ("full-pos", "basic", "custom", "retail", "restaurant", "pharmacy")
    sites = ("standard-site", "plain-site")
    built_in = ("default-dental", "orthodontics", "pediatric", "standard", "large", "default-isp", *shops, *sites)
    assert all(name in listed for name in built_in)
    shown = yaml.safe_load(tenantry("templates show pediatric").out)
    content = {key: value for key, value in shown.items() if key != "builtin"} | {"id": "own", "version": "1.0.0"}
    (project / "own.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("TENANTRY_TEMPLATES", str(project / "custom"))
    assert tenantry("templates add own.yaml").code == 0
    assert tenantry("templates show own --json").document["version"] == "1.0.0"
    assert len(tenantry("templates list --json").document["templates"]) == len(built_in) + 1


def test_help_and_version(tenantry: Tenantry) -> None:
    text = " ".join(tenantry("--help").out.split())
    for said in ("Exit codes: 0 done", "3 the run failed and was rolled back", "130 cancelled", "--install-completion"):
        assert said in text
    assert tenantry("--version").out.startswith("tenantry ")
    for command in ("validate", "preview", "up", "refresh", "destroy", "rollback", "list", "show", "history", "logs"):
        assert tenantry(f"{command} --help").code == 0


def test_a_fault_of_ours_is_told_without_a_stack_trace(
    tenantry: Tenantry, fake: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError(f"oh no {PASSPHRASE}")

    monkeypatch.setattr("automation.operations.up", broken)
    answer = tenantry("up acme")
    assert answer.code == 1
    assert "oh no [secret]" in answer.err
    assert "--debug" in answer.err


def test_debug_shows_where(
    fake: FakeBackend, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tenantry", "--debug", "show", "nobody"])
    assert main() == 2
    assert "Traceback" in capfd.readouterr().err


def test_starting_is_quick_because_little_is_imported(project: Path) -> None:
    heavy = ("pulumi", "sqlalchemy", "alembic", "pydantic")
    code = f"import sys, automation.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_completion_knows_the_tenants(project: Path) -> None:
    from automation.cli import _complete_tenant

    write_manifest(project)
    write_manifest(project, "other")
    assert _complete_tenant("") == ["acme", "other"]
    assert _complete_tenant("a") == ["acme"]


def test_names_of_any_script(tenantry: Tenantry, fake: FakeBackend) -> None:
    name = '牙科 "O\'Neill" عيادة 🦷'
    write_manifest(Path.cwd(), name=name)
    assert tenantry("up acme").code == 0
    assert name in tenantry("show acme").out
    assert tenantry("list --json").document["tenants"][0]["name"] == name
    assert MANIFEST["name"] != name


def test_the_size_of_an_isp(tenantry: Tenantry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "isp size --customers 900000 --plan standard --feature billing --feature analytics"
    shown = {one["key"]: one for one in tenantry(f"{asked} --json").document["amounts"]}
    assert {one["why"] for one in shown.values()} == {"rules"}
    monkeypatch.setenv("MAX_CPU_CORES", "0.3")
    said = tenantry(f"{asked} --memory 2").out
    assert "MAX_CPU_CORES allows no more" in said
    assert f"{shown['cpuCores']['computed']:g}" in said
    assert "2 GB" in said
    wrong = tenantry("isp size --customers 10 --plan gold --json")
    assert wrong.code == 2
    assert [one["field"] for one in wrong.document["error"]["details"]["problems"]] == ["customerCount", "planType"]


def test_an_engine_that_hangs_keeps_no_command() -> None:
    """Whichever command it is: `up`, `preview` or `platform up`. A thread like that of a program's host never ends."""
    program = """
import sys, threading, typer
from automation.cli_support import main_with_errors
from automation.errors import EngineError
app = typer.Typer()
@app.command()
def hang() -> None:
    threading.Thread(target=threading.Event().wait).start()
    raise EngineError("the engine did not stop", details={"stuck": True})
sys.exit(main_with_errors(app))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 8
    assert "the engine did not stop" in done.stderr


INTERRUPTED = """
import sys, typer
from automation.cli_support import main_with_errors
from automation.errors import CancelledError
app = typer.Typer()
@app.command()
def loads() -> None:
    {body}
sys.exit(main_with_errors(app))
"""


@pytest.mark.parametrize(
    "body",
    [
        'exec("raise KeyboardInterrupt")',
        # It has been caught, and CPython would end by the signal all the same.
        """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        raise CancelledError("cancelled")
        """.strip(),
    ],
    ids=["nobody's", "caught"],
)
def test_an_interrupt_is_told_and_has_its_exit_code_though_it_came_while_something_was_loaded(
    tmp_path: Path, body: str
) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(body=body))
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (130, "error: cancelled")
