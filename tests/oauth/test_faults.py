"""Faults: each gives one clear line that says what to do, in bounded time, without a secret, and leaves one client."""

import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from providers.errors import ConfigurationError, OwnershipError, ProviderError, RefusedError, UnreachableError
from providers.oauth.resource import OAuthClientProvider
from tests.oauth.fake import Answer, Fake, faking
from tests.oauth.places import EmbeddedPlace, Props, alive, full_name

CLIENT = OAuthClientProvider()
INITIAL = "initial-hunter2"
Region = Callable[..., None]

pytestmark = pytest.mark.usefixtures("quick_retries")


def registered(**changes: Any) -> dict[str, Any]:
    body = {
        "client_id": "c1",
        "client_secret": "client-hunter2",
        "registration_client_uri": "/register/c1",
        "registration_access_token": "access-hunter2",
        "client_name": "x",
        "scope": "documents",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def refused(props: Props, error: type[ProviderError], match: str) -> str:
    with pytest.raises(error, match=match) as caught:
        CLIENT.create(props)
    text = str(caught.value)
    assert "hunter2" not in text
    assert "\n" not in text
    assert props["client_name"] in text
    return text


def answering(fake: Fake, **answers: Answer) -> None:
    """What POST, PUT, ... on anything but the metadata is answered with; URIs become this server's."""

    def behave(method: str, path: str) -> Answer | None:
        if "/.well-known/" in path or method not in answers:
            return None
        status, body, *more = answers[method]
        if isinstance(body, dict) and str(body.get("registration_client_uri", "")).startswith("/"):
            body = body | {"registration_client_uri": fake.issuer + body["registration_client_uri"]}
        return (status, body, *more)  # type: ignore[return-value]

    fake.behave = behave


def test_a_server_that_is_down_is_tried_three_times(props: Props, region: Region, monkeypatch: Any) -> None:
    tries: list[str] = []
    send = httpx.Client.request

    def counted(self: httpx.Client, method: str, url: Any, **options: Any) -> httpx.Response:
        tries.append(str(url))
        return send(self, method, url, **options)

    monkeypatch.setattr(httpx.Client, "request", counted)
    region(issuer="http://127.0.0.1:1", initial_token=INITIAL)
    refused(props, UnreachableError, r"http://127.0.0.1:1 does not answer .*Check that it runs and can be reached")
    assert len(tries) == 3


def test_a_server_that_hangs(props: Props, region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.oauth.server.CALL_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        region(issuer=f"http://127.0.0.1:{silent.getsockname()[1]}", initial_token=INITIAL)
        began = time.monotonic()
        refused(props, UnreachableError, r"does not answer \(.*timed out")
        assert time.monotonic() - began < 30


def test_a_server_with_errors_of_its_own(props: Props, region: Region) -> None:
    with faking(lambda _method, _path: (500, {"error": "server_error"})) as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        refused(props, RefusedError, r"answered 500 to GET /.well-known/oauth-authorization-server: .*server_error")


def test_a_server_that_asks_to_wait_is_asked_again(props: Props, region: Region) -> None:
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)

        def behave(method: str, path: str) -> Answer | None:
            if method == "POST" and fake.counted("POST", "/register") < 3:
                return 429, {"error": "slow_down"}, {"Retry-After": "0"}
            if method == "POST":
                return 201, registered(registration_client_uri=f"{fake.issuer}/register/c1")
            return None

        fake.behave = behave
        assert (CLIENT.create(props).outs or {})["client_id"] == "c1"
        assert fake.counted("POST", "/register") == 3
        fake.behave = lambda method, _path: (429, {}, {"Retry-After": "3600"}) if method == "POST" else None
        refused(props, RefusedError, r"answered 429 to POST /register")
        assert fake.counted("POST", "/register") == 4


@pytest.mark.parametrize("status", [500, 502, 504])
def test_where_the_registration_may_have_been_made_it_is_said(props: Props, region: Region, status: int) -> None:
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        answering(fake, POST=(status, {"error": "who knows"}))
        text = refused(props, ProviderError, rf"answered {status} .*may have registered the client nevertheless")
        assert full_name(props) in text
        assert fake.counted("POST", "/register") == 1


class TestCutConnections:
    """The server has done it, and its answer is lost on the way."""

    @pytest.fixture
    def losing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
        def lose(method: str, path: str) -> list[str]:
            lost: list[str] = []
            send = httpx.Client.request

            def cut(self: httpx.Client, verb: str, url: Any, **options: Any) -> httpx.Response:
                answer = send(self, verb, url, **options)
                if verb == method and httpx.URL(url).path.startswith(path) and not lost:
                    lost.append(answer.text)
                    raise httpx.ReadError("Connection reset by peer")
                return answer

            monkeypatch.setattr(httpx.Client, "request", cut)
            return lost

        return lose

    def test_of_a_registration_that_can_be_found(self, local: EmbeddedPlace, props: Props, losing: Any) -> None:
        lost = losing("POST", "/register")
        outs = CLIENT.create(props).outs or {}
        assert outs["client_secret"] in lost[0]
        assert local.named(full_name(props)) == [outs["client_id"]]
        assert alive(outs)
        CLIENT.delete("x", outs)

    def test_of_a_registration_that_cannot(
        self, local: EmbeddedPlace, props: Props, losing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("providers.oauth.clients.finder_of", lambda _server, _keycloak: None)
        losing("POST", "/register")
        refused(props, ProviderError, r"does not answer .*may have registered the client nevertheless: look there for")
        assert len(local.named(full_name(props))) == 1

    def test_of_a_change(self, local: EmbeddedPlace, props: Props, losing: Any) -> None:
        outs = CLIENT.create(props).outs or {}
        losing("PUT", "/register")
        news = props | {"scopes": ["workflows"]}
        with pytest.raises(UnreachableError, match="does not answer"):
            CLIENT.update("x", outs, news)
        again = CLIENT.update("x", outs, news).outs or {}
        assert CLIENT.read("x", again).outs == again
        assert again["scopes"] == ["workflows"]

    def test_of_a_rotation(self, local: EmbeddedPlace, props: Props, losing: Any) -> None:
        outs = CLIENT.create(props).outs or {}
        losing("POST", "/register")
        new = CLIENT.update("x", outs, props | {"rotation": 1, "grace_seconds": 60}).outs or {}
        assert sorted(local.named(full_name(props))) == sorted([outs["client_id"], new["client_id"]])

    def test_of_a_deletion(self, local: EmbeddedPlace, props: Props, losing: Any) -> None:
        outs = CLIENT.create(props).outs or {}
        losing("DELETE", "/register")
        CLIENT.delete("x", outs)
        assert local.named(full_name(props)) == []


def test_an_old_client_that_cannot_be_deleted_now_is_deleted_next_time(
    local: EmbeddedPlace, props: Props, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = CLIENT.create(props).outs or {}
    send = httpx.Client.request
    down = [True]

    def refusing(self: httpx.Client, method: str, url: Any, **options: Any) -> httpx.Response:
        if method == "DELETE" and down[0]:
            raise httpx.ConnectError("Connection refused")
        return send(self, method, url, **options)

    monkeypatch.setattr(httpx.Client, "request", refusing)
    news = props | {"rotation": 1}
    new = CLIENT.update("x", old, news).outs or {}
    assert alive(new)
    assert alive(old)
    assert CLIENT.diff("x", new, news).changes is True
    with pytest.raises(UnreachableError):
        CLIENT.update("x", new, news)
    down[0] = False
    after = CLIENT.update("x", new, news).outs or {}
    assert after["retired"] == []
    assert not alive(old)
    assert CLIENT.diff("x", after, news).changes is False


class TestCredentials:
    def test_a_wrong_initial_token(self, local: EmbeddedPlace, props: Props, region: Region) -> None:
        region(issuer=local.server.issuer, initial_token=INITIAL)
        refused(props, RefusedError, r"answered 401 .*")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("providers.oauth.clients.finder_of", lambda _server, _keycloak: None)
            refused(
                props, RefusedError, r"answered 401 .*new initial token \(initialTokenFrom\): this one may have ended"
            )

    def test_no_initial_token_where_one_is_needed(
        self, local: EmbeddedPlace, props: Props, region: Region, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("providers.oauth.clients.finder_of", lambda _server, _keycloak: None)
        region(issuer=local.server.issuer)
        refused(props, RefusedError, r"answered 401 .*Give the region an initial token \(initialTokenFrom\)")

    def test_a_variable_that_is_not_set(
        self, local: EmbeddedPlace, props: Props, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TENANTRY_BACKEND_TEST_INITIAL")
        with pytest.raises(ConfigurationError, match="TENANTRY_BACKEND_TEST_INITIAL is not set"):
            CLIENT.create(props)

    def test_a_wrong_administrator(self, local: EmbeddedPlace, props: Props, region: Region) -> None:
        region(issuer=local.server.issuer, admin_user="nobody", admin_password=INITIAL)
        refused(props, ConfigurationError, r"is no realm of a Keycloak: its issuer ends in /realms/NAME")
        with faking() as fake:
            realm = f"{fake.issuer}/realms/tenants"
            fake.metadata = {"issuer": realm}
            region(issuer=realm, admin_user="nobody", admin_password=INITIAL)
            answering(fake, POST=(401, {"error": "unauthorized_client", "said": INITIAL}))
            text = refused(props, RefusedError, r"login of the region's administrator .*answered 401 .*\[secret\]")
            assert "unauthorized_client" in text

    def test_an_administrator_without_the_role(self, props: Props, region: Region) -> None:
        with faking() as fake:
            realm = f"{fake.issuer}/realms/tenants"
            fake.metadata = {"issuer": realm}
            for kind in ("client", "user"):
                region(issuer=realm, admin_user="nobody", admin_password=INITIAL, adminIs=kind)
                answering(fake, POST=(200, {"access_token": "session-hunter2"}), GET=(403, {"error": "HTTP 403"}))
                refused(
                    props, RefusedError, r"does not let its administrator GET clients. Give .* the role manage-clients"
                )


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"issuer": "https://evil.example"}, r"are of the issuer 'https://evil.example'. Set the region's issuer"),
        ({"registration_endpoint": None}, r"offers no dynamic client registration. Turn it on there"),
        ({"token_endpoint": None}, r"offers no dynamic client registration"),
        ({"registration_endpoint": "file:///etc/passwd"}, r"has a registration_endpoint that is no URL"),
        ({"token_endpoint": 7}, r"has a token_endpoint that is no URL"),
    ],
)
def test_metadata_that_are_not_right(props: Props, region: Region, metadata: dict[str, Any], match: str) -> None:
    with faking(**metadata) as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        refused(props, ProviderError, match)
        assert not [method for method, _ in fake.requests if method != "GET"]


def test_metadata_where_openid_has_them(props: Props, region: Region) -> None:
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)

        def behave(method: str, path: str) -> Answer | None:
            if path.endswith("oauth-authorization-server"):
                return 404, b"<html>not here</html>"
            if method == "POST":
                return 201, registered(registration_client_uri=f"{fake.issuer}/register/c1")
            return None

        fake.behave = behave
        assert (CLIENT.create(props).outs or {})["issuer"] == fake.issuer


