"""No token gets through that is forged, expired, for somebody else, or none of ours."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from automation.errors import InputError
from automation.tokens import TokenSettings, load_token_settings, mint
from service.auth.errors import AuthenticationError, KeysUnavailableError
from service.auth.keys import STALE_SECONDS, ProviderKeys, keys_for
from service.auth.verify import Claims, Verifier
from tests.auth.helpers import KEY, OTHER_KEY, bearer, token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def unsigned(**header: Any) -> str:
    parts = ({"alg": "none", "typ": "JWT", **header}, {"sub": "eve", "aud": "tenantry", "exp": time.time() + 60})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def tampered() -> str:
    head, body, signature = token(roles=[]).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["roles"] = ["admin"]
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def nested() -> str:
    return base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()


def kid_of_a_number() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":7}').rstrip(b"=").decode()
    return ".".join((head, *token().split(".")[1:]))


NOW = int(time.time())
BAD = {
    "signed with another key": token(key=OTHER_KEY),
    "its claims changed": tampered(),
    "not signed": unsigned(),
    "not signed, spelled otherwise": unsigned(alg="NONE"),
    "another algorithm of the same key": token(algorithm="HS512"),
    "an asymmetric algorithm": token(key=RSA, algorithm="RS256"),
    "expired": token(exp=NOW - 3600),
    "never expires": token(exp=None),
    "not yet valid": token(nbf=NOW + 3600),
    "another audience": token(aud="another"),
    "a list of other audiences": token(aud=["another", "third"]),
    "no audience": token(aud=None),
    "no subject": token(sub=None),
    "an empty subject": token(sub=""),
    "a subject with a line break": token(sub="a\nb"),
    "a subject that is no text": token(sub=7),
    "roles that are no list": token(roles="admin"),
    "roles that are no texts": token(roles=[{"admin": True}]),
    "tenants that are no object": token(tenants=["acme"]),
    "an expiry that is no number": token(exp="tomorrow"),
    "an expiry beyond all numbers": token(exp=float("inf")),
    "an expiry beyond all floats": token(exp=10**400),
    "a beginning beyond all numbers": token(nbf=float("inf")),
    "issued at no time": token(iat="now"),
    "a header of many brackets": nested() + "." + ".".join(token().split(".")[1:]),
    "claims of many brackets": ".".join((token().split(".")[0], nested(), token().split(".")[2])),
    "a key id that is no text": kid_of_a_number(),
    "a critical extension": token(header={"crit": ["exp2"], "exp2": 1}),
    "too long": token(tenants={f"tenant-{n}": "owner" for n in range(2000)}),
    "no token": "e30.e30",
    "nonsense": "%%%",
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_refused(client: httpx.AsyncClient, name: str) -> None:
    for path in ("/me", "/list", "/tenants/acme"):
        answer = await client.get(path, headers=bearer(BAD[name]))
        assert answer.status_code == 401, answer.text
        assert answer.json()["kind"] == "unauthenticated"
        assert BAD[name] not in answer.text


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Bearer  ", token()])
async def test_a_header_that_is_no_bearer_token_is_refused(client: httpx.AsyncClient, value: str) -> None:
    assert (await client.get("/me", headers={"Authorization": value})).status_code == 401


async def test_a_bad_header_is_not_made_up_for_by_a_good_cookie(client: httpx.AsyncClient) -> None:
    headers = {**bearer(token(key=OTHER_KEY)), "Cookie": f"tenantry_session={token()}"}
    assert (await client.get("/me", headers=headers)).status_code == 401


async def test_a_good_token_gets_through(client: httpx.AsyncClient) -> None:
    text = token("ada", roles=["admin", "something-of-another-program"], tenants={"acme": "owner", "b": "emperor"})
    answer = await client.get("/me", headers=bearer(text))
    assert answer.json() == {"subject": "ada", "admin": True, "roles": {"acme": "owner"}, "address": "192.0.2.7"}


async def test_leeway_is_for_clocks_that_differ_a_little(client: httpx.AsyncClient) -> None:
    now = int(time.time())
    assert (await client.get("/me", headers=bearer(token(exp=now - 2)))).status_code == 200
    assert (await client.get("/me", headers=bearer(token(exp=now - 20)))).status_code == 401


def settings(**values: Any) -> TokenSettings:
    return TokenSettings(**values)


async def verified(given: TokenSettings, text: str) -> Claims:
    keys = keys_for(given)
    try:
        return await Verifier(given, keys).verify(text)
    finally:
        await keys.close()


async def test_the_issuer_counts_where_one_is_set() -> None:
    strict = settings(secret=KEY, issuer="https://id.example")
    assert (await verified(strict, token(iss="https://id.example"))).subject == "ada"
    for wrong in (token(), token(iss="https://evil.example")):
        with pytest.raises(AuthenticationError):
            await verified(strict, wrong)


async def test_keys_in_a_file_change_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\n")
    given = settings(secret_file=path)
    keys = keys_for(given)
    verifier = Verifier(given, keys)
    old, new = token(key=KEY), token(key=OTHER_KEY)
    assert (await verifier.verify(old)).subject == "ada"
    with pytest.raises(AuthenticationError):
        await verifier.verify(new)
    path.write_text(f"# the new one first\n{OTHER_KEY}\n\n{KEY}\n")
    assert (await verifier.verify(new)).subject == (await verifier.verify(old)).subject == "ada"
    path.write_text(f"{OTHER_KEY}\n")
    assert (await verifier.verify(new)).subject == "ada"
    with pytest.raises(AuthenticationError):
        await verifier.verify(old)
    path.unlink()
    with pytest.raises(KeysUnavailableError, match="cannot be used"):
        await verifier.verify(new)


class Provider:
    """An identity provider's keys, as its URL gives them."""

    def __init__(self, **keys: Any) -> None:
        self.keys = keys
        self.asked = 0
        self.status = 200
        self.extra: list[Any] = []

    def answer(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        items = [
            {**jwt.get_algorithm_by_name(alg).to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": alg}
            for kid, (alg, key) in self.keys.items()
        ]
        return httpx.Response(self.status, json={"keys": [*self.extra, *items]})

    def verifier(self, seconds: float = 300) -> tuple[Verifier, ProviderKeys]:
        given = settings(jwks_url="https://id.example/keys", jwks_seconds=seconds)
        keys = ProviderKeys("https://id.example/keys", seconds, transport=httpx.MockTransport(self.answer))
        return Verifier(given, keys), keys


def signed(key: Any, kid: str | None, algorithm: str = "RS256") -> str:
    return token(key=key, algorithm=algorithm, header={"kid": kid} if kid else None)


async def test_a_providers_keys_are_found_by_their_ids() -> None:
    provider = Provider(one=("RS256", RSA), two=("ES256", EC))
    provider.extra = [
        {"kty": "oct", "kid": "one", "k": "AAAA"},
        {"kty": "RSA", "use": "enc", "kid": "e"},
        {"kty": "RSA"},
    ]
    verifier, keys = provider.verifier()
    assert (await verifier.verify(signed(RSA, "one"))).subject == "ada"
    assert (await verifier.verify(signed(EC, "two", "ES256"))).subject == "ada"
    assert provider.asked == 1
    forged = (
        signed(OTHER_RSA, "one"),
        signed(RSA, "two"),
        signed(RSA, "one", "RS512"),
        signed(RSA, None),
        token(key=KEY),
        unsigned(kid="one"),
    )
    for text in forged:
        with pytest.raises(AuthenticationError):
            await verifier.verify(text)
    await keys.close()


async def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion: HS256 with the provider's public key as its secret."""
    provider = Provider(one=("RS256", RSA))
    verifier, keys = provider.verifier()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps({"sub": "eve", "aud": "tenantry", "exp": NOW + 600}).encode()).rstrip(
        b"="
    )
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, public_pem(RSA))
    text = b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()
    with pytest.raises(AuthenticationError):
        await verifier.verify(text)
    await keys.close()


