"""One request to a real receiver that is kind, broken, slow, endless or sly."""

import asyncio
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest

from automation.webhooks import targets
from automation.webhooks.sending import Answer, new_client, post
from automation.webhooks.targets import Policy
from tests.certificates import self_signed
from tests.webhooks.receiver import Behaviour, Receiver, answer, drip, flood, hang, raw, receiving

POLICY = Policy(["127.0.0.0/8"])


async def send(
    url: str, *, policy: Policy = POLICY, seconds: float = 20, client: Any = None, secrets: tuple[str, ...] = ()
) -> Answer:
    async with client or new_client() as one:
        return await post(one, url, policy, body=b'{"a":1}', headers={"X-Own": "1"}, seconds=seconds, secrets=secrets)


async def to(behave: Behaviour, **options: Any) -> tuple[Answer, Receiver]:
    async with receiving(behave) as receiver:
        return await send(receiver.url, **options), receiver


async def test_what_a_receiver_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    got, receiver = await to(answer(204, b""))
    assert (got.ok, got.status, got.body, got.error, got.result) == (True, 204, "", "", "2xx")
    [request] = receiver.requests
    assert (request.path, request.body) == ("/hook", b'{"a":1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (request.headers["x-own"], request.headers["user-agent"]) == ("1", "Tenantry-Webhooks/1")


@pytest.mark.parametrize(("status", "result"), [(400, "4xx"), (404, "4xx"), (500, "5xx"), (503, "5xx")])
async def test_refusals(status: int, result: str) -> None:
    got, _ = await to(answer(status, b"no"))
    assert (got.ok, got.status, got.body, got.result) == (False, status, "no", result)


async def test_redirects_are_not_followed() -> None:
    async with receiving() as other:
        got, receiver = await to(answer(302, b"", Location=other.url))
        assert (got.ok, got.status) == (False, 302)
        assert "redirects are not followed" in got.error
        assert (len(receiver.requests), other.connections) == (1, 0)


@pytest.mark.parametrize("behave", [hang, drip])
async def test_the_time_limit_is_of_the_whole_request(behave: Behaviour) -> None:
    async with asyncio.timeout(30):
        got, _ = await to(behave, seconds=0.5)
    assert (got.status, got.error) == (None, "no complete answer within 0.5 s")


async def test_an_endless_answer_is_cut_short() -> None:
    got, _ = await to(flood)
    assert (got.ok, got.body) == (True, "x" * 1000)


SECRET = "whsec_" + "s" * 43


@pytest.mark.parametrize("before", ["", "x" * 980, "ü" * 980, "\N{GRINNING FACE}" * 990, "x" * 4480])
async def test_what_is_kept_of_an_answer_has_no_secret_in_it(before: str) -> None:
    got, _ = await to(answer(401, f"{before}expected {SECRET}, postgres://u:hunter2@h/".encode()), secrets=(SECRET,))
    assert "whsec" not in got.body
    assert "sss" not in got.body
    assert "hunter2" not in got.body
    assert len(got.body) <= 1000
    if not before:
        assert got.body == "expected [secret], postgres://u:[secret]@h/"


@pytest.mark.parametrize(
    "data",
    [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\n", b"\0" * 100, b"HTTP/1.1 200 OK\r\nA: " + b"b" * 2_000_000],
)
async def test_what_is_not_http(data: bytes) -> None:
    got, _ = await to(raw(data))
    assert (got.status, got.ok) == (None, False)
    assert "did not answer in HTTP" in got.error or "connection broke" in got.error


async def test_bodies_that_postgresql_could_not_keep() -> None:
    got, _ = await to(answer(200, b"a\0b\xff\xed\xa0\x80c"))
    assert "\0" not in got.body
    got.body.encode()


async def test_compressed_answers_are_not_unpacked() -> None:
    got, receiver = await to(answer(200, b"\x1f\x8b\x08\0not really", Content_Encoding="gzip"))
    assert got.ok
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("-5", None), ("²", None), ("9" * 30, None)],
)
async def test_retry_after(value: str, seconds: float | None) -> None:
    got, _ = await to(raw(f"HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: {value}\r\n\r\n".encode()))
    assert (got.status, got.retry_after) == (503, seconds)


async def test_nobody_there() -> None:
    async with receiving() as receiver:
        url = receiver.url
    got = await send(url)
    assert (got.status, got.error.partition(":")[0]) == (None, "its address cannot be reached")


async def test_without_leave_nothing_inside_is_even_connected_to() -> None:
    async with receiving() as receiver:
        got = await send(receiver.url.replace("http://", "https://"), policy=Policy())
        assert got.error == "refused to send: its address is not a public one"
        assert receiver.connections == 0


async def test_another_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:

        async def two(url: str, policy: Policy) -> targets.Target:
            addresses = (ipaddress.ip_address("127.0.0.9"), ipaddress.ip_address("127.0.0.1"))
            return targets.Target(url=targets.httpx.URL(url), addresses=addresses)

        monkeypatch.setattr("automation.webhooks.sending.resolve", two)
        assert (await send(f"http://two.example:{receiver.port}/hook")).ok
        assert receiver.requests[0].headers["host"] == f"two.example:{receiver.port}"


async def test_the_certificate_must_be_the_names_although_the_connection_is_to_an_address(tmp_path: Path) -> None:
    shown = self_signed("localhost")
    async with receiving(context=shown.server(tmp_path)) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        trusting = new_client(ssl.create_default_context(cadata=shown.cert))
        assert (await send(url, client=trusting)).ok
        by_address = new_client(ssl.create_default_context(cadata=shown.cert))
        got = await send(receiver.url, client=by_address)
        assert got.error.startswith("its TLS certificate is not valid: IP address mismatch")
        assert len(receiver.requests) == 1


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    async with receiving(context=self_signed("localhost").server(tmp_path)) as receiver:
        got = await send(f"https://localhost:{receiver.port}/hook")
        assert got.error.startswith("its TLS certificate is not valid: self")
        assert receiver.requests == []