@pytest.mark.parametrize("body", [b"<html>hunter2</html>", b"", b"[]", b'"hunter2"', b"null", b"{}"])
def test_answers_that_are_malformed(props: Props, region: Region, body: bytes) -> None:
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        fake.behave = lambda method, _path: (201, body) if method == "POST" else None
        refused(props, ProviderError, r"no JSON|has answered a registration without client_id")
        fake.behave = lambda _method, _path: (200, body)
        refused(props, ProviderError, r"no JSON|metadata that are no JSON object|are of the issuer")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"registration_access_token": None}, r"without registration_access_token.*RFC 7592.*delete the client 'c1'"),
        ({"registration_client_uri": "https://evil.example/c1"}, r"'https://evil.example/c1' .* is another server"),
        ({"client_secret": None}, r"gives it no secret: allow confidential clients"),
        ({"scope": "workflows"}, r"does not give it the scopes documents: add them there"),
        ({"grant_types": ["authorization_code"]}, r"does not let it use client_credentials"),
        ({"token_endpoint_auth_method": "none"}, r"does not let it use client_credentials with client_secret_basic"),
    ],
)
def test_a_client_that_is_not_what_was_wanted(
    props: Props, region: Region, changes: dict[str, Any], match: str
) -> None:
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        answering(fake, POST=(201, registered(**changes)), DELETE=(204, b""))
        refused(props, ProviderError, match)
        # What can be deleted is deleted; a client's own token goes to nobody else's server.
        manageable = not {"registration_access_token", "registration_client_uri"} & set(changes)
        assert fake.counted("DELETE", "/register/c1") == manageable


def test_a_region_that_was_given_another_server(local: EmbeddedPlace, props: Props, region: Region) -> None:
    outs = CLIENT.create(props).outs or {}
    with faking() as fake:
        region(issuer=fake.issuer, initial_token=INITIAL)
        for act in (lambda: CLIENT.read("x", outs), lambda: CLIENT.delete("x", outs)):
            with pytest.raises(ConfigurationError, match=r"the region now has .*Set the region's issuer back"):
                act()
        # Neither a registration access token nor a secret went there.
        assert {path for _, path in fake.requests} == {"/.well-known/oauth-authorization-server"}


def test_a_client_that_belongs_to_another_tenant(local: EmbeddedPlace, props: Props) -> None:
    outs = CLIENT.create(props).outs or {}
    row = local.store.get(outs["client_id"])
    assert row is not None
    metadata = {**row.metadata, "software_id": "tenantry/other"}
    local.store.change(row.client_id, registration_digest=row.registration_digest, metadata=metadata)
    for act in (lambda: CLIENT.read("x", outs), lambda: CLIENT.update("x", outs, props | {"scopes": ["workflows"]})):
        with pytest.raises(OwnershipError, match=r"belongs to tenantry/other"):
            act()
