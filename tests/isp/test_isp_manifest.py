"""The manifest and settings of an ISP, and the steps of its run."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.isp.manifest import ISP_SHAPE, IspManifest
from stacks.isp.steps import STEPS, step_of
from stacks.problems import ManifestError
from stacks.resolve import resolve, restore
from stacks.shape import parse
from stacks.templates import TemplateStore

LEAST: dict[str, Any] = {
    "kind": "isp",
    "name": "Alpine Net",
    "slug": "alpine-net",
    "adminEmail": "noc@alpine.example",
    "customerCount": 50,
    "planType": "standard",
}


def parsed(**changed: Any) -> IspManifest:
    return parse(ISP_SHAPE, {**LEAST, **changed})


def problems(**changed: Any) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        parsed(**changed)
    return {problem.field: problem.valid for problem in caught.value.problems}


def test_the_least_that_can_be_said() -> None:
    manifest = parsed()
    assert (manifest.region, manifest.template_id, manifest.features) == ("default", "default-isp", ())
    assert parse(ISP_SHAPE, manifest.to_dict()) == manifest


def test_every_problem_at_once() -> None:
    found = problems(customerCount=49, planType="gold", features=["billing", "biling"], region="Mars", name="")
    assert set(found) == {"customerCount", "planType", "features[1]", "region", "name"}
    assert "50" in found["customerCount"]
    assert "premium" in found["planType"]


@pytest.mark.parametrize("count", [50, 10_000, 10_001, 1_000_000])
def test_from_fifty_customers_to_more_than_ten_thousand(count: int) -> None:
    assert parsed(customerCount=count).customer_count == count


@pytest.mark.parametrize("count", [0, 49, 1_000_001, "500", 50.5, True, None])
def test_other_counts_are_refused(count: object) -> None:
    assert set(problems(customerCount=count)) == {"customerCount"}


@pytest.mark.parametrize("name", ["ISP_PLAN", "ISP_DATA", "TENANT", "PORT"])
def test_a_variable_that_the_application_is_given_is_no_manifests_to_give(name: str) -> None:
    found = problems(customSettings={"application": {"environment": {name: "x", "LOG_LEVEL": "info"}}})
    assert [(name in field, "another name" in valid) for field, valid in found.items()] == [(True, True)]


def test_a_feature_is_named_once() -> None:
    assert parsed(features=["billing", "analytics"]).features == ("billing", "analytics")
    assert "twice" in problems(features=["billing", "billing"])["features"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"resources": {"cpuCores": 0}}, "customSettings.resources.cpuCores"),
        ({"resources": {"cpuCores": float("nan")}}, "customSettings.resources.cpuCores"),
        ({"resources": {"memory": 1}}, "customSettings.resources.memory"),
        ({"replicas": 0}, "customSettings.replicas"),
        ({"ingress": {"host": "Not A Host"}}, "customSettings.ingress.host"),
        ({"ingress": {"keyFrom": "PASSWORD"}}, "customSettings.ingress.keyFrom"),
        (
            {"application": {"environment": {"DATABASE_URL": "x"}}},
            "customSettings.application.environment.DATABASE_URL",
        ),
    ],
)
def test_a_wrong_setting_is_a_problem_of_its_field(settings: dict[str, Any], field: str) -> None:
    assert any(found.startswith(field) for found in problems(customSettings=settings))


def resolved(**ingress: Any) -> Any:
    return resolve(parsed(customSettings={"ingress": ingress}), TemplateStore([ISP_SHAPE.folder], ISP_SHAPE))


def test_an_own_certificate_needs_its_two_variables_and_nothing_else_takes_them() -> None:
    own = {"certificateFrom": "TENANTRY_BACKEND_CERT", "keyFrom": "TENANTRY_BACKEND_KEY"}
    assert resolved(tls="own", **own).settings["ingress"]["tls"] == "own"
    with pytest.raises(ManifestError) as caught:
        resolved(tls="own")
    assert [one.field for one in caught.value.problems] == [
        "customSettings.ingress.certificateFrom",
        "customSettings.ingress.keyFrom",
    ]
    with pytest.raises(ManifestError) as caught:
        resolved(tls="issuer", keyFrom="TENANTRY_BACKEND_KEY")
    (problem,) = caught.value.problems
    assert (problem.field, problem.valid) == ("customSettings.ingress.keyFrom", "nothing, as tls is issuer")


def test_what_is_resolved_is_kept_and_read_back() -> None:
    kept = resolved(host="alpine.example")
    assert kept.template_version == "1.0.0"
    assert restore(ISP_SHAPE, kept.to_dict()) == kept


def test_the_phases_have_the_budgets_of_the_requirement() -> None:
    budgets = {step.key: step.seconds for step in STEPS if step.seconds}
    assert budgets == {"infrastructure": 60, "container": 90, "configuration": 45, "health": 45}
    assert sum(budgets.values()) == 240


@pytest.mark.parametrize("step", [step for step in STEPS if step.component_type])
def test_what_is_in_a_steps_component_belongs_to_the_step(step: Any) -> None:
    urn = f"urn:pulumi:a::tenantry::tenantry:isp:Isp${step.component_type}$kubernetes:core/v1:Service::a"
    assert step_of(urn) == step.key
