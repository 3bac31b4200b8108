"""Update plans as files, through the command line and the Automation API. What a plan allows is in core."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi import automation as auto

from engine import secrets
from engine.command import EmbeddedCommand
from engine.errors import SecretsError, StateError
from engine.plan import GoalPlan, Plan, PlanDiff, ResourcePlan, accepts, plan_diff, property_violations
from engine.plan_file import plan_from_dict, plan_to_dict
from engine.resource import UNKNOWN, AliasSpec, PropertyMap, Secret, StepOp, Timeouts

URN = "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
THING = "urn:pulumi:dev::proj::my:index:Thing::a"


class Cipher:
    """One that tells whether it was asked."""

    def encrypt(self, plaintext: str) -> str:
        return "hidden:" + base64.b64encode(plaintext.encode()).decode()

    def decrypt(self, text: str) -> str:
        if not text.startswith("hidden:"):
            raise SecretsError("not mine")
        return base64.b64decode(text.removeprefix("hidden:")).decode()


# ------------------------------------------------------------------ the file

GOAL = GoalPlan(
    type="a:b:C",
    name="x",
    custom=True,
    input_diff=PlanDiff(adds={"a": Secret({"deep": [1, UNKNOWN]}), "n": None}, deletes=("d",), updates={"u": UNKNOWN}),
    output_diff=PlanDiff(adds={"o": "v"}),
    parent=URN,
    protect=True,
    dependencies=[THING],
    provider="urn:pulumi:dev::proj::pulumi:providers:a::default::id",
    property_dependencies={"a": [THING]},
    delete_before_replace=False,
    ignore_changes=["i"],
    additional_secret_outputs=["s"],
    alias_urns=["urn:pulumi:dev::proj::a:b:C::old"],
    alias_specs=[AliasSpec(name="before", no_parent=True), AliasSpec(type="t", parent_urn=URN)],
    import_id="imp",
    custom_timeouts=Timeouts(create=60, delete=1.5),
)
PLAN = Plan(
    resources={
        THING: ResourcePlan(goal=GOAL, steps=[StepOp.CREATE], outputs={"o": Secret("v")}, seed=b"\0\1seed"),
        URN: ResourcePlan(steps=[StepOp.DELETE]),
    }
)


def test_a_plan_survives_its_file() -> None:
    text = json.dumps(plan_to_dict(PLAN, {"proj:k": {"secure": "x"}}, Cipher()))
    assert plan_from_dict(json.loads(text), Cipher(), "plan.json") == PLAN


def test_the_file_is_the_stock_engines() -> None:
    body = plan_to_dict(PLAN, {"proj:k": "v"}, Cipher())
    assert list(body) == ["manifest", "config", "resourcePlans"]
    assert set(body["manifest"]) == {"time", "magic", "version"}
    assert body["resourcePlans"][URN] == {"steps": ["delete"], "state": None}
    goal = body["resourcePlans"][THING]["goal"]
    assert goal["inputDiff"]["updates"] == {"u": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
    assert goal["structuredAliases"][0] == {"name": "before", "noParent": True}
    assert goal["customTimeouts"] == {"create": 60, "delete": 1.5}
    assert goal["id"] == "imp"


def test_a_file_of_the_stock_engine_is_read() -> None:
    """With Go's own names where it has no others, and without what is empty."""
    goal = {"type": "a:b:C", "name": "x", "custom": False, "inputDiff": {}, "outputDiff": {}, "protect": False}
    body = {
        "manifest": {"time": "2026-08-01T10:00:00Z", "magic": "m", "version": "v3.259.0"},
        "resourcePlans": {
            THING: {"goal": {**goal, "structuredAliases": [{"Name": "n", "NoParent": True}]}, "state": None},
            URN: {"goal": {**goal, "customTimeouts": {}}, "steps": ["same"], "state": {}, "seed": "AAE="},
        },
    }
    plan = plan_from_dict(body, Cipher(), "plan.json")
    assert plan.resources[URN].seed == b"\0\1"
    assert plan.resources[THING].goal is not None
    assert plan.resources[THING].goal.alias_specs == [AliasSpec(name="n", no_parent=True)]
    assert plan_from_dict({"manifest": {}}, Cipher(), "empty.json") == Plan()


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"version": 3, "deployment": {}},
        {"manifest": {}, "resourcePlans": []},
        {"manifest": {}, "resourcePlans": {URN: {"steps": ["dance"]}}},
        {"manifest": {}, "resourcePlans": {URN: {"goal": {"name": "x"}}}},
        {"manifest": {}, "resourcePlans": {URN: {"seed": "***"}}},
        {"manifest": {}, "resourcePlans": {URN: 7}},
    ],
)
def test_what_is_no_plan_is_refused_with_the_files_name(body: Any) -> None:
    with pytest.raises(StateError, match=r"odd\.json"):
        plan_from_dict(body, Cipher(), "odd.json")


def test_a_plan_of_another_passphrase_is_refused() -> None:
    body = json.loads(json.dumps(plan_to_dict(PLAN, {}, Cipher())).replace("hidden:", "other:"))
    with pytest.raises(SecretsError, match="made for another stack or with another passphrase"):
        plan_from_dict(body, Cipher(), "plan.json")


# ------------------------------------------------------------------ what a value may be

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3), inner.map(Secret)
    ),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@settings(max_examples=200, deadline=None)
@given(MAPS, MAPS)
def test_what_was_planned_is_never_a_violation(old: PropertyMap, new: PropertyMap) -> None:
    assert not property_violations(old, new, plan_diff(old, new))
    # Nor is it when somebody has done it already.
    assert not property_violations(new, new, plan_diff(old, new))


