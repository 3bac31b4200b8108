"""Policy packs: a real one, run by pulumi-policy, on the fake cloud; and the decisions about them without one."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from engine import secrets
from engine.command import EmbeddedCommand
from engine.policy import (
    PackSource,
    parse_config,
)
from engine.resource import Secret
from tests.engine.core.dsl import Result, Stack, a_stack, create, in_background, replace, secret, update
from tests.engine.core.program import bucket, group, provider, ref

PACK = Path(__file__).parent / "policy_pack"


def pack(config: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The option that runs the pack, `config` as in a file for --policy-pack-config."""
    source: dict[str, Any] = {
        "name": "rules-dir",
        "path": PACK,
        "main": ".",
        "python": sys.executable,
        "version": "1.2.3",
    }
    parsed = parse_config(json.dumps(config), "config.json") if config is not None else None
    return {"packs": (PackSource(**{**source, "config": parsed, **changes}),)}


def violations(result: Result) -> list[tuple[str, str, str]]:
    """(level, policy, resource's name) in their order."""
    found = [event["policyEvent"] for event in result.events if "policyEvent" in event]
    return [(e["enforcementLevel"], e["policyName"], e.get("resourceUrn", "").rsplit("::", 1)[-1]) for e in found]


def said(result: Result, policy: str) -> str:
    found = (e["policyEvent"] for e in result.events if "policyEvent" in e)
    return "".join(e["message"] for e in found if e["policyName"] == policy)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with a_stack(tmp_path) as stack:
        stack.environment = {"PYTHONPATH": ":".join(sys.path)}
        yield stack


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "ROUNDS", 1000)


# ------------------------------------------------------------------ resources


def test_what_violates_a_mandatory_policy_is_not_touched(stack: Stack) -> None:
    program = (bucket("ok", size=1), bucket("big", size=99, password=secret("hunter22")), bucket("bigger", size=100))
    preview = stack.preview(*program, **pack()).fails("preview failed")
    assert violations(preview) == [("mandatory", "small", "big"), ("mandatory", "small", "bigger")]
    assert said(preview, "small").startswith(
        "Buckets are small.\nbig has 99, which is over 10; its password is [secret]\n"
    )
    up = stack.up(*program, **pack()).fails()
    assert "create big" not in up.calls
    assert violations(up) == [("mandatory", "small", "big")]
    for result in (preview, up):
        assert "hunter22" not in str(result.events)
        assert result.events[0] == {"policyLoadEvent": {}}
        (summary,) = [e["summaryEvent"] for e in result.events if "summaryEvent" in e]
        assert summary["PolicyPacks"] == {"rules|local|rules-dir": "1.2.3"}


def test_an_update_that_violates_a_policy_leaves_the_resource_as_it_was(stack: Stack) -> None:
    stack.up(bucket("a", size=1), bucket("gone")).succeeds()
    result = stack.up(bucket("a", size=99), **pack()).fails()
    assert not result.calls
    assert stack.cloud.of("a")["size"] == 1
    assert stack.names == ["a", "gone"]


def test_an_advisory_policy_only_says_so(stack: Stack) -> None:
    result = stack.up(bucket("big", size=99), **pack({"small": "advisory"})).succeeds().expect(create("big"))
    assert violations(result) == [("advisory", "small", "big")]
    stack.up(bucket("big", size=99), **pack({"all": "disabled"})).does_nothing()


def test_configuration_changes_what_a_policy_allows(stack: Stack) -> None:
    program = bucket("a", size=20)
    stack.preview(program, **pack({"small": {"max": 20}})).succeeds()
    result = stack.preview(program, **pack({"small": {"max": 19, "enforcementLevel": "advisory"}})).succeeds()
    assert "over 19" in said(result, "small")


