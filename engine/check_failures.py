"""What is said of inputs that a provider refuses, in the stock engine's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from engine.go_text import go_text
from engine.provider_client import CheckFailure
from engine.resource import urn_name, urn_type


def check_message(urn: str, failure: CheckFailure, inputs: Mapping[str, object]) -> str:
    """One refusal, with the value as Go prints it."""
    where = f"{urn_type(urn)} resource '{urn_name(urn)}'"
    value = inputs.get(failure.property) if failure.property else None
    if value is None:
        return f"{where} has a problem: {failure.reason}"
    return f"{where}: property {failure.property} value {go_text(value)} has a problem: {failure.reason}"