@settings(max_examples=200, deadline=None)
@given(MAPS, MAPS, MAPS)
def test_what_keeps_to_the_plan_ends_as_planned(old: PropertyMap, new: PropertyMap, other: PropertyMap) -> None:
    planned = plan_diff(old, new)
    if property_violations(old, other, planned):
        return
    ends = {k: v for k, v in other.items() if v is not None}
    wanted = {k: v for k, v in new.items() if v is not None}
    assert not plan_diff(wanted, ends).updates
    assert ends.keys() == wanted.keys()


@pytest.mark.parametrize(
    ("expected", "actual", "fits"),
    [
        (UNKNOWN, 1, True),
        ({"a": UNKNOWN}, {}, True),
        ({"a": 1}, {}, False),
        ({}, {"a": 1}, False),
        ([UNKNOWN, 2], [None, 2], True),
        ([UNKNOWN], [], False),
        (Secret(1), 1, True),
        (Secret({"a": UNKNOWN}), {"a": Secret(3)}, True),
        (1, True, False),
        (1, UNKNOWN, False),
    ],
)
def test_values_that_fit_a_plan(expected: Any, actual: Any, fits: bool) -> None:
    assert accepts(expected, actual) is fits


def test_a_long_value_is_cut() -> None:
    (text,) = property_violations({}, {"a": "x" * 5000}, PlanDiff())
    assert len(text) < 500
    assert "(5002 characters)" in text


# ------------------------------------------------------------------ the command


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "ROUNDS", 1000)


class Thing(pulumi.ComponentResource):
    """Something that needs no plugin."""

    def __init__(self, name: str, **props: Any) -> None:
        super().__init__("my:index:Thing", name, props)
        self.register_outputs({})


Program = Callable[[], None]


class Project:
    """A stack of an inline program, which each operation gets anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "plan.json"

    def stack(self, program: Program, name: str = "dev") -> auto.Stack:
        return auto.create_or_select_stack(
            stack_name=name,
            project_name="proj",
            program=program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(self.folder),
                pulumi_home=str(self.folder / "home"),
                pulumi_command=EmbeddedCommand(in_process=True),
                project_settings=auto.ProjectSettings(
                    name="proj", runtime="python", backend=auto.ProjectBackend(f"file://{self.folder}")
                ),
                env_vars={"PULUMI_CONFIG_PASSPHRASE": "x"},
            ),
        )

    @property
    def locks(self) -> list[Path]:
        return list((self.folder / ".pulumi" / "locks").rglob("*.json"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def one() -> None:
    Thing("a", size=1, password=pulumi.Output.secret("hunter22"))
    pulumi.export("size", 1)


def two() -> None:
    Thing("a", size=2, password=pulumi.Output.secret("hunter22"))
    pulumi.export("size", 1)


def test_the_automation_api_saves_and_keeps_to_a_plan(project: Project) -> None:
    stack = project.stack(one)
    result = stack.preview(plan=str(project.plan))
    assert f"Update plan written to '{project.plan}'" in result.stdout
    body = json.loads(project.plan.read_bytes())
    assert body["resourcePlans"][THING]["steps"] == ["create"]
    assert "hunter22" not in project.plan.read_text()
    assert project.plan.stat().st_mode & 0o077 == 0
    with pytest.raises(auto.CommandError, match=r"properties changed: \+\+size\[\{1\}!=\{2\}\]"):
        project.stack(two).up(plan=str(project.plan))
    assert not project.locks
    assert project.stack(one).up(plan=str(project.plan)).summary.result == "succeeded"


def test_a_violation_is_explained(project: Project) -> None:
    project.stack(one).preview(plan=str(project.plan))
    said: list[str] = []
    with pytest.raises(auto.CommandError):
        project.stack(two).up(plan=str(project.plan), on_output=said.append)
    text = "\n".join(said)
    assert "does not allow this" in text
    assert "--save-plan" in text
    assert "hunter22" not in text


def test_a_plan_can_be_made_before_anything_else(project: Project) -> None:
    """Whatever key the plan's secrets are encrypted with, the next command has it."""
    stack = project.stack(one)
    (project.folder / "Pulumi.dev.yaml").unlink(missing_ok=True)
    stack.preview(plan=str(project.plan))
    assert stack.up(plan=str(project.plan)).summary.result == "succeeded"


def test_a_preview_that_fails_or_changes_too_much_writes_no_plan(project: Project) -> None:
    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(auto.CommandError):
        project.stack(broken).preview(plan=str(project.plan))
    with pytest.raises(auto.CommandError):
        project.stack(one).preview(plan=str(project.plan), expect_no_changes=True)
    assert not project.plan.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no plan at"),
        ("{", "is not JSON"),
        ("[]", "is not an update plan"),
        ("{}", "is not an update plan"),
    ],
)
def test_a_bad_plan_is_refused_before_the_stack_is_locked(project: Project, text: str | None, message: str) -> None:
    stack = project.stack(one)
    if text is not None:
        project.plan.write_text(text)
    with pytest.raises(auto.CommandError, match=message):
        stack.up(plan=str(project.plan))
    assert not stack.history()


def test_a_plan_of_another_stack_is_refused(project: Project) -> None:
    project.stack(one).preview(plan=str(project.plan))
    other = project.stack(one, "other")
    with pytest.raises(auto.CommandError, match=r"cannot be decrypted|is not for the stack 'other'"):
        other.up(plan=str(project.plan))
    assert not other.history()


def test_a_refresh_has_no_plan(project: Project) -> None:
    stack = project.stack(one)
    with pytest.raises(auto.CommandError, match="--save-plan is not served"):
        stack._run_pulumi_cmd_sync(["refresh", "--yes", "--save-plan", "x"])