def test_a_policy_sees_the_options_and_the_provider(stack: Stack) -> None:
    program = (
        provider("p", account="root"),
        bucket("a", opts={"provider": "p", "protect": True, "ignoreChanges": ["x"], "timeouts": {"create": "2m"}}),
        bucket("b", opts={"delete_before_replace": True, "protect": True}),
    )
    result = stack.preview(*program, **pack()).fails("preview failed")
    assert ("mandatory", "account", "a") in violations(result)
    assert "a is made by p" in said(result, "account")
    assert "protect=True ignore=['x'] create=120 dbr=None" in said(result, "options")
    assert "protect=True ignore=[] create=0 dbr=True" in said(result, "options")


def test_what_is_unknown_in_a_preview_is_said_and_judged_in_the_update(stack: Stack) -> None:
    program = (bucket("a", source="here"), bucket("b", source=ref("a")))
    preview = stack.preview(*program, **pack({"known": "mandatory"})).succeeds()
    assert ("advisory", "known", "b") in violations(preview)
    assert "can't run policy 'known'" in said(preview, "known")
    assert not violations(stack.up(*program, **pack({"known": "mandatory"})).succeeds())


# ------------------------------------------------------------------ corrections


def test_a_correction_reaches_the_cloud_the_state_and_the_next_update(stack: Stack) -> None:
    on = pack({"labelled": "remediate"})
    program = bucket("a", size=1, password=secret("hunter22"))
    result = stack.up(program, **on).succeeds().expect(create("a"))
    (event,) = [e["policyRemediationEvent"] for e in result.events if "policyRemediationEvent" in e]
    assert event["after"]["owner"] == "team"
    assert "owner" not in event["before"]
    assert "hunter22" not in str(result.events)
    assert stack.cloud.of("a")["owner"] == "team"
    assert stack.resource("a").inputs["owner"] == "team"
    assert isinstance(stack.resource("a").inputs["password"], Secret)
    stack.up(program, **on).does_nothing()
    stack.up(program).succeeds().expect(update("a"))
    assert "owner" not in stack.cloud.of("a")


@pytest.mark.parametrize("where", ["region", "zone"])
def test_a_replacement_is_corrected_too(stack: Stack, where: str) -> None:
    on = pack({"labelled": "remediate"})
    stack.up(bucket("a", **{where: "x"}), **on).succeeds()
    result = stack.up(bucket("a", **{where: "y"}), **on).succeeds().expect(replace("a"))
    assert stack.cloud.of("a")["owner"] == "team"
    assert len([e for e in result.events if "policyRemediationEvent" in e]) == 1
    stack.up(bucket("a", **{where: "y"}), **on).does_nothing()


def test_a_violation_of_a_replacement_is_told_once(stack: Stack) -> None:
    stack.up(bucket("a", region="x", size=99)).succeeds()
    result = stack.preview(bucket("a", region="y", size=99), **pack()).fails("preview failed")
    assert violations(result) == [("mandatory", "small", "a")]


def test_other_policies_judge_what_is_left_after_corrections(stack: Stack) -> None:
    on = pack({"labelled": "remediate", "small": "remediate"})
    # `small` cannot correct anything, so it stops as a mandatory policy does.
    result = stack.preview(bucket("a", size=99), **on).fails("preview failed")
    assert violations(result) == [("mandatory", "small", "a")]


# ------------------------------------------------------------------ the stack


def test_the_stack_is_judged_by_what_has_come_out(stack: Stack) -> None:
    program = (bucket("a"), bucket("b"))
    on = pack({"few": {"max": 1}})
    preview = stack.preview(*program, **on).fails("preview failed")
    assert violations(preview) == [("mandatory", "few", "b")]
    up = stack.up(*program, **on).fails("update failed")
    assert violations(up) == [("mandatory", "few", "b")]
    # By then everything is there, as with the stock engine.
    assert set(up.calls) == {"create a", "create b"}
    assert "there are 2: a, b" in said(up, "few")
    stack.up(*program, **pack({"few": {"max": 1, "enforcementLevel": "advisory"}})).succeeds()


def test_the_stack_is_not_judged_when_it_did_not_come_out(stack: Stack) -> None:
    stack.cloud.fail("create", "b")
    result = stack.up(bucket("a"), bucket("b"), **pack({"few": {"max": 0}})).fails("refuses to create b")
    assert not violations(result)


