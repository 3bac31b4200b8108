"""The Grafana dashboard and the alert rules ask only for what /metrics really says."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.state import State
from tests.automation.helpers import ROOT
from tests.service.activity import make_some

DASHBOARD = ROOT / "deploy" / "grafana" / "tenantry.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
# What Prometheus itself adds to every series that it scrapes; pod where it finds its targets in Kubernetes.
SCRAPED = {"instance", "job", "pod"}
Promtool = Callable[..., tuple[int, str]]
VARIABLES = {"$__rate_interval": "5m", "$line": ".*"}


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def expressions() -> list[tuple[str, str]]:
    """Where it stands, and the expression as Prometheus would get it."""
    found = [(f"alert {rule['alert']}", rule["expr"]) for rule in rules()]
    for panel in panels():
        found += [(f"panel {panel['title']} {target['refId']}", target["expr"]) for target in panel["targets"]]
    return [(where, filled(expr)) for where, expr in found]


def filled(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def selectors(expr: promql.Expr) -> Iterator[promql.VectorSelector]:
    """Every selector in the expression."""
    if isinstance(expr, promql.VectorSelector):
        yield expr
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        inner = getattr(expr, name, None)
        if isinstance(inner, promql.Expr):
            yield from selectors(inner)
    for inner in getattr(expr, "args", None) or ():
        yield from selectors(inner)


def groupings(expr: promql.Expr) -> Iterator[tuple[promql.Expr, set[str]]]:
    """Every `by`, `without` and `on`, with what it is about."""
    modifier = getattr(expr, "modifier", None)
    if isinstance(modifier, promql.AggModifier):
        yield expr, set(modifier.labels)
    matching = getattr(modifier, "matching", None)
    if matching is not None:
        yield expr, set(matching.labels)
    for name in ("expr", "lhs", "rhs", "param"):
        inner = getattr(expr, name, None)
        if isinstance(inner, promql.Expr):
            yield from groupings(inner)
    for inner in getattr(expr, "args", None) or ():
        yield from groupings(inner)


@pytest.fixture
async def exported(state: State, client: httpx.AsyncClient) -> dict[str, dict[str, set[str]]]:
    """Every series of /metrics after some of everything: its labels, and the values that they have."""
    await make_some(state, client)
    text = (await client.get("/metrics")).text
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def test_there_is_something_to_test() -> None:
    assert len(rules()) >= 15
    assert len(panels()) >= 20
    for where, expr in expressions():
        assert list(selectors(promql.parse(expr))) or "vector(" in expr, where


async def test_every_metric_and_label_exists(exported: dict[str, dict[str, set[str]]]) -> None:
    # A queue that cannot tell its age does not have this one; RabbitMQ does not.
    exported.setdefault("tenantry_queue_oldest_seconds", {"queue": {"procrastinate"}})
    for where, text in expressions():
        parsed = promql.parse(text)
        for selector in selectors(parsed):
            assert selector.name in exported, f"{where}: there is no metric {selector.name}"
            labels = exported[selector.name]
            for matcher in selector.matchers.matchers:
                assert matcher.name in labels, f"{where}: {selector.name} has no label {matcher.name}"
                if str(matcher.op).endswith("Equal") and not str(matcher.op).endswith("NotEqual"):
                    assert matcher.value in labels[matcher.name], f"{where}: {matcher.name} is never {matcher.value}"
        for grouped, labels_named in groupings(parsed):
            known = SCRAPED.union(*(exported[one.name] for one in selectors(grouped)))
            assert labels_named <= known, f"{where}: nothing has {labels_named - known}"


async def test_words_in_regular_expressions_are_ones_that_occur(exported: dict[str, dict[str, set[str]]]) -> None:
    for where, text in expressions():
        for selector in selectors(promql.parse(text)):
            for matcher in selector.matchers.matchers:
                if str(matcher.op).endswith("Re") and re.fullmatch(r"[\w|]+", matcher.value):
                    words = set(matcher.value.split("|"))
                    assert words <= exported[selector.name][matcher.name], f"{where}: {words}"


async def test_legends_and_alert_texts_name_labels_that_are_left(exported: dict[str, dict[str, set[str]]]) -> None:
    named = [
        (panel["title"], target["expr"], re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
        for panel in panels()
        for target in panel["targets"]
    ]
    for rule in rules():
        texts = " ".join(rule["annotations"].values())
        named.append((rule["alert"], rule["expr"], re.findall(r"\$labels\.(\w+)", texts)))
    for where, text, labels in named:
        for label in labels:
            assert label in left(promql.parse(filled(text)), exported), f"{where}: no {label} is left of {text}"


def left(expr: promql.Expr, exported: dict[str, dict[str, set[str]]]) -> set[str]:
    """The labels that an expression's result has."""
    if isinstance(expr, promql.VectorSelector):
        return SCRAPED.union(exported.get(expr.name, {"queue": set()}))
    if isinstance(expr, promql.AggregateExpr):
        inner = left(expr.expr, exported)
        if expr.modifier is None:
            return set()
        named = set(expr.modifier.labels)
        return inner & named if expr.modifier.type == promql.AggModifierType.By else inner - named
    if isinstance(expr, promql.BinaryExpr):
        sides = [left(side, exported) for side in (expr.lhs, expr.rhs) if not isinstance(side, promql.NumberLiteral)]
        return set.intersection(*sides) if sides else set()
    if isinstance(expr, promql.Call):
        inner = set().union(*(left(one, exported) for one in expr.args))
        return inner - {"le"} if expr.func.name == "histogram_quantile" else inner
    inside = getattr(expr, "expr", None) or getattr(expr, "vector_selector", None)
    return left(inside, exported) if inside is not None else set()


