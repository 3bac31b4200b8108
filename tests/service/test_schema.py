"""The API against its own OpenAPI document, on a real server and database: no 5xx, no answer that it lacks."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.service.helpers import as_
from tests.service.seed import Seeded, seed

EXAMPLES = 12
PARTS = 4
PHASES = (Phase.explicit, Phase.generate)
KNOWN = {
    "slug": "acme",
    "step": "database",
    "template_id": "default-dental",
    "templateId": "default-dental",
    "kind": "cabinet",
    "version": "1",
    "subject": "ann",
}
ANSWERS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REQUESTS = [negative_data_rejection, missing_required_header, unsupported_method]


@pytest.fixture(scope="module")
def seeded(server: str, served_database: tuple[str, dict[str, str]]) -> Seeded:
    with psycopg.connect(served_database[0], autocommit=True) as connection:
        return seed(connection)


@pytest.fixture(scope="module")
def api(server: str, seeded: Seeded) -> schemathesis.BaseSchema:
    """The document as the server gives it."""
    return schemathesis.openapi.from_url(f"{server}/api/v1/openapi.json")


def operations(api: schemathesis.BaseSchema) -> list[schemathesis.APIOperation[Any, Any, Any, Any]]:
    return [found.ok() for found in api.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_is_described(
    api: schemathesis.BaseSchema, seeded: Seeded, part: int, mode: GenerationMode
) -> None:
    failed: list[str] = []
    for operation in operations(api)[part::PARTS]:
        try:
            _try(operation, seeded, mode)
        except FailureGroup as group:
            failed += [f"{operation.label}: {one}" for one in group.exceptions]
    assert not failed, "\n\n".join(failed)


def _try(operation: schemathesis.APIOperation[Any, Any, Any, Any], seeded: Seeded, mode: GenerationMode) -> None:
    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except (SkipTest, Unsatisfiable):
        return  # nothing of it can be wrong

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=PHASES
    )
    @given(case=strategy)
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=[*ANSWERS, *REQUESTS], headers=as_(), timeout=20)
        if case.path_parameters:
            # The same request for what is there: few generated names are.
            case.path_parameters = {
                name: KNOWN.get(name) or _known(seeded, name) or value for name, value in case.path_parameters.items()
            }
            case.call_and_validate(checks=ANSWERS, headers=as_(), timeout=20)

    answers()


def _known(seeded: Seeded, name: str) -> str | None:
    ids = {"job_id": seeded.job, "deployment_id": seeded.deployment, "deploymentId": seeded.deployment}
    return str(ids[name]) if name in ids else None