def test_a_stack_policy_sees_parents_and_dependencies(stack: Stack) -> None:
    program = (group("g"), bucket("a"), bucket("b", source=ref("a"), odd="tell", opts={"parent": "g"}))
    result = stack.up(*program, **pack()).succeeds()
    assert "b: g ['a'] {'source': ['a']}" in said(result, "related")


def test_unchanged_resources_are_judged_too(stack: Stack) -> None:
    stack.up(bucket("a", size=99)).succeeds()
    stack.up(bucket("a", size=99), **pack()).fails()
    stack.destroy(**pack()).succeeds()


# ------------------------------------------------------------------ packs that misbehave


def test_a_policy_that_raises_fails_its_resource(stack: Stack) -> None:
    result = stack.up(bucket("a", odd="raise", password=secret("hunter22")), **pack())
    result.fails("failed to run policy: the policy pack 'rules-dir'", "cannot judge [secret]")
    assert "hunter22" not in str(result.events)
    assert stack.cloud.count("a") == 0


def test_a_pack_that_dies_fails_the_resource_with_its_last_words(stack: Stack) -> None:
    stack.up(bucket("a", odd="die"), **pack()).fails("ended during Analyze, with code 3", "I am gone")
    assert stack.cloud.count("a") == 0


def test_a_policy_that_takes_for_ever_can_be_cancelled(stack: Stack) -> None:
    results: list[Result] = []
    thread = in_background(lambda: results.append(stack.up(bucket("a", odd="hang"), **pack())))
    timer = threading.Timer(4, stack.cancel.signal)
    timer.start()
    thread.join(30)
    timer.join()
    assert not thread.is_alive()
    results[0].fails("was stopped")
    assert stack.cloud.count("a") == 0


@pytest.mark.parametrize(("odd", "message"), [("raise", "this pack is broken"), ("exit", "did not start")])
def test_a_pack_that_does_not_start_stops_everything(stack: Stack, odd: str, message: str) -> None:
    stack.environment["ODD_PACK"] = odd
    result = stack.up(bucket("a"), **pack()).fails("the policy pack 'rules-dir'", message)
    assert not result.all_calls
    assert not result.saves


