"""Keycloak's own rotation and its lists, on a stand-in for its administration: what a real one does after hours."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from providers.errors import ProviderError
from providers.oauth import keycloak
from providers.oauth.resource import OAuthClientProvider
from tests.oauth.fake import Answer, Fake, faking
from tests.oauth.places import Props, full_name

CLIENT = OAuthClientProvider()
HOUR = 3600

pytestmark = pytest.mark.usefixtures("quick_retries")


@dataclass(kw_only=True)
class Realm:
    """One client `c1`, whose policy lets its last secret live on for a month, as Keycloak 26.7 answers for it."""

    fake: Fake
    name: str
    secret: str = "first"
    old: str | None = None
    listed: Callable[[str], list[dict[str, Any]]] = field(default=lambda _path: [])

    def answer(self, method: str, path: str) -> Answer | None:
        admin = "/admin/realms/tenants"
        client = f"{admin}/clients/u1"
        month = str(int(time.time()) + 30 * 24 * HOUR)
        if path.startswith(f"{admin}/clients?clientId="):
            return 200, [{"id": "u1", "clientId": "c1"}]
        if path.startswith(f"{admin}/clients?"):
            return 200, self.listed(path)
        if (method, path) == ("POST", f"{client}/client-secret"):
            self.old, self.secret = self.secret, secrets.token_hex(8)
        if (method, path) == ("DELETE", f"{client}/client-secret/rotated"):
            assert self.old, "Keycloak would say 401"
            self.old = None
            return 204, b""
        old = {"client.secret.rotated.expiration.time": month} if self.old else {}
        known: dict[tuple[str, str], Answer] = {
            ("POST", "/token"): (200, {"access_token": "session-hunter2"}),
            ("POST", f"{admin}/clients-initial-access"): (200, {"token": "initial"}),
            ("POST", "/register"): (201, self.registered()),
            ("GET", "/register/c1"): (200, self.registered()),
            ("GET", client): (200, {"attributes": {"client.secret.expiration.time": month, **old}}),
            ("GET", f"{client}/client-secret"): (200, {"value": self.secret}),
            ("POST", f"{client}/client-secret"): (200, {"value": self.secret}),
        }
        return known.get((method, path))

    def registered(self) -> dict[str, Any]:
        return {
            "client_id": "c1",
            "client_secret": self.secret,
            "registration_client_uri": f"{self.fake.issuer}/register/c1",
            "registration_access_token": "access",
            "client_name": self.name,
            "scope": "documents",
        }


@pytest.fixture
def realm(props: Props, region: Callable[..., None]) -> Iterator[Realm]:
    with faking() as fake:
        fake.metadata = {"issuer": f"{fake.issuer}/realms/tenants"}
        region(
            issuer=fake.metadata["issuer"],
            admin_user="admin",
            admin_password="admin-hunter2",
            adminIs="user",
            rotation="keycloak",
        )
        made = Realm(fake=fake, name=full_name(props))
        fake.behave = made.answer
        yield made


def updated(olds: Props, news: Props) -> Props:
    outs = CLIENT.update("x", olds, news).outs
    assert outs is not None
    return outs


def test_two_rotations_within_one_grace_keep_the_younger_secret(
    realm: Realm, props: Props, clock: Callable[[float], None]
) -> None:
    first = CLIENT.create(props).outs or {}
    news = props | {"rotation": 1, "grace_seconds": HOUR}
    second = updated(first, news)
    assert realm.old == first["client_secret"]
    clock(HOUR / 2)
    news |= {"rotation": 2}
    third = updated(second, news)
    assert realm.old == second["client_secret"]
    # The grace of the first one is over. The second, which consumers may still have, has half an hour to go.
    clock(HOUR / 2 + 1)
    assert CLIENT.diff("x", third, news).changes is False
    still = updated(third, news | {"scopes": ["documents"]})
    assert realm.old == second["client_secret"]
    clock(HOUR / 2)
    assert CLIENT.diff("x", still, news).changes is True
    assert updated(still, news)["retired"] == []
    assert realm.old is None


def test_a_rotation_cut_off_keeps_the_secret_that_the_state_has(
    realm: Realm, props: Props, clock: Callable[[float], None]
) -> None:
    first = CLIENT.create(props).outs or {}
    news = props | {"rotation": 1, "grace_seconds": HOUR}
    second = updated(first, news)
    clock(HOUR + 1)
    # The first one is due when the second is exchanged, and no state knows of that.
    news |= {"rotation": 2}
    lost = updated(second, news)
    again = updated(second, news)
    assert again["client_secret"] == lost["client_secret"] == realm.secret
    assert realm.old == second["client_secret"]


def test_a_realm_whose_list_has_no_end(realm: Realm, props: Props, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keycloak, "_PAGE", 2)
    monkeypatch.setattr(keycloak, "_MOST_PAGES", 3)
    realm.listed = lambda _path: [{"clientId": "a"}, {"clientId": "b"}]
    with pytest.raises(ProviderError, match=r"lists more than 6 clients\. Give the region a realm of its own"):
        CLIENT.create(props)
    pages = [path for _, path in realm.fake.requests if "first=" in path]
    assert [path.partition("first=")[2].partition("&")[0] for path in pages] == ["0", "2", "4"]
    assert not realm.fake.counted("POST", "/register")
