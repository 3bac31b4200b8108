"""A department's checks, and what the checks of all lines ask with: each uses one part as its user does, within limits.

Decides what "works" means for a part. It never uses a credential of ours, and never changes anything of the tenant's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

SECONDS = 5.0
"""The limit of one check."""
MOST_BYTES = 65_536
"""So much of an answer is read. No answer of a part that works is longer where its body is looked at."""


Check = Callable[[], str | None]
"""Raises CheckError where its part does not work; may return what is worth knowing of one that does."""


class CheckError(Exception):
    """A part that does not work; the message says what was seen, and holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What there is to check, as a resource's inputs have it. What is empty is not checked.

    `route` is the tenant's URL at the gateway, which is reached at `gateway`; `ca` holds its certificates.
    """

    database_url: str = field(default="", repr=False)
    token_endpoint: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scopes: Sequence[str] = ()
    container_url: str = ""
    webhooks: Mapping[str, str] = field(default_factory=dict)
    route: str = ""
    route_expects: tuple[int, ...] = (200,)
    gateway: str = ""
    ca: str | None = None
    oauth_ca: str | None = None


def checks_of(parts: Parts) -> dict[str, Check]:
    """The checks of these parts by name, in the order in which they are shown. Each raises CheckError."""
    found: dict[str, Check] = {}
    if parts.database_url:
        found["database"] = lambda: database(parts.database_url)
    if parts.token_endpoint:
        found["credential"] = lambda: credential(parts)
    if parts.container_url:
        found["container"] = lambda: container(parts.container_url)
    for key, url in parts.webhooks.items():
        found[f"workflow {key}"] = partial(webhook, url)
    if parts.route:
        found["gateway"] = lambda: route(parts)
    return found


def database(url: str) -> None:
    """The tenant's role can log in, and read and write a row of its own."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=int(SECONDS), autocommit=True) as connection:
            connection.execute(f"SET statement_timeout = '{int(SECONDS)}s'")
            with connection.transaction(force_rollback=True):
                connection.execute("INSERT INTO events (kind, source) VALUES ('health', 'tenantry')")
                row = connection.execute("SELECT count(*) FROM events WHERE kind = 'health'").fetchone()
            if row is None or row[0] < 1:
                raise CheckError("a row that was written is not to be seen")
    except psycopg.Error as error:
        # libpq's own messages name host, user and database, and never the password.
        raise CheckError(" ".join(str(error.diag.message_primary or error).split())[:300]) from None


def credential(parts: Parts) -> None:
    """The client gets a token by client_credentials (RFC 6749, section 4.4)."""
    answer = asked(
        "POST",
        parts.token_endpoint,
        ca=parts.oauth_ca,
        # Some servers give a client its scopes only where it names them.
        data={"grant_type": "client_credentials", **({"scope": " ".join(parts.scopes)} if parts.scopes else {})},
        auth=(parts.client_id, parts.client_secret),
    )
    if answer.status_code != 200:
        raise CheckError(f"the authorization server answered {answer.status_code}{_reason(answer)}")
    if not json_of(answer).get("access_token"):
        raise CheckError("the authorization server's answer holds no access token")


def container(url: str) -> None:
    """The application says that it is well."""
    answer = asked("GET", url)
    if answer.status_code != 200:
        raise CheckError(f"it answered {answer.status_code} to GET {urlsplit(url).path}")


def route(parts: Parts) -> None:
    """A request for the tenant's host gets through the gateway to its application."""
    at, wanted = urlsplit(parts.gateway), urlsplit(parts.route)
    host = wanted.hostname or ""
    # The gateway's own address with the tenant's name: whether public DNS knows it yet is not what is asked here.
    answer = asked(
        "GET",
        f"{at.scheme}://{at.netloc}{wanted.path or '/'}",
        ca=parts.ca,
        headers={"Host": f"{host}:{at.port}" if at.port else host},
        extensions={"sni_hostname": host},
    )
    if answer.status_code not in parts.route_expects:
        raise CheckError(f"the gateway answered {answer.status_code} for {host}")


def webhook(url: str) -> None:
    """The workflow is published and answers, by its own webhook for that: its others might send somebody an e-mail."""
    answer = asked("GET", url)
    if answer.status_code != 200:
        raise CheckError(f"n8n answered {answer.status_code}: the workflow is not published, or fails")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a part answered. `body` holds its first MOST_BYTES only, and may hold a secret."""

    status_code: int
    location: str
    body: bytes = field(repr=False)


def asked(method: str, url: str, *, ca: str | None = None, **sent: Any) -> Answer:
    """The answer, within SECONDS in all, however slowly it comes. Raises CheckError."""
    import httpx

    trust = trust_in(ca) if ca else True
    try:
        return asyncio.run(_streamed(method, url, trust, sent))
    except (httpx.TimeoutException, TimeoutError):
        raise CheckError(late(SECONDS)) from None
    except httpx.InvalidURL as error:
        raise CheckError(f"its URL cannot be asked: {said(error)}") from None
    except (httpx.HTTPError, OSError) as error:
        raise CheckError(f"no answer: {said(error)}") from None


def late(seconds: float) -> str:
    """How a check that did not end is told."""
    return f"no answer within {seconds:g} s"


def trust_in(ca: str | None) -> Any:
    """What a connection is verified by: a region's own authorities, or those that this machine knows."""
    import ssl

    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, FileNotFoundError) else None) or said(error)
        raise CheckError(f"the region's caFile {ca} cannot be used: {reason}") from None


async def _streamed(method: str, url: str, trust: Any, sent: Mapping[str, Any]) -> Answer:
    import httpx

    # httpx's own limits are for one read each. As it is, without its encoding: so it cannot unfold to gigabytes.
    headers = {"Accept-Encoding": "identity", **sent.get("headers", {})}
    async with (
        asyncio.timeout(SECONDS),
        httpx.AsyncClient(verify=trust, timeout=SECONDS, trust_env=False) as client,
        client.stream(method, url, **{**sent, "headers": headers}) as answer,
    ):
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) >= MOST_BYTES:
                break
        location = answer.headers.get("Location", "")
        return Answer(status_code=answer.status_code, location=location, body=bytes(body[:MOST_BYTES]))


def said(error: Exception) -> str:
    """In one line."""
    return " ".join(str(error).split()) or type(error).__name__


def json_of(answer: Answer) -> Mapping[str, Any]:
    """What it holds, where that is a mapping as JSON; else nothing."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, Mapping) else {}


def _reason(answer: Answer) -> str:
    error = json_of(answer).get("error")
    return f" ({error})" if isinstance(error, str) and error.replace("_", "").isalpha() else ""
