"""Whether the gateway serves a route: asked at its own address, with the tenant's host, as a user's request would come.

Decides when a route is live: the answer names the route's version. It never looks at the tenant's container.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from providers.backends import GatewayBackend
from providers.caddy.routes import PROBE_HEADER, PROBE_PATH
from providers.errors import NotReadyError, UnreachableError
from providers.http import Api

READY_SECONDS = 45.0
INTERVAL_SECONDS = 0.2
CALL_SECONDS = 5.0


def public_url(backend: GatewayBackend, host: str) -> str:
    """The tenant's URL: the gateway's scheme and port, the tenant's host."""
    parts = urlsplit(backend.url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"


def wait_served(backend: GatewayBackend, host: str, version: str) -> None:
    """Returns once the gateway serves this version of the route. Raises NotReadyError, with what was seen last."""
    deadline = time.monotonic() + READY_SECONDS
    seen = ""
    while True:
        seen = _seen(backend, host, version)
        if not seen:
            return
        if time.monotonic() + INTERVAL_SECONDS > deadline:
            break
        time.sleep(INTERVAL_SECONDS)
    raise NotReadyError(
        f"gateway route {host!r}: its configuration is made, but {backend.url} did not serve it within "
        f"{READY_SECONDS:g} s: {seen}. Check gateway.url, the server's address and its TLS policy."
    )


def _seen(backend: GatewayBackend, host: str, version: str) -> str:
    """Empty where the route is served; else what was seen instead."""
    # A connection of its own: the gateway closes idle ones at each change, and this host may not be the last one's.
    headers = {"Host": urlsplit(public_url(backend, host)).netloc, "Connection": "close"}
    base = backend.url.rstrip("/")
    api = Api(name=base, base_url=base, headers=headers, seconds=CALL_SECONDS, verify=backend.ca_file or True)
    try:
        answer = api.call(
            "GET",
            PROBE_PATH,
            what="its probe",
            expect=range(200, 600),
            extensions={"sni_hostname": host},
        )
    except UnreachableError as error:
        return str(error).rstrip(".")
    found = answer.headers.get(PROBE_HEADER)
    if found == version:
        return ""
    if found:
        return f"another version of the route answers ({found} instead of {version})"
    return (
        f"something else answers for that host, with {answer.status_code}: a route before this one, or another server"
    )
