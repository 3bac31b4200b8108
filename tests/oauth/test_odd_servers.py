"""Servers that keep to the RFCs in ways that no real one here has: each leads to one client, or to a clear line."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from providers.errors import ProviderError, RefusedError
from providers.oauth.resource import OAuthClientProvider
from tests.oauth.fake import Answer, Fake, faking
from tests.oauth.places import Props, full_name

CLIENT = OAuthClientProvider()

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture
def fake(region: Callable[..., None]) -> Iterator[Fake]:
    """With a lookup, and no client."""
    with faking() as made:
        made.metadata = {"client_lookup_endpoint": f"{made.issuer}/lookup"}
        region(issuer=made.issuer, initial_token="initial-hunter2")
        yield made


@pytest.fixture
def plain(region: Callable[..., None]) -> Iterator[Fake]:
    """With nothing but the RFCs."""
    with faking() as made:
        region(issuer=made.issuer, initial_token="initial-hunter2")
        yield made


def client(fake: Fake, props: Props, client_id: str, **changes: Any) -> dict[str, Any]:
    body = {
        "client_id": client_id,
        "client_secret": f"{client_id}-hunter2",
        "registration_client_uri": f"{fake.issuer}/register/{client_id}",
        "registration_access_token": f"{client_id}-access",
        "client_name": full_name(props),
        "scope": "documents",
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def serve(fake: Fake, props: Props, answers: dict[tuple[str, str], Answer], left: tuple[str, ...] = ()) -> None:
    """`answers` by method and path; `left` are clients that the lookup lists."""
    listed = [{"client_id": each, "client_name": full_name(props)} for each in left]

    def behave(method: str, path: str) -> Answer | None:
        if path.startswith("/lookup"):
            return 200, {"clients": listed}
        if method == "POST" and path.endswith("/registration-access-token"):
            return answers.get((method, path), (200, {"registration_access_token": "renewed-access"}))
        return answers.get((method, path))

    fake.behave = behave


def test_a_client_left_whose_secret_nobody_is_told_is_replaced(fake: Fake, props: Props) -> None:
    answers: dict[tuple[str, str], Answer] = {
        ("GET", "/register/left"): (200, client(fake, props, "left", client_secret=None)),
        ("DELETE", "/register/left"): (204, b""),
        ("POST", "/register"): (201, client(fake, props, "new")),
    }
    serve(fake, props, answers, left=("left",))
    outs = CLIENT.create(props).outs or {}
    assert outs["client_id"] == "new"
    assert fake.counted("DELETE", "/register/left") == 1


def test_a_client_left_that_is_gone_by_the_time(fake: Fake, props: Props) -> None:
    answers: dict[tuple[str, str], Answer] = {
        ("POST", "/register/left/registration-access-token"): (404, {"error": "invalid_client"}),
        ("POST", "/register"): (201, client(fake, props, "new")),
    }
    serve(fake, props, answers, left=("older", "left"))
    answers["POST", "/register/older/registration-access-token"] = (404, {"error": "invalid_client"})
    assert (CLIENT.create(props).outs or {})["client_id"] == "new"


def test_a_secret_that_is_told_only_once_is_kept(fake: Fake, props: Props) -> None:
    made = client(fake, props, "c1", grant_types=["client_credentials"], client_secret_expires_at=1_900_000_000)
    told = {key: value for key, value in made.items() if key != "client_secret"}
    wider = told | {"scope": "workflows documents", "registration_access_token": "next-access"}
    answers: dict[tuple[str, str], Answer] = {
        ("POST", "/register"): (201, made),
        ("GET", "/register/c1"): (200, told),
        ("PUT", "/register/c1"): (200, wider),
    }
    serve(fake, props, answers)
    outs = CLIENT.create(props).outs or {}
    assert outs["secret_expires_at"] == 1_900_000_000
    assert CLIENT.read("x", outs).outs == outs
    changed = CLIENT.update("x", outs, props | {"scopes": ["documents", "workflows"]}).outs or {}
    assert changed["client_secret"] == "c1-hunter2"
    assert changed["registration_access_token"] == "next-access"


def test_a_registration_access_token_that_is_another_one_after_each_read(fake: Fake, props: Props) -> None:
    made = client(fake, props, "c1")
    answers: dict[tuple[str, str], Answer] = {
        ("POST", "/register"): (201, made),
        ("GET", "/register/c1"): (200, made | {"registration_access_token": "next-access"}),
    }
    serve(fake, props, answers)
    outs = CLIENT.create(props).outs or {}
    assert (CLIENT.read("x", outs).outs or {})["registration_access_token"] == "next-access"


@pytest.mark.parametrize("status", [404, 410])
def test_a_client_that_is_said_to_be_gone(fake: Fake, props: Props, status: int) -> None:
    serve(fake, props, {("POST", "/register"): (201, client(fake, props, "c1"))})
    outs = CLIENT.create(props).outs or {}
    gone: Answer = (status, {"error": "not_found"})
    serve(fake, props, {(method, "/register/c1"): gone for method in ("GET", "PUT", "DELETE")})
    assert CLIENT.read("x", outs).id == ""
    with pytest.raises(ProviderError, match=r"'c1' is gone from .*Run refresh, then up"):
        CLIENT.update("x", outs, props | {"scopes": ["workflows"]})
    CLIENT.delete("x", outs)


@pytest.mark.parametrize("error", ["access_denied", "invalid_token", "invalid_client"])
def test_a_wrong_token_that_is_answered_with_400(plain: Fake, props: Props, error: str) -> None:
    """As a stock Authlib does."""
    serve(plain, props, {("POST", "/register"): (201, client(plain, props, "c1"))})
    outs = CLIENT.create(props).outs or {}
    denied: Answer = (400, {"error": error})
    answers = {(method, "/register/c1"): denied for method in ("GET", "PUT", "DELETE")}

    serve(plain, props, answers | {("POST", "/token"): (200, {"access_token": "works"})})
    assert (CLIENT.read("x", outs).outs or {})["client_id"] == "c1"
    for act in (lambda: CLIENT.delete("x", outs), lambda: CLIENT.update("x", outs, props | {"scopes": ["workflows"]})):
        with pytest.raises(ProviderError, match=r"no longer takes the registration access token of the client 'c1'"):
            act()

    serve(plain, props, answers | {("POST", "/token"): (401, {"error": "invalid_client"})})
    assert CLIENT.read("x", outs).id == ""
    with pytest.raises(ProviderError, match=r"'c1' is gone from .*Run refresh, then up"):
        CLIENT.update("x", outs, props | {"scopes": ["workflows"]})
    CLIENT.delete("x", outs)


def test_a_lost_token_that_is_answered_with_400_is_found_again(fake: Fake, props: Props) -> None:
    serve(fake, props, {("POST", "/register"): (201, client(fake, props, "c1"))})
    outs = CLIENT.create(props).outs or {}
    renewed: list[str] = []

    def behave(method: str, path: str) -> Answer | None:
        if path == "/register/c1/registration-access-token":
            renewed.append(path)
            return 200, {"registration_access_token": "renewed-access"}
        if (method, path) == ("DELETE", "/register/c1"):
            return (204, b"") if renewed else (400, {"error": "access_denied"})
        return None

    fake.behave = behave
    CLIENT.delete("x", outs)
    assert fake.counted("DELETE", "/register/c1") == 2


def test_an_initial_token_that_is_answered_with_400(plain: Fake, props: Props) -> None:
    serve(plain, props, {("POST", "/register"): (400, {"error": "access_denied"})})
    with pytest.raises(RefusedError, match=r"answered 400 .*Give the region a new initial token \(initialTokenFrom\)"):
        CLIENT.create(props)
    serve(plain, props, {("POST", "/register"): (400, {"error": "invalid_client_metadata"})})
    with pytest.raises(RefusedError, match=r"answered 400 .*invalid_client_metadata") as caught:
        CLIENT.create(props)
    assert "initial token" not in str(caught.value)


@pytest.mark.parametrize("body", [{"error": "invalid_client_metadata"}, {"error": 7}, [], b"<html>"])
def test_a_400_about_something_else_says_nothing_about_the_token(plain: Fake, props: Props, body: Any) -> None:
    serve(plain, props, {("POST", "/register"): (201, client(plain, props, "c1"))})
    outs = CLIENT.create(props).outs or {}
    serve(plain, props, {("DELETE", "/register/c1"): (400, body)})
    with pytest.raises(RefusedError, match="answered 400 to DELETE"):
        CLIENT.delete("x", outs)
    assert not plain.counted("POST", "/token")


class TestAChangeThatIsNotAllThatWasWanted:
    """The server carries the change out, and leaves something of it away."""

    @staticmethod
    def answers(fake: Fake, props: Props, **changed: Any) -> dict[tuple[str, str], Answer]:
        made = client(fake, props, "c1")
        return {
            ("POST", "/register"): (201, made),
            ("GET", "/register/c1"): (200, made),
            ("PUT", "/register/c1"): (200, made | changed),
            ("DELETE", "/register/c1"): (204, b""),
        }

    def test_its_new_token_is_kept_and_the_next_diff_says_it(self, plain: Fake, props: Props) -> None:
        serve(plain, props, self.answers(plain, props, registration_access_token="next-access"))
        outs = CLIENT.create(props).outs or {}
        news = props | {"scopes": ["documents", "workflows"]}
        kept = CLIENT.update("x", outs, news).outs or {}
        assert kept["registration_access_token"] == "next-access"
        assert (kept["scopes"], kept["as_registered"]) == (["documents"], False)
        assert kept["client_secret"] == outs["client_secret"]
        assert CLIENT.diff("x", kept, news).changes is True

        # The server has been told of the scope, and gives it now.
        whole = self.answers(plain, props, scope="documents workflows", registration_access_token="last-access")
        serve(plain, props, whole)
        repaired = CLIENT.update("x", kept, news).outs or {}
        assert (repaired["scopes"], repaired["as_registered"]) == (["documents", "workflows"], True)
        assert CLIENT.diff("x", repaired, news).changes is False

    def test_nor_is_a_new_secret_lost(self, fake: Fake, props: Props) -> None:
        serve(fake, props, self.answers(fake, props, client_secret="next-hunter2", grant_types=["implicit"]))
        outs = CLIENT.create(props).outs or {}
        kept = CLIENT.update("x", outs, props | {"scopes": ["workflows"]}).outs or {}
        assert (kept["client_secret"], kept["as_registered"]) == ("next-hunter2", False)

    def test_where_nothing_would_be_lost_it_is_an_error(self, plain: Fake, props: Props) -> None:
        serve(plain, props, self.answers(plain, props))
        outs = CLIENT.create(props).outs or {}
        with pytest.raises(ProviderError, match=r"does not give it the scopes workflows: add them there"):
            CLIENT.update("x", outs, props | {"scopes": ["documents", "workflows"]})

    def test_so_it_is_where_the_server_gives_another_token(self, fake: Fake, props: Props) -> None:
        serve(fake, props, self.answers(fake, props, registration_access_token="next-access"))
        outs = CLIENT.create(props).outs or {}
        with pytest.raises(ProviderError, match=r"does not give it the scopes workflows: add them there"):
            CLIENT.update("x", outs, props | {"scopes": ["documents", "workflows"]})


def test_errors_of_the_server_say_nothing_about_the_client(fake: Fake, props: Props) -> None:
    serve(fake, props, {("POST", "/register"): (201, client(fake, props, "c1"))})
    outs = CLIENT.create(props).outs or {}
    broken: Answer = (500, {"error": "server_error", "your_token": outs["registration_access_token"]})
    serve(fake, props, {(method, "/register/c1"): broken for method in ("GET", "PUT", "DELETE")})
    acts: tuple[Callable[[], Any], ...] = (
        lambda: CLIENT.read("x", outs),
        lambda: CLIENT.update("x", outs, props | {"scopes": ["workflows"]}),
        lambda: CLIENT.delete("x", outs),
    )
    for act in acts:
        with pytest.raises(RefusedError, match=r"answered 500 to .*server_error.*\[secret\]") as caught:
            act()
        assert outs["registration_access_token"] not in str(caught.value)


def test_without_scopes_the_servers_own_ones_count(fake: Fake, props: Props) -> None:
    made = client(fake, props, "c1", scope="whatever it gives")
    serve(fake, props, {("POST", "/register"): (201, made), ("GET", "/register/c1"): (200, made)})
    news = props | {"scopes": []}
    outs = CLIENT.create(news).outs or {}
    assert CLIENT.read("x", outs).outs == outs
    assert CLIENT.diff("x", outs, news).changes is False
    assert CLIENT.update("x", outs, news | {"grace_seconds": 60}).outs == outs | {"grace_seconds": 60}
    assert not [method for method, _ in fake.requests if method == "PUT"]


def test_an_administrators_session_that_has_ended_is_begun_anew(props: Props, region: Callable[..., None]) -> None:
    with faking() as made:
        realm = f"{made.issuer}/realms/tenants"
        made.metadata = {"issuer": realm}
        region(issuer=realm, admin_user="admin", admin_password="admin-hunter2", adminIs="user")
        clients = "/admin/realms/tenants/clients"

        def behave(method: str, path: str) -> Answer | None:
            if path.startswith(f"{clients}?"):
                seen = [each for _, each in made.requests if each.startswith(f"{clients}?")]
                return (401, {"error": "HTTP 401 Unauthorized"}) if len(seen) == 1 else (200, [])
            known: dict[tuple[str, str], Answer] = {
                ("POST", "/token"): (200, {"access_token": "session-hunter2"}),
                ("POST", "/admin/realms/tenants/clients-initial-access"): (200, {"token": "initial"}),
                ("POST", "/register"): (201, client(made, props, "c1")),
            }
            return known.get((method, path))

        made.behave = behave
        assert (CLIENT.create(props).outs or {})["client_id"] == "c1"
        assert made.counted("POST", "/token") == 2
