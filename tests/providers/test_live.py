"""A dynamic provider that waits says for what, beside its own resource."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi import automation
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from providers.health.run import Checked, waiting_for
from providers.live import speaker
from tests.embedded import stacks_in


class WaitingProvider(ResourceProvider):
    def create(self, props: dict[str, str]) -> CreateResult:
        say = speaker()
        say(f"waiting for {props['what']}")
        return CreateResult("made", props)


class Waiting(Resource):
    def __init__(self, name: str, what: str) -> None:
        super().__init__(WaitingProvider(), name, {"what": what})


@pytest.mark.timeout(180)
def test_what_a_provider_waits_for_is_shown_beside_its_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program() -> None:
        Waiting("one", "the first")
        Waiting("two", "the second")

    said: dict[str, str] = {}

    def heard(event: automation.events.EngineEvent) -> None:
        told = event.diagnostic_event
        if told is not None and told.ephemeral:
            said[str(told.urn).rpartition("::")[2]] = told.message.strip()

    stack = stacks_in(tmp_path, monkeypatch)(program)
    stack.up(on_event=heard)
    stack.destroy()
    assert said == {"one": "waiting for the first", "two": "waiting for the second"}


def test_outside_of_a_call_nothing_is_said() -> None:
    speaker()("to nobody")


def test_only_parts_that_do_not_work_are_waited_for() -> None:
    said: list[str] = []
    told = waiting_for(said.append)
    told(
        [
            Checked(part="database", ok=True, detail="writes and reads", duration_ms=1),
            Checked(part="api", ok=False, detail="it answered 503 to GET /health", duration_ms=1),
        ]
    )
    told([Checked(part="database", ok=True, detail="writes and reads", duration_ms=1)])
    assert said == ["waiting for api: it answered 503 to GET /health"]