def test_a_pack_without_its_packages_says_so(stack: Stack, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    stack.environment.clear()
    python = str(tmp_path / "venv" / "bin" / "python")
    stack.up(bucket("a"), **pack(python=python)).fails("did not start", "No module named")


def test_what_a_pack_prints_is_shown_without_the_stacks_secrets(stack: Stack) -> None:
    stack.config, stack.secret_keys = {"project:pw": "hunter22"}, frozenset({"project:pw"})
    result = stack.up(bucket("a", odd="print", password=secret("hunter22")), **pack()).succeeds()
    assert "a line of the pack, with [secret]" in result.messages("info")


def test_a_pack_knows_the_stack_and_its_configuration(stack: Stack) -> None:
    stack.config = {"project:who": "me"}
    program = bucket("a", odd="environment")
    assert "project/test me dry=True" in said(stack.preview(program, **pack()), "odd")
    assert "project/test me dry=False" in said(stack.up(program, **pack()), "odd")


def test_a_wrong_configuration_is_told_before_anything_is_done(stack: Stack) -> None:
    config = {"small": {"max": 0}, "few": {"max": "1", "why": "c"}}
    result = stack.up(bucket("a"), **pack(config)).fails(
        "validating policy config: rules 1.2.3  small: max: Must be greater than or equal to 1",
        "few: max: Invalid type. Expected: integer, given: string",
        'few: why: why must be one of the following: "a", "b"',
    )
    assert not result.all_calls
    stack.preview(bucket("a"), **pack({"smal": "mandatory"})).succeeds().warns("has no policy named smal")


def test_no_process_is_left(stack: Stack) -> None:
    before = _children()
    stack.preview(bucket("a", size=99), **pack()).fails()
    stack.up(bucket("a", odd="raise"), **pack()).fails()
    assert _children() == before


def _children() -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    mine = f" {__import__('os').getpid()} "
    return {int(line.split()[0]) for line in listed.splitlines() if mine in line and "pulumi.policy" in line}


# ------------------------------------------------------------------ the command line


class Project:
    """A stack of an inline program without resources, and folders that may be policy packs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program_runs = 0
        self.stack = auto.create_or_select_stack(
            stack_name="dev",
            project_name="proj",
            program=self._program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(folder),
                pulumi_home=str(folder / "home"),
                pulumi_command=EmbeddedCommand(in_process=True),
                project_settings=auto.ProjectSettings(
                    name="proj", runtime="python", backend=auto.ProjectBackend(f"file://{folder}")
                ),
                env_vars={"PULUMI_CONFIG_PASSPHRASE": "x"},
            ),
        )

    def _program(self) -> None:
        self.program_runs += 1

    def pack(self, **body: Any) -> str:
        folder = self.folder / "pack"
        folder.mkdir()
        (folder / "PulumiPolicy.yaml").write_text(yaml.safe_dump(body))
        return str(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_automation_api_runs_policy_packs(project: Project, tmp_path: Path) -> None:
    config = tmp_path / "policies.json"
    config.write_text('{"few": {"max": 0}, "small": "advisory"}')
    seen: list[Any] = []
    options: dict[str, Any] = {"policy_packs": [str(PACK)], "policy_pack_configs": [str(config)]}
    result = project.stack.up(**options, on_event=seen.append)
    assert f"✓ rules@v1.2.3 (local: {PACK})" in result.stdout
    (summary,) = [e.summary_event for e in seen if e.summary_event]
    assert summary.policy_packs == {f"rules|local|{PACK}": "1.2.3"}
    assert project.stack.preview(**options).change_summary


def test_each_pack_runs_in_the_environment_that_it_names(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(PACK, folder, ignore=shutil.ignore_patterns("__pycache__"))
    options = {"name": "python", "options": {"virtualenv": "env"}}
    (folder / "PulumiPolicy.yaml").write_text(yaml.safe_dump({"runtime": options, "version": "2.0.0"}))
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    result = project.stack.preview(policy_packs=[str(PACK), str(folder)])
    assert f"✓ rules@v1.2.3 (local: {PACK})" in result.stdout
    assert f"✓ rules@v2.0.0 (local: {folder})" in result.stdout
    assert (tmp_path / "used").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"runtime": "nodejs"}, "runtime 'nodejs'.*is not served"),
        ({"runtime": "python"}, "has no program"),
        ({"runtime": "python", "main": "rules.py"}, "has no program"),
        ({"runtime": {"name": "python", "options": {"virtualenv": "venv"}}}, "has no program"),
        ({"runtime": {"name": "python", "options": {"magic": True}}, "main": "PulumiPolicy.yaml"}, "'magic'"),
        ({"runtime": {"name": "python", "options": {"toolchain": "poetry"}}, "main": "PulumiPolicy.yaml"}, "'poetry'"),
        (
            {"runtime": {"name": "python", "options": {"virtualenv": "venv"}}, "main": "PulumiPolicy.yaml"},
            "virtual environment 'venv'",
        ),
    ],
)
def test_a_pack_that_cannot_be_run_is_refused_before_the_stack_is_locked(
    project: Project, body: dict[str, Any], message: str
) -> None:
    folder = project.pack(**body)
    with pytest.raises(auto.CommandError, match=message):
        project.stack.up(policy_packs=[folder])
    assert not project.stack.history()
    assert not project.program_runs


def test_options_that_do_not_fit_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(auto.CommandError, match='must be specified with "--policy-pack"'):
        project.stack.up(policy_pack_configs=["c.json"])
    with pytest.raises(auto.CommandError, match="must match the number"):
        project.stack.up(policy_packs=[str(PACK)], policy_pack_configs=["a", "b"])
    with pytest.raises(auto.CommandError, match="cannot read the policy configuration"):
        project.stack.up(policy_packs=[str(PACK)], policy_pack_configs=["nowhere.json"])
    with pytest.raises(auto.CommandError, match="policy pack not found at"):
        project.stack.preview(policy_packs=[str(tmp_path / "nowhere")])
    assert not project.stack.history()
