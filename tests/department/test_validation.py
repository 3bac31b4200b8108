"""What the platforms refuse, a manifest refuses first: nothing is refused half-way (CORE-7)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components.department import environment_of
from components.placing import AppSpec
from providers.names import GIVEN_VARIABLES, WHERE_TO_LISTEN
from stacks.department.manifest import DEPARTMENT_SHAPE
from stacks.problems import FieldProblem, ManifestError
from stacks.shape import parse


def problems(**application: Any) -> tuple[FieldProblem, ...]:
    """What is wrong with a manifest of this application."""
    manifest = {
        "kind": "department",
        "name": "Finance",
        "slug": "finance",
        "adminEmail": "head@finance.example",
        "region": "local",
        "customSettings": {"application": application},
    }
    try:
        parse(DEPARTMENT_SHAPE, manifest)
    except ManifestError as error:
        return tuple(error.problems)
    return ()


@pytest.mark.parametrize(
    "name",
    [
        *("HOST", "PORT", "TENANT", "DATABASE_URL", "PUBLIC_URL", "OAUTH_TOKEN_ENDPOINT", "OAUTH_CLIENT_ID"),
        *("OAUTH_CLIENT_SECRET", "OAUTH_SCOPE", "OAUTH_CA_PEM"),
    ],
)
def test_a_variable_that_the_application_is_given_is_no_manifests_to_give(name: str) -> None:
    (problem,) = problems(environment={name: "x", "LOG_LEVEL": "info"})
    assert problem.field.startswith("customSettings.application.environment")
    assert name in problem.field
    assert "LOG_LEVEL" not in problem.field
    assert "another name" in problem.valid


def test_all_that_a_department_sets_is_refused() -> None:
    args: Any = SimpleNamespace(environment={}, name="Finance", scopes=["read"], public_url="https://finance.example")
    database: Any = SimpleNamespace(inner_url="postgres://")
    credential: Any = SimpleNamespace(token_endpoint="https://login.example", client_id="i", client_secret="s")
    told = set(environment_of(args, database, credential))
    # Those of the platform, and one that only some regions have.
    assert told | {*WHERE_TO_LISTEN, "OAUTH_CA_PEM"} == GIVEN_VARIABLES


@pytest.mark.parametrize("path", ["/health", "/", "/a/b-c_d~e.f"])
def test_a_health_path_that_a_manifest_takes_can_be_run(path: str) -> None:
    assert problems(healthPath=path) == ()
    assert AppSpec(image="x", health_path=path).health_path == path


@pytest.mark.parametrize("path", ["/a%20b", "health", "/a b", "/a?b", "/h\n", f"/{'a' * 200}"])
def test_a_health_path_that_cannot_be_run_is_a_problem_of_its_field(path: str) -> None:
    (problem,) = problems(healthPath=path)
    assert (problem.field, problem.valid) == ("customSettings.application.healthPath", "a path such as /health")
