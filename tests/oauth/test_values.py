"""What is checked before anything is touched, what a difference means, and what a region may say."""

from pathlib import Path
from typing import Any

import pytest

from providers.backends import backends_of
from providers.errors import ConfigurationError
from providers.oauth.resource import OAuthClientProvider
from providers.oauth.server import _places
from providers.oauth.token import access_token
from tests.oauth.fake import faking
from tests.oauth.places import Props, write_region

CLIENT = OAuthClientProvider()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"client_name": ""}, ["client_name"]),
        ({"region": None, "tenant_mark": ""}, ["region", "tenant_mark"]),
        ({"client_name": "two\nlines"}, ["client_name"]),
        ({"client_name": "x" * 151}, ["client_name"]),
        ({"client_name": "x" * 150, "tenant_mark": "y" * 110}, ["client_name"]),
        ({"scopes": ["a b", 'c"', "é", 7, ""]}, ["scopes"] * 5),
        ({"scopes": []}, []),
        ({"rotation": -1, "grace_seconds": 1.5}, ["rotation", "grace_seconds"]),
        ({"grace_seconds": 30 * 24 * 3600 + 1}, ["grace_seconds"]),
        ({"rotation": 1.0, "grace_seconds": 60.0}, []),
        ({"rotation": "1"}, ["rotation"]),
    ],
)
def test_check(props: Props, changes: dict[str, Any], fields: list[str]) -> None:
    checked = CLIENT.check({}, props | changes)
    assert [failure.property for failure in checked.failures] == fields
    assert all(failure.reason.startswith(failure.property) for failure in checked.failures)


def test_check_puts_scopes_in_order(props: Props) -> None:
    assert CLIENT.check({}, props | {"scopes": ["b", "a", "b"]}).inputs["scopes"] == ["a", "b"]


@pytest.mark.parametrize("field", ["region", "tenant_mark", "client_name"])
def test_another_identity_replaces(props: Props, field: str) -> None:
    diff = CLIENT.diff("x", props, props | {field: "other"})
    assert (diff.changes, diff.replaces, diff.delete_before_replace) == (True, [field], True)


@pytest.mark.parametrize(("field", "value"), [("scopes", ["workflows"]), ("rotation", 1), ("grace_seconds", 60)])
def test_what_is_owned_updates(props: Props, field: str, value: Any) -> None:
    diff = CLIENT.diff("x", props, props | {field: value})
    assert (diff.changes, diff.replaces) == (True, [])


def test_numbers_as_pulumi_sends_them_are_no_change(props: Props) -> None:
    assert CLIENT.diff("x", props, props | {"rotation": 0.0, "grace_seconds": 0.0}).changes is False


@pytest.mark.parametrize(
    ("issuer", "places"),
    [
        (
            "https://login.example",
            (
                "https://login.example/.well-known/oauth-authorization-server",
                "https://login.example/.well-known/openid-configuration",
            ),
        ),
        (
            "https://login.example/realms/tenants/",
            (
                "https://login.example/.well-known/oauth-authorization-server/realms/tenants",
                "https://login.example/realms/tenants/.well-known/openid-configuration",
            ),
        ),
    ],
)
def test_where_metadata_are(issuer: str, places: tuple[str, str]) -> None:
    assert _places(issuer) == places


@pytest.mark.parametrize(
    ("oauth", "match"),
    [
        ({"admin_user": "someone"}, "adminUserFrom and adminPasswordFrom go together"),
        ({"rotation": "keycloak"}, "rotation: keycloak needs adminUserFrom and adminPasswordFrom"),
        ({"adminIs": "root"}, r"oauth\.adminIs"),
    ],
)
def test_a_region_that_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oauth: dict[str, Any], match: str
) -> None:
    write_region(tmp_path / "backends.yaml", monkeypatch, issuer="https://login.example", **oauth)
    with pytest.raises(ConfigurationError, match=match):
        backends_of("eu")


@pytest.mark.parametrize("body", [{}, {"access_token": 7}, [], b"<html>"])
def test_a_token_answer_without_a_token(body: Any) -> None:
    with faking(lambda _method, _path: (200, body)) as fake:
        with pytest.raises(Exception, match=r"without an access token|no JSON") as caught:
            access_token(f"{fake.issuer}/token", "id", "hunter2-hunter2", what="credential of acme")
        assert "hunter2" not in str(caught.value)
        assert str(caught.value).startswith("credential of acme: ")
