"""The internal API under /rest that a first start needs: the owner's set-up, its login, and keys of the public API.

Decides what a key may do: the scopes that it was made with. Keys and the session are random, and never logged.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.http import Answer, Request
from sandbox.n8n.answers import Refusal, traced
from sandbox.n8n.state import World

COOKIE = "n8n-auth"
SCOPES = tuple(
    f"{kind}:{verb}"
    for kind, verbs in (
        ("communityPackage", ("install", "list", "uninstall", "update")),
        ("credential", ("create", "delete", "list", "move", "read", "update")),
        ("dataTable", ("create", "delete", "list", "read", "update")),
        ("execution", ("delete", "list", "read", "retry", "stop")),
        ("folder", ("create", "delete", "list", "read", "update")),
        ("project", ("create", "delete", "list", "update")),
        ("tag", ("create", "delete", "list", "read", "update")),
        ("user", ("changeRole", "create", "delete", "list", "read")),
        ("variable", ("create", "delete", "list", "update")),
        ("workflow", ("activate", "create", "deactivate", "delete", "list", "move", "read", "update")),
        ("workflowTags", ("list", "update")),
    )
    for verb in verbs
)


@dataclass(slots=True, kw_only=True)
class Owner:
    world: World

    def setup(self, body: Mapping[str, Any]) -> Answer:
        if len(str(body.get("password", ""))) < 8:
            raise Refusal(400, _invalid("too_small", "Password must be 8 to 64 characters long.", "password"))
        if self.world.store.count("user"):
            raise traced(400, "Instance owner already setup")
        now, salt = self.world.now(), secrets.token_hex(8)
        user = {
            "createdAt": now,
            "id": str(uuid.uuid4()),
            **{key: body[key] for key in ("email", "firstName", "lastName")},
            "salt": salt,
            "password": _hashed(body["password"], salt),
        }
        self.world.store.put("user", user["id"], user)
        project = {
            "id": self.world.new_id(),
            "name": f"{user['firstName']} {user['lastName']} <{user['email']}>",
            "type": "personal",
            "icon": None,
            "description": None,
            "customTelemetryTags": [],
            "creatorId": user["id"],
            "createdAt": now,
            "updatedAt": now,
        }
        self.world.store.put("project", project["id"], project)
        return self._logged_in(user, lastActiveAt=now)

    def login(self, body: Mapping[str, Any]) -> Answer:
        if "emailOrLdapLoginId" not in body:
            raise Refusal(400, _missing("string", "emailOrLdapLoginId"))
        user = next(self.world.store.all("user"), None)
        known = user is not None and user["email"] == body["emailOrLdapLoginId"]
        if user is None or not known or user["password"] != _hashed(body.get("password", ""), user["salt"]):
            raise traced(401, "Wrong username or password. Do you have caps lock on?")
        return self._logged_in(user, lastActiveAt=self.world.now()[:10])

    def check_session(self, request: Request) -> dict[str, Any]:
        """The user of a session. Raises Refusal."""
        cookies = dict(part.strip().partition("=")[::2] for part in request.headers.get("cookie", "").split(";"))
        session = self.world.store.get("session", _digest(cookies.get(COOKIE, "")))
        if session is None:
            raise Refusal(401, {"status": "error", "message": "Unauthorized"})
        return session

    def create_key(self, request: Request) -> dict[str, Any]:
        session, body = self.check_session(request), request.json()
        if not isinstance(body.get("scopes"), list):
            raise Refusal(400, _missing("array", "scopes"))
        if "expiresAt" not in body:
            raise Refusal(400, _missing("number", "expiresAt"))
        if not set(body["scopes"]) <= set(SCOPES):
            raise traced(400, "Invalid scopes for user role")
        if any(key["label"] == body["label"] for key in self.world.store.all("key")):
            raise traced(500, "There is already an entry with this name", code=0)
        raw, now = f"n8n_api_{secrets.token_urlsafe(32)}", self.world.now()
        key = {
            "updatedAt": now,
            "createdAt": now,
            "id": self.world.new_id(),
            "userId": session["user"],
            "label": body["label"],
            "scopes": body["scopes"],
            "apiKey": f"******{raw[-4:]}",
            "audience": "public-api",
            "lastUsedAt": None,
        }
        self.world.store.put("key", _digest(raw), key | {"expiresAt": body["expiresAt"]})
        return key | {"rawApiKey": raw, "expiresAt": body["expiresAt"]}

    def list_keys(self, request: Request) -> dict[str, Any]:
        self.check_session(request)
        keys = list(self.world.store.all("key"))[::-1]
        user = next(self.world.store.all("user"))
        owner = {key: user[key] for key in ("id", "firstName", "lastName", "email")}
        count = {"mine": len(keys), "all": len(keys)}
        return {
            "items": [key | {"owner": owner} for key in keys],
            "counts": count,
            "totals": count,
            "owners": [owner | {"keyCount": len(keys)}],
        }

    def check_key(self, request: Request, scope: str | None) -> None:
        """Raises Refusal for a key that is missing, unknown, or may not do this."""
        key = self.world.store.get("key", _digest(request.headers.get("x-n8n-api-key", "")))
        if key is None:
            raise Refusal(401, "Unauthorized")
        if scope is not None and scope not in key["scopes"]:
            raise Refusal(403, "Forbidden")

    def _logged_in(self, user: Mapping[str, Any], **more: Any) -> Answer:
        token = secrets.token_urlsafe(32)
        self.world.store.put("session", _digest(token), {"user": user["id"]})
        data = {
            **{key: user[key] for key in ("createdAt", "id", "email", "firstName", "lastName")},
            "personalizationAnswers": None,
            "settings": {"userActivated": False},
            "disabled": False,
            "mfaEnabled": False,
            **more,
            "isPending": False,
            "role": "global:owner",
            "signInType": "email",
            "isOwner": True,
            "featureFlags": {},
            "featureFlagPayloads": {},
            "globalScopes": list(SCOPES),
            "mfaAuthenticated": False,
        }
        return Answer(body={"data": data}, headers={"Set-Cookie": f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax"})


def _missing(expected: str, name: str) -> dict[str, Any]:
    said = {"code": "invalid_type", "expected": expected, "received": "undefined"}
    return said | {"path": [name], "message": "Required"}


def _invalid(code: str, message: str, name: str) -> dict[str, Any]:
    limits = {"minimum": 8, "type": "string", "inclusive": True, "exact": False}
    return {"code": code, **limits, "message": message, "path": [name]}


def _hashed(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**12, r=8, p=1).hex()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
