"""Where webhooks may go: public addresses over https, and what TENANTRY_WEBHOOK_ALLOW names besides.

A webhook's address is written by a tenant's admin and called from inside our network, so a name is resolved here, every
address it has is judged, and the request goes to exactly the address that was judged: what the name resolves to a
moment later does not matter. Decides what is allowed; `sending` connects.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from automation.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2000
RESOLVE_SECONDS = 5.0
PORTS = {"https": 443, "http": 80}

# Global by the registry, or by some versions of `ipaddress`, and yet a way into somebody's own network.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",  # every machine at Azure has its platform's own services there
        "::/96",
        "64:ff9b:1::/48",
        "fec0::/10",
        "100:0:0:1::/64",
        "5f00::/16",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class TargetError(InputError):
    """A webhook's address that must not, or cannot, be called. Never says what a name resolves to."""

    kind = "webhook_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address that was judged. `url` is to be requested with the connection made to one of `addresses`."""

    url: httpx.URL
    addresses: tuple[Address, ...]

    @property
    def host(self) -> str:
        """The name for TLS and for the Host header."""
        return self.url.raw_host.decode("ascii")

    def pinned(self, address: Address) -> httpx.URL:
        """The URL with the name replaced by `address`."""
        return self.url.copy_with(host=str(address))


class Policy:
    """What is allowed besides public addresses: hosts, host:port pairs and networks. Raises InputError for others."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._networks: list[Network] = []
        self._hosts: set[tuple[str, int | None]] = set()
        for word in allow:
            self._add(word)

    def _add(self, word: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(word))
            return
        except ValueError:
            pass
        try:
            url = httpx.URL(f"//{word}")
        except httpx.InvalidURL:
            url = httpx.URL()
        if not url.host or url.path not in {"", "/"} or url.userinfo or url.query or url.fragment or "/" in word:
            raise InputError(
                f"TENANTRY_WEBHOOK_ALLOW: '{word}' is not a host, a host:port pair or a network",
                hint="for example: receiver.internal 10.1.2.3:8080 10.0.0.0/8",
            )
        self._hosts.add((url.raw_host.decode("ascii").lower(), url.port))

    @property
    def has_networks(self) -> bool:
        """Whether a name may yet resolve into an allowed network, where http is allowed."""
        return bool(self._networks)

    def names(self, host: str, port: int) -> bool:
        """Whether the host is allowed by its name."""
        return bool({(host.lower(), port), (host.lower(), None)} & self._hosts)

    def has(self, address: Address) -> bool:
        """Whether the address is in an allowed network."""
        return any(address in network for network in self._networks if network.version == address.version)


def check(url: str, policy: Policy) -> httpx.URL:
    """`url`, parsed. Raises TargetError for what can be told without resolving the name."""
    if len(url) > LONGEST_URL:
        raise _refused(url[:80] + "...", f"it is longer than {LONGEST_URL} characters")
    if any(character <= " " or character == "\x7f" for character in url):
        raise _refused(url, "it has spaces or control characters in it")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise _refused(url, "it is not a URL") from None
    if parsed.scheme not in PORTS or not host:
        raise _refused(url, "it does not begin with https:// and a host")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise _refused(url, "its port is not one of 1 to 65535")
    if parsed.userinfo:
        raise _refused("[a URL with a user or a password]", "it has a user or a password in it")
    if parsed.fragment or url.endswith("#"):
        raise _refused(url, "it has a #fragment, which is never sent")
    if "%" in host:
        raise _refused(url, "its host is an address of one network card")
    literal = _literal(host)
    port = parsed.port or PORTS[parsed.scheme]
    allowed = policy.names(host, port) or (literal is not None and policy.has(literal))
    if literal is not None and not allowed and not is_public(literal):
        raise _refused(url, "its address is not a public one")
    if parsed.scheme == "http" and not allowed and (literal is not None or not policy.has_networks):
        raise _refused(url, "it is not https")
    return parsed


async def resolve(url: str, policy: Policy, *, seconds: float = RESOLVE_SECONDS) -> Target:
    """The target of `url`, each of whose addresses is allowed. Raises TargetError."""
    parsed = check(url, policy)
    host = parsed.raw_host.decode("ascii")
    port = parsed.port or PORTS[parsed.scheme]
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError):
        raise _refused(url, "the name of its host cannot be resolved") from None
    addresses = tuple(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found))
    if not addresses:
        raise _refused(url, "the name of its host cannot be resolved")
    if policy.names(host, port):
        return Target(url=parsed, addresses=addresses)
    inside = [policy.has(address) for address in addresses]
    if not all(known or is_public(address) for known, address in zip(inside, addresses, strict=True)):
        raise _refused(url, "its host has an address that is not a public one")
    if parsed.scheme == "http" and not all(inside):
        raise _refused(url, "it is not https")
    return Target(url=parsed, addresses=addresses)


def is_public(address: Address) -> bool:
    """Whether the address, and every IPv4 address that it carries within it, is one of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(not is_public(inner) for inner in (address.sixtofour, *(address.teredo or ())) if inner is not None):
            return False
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _refused(url: str, why: str) -> TargetError:
    return TargetError(
        f"the webhook's address {url} cannot be used: {why}",
        hint="give an https:// URL of a public host, or have the operator name the host in TENANTRY_WEBHOOK_ALLOW",
        problems=[("url", url, why)],
    )