async def test_a_provider_changes_its_keys_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(one=("RS256", RSA))
    verifier, keys = provider.verifier()
    clock = _Clock(monkeypatch)
    await verifier.verify(signed(RSA, "one"))
    provider.keys = {"two": ("RS256", OTHER_RSA)}
    clock.now += 6
    assert (await verifier.verify(signed(OTHER_RSA, "two"))).subject == "ada"
    with pytest.raises(AuthenticationError):
        await verifier.verify(signed(RSA, "one"))
    await keys.close()


async def test_a_removed_key_is_believed_no_longer_than_the_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(one=("RS256", RSA), two=("RS256", OTHER_RSA))
    verifier, keys = provider.verifier(seconds=60)
    clock = _Clock(monkeypatch)
    await verifier.verify(signed(RSA, "one"))
    del provider.keys["one"]
    clock.now += 59
    await verifier.verify(signed(RSA, "one"))
    clock.now += 2
    with pytest.raises(AuthenticationError):
        await verifier.verify(signed(RSA, "one"))
    await keys.close()


async def test_forged_key_ids_do_not_make_us_ask_the_provider_each_time() -> None:
    provider = Provider(one=("RS256", RSA))
    verifier, keys = provider.verifier()
    for number in range(50):
        with pytest.raises(AuthenticationError):
            await verifier.verify(signed(OTHER_RSA, f"forged-{number}"))
    assert provider.asked <= 2
    await keys.close()


