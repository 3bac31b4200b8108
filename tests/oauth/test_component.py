"""The step on the embedded engine: made, unchanged, rotated, put right, removed; and what its state shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from components.credential import Credential
from tests.embedded import stacks_in
from tests.oauth.places import EmbeddedPlace, Props, alive, full_name

# The SDK's server for programs in this process makes an event loop for a thread and leaves it open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NAMES = ("client_id", "client_secret", "token_endpoint", "issuer")


@pytest.fixture
def settings(props: Props) -> Props:
    wanted = ("client_name", "region", "scopes", "tenant_mark", "rotation", "grace_seconds")
    return {name: props[name] for name in wanted}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Props) -> automation.Stack:
    def program() -> None:
        tenant = pulumi.ComponentResource("tests:Tenant", "acme")
        made = Credential("acme", **settings, tenant=tenant, after=[])
        assert made.anchor is made.ready
        for name in NAMES:
            pulumi.export(name, getattr(made, name))

    make: Callable[[Callable[[], Any]], automation.Stack] = stacks_in(tmp_path, monkeypatch)
    return make(program)


def values(result: automation.UpResult) -> Props:
    return {name: result.outputs[name].value for name in NAMES}


def test_made_unchanged_and_exchanged(
    local: EmbeddedPlace, stack: automation.Stack, settings: Props, tmp_path: Path
) -> None:
    assert stack.preview().change_summary["create"] > 0
    assert local.named(full_name(settings)) == []
    try:
        first = stack.up()
        assert first.outputs["client_secret"].secret is True
        old = values(first)
        assert alive(old)
        assert set(stack.up().summary.resource_changes or ()) == {"same"}

        settings |= {"rotation": 1, "grace_seconds": 3600}
        new = values(stack.up())
        assert new["client_secret"] != old["client_secret"]
        assert (alive(old), alive(new)) == (True, True)
        assert set(stack.up().summary.resource_changes or ()) == {"same"}
        _shows_no_secret(tmp_path, local, old, new)
    finally:
        stack.destroy()
    assert local.named(full_name(settings)) == []
    assert (alive(old), alive(new)) == (False, False)


def test_drift_is_put_right(local: EmbeddedPlace, stack: automation.Stack, settings: Props, tmp_path: Path) -> None:
    try:
        made = values(stack.up())
        local.meddle(made["client_id"], scope="workflows")
        assert (stack.refresh().summary.resource_changes or {})["update"] == 1
        assert (stack.up().summary.resource_changes or {})["update"] == 1
        row = local.store.get(made["client_id"])
        assert row is not None
        assert row.metadata["scope"] == "documents"
        _shows_no_secret(tmp_path, local, made)

        local.forget(made["client_id"])
        stack.refresh()
        again = values(stack.up())
        assert again["client_id"] != made["client_id"]
        assert alive(again)
    finally:
        stack.destroy()
    assert local.named(full_name(settings)) == []


def test_a_kill_after_the_registration_leaves_one_client(
    local: EmbeddedPlace, stack: automation.Stack, settings: Props, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from providers.oauth.resource import OAuthClientProvider

    # What a killed run leaves: the server knows a client, and no state does.
    lost = OAuthClientProvider().create(settings).outs or {}
    try:
        outputs = stack.up().outputs
        assert outputs["client_id"].value == lost["client_id"]
        assert local.named(full_name(settings)) == [lost["client_id"]]
    finally:
        stack.destroy()
    assert local.named(full_name(settings)) == []


def _shows_no_secret(folder: Path, local: EmbeddedPlace, *made: Props) -> None:
    secrets = [each["client_secret"] for each in made] + [local.server.initial_token]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("dev.json" in path.name for path in files)
    for path in files:
        data = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in data], path
    state = next(path for path in files if path.name == "dev.json").read_text()
    # Nor a registration access token, by which a client can be changed: all of them are kept encrypted.
    assert '"registration_access_token": {' in state
    assert '"retired": {' in state
