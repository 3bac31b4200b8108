"""`tenantry ci` on a real git repository, a real engine and real databases: a pull request from branch to merge.

Each command runs in a fresh clone, as a workflow does: only the database and the state outlive it.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.automation.helpers import PASSPHRASE, ROOT, write_manifest

pytestmark = pytest.mark.timeout(400)
Query = Callable[..., list[tuple[Any, ...]]]


class Origin:
    """A repository that others clone, and the work tree in which its commits are made."""

    def __init__(self, folder: Path, server: Any, main_db: Any) -> None:
        self.folder = folder
        self.server = server
        self.main_db = main_db
        self.work = folder / "work"
        self.slugs: set[str] = set()
        self.clones = 0
        self.mark = uuid.uuid4().hex[:8]
        (self.work / "stacks").mkdir(parents=True)
        shutil.copy(ROOT / "Pulumi.yaml", self.work / "Pulumi.yaml")
        shutil.copy(ROOT / ".gitignore", self.work / ".gitignore")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("the project")

    def git(self, *words: str, cwd: Path | None = None) -> str:
        identity = {
            f"GIT_{who}_{what}": "ci@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def slug(self, name: str) -> str:
        slug = f"{name}-{self.mark}"
        self.slugs.add(slug)
        return slug

    def write(self, name: str, /, **changes: Any) -> None:
        write_manifest(self.work, self.slug(name), **changes)

    def remove(self, name: str) -> None:
        (self.work / "stacks" / f"{self.slug(name)}.yaml").unlink()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", f"merge {branch}", branch)
        return self.git("rev-parse", "HEAD")

    def clone(self, ref: str, *options: str) -> Path:
        self.clones += 1
        clone = self.folder / f"clone-{self.clones}"
        # By URL: a clone by path would bring along what no branch has any more.
        self.git("clone", "--quiet", *options, self.work.as_uri(), str(clone), cwd=self.folder)
        self.git("checkout", "--quiet", "--detach", ref if ref == "HEAD" else f"origin/{ref}", cwd=clone)
        return clone

    def ci(
        self, ref: str, *words: str, code: int = 0, env: dict[str, str] | None = None, depth: int | None = None
    ) -> dict[str, Any]:
        """`tenantry ci WORDS --json` in a fresh clone at `ref`, of so many commits."""
        clone = self.clone(ref, *([f"--depth={depth}"] if depth else []))
        environment = {
            **os.environ,
            "TENANTRY_ENGINE": "embedded",
            "TENANTRY_RETRY_DELAYS": "[0.1]",
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            **(env or {}),
        }
        for name in ("GITHUB_BASE_REF", "GITHUB_REPOSITORY", "TENANTRY_PROJECT_DIR"):
            if name not in (env or {}):
                environment.pop(name, None)
        report = self.folder / "report.md"
        report.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "automation", "ci", *words, "--json", "--markdown", str(report)],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        for secret in (PASSPHRASE, self.server.password):
            assert secret not in done.stdout + done.stderr + self.report
        content = json.loads(done.stdout)
        assert isinstance(content, dict)
        return content

    @property
    def report(self) -> str:
        path = self.folder / "report.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def query(self, statement: str, *values: object, database: str | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url(database or self.main_db.name), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def database(self, name: str) -> str:
        return f"cabinet_{self.slug(name).replace('-', '_')}"

    def databases(self) -> set[str]:
        names = {f"cabinet_{slug.replace('-', '_')}": slug.rsplit("-", 1)[0] for slug in self.slugs}
        rows = self.query("SELECT datname FROM pg_database WHERE datname = ANY(%s)", list(names))
        return {names[row[0]] for row in rows}

    def clean(self) -> None:
        for name in [slug.rsplit("-", 1)[0] for slug in self.slugs]:
            self.query(f'DROP DATABASE IF EXISTS "{self.database(name)}" WITH (FORCE)', database="postgres")
            self.query(f'DROP ROLE IF EXISTS "{self.database(name)}_app"', database="postgres")


@pytest.fixture
def origin(tmp_path: Path, postgres: Any, main_db: Any) -> Iterator[Origin]:
    made = Origin(tmp_path, postgres, main_db)
    yield made
    made.clean()


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    return {row["tenant"].rsplit("-", 1)[0]: row["outcome"] for row in document["tenants"]}


def test_a_pull_request_from_branch_to_merge(origin: Origin) -> None:
    origin.write("anna")
    origin.write("berta")
    first = origin.commit("two cabinets")

    # Nothing has been applied yet, so all manifests are.
    applied = origin.ci("main", "apply")
    assert outcomes(applied) == {"anna": "applied", "berta": "applied"}
    assert origin.databases() == {"anna", "berta"}
    assert "## Tenantry: apply" in (origin.folder / "summary.md").read_text(encoding="utf-8")

    # A pull request: one is changed, one is new, one is gone. Its preview touches nothing.
    origin.git("switch", "--quiet", "--create", "topic")
    origin.write("anna", customSettings={"currency": "EUR"})
    origin.write("clara", name="Clara | <b>@everyone</b> ``` [x](https://example.com)")
    origin.remove("berta")
    (origin.work / "templates").mkdir()
    (origin.work / "templates" / "NOTES").write_text("what the templates are for\n")
    origin.commit("a change, a new one, one less, and something of the templates")
    preview = origin.ci("topic", "preview", env={"GITHUB_BASE_REF": "main"})
    assert preview["base"] == first
    assert preview["other_files"] == ["templates/NOTES"]
    assert outcomes(preview) == {"anna": "would change", "berta": "kept", "clara": "would change"}
    assert origin.databases() == {"anna", "berta"}
    report = origin.report
    assert report.startswith("<!-- tenantry-ci -->\n")
    assert '+     settings.currency: "EUR"' in report
    assert "@everyone" not in report.split("<details>", 1)[0]
    berta = next(row for row in preview["tenants"] if row["tenant"].startswith("berta"))
    assert any("Database" in line for line in berta["removal"])
    assert "--allow-destroy" in berta["note"]

    # Merged without leave to destroy: the gone one is kept, and is still named the next time.
    merged = origin.merge("topic")
    applied = origin.ci("main", "apply")
    assert applied["base"] == first
    assert outcomes(applied) == {"anna": "applied", "berta": "kept", "clara": "applied"}
    assert origin.databases() == {"anna", "berta", "clara"}
    assert origin.query(
        "SELECT value FROM cabinet.settings WHERE section = 'currency'", database=origin.database("anna")
    )
    assert outcomes(origin.ci("main", "apply")) == {"berta": "kept"}

    # With leave it goes; then nothing is left to do.
    removed = origin.ci("main", "apply", "--allow-destroy")
    assert removed["base"] == merged
    assert outcomes(removed) == {"berta": "destroyed"}
    assert origin.databases() == {"anna", "clara"}
    assert origin.ci("main", "apply", "--allow-destroy")["tenants"] == []
    assert "no tenant is concerned" in origin.report
    assert set(outcomes(origin.ci("main", "apply", "--all")).values()) == {"nothing to change"}


def test_what_is_not_valid_touches_nothing(origin: Origin) -> None:
    origin.write("anna")
    base = origin.commit("one cabinet")
    origin.write("anna", name="Another name")
    origin.write("dora", templateId="no-such-template", phone="12")
    origin.commit("one good change, one bad manifest")
    preview = origin.ci("main", "preview", "--base", base, code=2)
    assert outcomes(preview) == {"anna": "would change", "dora": "not valid"}
    assert "phone: " in origin.report
    applied = origin.ci("main", "apply", code=2)
    assert outcomes(applied) == {"anna": "not begun", "dora": "not valid"}
    assert origin.databases() == set()

    # The failed run is not forgotten: what it left out comes with the next good one.
    origin.remove("dora")
    origin.commit("without the bad one")
    assert outcomes(origin.ci("main", "apply")) == {"anna": "applied"}


def test_a_rename_that_fails_destroys_nothing(origin: Origin) -> None:
    origin.write("anna")
    origin.commit("one cabinet")
    origin.ci("main", "apply")
    # The new slug belongs to somebody else, which only the database knows.
    origin.query(
        "UPDATE cabinets SET slug = %s, tenant_mark = 'other/owner' WHERE slug = %s",
        origin.slug("nora"),
        origin.slug("anna"),
    )
    origin.remove("anna")
    origin.write("nora")
    origin.commit("anna is called nora now")
    applied = origin.ci("main", "apply", "--allow-destroy", code=2)
    assert outcomes(applied) == {"anna": "kept", "nora": "failed"}
    assert origin.databases() == {"anna"}
    assert "another tenant failed" in next(row["note"] for row in applied["tenants"] if row["outcome"] == "kept")


def test_an_older_commit_is_not_applied_over_a_newer_one(origin: Origin) -> None:
    origin.write("anna", skipDatabaseCreation=True)
    old = origin.commit("one cabinet")
    origin.write("anna", skipDatabaseCreation=True, name="A newer name")
    origin.commit("renamed")
    origin.ci("main", "apply")
    origin.git("branch", "older", old)
    refused = origin.ci("older", "apply", code=2)
    assert "older than" in refused["error"]["message"]
    assert origin.query("SELECT name FROM cabinets") == [("A newer name",)]
    assert outcomes(origin.ci("older", "apply", "--base", old, "--all")) == {"anna": "applied"}


def test_what_is_not_committed_and_what_is_not_said(origin: Origin) -> None:
    origin.write("anna")
    origin.commit("one cabinet")
    assert "GITHUB_BASE_REF" not in os.environ
    nothing = origin.ci("main", "preview", code=2)
    assert "--base" in nothing["error"]["hint"]
    unknown = origin.ci("main", "preview", "--base", "--output=/tmp/x", code=2)
    assert "there is no commit '--output=/tmp/x'" in unknown["error"]["message"]
    away = origin.ci("main", "apply", code=6, env={"DB_PORT": "1"})
    assert away["error"]["kind"] == "database"


def test_history_that_is_not_there(origin: Origin) -> None:
    origin.write("anna", skipDatabaseCreation=True)
    origin.commit("one cabinet")
    assert outcomes(origin.ci("main", "apply")) == {"anna": "applied"}
    origin.write("anna", skipDatabaseCreation=True, name="A newer name")
    changed = origin.commit("renamed")

    # A shallow clone lacks the commit that was applied last, and the base of a pull request.
    shallow = origin.ci("main", "apply", code=2, depth=1)
    assert "is not in this clone" in shallow["error"]["message"]
    assert "fetch-depth: 0" in shallow["error"]["hint"]
    shallow = origin.ci("main", "preview", "--base", f"{changed}~1", code=2, depth=1)
    assert "fetch-depth: 0" in shallow["error"]["hint"]

    # After a forced push the commit that was applied is nowhere, and nobody knows what is in force: a person decides.
    origin.git("checkout", "--quiet", "--orphan", "rewritten")
    origin.commit("all of it, with another history")
    origin.git("branch", "--quiet", "--force", "main", "rewritten")
    forced = origin.ci("main", "apply", code=2)
    assert "--all" in forced["error"]["hint"]
    assert origin.query("SELECT name FROM cabinets")[0][0] != "A newer name"
    assert outcomes(origin.ci("main", "apply", "--all")) == {"anna": "applied"}
    assert origin.query("SELECT name FROM cabinets") == [("A newer name",)]
    assert origin.ci("main", "apply")["tenants"] == []
