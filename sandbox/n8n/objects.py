"""Tags and credentials of the public API: what each request does to them, and how each is shown.

A credential's data are kept, because webhooks check them, and are never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.n8n.answers import Refusal
from sandbox.n8n.rules import CREDENTIAL_TYPES, check_credential
from sandbox.n8n.state import World
from sandbox.n8n.workflows import paged

_LONGEST_TAG = 24


@dataclass(slots=True, kw_only=True)
class Tags:
    world: World

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        name = self._checked(body)
        now = self.world.now()
        tag = {"id": self.world.new_id(), "name": name, "createdAt": now, "updatedAt": now}
        self.world.store.put("tag", tag["id"], tag)
        return tag

    def find(self, query: Mapping[str, str]) -> dict[str, Any]:
        return paged(list(self.world.store.all("tag")), query)

    def get(self, tag_id: str) -> dict[str, Any]:
        tag = self.world.store.get("tag", tag_id)
        if tag is None:
            raise Refusal(404, "Not Found")
        return tag

    def update(self, tag_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        tag = self.get(tag_id)
        tag |= {"name": self._checked(body, besides=tag_id), "updatedAt": self.world.now()}
        self.world.store.put("tag", tag_id, tag)
        return {key: tag[key] for key in ("id", "name", "updatedAt")}

    def delete(self, tag_id: str) -> dict[str, Any]:
        tag = self.get(tag_id)
        self.world.store.delete("tag", tag_id)
        return tag

    def _checked(self, body: Mapping[str, Any], besides: str = "") -> str:
        if "name" not in body:
            raise Refusal(400, "request/body must have required property 'name'")
        name = str(body["name"]).strip()
        taken = any(tag["name"] == name and tag["id"] != besides for tag in self.world.store.all("tag"))
        # n8n says the same of a name that it does not take.
        if taken or not 1 <= len(name) <= _LONGEST_TAG:
            raise Refusal(409, "Tag already exists")
        return name


@dataclass(slots=True, kw_only=True)
class Credentials:
    world: World

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for key in ("name", "type", "data"):
            if key not in body:
                raise Refusal(400, f"request/body must have required property '{key}'")
        if body["type"] not in CREDENTIAL_TYPES:
            raise Refusal(400, "req.body.type is not a known type")
        check_credential(body, kind=body["type"])
        key = body.get("id") or self.world.new_id()
        if self.world.store.get("credential", key) is not None:
            raise Refusal(409, "A credential with this ID already exists")
        now = self.world.now()
        credential = {
            "id": key,
            "name": body["name"],
            "type": body["type"],
            "data": body["data"],
            "isManaged": False,
            "isGlobal": False,
            "isResolvable": False,
            "resolvableAllowFallback": False,
            "resolverId": None,
            "createdAt": now,
            "updatedAt": now,
        }
        self.world.store.put("credential", key, credential)
        return _shown(credential)

    def find(self, query: Mapping[str, str]) -> dict[str, Any]:
        project = next(self.world.store.all("project"))
        rows = []
        for row in sorted(self.world.store.all("credential"), key=lambda row: str(row["id"])):
            dates = {key: row[key] for key in ("createdAt", "updatedAt")}
            owner = {"id": project["id"], "name": project["name"], "role": "credential:owner"}
            rows.append({key: row[key] for key in ("id", "name", "type")} | dates | {"shared": [owner | dates]})
        return paged(rows, query)

    def get(self, key: str) -> dict[str, Any]:
        return _shown(self._found(key, "Credential not found"))

    def patch(self, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        credential = self._found(key, "Credential not found")
        kind = body.get("type", credential["type"])
        if kind not in CREDENTIAL_TYPES:
            raise Refusal(400, "req.body.type is not a known type")
        if "data" in body:
            check_credential(body, kind=kind, partial=bool(body.get("isPartialData")))
            old = credential["data"] if body.get("isPartialData") else {}
            credential["data"] = old | body["data"]
        credential |= {"name": body.get("name", credential["name"]), "type": kind, "updatedAt": self.world.now()}
        self.world.store.put("credential", key, credential)
        return _shown(credential)

    def delete(self, key: str) -> dict[str, Any]:
        credential = self._found(key, "Not Found")
        self.world.store.delete("credential", key)
        return _shown(credential) | {"usageScope": "project"}

    def _found(self, key: str, words: str) -> dict[str, Any]:
        credential = self.world.store.get("credential", key)
        if credential is None:
            raise Refusal(404, words)
        return credential


def _shown(credential: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in credential.items() if key != "data"}
