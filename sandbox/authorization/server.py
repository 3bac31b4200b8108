"""The authorization server's process: `python -m sandbox.authorization.server FOLDER PORT`.

Decides paths and what metadata say. What a request may do is decided in `protocol`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.authorization.protocol import AUTH_METHODS, GRANT, Answer, Incoming, Rules, Server, as_json
from sandbox.authorization.store import Store
from sandbox.process import HOST, private

_LONGEST_BODY = 65_536
_DENIED = JSONResponse({"error": "invalid_token"}, status_code=401, headers={"WWW-Authenticate": "Bearer"})


def application(server: Server) -> Starlette:
    issuer = server.rules.issuer
    metadata = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "registration_endpoint": f"{issuer}/register",
        "client_lookup_endpoint": f"{issuer}/register",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "jwks_uri": f"{issuer}/jwks",
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        **({} if server.rules.scopes is None else {"scopes_supported": sorted(server.rules.scopes)}),
    }

    async def says(_request: Request) -> Response:
        return JSONResponse(metadata)

    async def keys(_request: Request) -> Response:
        return JSONResponse({"keys": [server.rules.key.as_dict(private=False)]})

    async def health(_request: Request) -> Response:
        return Response("ok")

    async def clients(request: Request) -> Response:
        incoming = await _read(request)
        if not server.initial(incoming):
            return _DENIED
        wanted = request.query_params.get("software_id", "")
        rows = await anyio.to_thread.run_sync(server.store.of_software, wanted)
        found = [
            {
                "client_id": row.client_id,
                "client_id_issued_at": row.issued_at,
                "client_name": row.metadata.get("client_name", ""),
                "software_id": wanted,
                "registration_client_uri": server.registration_uri(row.client_id),
            }
            for row in rows
        ]
        return JSONResponse({"clients": found})

    async def renew(request: Request) -> Response:
        if not server.initial(await _read(request)):
            return _DENIED
        token = await anyio.to_thread.run_sync(server.renewed, request.path_params["client_id"])
        if token is None:
            return JSONResponse({"error": "invalid_client"}, status_code=404)
        return JSONResponse({"registration_access_token": token}, headers={"Cache-Control": "no-store"})

    def endpoint(name: str) -> Any:
        async def answer(request: Request) -> Response:
            incoming = await _read(request)
            return _response(await anyio.to_thread.run_sync(server.answer, name, incoming))

        return answer

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/.well-known/oauth-authorization-server", says),
            Route("/.well-known/openid-configuration", says),
            Route("/jwks", keys),
            Route("/register", clients, methods=["GET"]),
            Route("/register", endpoint("client_registration"), methods=["POST"]),
            Route("/register/{client_id}", endpoint("client_configuration"), methods=["GET", "PUT", "DELETE"]),
            Route("/register/{client_id}/registration-access-token", renew, methods=["POST"]),
            Route("/token", endpoint("token"), methods=["POST"]),
            Route("/introspect", endpoint("introspection"), methods=["POST"]),
            Route("/revoke", endpoint("revocation"), methods=["POST"]),
        ]
    )


async def _read(request: Request) -> Incoming:
    body: Any = None
    form: dict[str, str] = {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body() if int(request.headers.get("content-length") or 0) <= _LONGEST_BODY else b""
    if kind == "application/x-www-form-urlencoded":
        form = {key: value for key, value in (await request.form()).items() if isinstance(value, str)}
    elif raw:
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
    # Starlette's headers are asked by any case, as Authlib needs.
    return Incoming(method=request.method, url=str(request.url), headers=request.headers, form=form, body=body)


def _response(answer: Answer) -> Response:
    status, body, headers = answer
    return Response(as_json(body), status_code=status, headers=dict(headers))


def _key(home: Path) -> RSAKey:
    path = home / "key.json"
    if not path.exists():
        partial = home / "key.json.partial"
        private(partial, json.dumps(RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)))
        partial.replace(path)
    return RSAKey.import_key(json.loads(path.read_text()))


def main(argv: list[str]) -> None:
    home, port = Path(argv[0]), int(argv[1])
    settings = json.loads((home / "settings.json").read_text())
    # Plain http, which Authlib refuses otherwise: nothing leaves this machine.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    rules = Rules(issuer=f"http://{HOST}:{port}", key=_key(home), **settings)
    private(home / "clients.sqlite")
    server = Server(rules, Store(home / "clients.sqlite"))
    uvicorn.run(application(server), host=HOST, port=port, access_log=False, log_level="warning", server_header=False)


if __name__ == "__main__":
    main(sys.argv[1:])
