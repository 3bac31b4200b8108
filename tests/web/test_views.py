"""What pages show: diffs by step, words for statuses, times, where signing in may lead, which request is a person's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from automation.models import DeploymentStatus, TenantStatus
from automation.models_jobs import DeliveryStatus, JobOperation, JobStatus
from automation.steps import StepStatus
from service.web.pages import Paging, breakable, capitalised
from service.web.targets import safe_target
from service.web.tenant_forms import unmasked
from service.web.views import ago, counted, differences, done_words, duration, exact, operation_word, plan, status_word
from service.web.views import tone as tone_of

STEPS = (("record", "Cabinet record"), ("database", "Cabinet database"))
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "AAABAx"}
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def change(op: str, kind: str, step: str | None, *properties: tuple[str, Any, Any]) -> dict[str, Any]:
    rows = [{"path": path, "before": before, "after": after} for path, before, after in properties]
    return {"urn": f"urn:::::{kind}::x", "op": op, "type": kind, "name": "x", "step": step, "properties": rows}


def test_changes_stand_by_step_in_the_order_of_the_steps_and_components_are_left_out() -> None:
    groups = plan(
        [
            change("create", "tenantry:cabinet:Cabinet", None),
            change("update", "postgresql:index/role:Role", "database", ("connectionLimit", 5, 20)),
            change("create", "pulumi-python:dynamic/tenantry:CabinetRecord", "record", ("city", None, "Genève")),
            change("delete", "other:index:Thing", None, ("a", 1, None)),
        ],
        STEPS,
    )
    assert [(group.title, [one.title for one in group.resources]) for group in groups] == [
        ("Cabinet record", ["Cabinet record"]),
        ("Cabinet database", ["Role"]),
        ("Other objects", ["Thing"]),
    ]
    assert counted(groups) == (("create", 1), ("update", 1), ("delete", 1))
    row = groups[1].resources[0].rows[0]
    assert (row.kind, row.before, row.after) == ("changed", "5", "20")


def test_a_replacement_is_one_change() -> None:
    ops = ("create-replacement", "replace", "delete-replaced")
    groups = plan([change(op, "a:b:C", "record", ("x", 1, 2)) for op in ops], STEPS)
    assert counted(groups) == (("replace", 1),)


@pytest.mark.parametrize("secret", [SECRET, [SECRET], {"a": {"b": SECRET}}])
def test_no_secret_is_shown(secret: Any) -> None:
    groups = plan([change("create", "postgresql:index/role:Role", "database", ("password", None, secret))], STEPS)
    shown = [row.after for row in groups[0].resources[0].rows]
    assert all("[secret]" in text and "AAABAx" not in text for text in shown)


def test_a_value_that_only_the_run_will_know_says_so() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    groups = plan([change("create", "a:b:C", "record", ("id", None, unknown), ("all", None, [unknown]))], STEPS)
    assert [row.after for row in groups[0].resources[0].rows] == ["known after apply", '["known after apply"]']


def test_a_mapping_that_is_new_is_shown_by_its_leaves() -> None:
    rows = differences({"a": {"b": 1}, "gone": {"x": 2}}, {"a": {"b": 1}, "new": {"c": {"d": True}, "e": []}})
    assert [(row.path, row.kind, row.before, row.after) for row in rows] == [
        ("gone.x", "removed", "2", ""),
        ("new.c.d", "added", "", "true"),
        ("new.e", "added", "", "[]"),
    ]


def test_every_status_and_operation_has_a_word_and_a_tone() -> None:
    for status in {*TenantStatus, *JobStatus, *DeploymentStatus, *StepStatus, *DeliveryStatus}:
        assert status_word(status) != status
        assert "_" not in status_word(status)
        assert tone_of(status) in {"good", "busy", "wait", "bad", "undone", "quiet"}
    assert {tone_of(one) for one in ("failed", "rollback_failed", "interrupted")} == {"bad"}
    assert all("_" not in operation_word(one) for one in JobOperation)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (4.9, "just now"),
        (-1, "just now"),
        (5, "5 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (2 * 86_400, "2 days ago"),
        (-90, "in 1 min"),
    ],
)
def test_how_long_ago(seconds: float, expected: str) -> None:
    assert ago((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_951, "1 min 00 s"),
        (65_000, "1 min 05 s"),
        (7_380_000, "2 h 03 min"),
    ],
)
def test_durations(milliseconds: int | None, expected: str) -> None:
    assert duration(milliseconds) == expected


def test_times_are_exact_to_the_second_and_say_their_zone() -> None:
    assert exact("2026-11-21T13:06:23.258307+01:00") == "21 Nov 2026, 12:06:23 UTC"


def test_what_a_run_has_done() -> None:
    made = {"same": 3, "create": 2, "create-replacement": 1, "replace": 1, "delete-replaced": 1, "delete": 4}
    assert done_words(made) == "Objects: 2 created, 1 replaced, 4 removed."
    assert done_words({"same": 11}) == "Nothing had to be changed."


@pytest.mark.parametrize("target", ["/tenants/acme", "/jobs?page=2&status=failed", "/tenants/new?from=1%202"])
def test_signing_in_leads_to_our_own_pages(target: str) -> None:
    assert safe_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        None,
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/a\r\nSet-Cookie: x",
        "javascript:alert(1)",
    ],
)
def test_signing_in_never_leads_elsewhere(target: str | None) -> None:
    assert safe_target(target) == "/tenants"


def test_a_form_keeps_the_secrets_that_it_does_not_show() -> None:
    old = {"password": "old-one", "name": "a", "inner": {"token": "t"}, "list": ["x"]}
    new = {"password": "[secret]", "name": "b", "inner": {"token": "new"}, "list": ["[secret]"]}
    assert unmasked(new, old) == {"password": "old-one", "name": "b", "inner": {"token": "new"}, "list": ["[secret]"]}


def test_pages_of_a_list() -> None:
    middle = Paging(page=2, total=120, path="/tenants", query={"q": "a b", "status": ""})
    assert (middle.first, middle.last, middle.before, middle.after) == (
        51,
        100,
        "/tenants?q=a+b&page=1",
        "/tenants?q=a+b&page=3",
    )
    last = Paging(page=3, total=120, path="/tenants", query={})
    assert (last.last, last.after) == (120, "")
    assert Paging(page=1, total=10_000, path="/jobs", query={}).total_text == "10,000 or more"


def test_sentences_show_code_as_code_and_escape_everything_else() -> None:
    assert capitalised("take it over with `pulumi import`") == "Take it over with <code>pulumi import</code>"
    assert capitalised("<b>`x`</b>") == "&lt;b&gt;<code>x</code>&lt;/b&gt;"
    assert capitalised("`<i>`") == "<code>&lt;i&gt;</code>"
    assert breakable("a.<b>.c") == "a.<wbr>&lt;b&gt;.<wbr>c"
