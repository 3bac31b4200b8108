"""The parts that the application was given, each used once and reported. Shows no secret, fails for none of them."""

import base64
import contextlib
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

CONNECT_SECONDS = 5
CALL_SECONDS = 10.0
_SHOWN = 200
_VISIT = "visit"


def database(env: Mapping[str, str], *, visit: bool) -> dict[str, Any]:
    """Its own rows, read through its own role. With `visit`, one is written first."""

    def use() -> dict[str, Any]:
        import psycopg

        url = env["DATABASE_URL"]
        with contextlib.closing(psycopg.connect(url, connect_timeout=CONNECT_SECONDS)) as connection, connection:
            if visit:
                connection.execute("INSERT INTO events (kind, source) VALUES (%s, 'sample_app')", (_VISIT,))
            row = connection.execute(
                "SELECT current_user, count(*), max(created_at)::text FROM events WHERE kind = %s", (_VISIT,)
            ).fetchone()
        role, visits, last = row or (None, 0, None)
        return {"role": role, "visits": visits, "last": last}

    return _reported(env, "DATABASE_URL", use, secrets=_passwords(env.get("DATABASE_URL", "")))


def credential(env: Mapping[str, str]) -> dict[str, Any]:
    """A token, got by client_credentials. The token itself is used for nothing and shown to nobody."""

    def use() -> dict[str, Any]:
        # RFC 6749, 2.3.1: both are form-encoded before they are joined.
        pair = ":".join(urllib.parse.quote_plus(env[name]) for name in ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"))
        basic = base64.b64encode(pair.encode()).decode()
        form = {"grant_type": "client_credentials"} | ({"scope": env["OAUTH_SCOPE"]} if env.get("OAUTH_SCOPE") else {})
        request = urllib.request.Request(  # noqa: S310 - the address is given by whoever runs this
            env["OAUTH_TOKEN_ENDPOINT"],
            data=urllib.parse.urlencode(form).encode(),
            headers={"Authorization": f"Basic {basic}", "Accept": "application/json"},
        )
        trust = ssl.create_default_context(cadata=env.get("OAUTH_CA_PEM") or None)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            token = json.load(answer)
        return {"client": env["OAUTH_CLIENT_ID"], "type": token["token_type"], "seconds": token.get("expires_in")}

    secrets = (env.get("OAUTH_CLIENT_SECRET", ""),)
    return _reported(env, "OAUTH_TOKEN_ENDPOINT", use, secrets=secrets)


def route(env: Mapping[str, str], header: Callable[[str], str]) -> dict[str, Any]:
    """How this request came, and where the route is said to be."""
    forwarded = header("X-Forwarded-Host")
    return {
        "ok": True,
        "url": env.get("PUBLIC_URL", ""),
        "host": header("Host"),
        "through_gateway": bool(forwarded),
        "forwarded_host": forwarded,
        "forwarded_proto": header("X-Forwarded-Proto"),
    }


def _reported(
    env: Mapping[str, str], needed: str, use: Callable[[], dict[str, Any]], *, secrets: tuple[str, ...]
) -> dict[str, Any]:
    if not env.get(needed):
        return {"ok": True, "given": False}
    begun = time.monotonic()
    try:
        found = {"ok": True, "given": True, **use()}
    except urllib.error.HTTPError as error:
        with error:
            found = {"ok": False, "given": True, "error": f"the server answered {error.code}"}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this part's state
        words = " ".join(f"{type(error).__name__}: {error}".split())
        for secret in filter(None, secrets):
            words = words.replace(secret, "[secret]")
        found = {"ok": False, "given": True, "error": words[:_SHOWN]}
    return found | {"ms": round((time.monotonic() - begun) * 1000)}


def _passwords(url: str) -> tuple[str, ...]:
    password = urllib.parse.urlsplit(url).password or ""
    return (password, urllib.parse.unquote(password))
