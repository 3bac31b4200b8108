"""Where webhooks may go: nothing inside, however it is written, and whatever a name resolves to later."""

import asyncio
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.errors import InputError
from automation.webhooks.targets import Policy, TargetError, check, is_public, resolve

INSIDE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "100.64.0.1", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2001:db8::1", "100::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.88.99.1", "fd00:ec2::254"),
    *("168.63.129.16", "::ffff:168.63.129.16", "::ffff:0:169.254.169.254", "100.100.100.200", "::ffff:a9fe:a9fe"),
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("text", INSIDE)
def test_inside(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    host = f"[{text}]" if address.version == 6 else text
    with pytest.raises(TargetError, match="its address is not a public one"):
        check(f"https://{host}/hook", Policy())


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for carrier in ("::ffff:0:0", "64:ff9b::"):
        inner = ipaddress.IPv6Address(int(ipaddress.IPv6Address(carrier)) + number)
        assert is_public(inner) == is_public(address)
    if not is_public(address):
        assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with https://"),
        ("ftp://example.com/", "does not begin with https://"),
        ("file:///etc/passwd", "does not begin with https://"),
        ("//example.com/", "does not begin with https://"),
        ("https:///path", "does not begin with https://"),
        ("https:example.com", "does not begin with https://"),
        ("http://example.com/", "it is not https"),
        ("https://user:hunter2@example.com/", "a user or a password"),
        ("https://example.com/#part", "#fragment"),
        ("https://example.com/#", "#fragment"),
        ("https://exa mple.com/", "spaces or control characters"),
        ("https://example.com/\r\nX-Evil: 1", "spaces or control characters"),
        ("https://example.com/" + "x" * 2000, "longer than 2000"),
        ("https://example.com:0/", "port is not one of"),
        ("https://example.com:99999/", "port is not one of"),
        ("https://example.com:port/", "it is not a URL"),
        ("https://[::1", "it is not a URL"),
        ("https://[fe80::1%25eth0]/", "not a URL|one network card"),
        ("https://\u2028.example/", "it is not a URL"),
    ],
)
def test_addresses_that_are_none(url: str, why: str) -> None:
    with pytest.raises(TargetError, match=why) as caught:
        check(url, Policy())
    assert caught.value.problems[0][0] == "url"
    assert "hunter2" not in str(caught.value.to_dict())


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "LOCALHOST", "⑫⑦.0.0.1", "0"]
)
async def test_other_ways_to_write_loopback(host: str) -> None:
    with pytest.raises(TargetError, match=r"not a public one|cannot be resolved|not a URL"):
        await resolve(f"https://{host}/", Policy())


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name resolves to these."""

    async def getaddrinfo(self: Any, host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def test_a_name_is_pinned_to_what_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "93.184.216.34", "2606:4700::1111")
    target = await resolve("https://Example.com:8443/a?b=c", Policy())
    assert [str(target.pinned(one)) for one in target.addresses] == [
        "https://93.184.216.34:8443/a?b=c",
        "https://[2606:4700::1111]:8443/a?b=c",
    ]
    assert target.host == "example.com"


async def test_one_address_inside_is_enough_to_refuse_and_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "93.184.216.34", "10.9.8.7")
    with pytest.raises(TargetError, match="has an address that is not a public one") as caught:
        await resolve("https://internal.example/", Policy())
    assert "10.9.8.7" not in str(caught.value.to_dict())


async def test_a_name_without_addresses_or_whose_server_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch)
    with pytest.raises(TargetError, match="cannot be resolved"):
        await resolve("https://nothing.example/", Policy())

    async def never(self: Any, *given: Any, **options: Any) -> list[Any]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", never)
    with pytest.raises(TargetError, match="cannot be resolved"):
        await resolve("https://slow.example/", Policy(), seconds=0.1)


@pytest.mark.parametrize(
    ("allow", "url", "ok"),
    [
        (["10.0.0.0/8"], "http://inside.example/", True),
        (["10.0.0.0/24"], "http://inside.example/", False),
        (["inside.example"], "http://inside.example:8080/", True),
        (["Inside.Example:8080"], "http://inside.example:8080/", True),
        (["inside.example:8080"], "http://inside.example/", False),
        (["other.example"], "https://inside.example/", False),
        (["inside.example"], "https://very.inside.example/", False),
    ],
)
async def test_what_the_operator_allows(allow: list[str], url: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "10.9.8.7")
    if ok:
        assert (await resolve(url, Policy(allow))).addresses == (ipaddress.ip_address("10.9.8.7"),)
    else:
        with pytest.raises(TargetError):
            await resolve(url, Policy(allow))


async def test_http_to_a_public_name_stays_refused_where_networks_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "93.184.216.34")
    with pytest.raises(TargetError, match="it is not https"):
        await resolve("http://public.example/", Policy(["10.0.0.0/8"]))


@pytest.mark.parametrize("word", ["http://a/", "a/b", "10.0.0.0/99", "", "a@b", "[::1"])
def test_allowances_that_are_none_are_refused_by_name(word: str) -> None:
    with pytest.raises(InputError, match="TENANTRY_WEBHOOK_ALLOW"):
        Policy([word])