async def test_known_keys_are_believed_for_a_while_when_the_provider_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(one=("RS256", RSA))
    verifier, keys = provider.verifier(seconds=60)
    clock = _Clock(monkeypatch)
    await verifier.verify(signed(RSA, "one"))
    provider.status = 503
    clock.now += STALE_SECONDS - 60
    assert (await verifier.verify(signed(RSA, "one"))).subject == "ada"
    clock.now += 120
    with pytest.raises(KeysUnavailableError, match=r"https://id\.example/keys"):
        await verifier.verify(signed(RSA, "one"))
    provider.status = 200
    clock.now += 2
    assert (await verifier.verify(signed(RSA, "one"))).subject == "ada"
    await keys.close()


async def test_no_token_is_believed_before_the_provider_was_reached() -> None:
    provider = Provider(one=("RS256", RSA))
    provider.status = 302
    verifier, keys = provider.verifier()
    for _ in range(2):
        with pytest.raises(KeysUnavailableError):
            await verifier.verify(signed(RSA, "one"))
    await keys.close()


class _Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("service.auth.keys.time.monotonic", lambda: self.now)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "TENANTRY_JWT_SECRET, TENANTRY_JWT_SECRET_FILE, TENANTRY_JWT_JWKS_URL"),
        ({"TENANTRY_JWT_SECRET": "short-secret"}, "at least 32 bytes"),
        ({"TENANTRY_JWT_SECRET": KEY, "TENANTRY_JWT_JWKS_URL": "https://id.example"}, "exactly one"),
        ({"TENANTRY_JWT_JWKS_URL": "http://id.example/keys"}, "https"),
        ({"TENANTRY_JWT_SECRET": KEY, "TENANTRY_JWT_LEEWAY": "9000"}, "TENANTRY_JWT_LEEWAY"),
    ],
)
def test_wrong_settings_are_named_and_no_key_is_shown(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name in ("TENANTRY_JWT_SECRET", "TENANTRY_JWT_SECRET_FILE", "TENANTRY_JWT_JWKS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        load_token_settings()
    assert words in str(caught.value)
    assert KEY not in str(caught.value.to_dict())
    assert "short-secret" not in str(caught.value.to_dict())


async def test_a_minted_token_is_a_good_one_and_a_wrong_claim_is_named() -> None:
    given = settings(secret=KEY, issuer="tenantry")
    claims = await verified(given, mint(given, subject="ada", roles=["creator"], tenants={"acme": "admin"}))
    assert (claims.subject, claims.creator, claims.platform_admin) == ("ada", True, False)
    assert dict(claims.tenants) == {"acme": "admin"}
    for wrong in ({"subject": ""}, {"roles": ["root"]}, {"tenants": {"acme": "king"}}, {"seconds": 0.0}):
        with pytest.raises(InputError, match="no token"):
            mint(given, **{"subject": "ada", **wrong})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="signed elsewhere"):
        mint(settings(jwks_url="https://id.example"), subject="ada")
