"""What nobody should send: each is a problem document with a 4xx, and touches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.service.helpers import as_, manifest

SLUG = "hostile"
JSON = {"Content-Type": "application/json"}


def _nested(levels: int) -> bytes:
    return b'{"kind": "cabinet", "customSettings": {"extra": {"a": ' + b"[" * levels + b"]" * levels + b"}}}"


def _with(name: str) -> bytes:
    return (
        json.dumps(manifest(SLUG))
        .replace("Cabinet \\u00ab Chez Zo\\u00e9 \\u00bb O'Neill \\ud83e\\uddb7", name)
        .encode()
    )


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "no JSON": (b"{", 400),
    "two values": (b"{} {}", 400),
    "not UTF-8": (b'{"name": "\xff\xfe"}', 400),
    "UTF-16": (json.dumps(manifest(SLUG)).encode("utf-16"), 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "NaN": (b'{"customSettings": {"extra": {"x": NaN}}}', 400),
    "infinity": (b'{"customSettings": {"extra": {"x": 1e999}}}', 400),
    "a number of 5000 digits": (b'{"x": ' + b"9" * 5000 + b"}", 400),
    "a number of more than 64 bits": (b'{"x": 9999999999999999999}', 422),
    "a key twice": (b'{"kind": "cabinet", "kind": "cabinet"}', 400),
    "41 levels": (_nested(41), 422),
    "900 levels": (_nested(900), 422),
    "100000 levels": (_nested(100_000), 400),
    "too many values": (json.dumps({"x": [0] * 20_001}).encode(), 422),
    "too large": (json.dumps({"x": "a" * 300_000}).encode(), 413),
    "NUL in a value": (_with("a\\u0000b"), 422),
    "NUL in a key": (b'{"a\\u0000b": 1}', 422),
    "half a surrogate pair in a value": (_with("a\\ud800b"), 422),
    "half a surrogate pair in a key": (b'{"\\udfff": 1}', 422),
    "a list": (b"[]", 422),
    "a word": (b'"cabinet"', 422),
    "null": (b"null", 422),
    "an unknown kind": (json.dumps(manifest(SLUG) | {"kind": "cabinets"}).encode(), 422),
    "a slug that is a path": (json.dumps(manifest(SLUG) | {"slug": "../../etc/passwd"}).encode(), 422),
    "a slug that is SQL": (json.dumps(manifest(SLUG) | {"slug": "a'; DROP TABLE jobs; --"}).encode(), 422),
    "an unknown template": (json.dumps(manifest(SLUG) | {"templateId": "default-dentall"}).encode(), 422),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused(http: httpx.Client, name: str) -> None:
    body, status = BODIES[name]
    for method, path in (("POST", "/api/v1/tenants"), ("POST", "/api/cabinets/provision")):
        if name == "an unknown kind" and "provision" in path:
            continue  # there the kind is the line's, whatever the body says
        answer = http.request(method, path, content=body, headers=as_() | JSON)
        assert answer.status_code == status, (path, answer.text[:500])
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["type"].startswith("urn:tenantry:problem:")
    listed = http.get("/api/v1/tenants", params={"search": SLUG}, headers=as_())
    assert listed.json()["total"] == 0


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/xml", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=latin-1", 415),
        ("json", 415),
        ("", 415),
        ("application/json;charset=UTF-8", 202),
    ],
)
def test_only_json_is_read(http: httpx.Client, content_type: str, status: int) -> None:
    headers = as_() | {"Content-Type": content_type}
    content = json.dumps(manifest("hostile-type")).encode()
    answer = http.post("/api/v1/tenants", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_a_body_without_end_is_cut_off_at_the_limit(http: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1_000_000_000:
            sent += 65_536
            yield b" " * 65_536

    # Whether the answer is read before the connection is cut is a race; that it is cut is not.
    try:
        answer = http.post("/api/v1/tenants", content=endless(), headers=as_() | JSON)
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pass
    assert sent < 200_000_000


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_form_is_limited_too_and_also_of_nobody(http: httpx.Client, accept: str) -> None:
    much = "a" * 300_000
    forms: list[dict[str, Any]] = [
        {"data": {"token": much}},
        {"files": {"token": (None, much)}},
        {"files": {"token": ("token.txt", much)}},
    ]
    for form in forms:
        answer = http.post("/sign-in", headers={"Accept": accept}, **form)
        assert answer.status_code == 413, answer.text[:500]
        assert "larger than" in answer.text


def test_a_body_is_not_read_before_the_caller_is_known(http: httpx.Client) -> None:
    answer = http.post("/api/v1/tenants", content=b"{", headers=JSON)
    assert answer.status_code == 401
    answer = http.post("/api/v1/tenants", content=b"{", headers=as_("ann", "creator", other="member") | JSON)
    assert answer.status_code == 400
    answer = http.post("/api/v1/tenants", content=b"{", headers=as_("ann", other="member") | JSON)
    assert answer.status_code == 403


REQUESTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/api/v1/tenants", {"params": {"page": "0"}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"page": "9" * 400}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"size": "201"}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"size": "-1"}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"status": "actif"}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"search": "a\x00b"}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"search": "x" * 101}}, 422),
    ("GET", "/api/v1/tenants", {"params": {"search": "%_\\'\";--"}}, 200),
    ("GET", "/api/v1/jobs", {"params": {"tenant": "a\x00b"}}, 422),
    ("GET", "/api/v1/jobs", {"params": {"before": "9223372036854775808"}}, 422),
    ("GET", "/api/v1/jobs/not-an-id", {}, 404),
    ("GET", "/api/v1/jobs/6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11", {}, 404),
    ("GET", "/api/v1/jobs/6f1c9b8e-6f0a-4f2b-9d55-2b1f0c7f4a11/events", {"headers": {"Last-Event-ID": "x"}}, 404),
    ("GET", "/api/v1/tenants/%00", {}, 422),
    ("GET", "/api/v1/tenants/..%2f..%2fetc", {}, 404),
    ("GET", "/api/v1/tenants/ac%ffme", {}, 422),
    ("GET", "/api/v1/tenants/ACME", {}, 422),
    ("GET", "/api/v1/tenants/acme/manifests/99999999999999999999", {}, 422),
    ("POST", "/api/v1/tenants/acme/steps/..%00/retry", {}, 422),
    ("PUT", "/api/v1/tenants/acme/members/a%00b", {"json": {"role": "owner"}}, 422),
    ("PUT", "/api/v1/tenants/acme/members/ann", {"json": {"role": "king"}}, 422),
    ("PUT", "/api/v1/tenants/acme/members/ann", {"json": {"role": "owner", "more": 1}}, 422),
    ("POST", "/api/v1/tenants/acme/up", {"json": {"enable_rollback": "yes"}}, 422),
    ("POST", "/api/v1/tenants/acme/rollback", {"json": {"deployment": "last"}}, 422),
    ("POST", "/api/v1/tenants", {"json": manifest(SLUG), "headers": {"Idempotency-Key": "k" * 201}}, 422),
    ("POST", "/api/v1/tenants", {"json": manifest(SLUG), "headers": {"Idempotency-Key": "a b"}}, 422),
    ("PATCH", "/api/v1/tenants", {}, 405),
    ("GET", "/api/v1/nothing", {}, 404),
    ("GET", "/api/v1/templates/default-dental", {"params": {"version": "1\x00"}}, 422),
    ("GET", "/api/v1/templates", {"params": {"line": "a\x00b"}}, 422),
]


@pytest.mark.parametrize(("method", "path", "more", "status"), REQUESTS)
def test_a_hostile_request_is_refused(
    http: httpx.Client, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    headers = as_() | more.get("headers", {})
    answer = http.request(method, path, **(more | {"headers": headers}))
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]


def test_a_problem_names_field_given_and_valid(http: httpx.Client) -> None:
    wrong = manifest(email="nobody", address={"street": "", "city": "Genève", "postalCode": "12", "country": "CH"})
    answer = http.post("/api/v1/tenants", json=wrong, headers=as_())
    assert answer.status_code == 422
    errors = {one["field"]: one for one in answer.json()["errors"]}
    assert set(errors) == {"email", "address.street", "address.postalCode"}
    assert errors["email"]["given"] == '"nobody"'
    assert "contact@acme.example" in errors["email"]["valid"]