def test_counters_are_never_shown_as_they_are() -> None:
    for where, text in expressions():
        for name in re.findall(r"tenantry_\w+_(?:total|bucket|count|sum)\b", text):
            bare = re.search(rf"(?<!rate\()(?<!increase\()\b{name}\b(?![^\[\]]*\[)", text)
            assert bare is None, f"{where}: {name} without rate() or increase()"


def test_what_all_replicas_say_alike_is_not_added_up_twice() -> None:
    own = ("tenantry_http_", "tenantry_database_", "tenantry_queue_up", "tenantry_build_info")
    for where, text in expressions():
        shared = [one.name for one in selectors(promql.parse(text)) if not one.name.startswith(own)]
        if shared and "sum" in text:
            assert text.count("max without (instance, pod)") >= len(shared), where


def test_the_rules_have_what_prometheus_wants() -> None:
    loaded = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    assert set(loaded) == {"groups"}
    names = [group["name"] for group in loaded["groups"]]
    assert len(set(names)) == len(names)
    alerts = [rule["alert"] for rule in rules()]
    assert len(set(alerts)) == len(alerts)
    for group in loaded["groups"]:
        assert set(group) <= {"name", "interval", "limit", "rules"}
    for rule in rules():
        assert (
            {"alert", "expr", "labels", "annotations"}
            <= set(rule)
            <= {*("alert", "expr", "for", "keep_firing_for", "labels", "annotations")}
        )
        assert re.fullmatch(r"[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "description"} == set(rule["annotations"])
        assert rule["annotations"]["description"].endswith(".")


def test_the_dashboard_has_what_grafana_wants() -> None:
    loaded = dashboard()
    assert (loaded["uid"], loaded["title"], loaded["schemaVersion"]) == ("tenantry", "Tenantry", 39)
    ids = [panel["id"] for panel in loaded["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in loaded["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(loaded))) - {"__rate_interval", "__all"}
    assert used == {variable["name"] for variable in loaded["templating"]["list"]}


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Prometheus' own checker: its exit code and all that it says."""
    if shutil.which("promtool") is None:
        message = "Prometheus' own checker is not installed: `.ci/promtool FOLDER` gets it"
        if os.environ.get("TENANTRY_REQUIRE_SERVERS"):
            pytest.fail(message)
        pytest.skip(message)

    def checked(*arguments: str, given: bytes = b"") -> tuple[int, str]:
        done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, timeout=60, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    return checked


async def test_promtool_finds_nothing(promtool: Promtool, state: State, client: httpx.AsyncClient) -> None:
    code, said = promtool("check", "rules", str(ALERTS))
    assert (code, f"{len(rules())} rules found" in said) == (0, True), said
    await make_some(state, client)
    assert promtool("check", "metrics", given=(await client.get("/metrics")).content) == (0, "")


def test_promtool_would_find_something(promtool: Promtool, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(ALERTS.read_text(encoding="utf-8").replace("== 0", "=== 0", 1), encoding="utf-8")
    assert promtool("check", "rules", str(wrong))[0] != 0
    assert promtool("check", "metrics", given=b"# TYPE a_total gauge\na_total 1\n")[0] != 0
