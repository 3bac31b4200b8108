"""What `tenantry ci` decides without doing anything: which tenants changed, how a report reads, what git is asked."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from automation.ci.changes import ChangeKind, changes_of, with_removed
from automation.ci.git import GitError, Repository
from automation.ci.report import LIMIT, markdown
from automation.ci.run import Outcome, Report, Row
from automation.errors import InputError
from tests.automation.helpers import ROOT

HOSTILE = (
    "a|b <img src=x onerror=alert(1)> @team #12 www.evil.example https://evil.example [click](javascript:x) "
    "```\n## heading\x1b[31m"
)


def test_manifests_settings_and_other_files() -> None:
    text = "".join(
        f"{letter}\0{path}\0"
        for letter, path in (
            ("A", "infra/stacks/new.yaml"),
            ("M", "infra/stacks/old.yaml"),
            ("D", "infra/stacks/gone.yaml"),
            ("T", "infra/stacks/link.yaml"),
            ("M", "infra/stacks/Pulumi.quiet.yaml"),
            ("D", "infra/stacks/Pulumi.gone.yaml"),
            ("M", "infra/stacks/program.py"),
            ("A", "infra/stacks/deeper/x.yaml"),
            ("M", "infra/templates/cabinet/default-dental.yaml"),
        )
    )
    found = changes_of(text, "infra/stacks", {"new", "old", "link", "quiet"})
    assert {one.tenant: one.kind for one in found.tenants} == {
        "new": ChangeKind.ADDED,
        "old": ChangeKind.CHANGED,
        "gone": ChangeKind.REMOVED,
        "link": ChangeKind.CHANGED,
        "quiet": ChangeKind.CHANGED,
    }
    assert [one.tenant for one in found.tenants] == sorted(one.tenant for one in found.tenants)
    assert found.others == (
        "infra/stacks/deeper/x.yaml",
        "infra/stacks/program.py",
        "infra/templates/cabinet/default-dental.yaml",
    )
    more = with_removed(found, ["old", "earlier"])
    assert {one.tenant: one.kind for one in more.tenants}["earlier"] is ChangeKind.REMOVED
    assert {one.tenant: one.kind for one in more.tenants}["old"] is ChangeKind.CHANGED


def test_git_output_that_is_not_in_pairs_is_refused() -> None:
    with pytest.raises(InputError, match="not in pairs"):
        changes_of("M\0stacks/a.yaml\0D\0", "stacks", set())
    assert changes_of("", "stacks", set()).tenants == ()


def report_of(*rows: Row, **values: Any) -> Report:
    return Report(**({"applying": False, "base": "b" * 40, "head": "c" * 40, "rows": rows} | values))


def changing(tenant: str, properties: int = 1) -> Row:
    rows = [{"path": f"p{n}", "before": HOSTILE, "after": "x" * 40} for n in range(properties)]
    change = {"op": "update", "type": "a:b:Cabinet", "name": HOSTILE, "step": None, "urn": "", "properties": rows}
    document = {"type": "preview", "changed": True, "counts": {"update": 1, "same": 3}, "changes": [change]}
    return Row(tenant=tenant, kind=ChangeKind.CHANGED, outcome=Outcome.WOULD_CHANGE, document=document)


def test_nothing_of_a_manifest_is_markdown_or_html() -> None:
    problem = {"field": HOSTILE, "given": "", "message": HOSTILE}
    error = {"kind": "invalid_input", "message": HOSTILE, "hint": HOSTILE, "details": {"problems": [problem]}}
    bad = Row(
        tenant=HOSTILE,
        kind=ChangeKind.ADDED,
        outcome=Outcome.INVALID,
        exit_code=2,
        note=HOSTILE,
        document={"error": error},
    )
    text = markdown(report_of(bad, changing("acme"), others=(HOSTILE,)))
    outside = re.sub(r"(?ms)^(`{3,})\w+\n.*?^\1$", "", text)
    assert outside.count("<details>") == 2
    # What is on the line of <details> is HTML, in which Markdown means nothing.
    words = "\n".join(line for line in outside.splitlines() if not line.startswith(("<details>", "## Tenantry")))
    assert not [danger for danger in ("<img", "@team", "#12", "www.evil", "\x1b") if danger in outside]
    assert not [danger for danger in ("](javascript", "https://", "## heading", "```") if danger in words]
    table = [line for line in outside.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    # The fence is longer than the backticks in what it holds.
    assert "\n````diff\n" in text


def test_a_report_fits_into_a_comment_and_says_what_did_not() -> None:
    text = markdown(report_of(*(changing(f"tenant-{number}", 40) for number in range(300))))
    assert len(text) <= LIMIT
    assert "details did not fit" in text
    assert text.count("<details>") == text.count("</details>") > 3
    text = markdown(report_of(*(changing(f"tenant-{number}") for number in range(3000))))
    assert len(text) <= LIMIT
    assert re.search(r"and \d+ more", text)


def test_the_codes_of_a_report() -> None:
    def row(code: int, outcome: Outcome = Outcome.FAILED) -> Row:
        return Row(tenant="a", kind=ChangeKind.CHANGED, outcome=outcome, exit_code=code)

    assert report_of(row(0, Outcome.NOTHING)).error() is None
    for codes, expected in (((2,), 2), ((2, 2), 2), ((3, 0), 3), ((3, 5), 9), ((130,), 130), ((6, 6), 6)):
        error = report_of(*(row(code) for code in codes)).error()
        assert error is not None
        assert error.exit_code == expected, codes


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    with pytest.raises(GitError, match="not a git repository"):
        Repository.around(tmp_path / "stacks")
    with pytest.raises(InputError, match="there is no folder"):
        Repository.around(tmp_path / "nowhere")


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="no `git` on PATH"):
        Repository.around(tmp_path)


# The workflow


def workflow() -> dict[Any, Any]:
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "tenants.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_the_workflow_says_only_what_github_knows() -> None:
    content = workflow()
    # YAML reads a bare `on` as true.
    assert set(content) == {"name", True, "permissions", "env", "jobs"}
    assert set(content[True]) == {"pull_request", "push", "workflow_dispatch"}
    assert content["permissions"] == {"contents": "read"}
    jobs = {"if", "runs-on", "timeout-minutes", "environment", "permissions", "concurrency", "steps"}
    steps = {"uses", "with", "run", "name", "env", "if"}
    for job in content["jobs"].values():
        assert set(job) <= jobs
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        for step in job["steps"]:
            assert set(step) <= steps
            assert ("uses" in step) != ("run" in step)


def test_the_workflow_pins_what_it_uses() -> None:
    text = (ROOT / ".github" / "workflows" / "tenants.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == 6
    for one in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", one), one


def test_secrets_and_rights_of_the_workflow() -> None:
    content = workflow()
    for name, job in content["jobs"].items():
        text = yaml.safe_dump(job)
        # What is protected is asked of the environment; a fork gets none of it.
        assert ("secrets." in text) == (job.get("environment") == "tenants"), name
        if "secrets." in text and name != "apply":
            assert "head.repo.full_name == github.repository" in job["if"]
        if "tenantry ci" in text:
            assert any(step.get("with", {}).get("fetch-depth") == 0 for step in job["steps"]), name
        for step in job["steps"]:
            # What others write (branches, titles) reaches a shell by its environment, never as part of the script.
            assert "${{" not in step.get("run", ""), name
    assert content["jobs"]["apply"]["concurrency"]["cancel-in-progress"] is False


def test_the_scripts_of_the_workflow_are_scripts() -> None:
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            if script := step.get("run"):
                done = subprocess.run(
                    ["bash", "-n"], input=script, text=True, capture_output=True, check=False, timeout=20
                )
                assert done.returncode == 0, done.stderr
