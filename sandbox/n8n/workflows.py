"""Workflows, their versions and tags: what each request of the public API does to them, and how each is shown.

Decides when a change makes a new version, and what may be done to one that is published or archived.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.n8n.answers import Refusal
from sandbox.n8n.publication import WEBHOOK, Publisher
from sandbox.n8n.rules import check_publishable, check_workflow, merged_settings
from sandbox.n8n.state import World

_SHOWN = (
    *("id", "name", "description", "active", "activeVersionId", "createdAt", "updatedAt", "isArchived", "versionId"),
    *("versionCounter", "sourceWorkflowId", "triggerCount", "nodes", "connections", "nodeGroups", "settings"),
    *("staticData", "pinData", "meta"),
)
_LISTED = tuple(key for key in _SHOWN if key not in {"description", "versionCounter", "sourceWorkflowId"})
_VERSIONED = ("nodes", "connections", "nodeGroups")
_LIMIT, _MOST = 100, 250
_HAVE_WEBHOOKS = frozenset({WEBHOOK, "n8n-nodes-base.emailSend"})
"""Sending an e-mail may wait for its answer: n8n gives that node a webhook's id too."""


@dataclass(slots=True, kw_only=True)
class Workflows:
    world: World
    publisher: Publisher

    def create(self, body: Any) -> dict[str, Any]:
        check_workflow(body, creating=True)
        store, now = self.world.store, self.world.now()
        workflow = {
            "id": self.world.new_id(),
            "name": body["name"],
            "description": None,
            "active": False,
            "activeVersionId": None,
            "createdAt": now,
            "updatedAt": now,
            "isArchived": False,
            "versionCounter": 1,
            "sourceWorkflowId": None,
            "triggerCount": 0,
            "nodes": self._completed(body["nodes"]),
            "connections": body["connections"],
            "nodeGroups": body.get("nodeGroups") or [],
            "settings": merged_settings({}, body["settings"]),
            "staticData": body.get("staticData"),
            "pinData": body.get("pinData"),
            "meta": None,
            "tags": [],
        }
        workflow["versionId"] = self._new_version(workflow)
        store.put("workflow", workflow["id"], workflow)
        return self._shown(workflow, "tags", "shared", "activeVersion") | {"parentFolder": None}

    def get(self, workflow_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        shown = self._shown(self._found(workflow_id), "tags", "shared", "activeVersion")
        if (active := shown["activeVersion"]) is not None:
            active["workflowPublishHistory"].sort(key=lambda event: str(event["event"]))
        if query.get("excludePinnedData") == "true":
            del shown["pinData"]
        return shown

    def find(self, query: Mapping[str, str]) -> dict[str, Any]:
        wanted = {tag.strip() for tag in query.get("tags", "").split(",") if tag.strip()}
        name = query.get("name", "").lower()
        found = [
            workflow
            for workflow in self.world.store.all("workflow")
            if name in workflow["name"].lower()
            and query.get("active", str(workflow["active"]).lower()) == str(workflow["active"]).lower()
            and wanted <= {tag["name"] for tag in self.tags(workflow)}
        ]
        found.sort(key=lambda workflow: workflow["id"])
        rows = [self._listed(workflow, query) for workflow in found]
        return paged(rows, query)

    def put(self, workflow_id: str, body: Any, query: Mapping[str, str]) -> dict[str, Any]:
        check_workflow(body, creating=False)
        workflow = self._allowed(workflow_id, "update")
        if workflow["isArchived"]:
            raise Refusal(400, "Cannot update an archived workflow.")
        before, settings = {key: workflow[key] for key in _VERSIONED}, workflow["settings"]
        workflow |= {
            "name": body["name"],
            "nodes": self._completed(body["nodes"]),
            "connections": body["connections"],
            "nodeGroups": body.get("nodeGroups", workflow["nodeGroups"]) or [],
            "settings": merged_settings(workflow["settings"], body["settings"]),
            "updatedAt": self.world.now(),
        }
        for key in ("description", "pinData", "staticData"):
            if key in body:
                workflow[key] = body[key]
        after = {key: workflow[key] for key in _VERSIONED}
        if after != before:
            workflow["versionId"] = self._new_version(workflow)
        # The counter also counts keys in another order, which make no version.
        if json.dumps(after) != json.dumps(before) or workflow["settings"] != settings:
            workflow["versionCounter"] += 1
        self.world.store.put("workflow", workflow_id, workflow)
        publish = workflow["active"] and query.get("publishIfActive") != "false"
        if publish:
            self._publish(workflow, workflow["versionId"])
        return self._shown(workflow, "tags", "activeVersion", history=publish)

    def publish(self, workflow_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        workflow = self._allowed(workflow_id, "activate")
        if workflow["isArchived"]:
            raise Refusal(400, "Cannot activate an archived workflow.")
        version_id = body.get("versionId", workflow["versionId"])
        version = self.world.store.get("version", version_id)
        if version is None or version["workflowId"] != workflow_id:
            raise Refusal(404, "Version not found")
        version |= {key: body[key] for key in ("name", "description") if key in body}
        self.world.store.put("version", version_id, version)
        self._publish(workflow, version_id)
        return self._shown(workflow, "activeVersion")

    def unpublish(self, workflow_id: str) -> dict[str, Any]:
        workflow = self._allowed(workflow_id, "deactivate")
        if workflow["active"]:
            self._withdraw(workflow)
        return self._shown(workflow, "shared", "activeVersion")

    def archive(self, workflow_id: str) -> dict[str, Any]:
        workflow = self._found(workflow_id, "Workflow not found")
        if not workflow["isArchived"]:
            if workflow["active"]:
                self._withdraw(workflow)
            workflow |= {"isArchived": True, "versionId": self._new_version(workflow)}
            self._touch(workflow)
        return self._shown(workflow, "shared", "activeVersion")

    def unarchive(self, workflow_id: str) -> dict[str, Any]:
        workflow = self._found(workflow_id, "Workflow not found")
        if not workflow["isArchived"]:
            raise Refusal(400, "Workflow is not archived.")
        workflow |= {"isArchived": False, "versionId": self._new_version(workflow)}
        self._touch(workflow)
        return self._shown(workflow, "shared", "activeVersion")

    def delete(self, workflow_id: str) -> dict[str, Any]:
        workflow = self._found(workflow_id)
        if workflow["active"] and self.publisher.delay:
            raise Refusal(409, "Cannot delete a published workflow. Unpublish it before deleting.")
        if self.publisher.is_withdrawing(workflow_id):
            raise Refusal(409, "Workflow is still being unpublished. Please try again in a few moments.")
        self.publisher.withdraw(workflow_id)
        self.world.store.delete("workflow", workflow_id)
        return self._shown(workflow, "shared")

    def history(self, workflow_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        self._found(workflow_id)
        rows = [row for row in self.world.store.all("version") if row["workflowId"] == workflow_id]
        return paged([_without(row, "nodes", "connections", "nodeGroups", "autosaved") for row in rows[::-1]], query)

    def version(self, workflow_id: str, version_id: str) -> dict[str, Any]:
        version = self.world.store.get("version", version_id)
        if version is None or version["workflowId"] != workflow_id:
            raise Refusal(404, "Version not found")
        return _without(version, "autosaved")

    def put_tags(self, workflow_id: str, body: Any) -> list[dict[str, Any]]:
        workflow = self._found(workflow_id)
        ids = [row["id"] for row in body]
        if any(self.world.store.get("tag", tag_id) is None for tag_id in ids):
            raise Refusal(404, "Some tags not found")
        workflow["tags"] = ids
        self.world.store.put("workflow", workflow_id, workflow)
        return self.tags(workflow)

    def get_tags(self, workflow_id: str) -> list[dict[str, Any]]:
        return self.tags(self._found(workflow_id))

    def tags(self, workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [tag for tag in self.world.store.all("tag") if tag["id"] in workflow["tags"]]

    def _found(self, workflow_id: str, words: str = "Not Found") -> dict[str, Any]:
        workflow = self.world.store.get("workflow", workflow_id)
        if workflow is None:
            raise Refusal(404, words)
        return workflow

    def _allowed(self, workflow_id: str, verb: str) -> dict[str, Any]:
        return self._found(
            workflow_id,
            f"You do not have permission to {verb} this workflow. Ask the owner to share it with you.",
        )

    def _completed(self, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Nodes with the ids that n8n gives to those that come without."""
        done = []
        for node in nodes:
            more = {} if "id" in node else {"id": str(uuid.uuid4())}
            if node["type"] in _HAVE_WEBHOOKS and "webhookId" not in node:
                more["webhookId"] = str(uuid.uuid4())
            done.append(node | more)
            for used in (node.get("credentials") or {}).values():
                # The name of a credential that there is, is that credential's.
                known = self.world.store.get("credential", str(used.get("id")))
                used["name"] = known["name"] if known else used.get("name")
        return done

    def _new_version(self, workflow: Mapping[str, Any]) -> str:
        version_id, now = self.world.new_version(), self.world.now()
        version = {
            "versionId": version_id,
            "workflowId": workflow["id"],
            "nodes": workflow["nodes"],
            "connections": workflow["connections"],
            "nodeGroups": workflow["nodeGroups"],
            "authors": self._author(),
            "name": None,
            "description": None,
            "autosaved": False,
            "createdAt": now,
            "updatedAt": now,
        }
        self.world.store.put("version", version_id, version)
        return version_id

    def _publish(self, workflow: dict[str, Any], version_id: str) -> None:
        version = self.world.store.get("version", version_id) or {}
        check_publishable(version["nodes"])
        self.publisher.check_free(workflow["id"], version["nodes"])
        if workflow["activeVersionId"] is not None:
            self._log(workflow, "deactivated")
            if workflow["activeVersionId"] != version_id:
                self.publisher.withdraw(workflow["id"])
        workflow |= {"active": True, "activeVersionId": version_id}
        self._log(workflow, "activated")
        self.world.store.put("workflow", workflow["id"], workflow)
        self.publisher.plan(workflow["id"], version_id)
        workflow |= self.world.store.get("workflow", workflow["id"]) or {}

    def _withdraw(self, workflow: dict[str, Any]) -> None:
        self._log(workflow, "deactivated")
        workflow |= {"active": False, "activeVersionId": None}
        self._touch(workflow)
        self.publisher.plan(workflow["id"], None)

    def _log(self, workflow: Mapping[str, Any], event: str) -> None:
        number = self.world.number("publication")
        row = {"id": number, "workflowId": workflow["id"], "versionId": workflow["activeVersionId"], "event": event}
        user = next(self.world.store.all("user"))["id"]
        self.world.store.put("publication", str(number), row | {"userId": user, "createdAt": self.world.now()})

    def _touch(self, workflow: dict[str, Any]) -> None:
        workflow["updatedAt"] = self.world.now()
        self.world.store.put("workflow", workflow["id"], workflow)

    def _shown(self, workflow: dict[str, Any], *more: str, history: bool = True) -> dict[str, Any]:
        shown = {key: workflow[key] for key in _SHOWN}
        if "tags" in more:
            shown["tags"] = sorted(self.tags(workflow), key=lambda tag: str(tag["id"]))
        if "shared" in more:
            shown["shared"] = [self._shared(workflow, whole=True)]
        if "activeVersion" in more:
            shown["activeVersion"] = self._active_version(workflow, history=history)
        return shown

    def _listed(self, workflow: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
        hidden = ("pinData",) if query.get("excludePinnedData") == "true" else ()
        return {
            **{key: workflow[key] for key in _LISTED if key not in hidden},
            "tags": sorted(self.tags(workflow), key=lambda tag: str(tag["id"])),
            "shared": [self._shared(workflow, whole=False)],
            "activeVersion": self._active_version(workflow, history=False),
        }

    def _active_version(self, workflow: Mapping[str, Any], *, history: bool) -> dict[str, Any] | None:
        version = self.world.store.get("version", workflow["activeVersionId"] or "")
        if version is None or not history:
            return version
        events = [row for row in self.world.store.all("publication") if row["versionId"] == version["versionId"]]
        return version | {"workflowPublishHistory": events}

    def _shared(self, workflow: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
        project = next(self.world.store.all("project"))
        shared = {"role": "workflow:owner", "workflowId": workflow["id"], "projectId": project["id"]}
        dates = {"createdAt": workflow["createdAt"], "updatedAt": workflow["createdAt"]}
        return shared | ({"project": project} if whole else {}) | dates

    def _author(self) -> str:
        user = next(self.world.store.all("user"))
        return f"{user['firstName']} {user['lastName']}"


def paged(rows: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of a list, and the cursor of the next. A limit of 0 is served as n8n does: the cursor never ends."""
    limit, offset = min(int(query.get("limit", _LIMIT)), _MOST), 0
    if "cursor" in query:
        try:
            cursor = json.loads(base64.b64decode(query["cursor"], validate=True))
            limit, offset = int(cursor["limit"]), int(cursor["offset"])
        except (ValueError, KeyError, TypeError):
            raise Refusal(400, "An invalid cursor was provided") from None
    page = rows[offset : offset + limit] if limit else rows[offset:]
    more = offset + limit < len(rows) or (limit == 0 and bool(rows))
    text = json.dumps({"limit": limit, "offset": offset + limit}, separators=(",", ":"))
    return {"data": page, "nextCursor": base64.b64encode(text.encode()).decode() if more else None}


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}
