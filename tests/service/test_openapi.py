"""The OpenAPI document: whole, with an example of every body and every answer that is valid, and each name but once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from service.app import create_app
from tests.automation.helpers import PASSPHRASE
from tests.service.helpers import SECRET


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TENANTRY_JWT_SECRET", SECRET)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    return create_app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where, media type and content of every body and answer that has any."""
    for label, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for media_type, content in body.get("content", {}).items():
                yield f"{label} {name}", media_type, content


def test_every_body_and_answer_has_an_example_that_is_valid(document: dict[str, Any]) -> None:
    wrong, count = [], 0
    for where, media_type, content in contents(document):
        examples = [one["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        if not examples:
            wrong.append(f"{where}: no example of {media_type}")
        if media_type == "text/event-stream":
            continue  # its schema is of one event, its example of the bytes
        schema = content["schema"] | {"components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        for example in examples:
            count += 1
            wrong += [f"{where}: {error.message} at {error.instance_path}" for error in validator.iter_errors(example)]
    assert wrong == []
    assert count > 200


def test_examples_of_answers_say_something(document: dict[str, Any]) -> None:
    for where, media_type, content in contents(document):
        if media_type == "application/json":
            example = content.get("example") or next(iter(content["examples"].values()))["value"]
            assert example or where.endswith("request"), where
    tenants = document["paths"]["/api/v1/tenants"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert tenants["items"][0]["slug"] == "cabinet-rive"


def test_each_operation_is_named_described_and_needs_a_token(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    for label, operation in operations(document):
        assert operation["description"], label
        assert operation["tags"], label
        assert operation["security"] == [{"bearer": []}], label
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (label, parameter)


def test_the_routes_of_cabinets_are_those_of_their_requirements(document: dict[str, Any]) -> None:
    own = {label for label, operation in operations(document) if operation["tags"] == ["cabinets"]}
    assert own == {
        "POST /api/cabinets/provision",
        "GET /api/templates",
        "GET /api/templates/{templateId}",
        "GET /api/deployments/{deploymentId}",
        "DELETE /api/deployments/{deploymentId}",
    }
