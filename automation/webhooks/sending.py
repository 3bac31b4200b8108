"""One request to one webhook: to the address that was judged, within a time limit; its answer masked and cut short.

Follows no redirect, uses no proxy of the environment and reuses no connection: two hosts behind one address must never
share one. Never raises for what a receiver does; that is in the Answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import certifi
import httpx

from automation.redaction import redactor
from automation.webhooks.targets import Policy, Target, TargetError, resolve

KEPT_CHARACTERS = 1000
READ_BYTES = 4 * KEPT_CHARACTERS + 512
"""More than is kept, whatever the characters: a secret that the cut would go through is seen, and masked, whole."""
MOST_ADDRESSES = 3
"""How many of a host's addresses are tried before it counts as one that cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one try: a status, or `error` in words. `retry_after` is in seconds, as the receiver asked."""

    status: int | None
    body: str = ""
    duration_ms: int
    error: str = ""
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it was taken: any 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def result(self) -> str:
        """For metrics: 2xx, 3xx, 4xx, 5xx or error."""
        return f"{self.status // 100}xx" if self.status is not None else "error"


def new_client(context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """The client for all webhooks. Trusts certifi's authorities and the system's, unless `context` says otherwise."""
    if context is None:
        context = ssl.create_default_context(cafile=certifi.where())
        context.load_default_certs()
    return httpx.AsyncClient(
        verify=context,
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "Tenantry-Webhooks/1", "Accept-Encoding": "identity"},
    )


async def post(
    client: httpx.AsyncClient,
    url: str,
    policy: Policy,
    *,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    secrets: Sequence[str] = (),
) -> Answer:
    """Sends `body` to `url`, all in all within `seconds`. What the receiver says is kept without `secrets`: one that
    is being set up may well answer with the secret that it expected."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            target = await resolve(url, policy)
            answer = await _post_to(client, target, body, headers, started)
            return replace(answer, body=_kept(answer.body, redactor(secrets)))
    except TimeoutError:
        return Answer(status=None, error=f"no complete answer within {seconds:g} s", duration_ms=_since(started))
    except TargetError as error:
        why = error.problems[0][2] if error.problems else error.message
        return Answer(status=None, error=f"refused to send: {why}", duration_ms=_since(started))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as error:
        return Answer(status=None, error=_in_words(error), duration_ms=_since(started))


async def _post_to(
    client: httpx.AsyncClient, target: Target, body: bytes, headers: Mapping[str, str], started: float
) -> Answer:
    addresses = target.addresses[:MOST_ADDRESSES]
    for address in addresses[:-1]:
        try:
            return await _request(client, target, target.pinned(address), body, headers, started)
        except httpx.ConnectError:
            continue
    return await _request(client, target, target.pinned(addresses[-1]), body, headers, started)


async def _request(
    client: httpx.AsyncClient, target: Target, url: httpx.URL, body: bytes, headers: Mapping[str, str], started: float
) -> Answer:
    request = client.build_request(
        "POST",
        url,
        content=body,
        headers={**headers, "Host": target.url.netloc.decode("ascii")},
        # The certificate has to be the name's, although the connection is made to an address.
        extensions={} if _is_address(target.host) else {"sni_hostname": target.host},
        timeout=None,
    )
    response = await client.send(request, stream=True)
    try:
        kept = b""
        async for piece in response.aiter_raw():
            kept += piece
            if len(kept) >= READ_BYTES:
                break
    finally:
        await response.aclose()
    return Answer(
        status=response.status_code,
        body=kept[:READ_BYTES].decode("utf-8", "replace"),
        duration_ms=_since(started),
        error="" if not response.is_redirect else "redirects are not followed; give the webhook its final address",
        retry_after=_retry_after(response.headers.get("Retry-After", "")),
    )


def _kept(text: str, redact: Callable[[str], str]) -> str:
    # PostgreSQL's JSON cannot hold a NUL.
    return redact(text).replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARACTERS]


def _retry_after(value: str) -> float | None:
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _in_words(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not valid: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "its address cannot be reached: the connection was refused or could not be made"
    if isinstance(error, httpx.RemoteProtocolError):
        return "it did not answer in HTTP, or broke off"
    return f"the connection broke ({type(error).__name__})"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
