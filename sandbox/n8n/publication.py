"""Which webhooks answer: what was published takes effect some time after it was confirmed, as in n8n.

Decides when a change of what is published becomes true, who has a path, and which node a call reaches. A publication
whose path another workflow took meanwhile fails without a word: that is n8n's own behaviour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.n8n.answers import Refusal, traced
from sandbox.n8n.state import World

WEBHOOK = "n8n-nodes-base.webhook"
_NOT_ACTIVE = (
    "The workflow must be active for a production URL to run successfully. You can activate the workflow using the "
    "toggle in the top-right of the editor. Note that unlike test URL calls, production URL calls aren't shown on the "
    "canvas (only in the executions list)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """The node that a call reached: of which workflow, in which version."""

    workflow_id: str
    version_id: str
    node: str


@dataclass(slots=True, kw_only=True)
class Publisher:
    """`delay` is how many seconds a publication takes; 0 is n8n without its publication service."""

    world: World
    delay: float

    def plan(self, workflow_id: str, version_id: str | None) -> None:
        """What is live becomes this version, or none, at the first `settle` after the delay; one after the other."""
        number = self.world.number("plan")
        row = {"number": number, "workflow": workflow_id, "version": version_id}
        self.world.store.put("pending", str(number), row | {"due": self.world.clock() + self.delay})
        if not self.delay:
            self.settle()

    def is_withdrawing(self, workflow_id: str) -> bool:
        """The last thing that was planned, and has not happened yet, is that none is live."""
        rows = [row for row in self.world.store.all("pending") if row["workflow"] == workflow_id]
        return bool(rows) and rows[-1]["version"] is None

    def settle(self) -> None:
        """Do what is due."""
        now = self.world.clock()
        for row in list(self.world.store.all("pending")):
            if row["due"] <= now:
                self.world.store.delete("pending", str(row["number"]))
                self._apply(row["workflow"], row["version"])

    def withdraw(self, workflow_id: str) -> None:
        """No webhook of this workflow answers any more."""
        for row in list(self.world.store.all("webhook")):
            if row["workflow"] == workflow_id:
                self.world.store.delete("webhook", row["key"])

    def check_free(self, workflow_id: str, nodes: list[dict[str, Any]]) -> None:
        """Raises Refusal where another workflow's webhook answers at a path of these."""
        if self._taken(workflow_id, nodes):
            raise Refusal(409, "There is a conflict with one of the webhooks.")

    def methods_of(self, path: str) -> list[str]:
        """The methods that are answered at a path."""
        return [row["method"] for row in self.world.store.all("webhook") if _matches(row["path"], path)]

    def find(self, method: str, path: str) -> Hit:
        """The node for a call. Raises Refusal, in n8n's words."""
        for row in self.world.store.all("webhook"):
            if row["method"] != method or not _matches(row["path"], path):
                continue
            workflow = self.world.store.get("workflow", row["workflow"])
            if workflow is None or workflow["isArchived"]:
                raise traced(404, f'Published version not found for workflow with id "{row["workflow"]}"')
            return Hit(workflow_id=row["workflow"], version_id=row["version"], node=row["node"])
        if others := self.methods_of(path):
            also = " or ".join([", ".join(others[:-1]), others[-1]] if others[1:] else others)
            raise traced(
                404, f"This webhook is not registered for {method} requests. Did you mean to make a {also} request?"
            )
        raise traced(404, f'The requested webhook "{method} {path}" is not registered.', hint=_NOT_ACTIVE)

    def _apply(self, workflow_id: str, version_id: str | None) -> None:
        store = self.world.store
        self.withdraw(workflow_id)
        workflow, version = store.get("workflow", workflow_id), store.get("version", version_id or "")
        if workflow is None or version is None:
            return
        if not self._taken(workflow_id, version["nodes"]):
            for node, method, path in webhooks_of(version["nodes"]):
                key = f"{method} {path}"
                row = {"key": key, "method": method, "path": path, "workflow": workflow_id, "node": node["name"]}
                store.put("webhook", key, row | {"version": version_id})
        workflow["triggerCount"] = sum(1 for node in version["nodes"] if _triggers(node))
        store.put("workflow", workflow_id, workflow)

    def _taken(self, workflow_id: str, nodes: list[dict[str, Any]]) -> bool:
        rows = {row["key"]: row["workflow"] for row in self.world.store.all("webhook")}
        return any(rows.get(f"{method} {path}", workflow_id) != workflow_id for _, method, path in webhooks_of(nodes))


def webhooks_of(nodes: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """(node, method, path below /webhook/) of each webhook. A path with a parameter begins with the webhook's id."""
    for node in nodes:
        if node["type"] != WEBHOOK or node.get("disabled"):
            continue
        parameters = node.get("parameters") or {}
        path = str(parameters.get("path") or node.get("webhookId") or "").strip("/")
        if ":" in path:
            path = f"{node.get('webhookId')}/{path}"
        methods = parameters.get("httpMethod", "GET")
        for method in methods if isinstance(methods, list) else [methods]:
            yield node, str(method), path


def _triggers(node: dict[str, Any]) -> bool:
    return not node.get("disabled") and (node["type"] == WEBHOOK or node["type"].endswith("Trigger"))


def _matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.strip("/").split("/")
    return len(wanted) == len(given) and all(
        one.startswith(":") or one == other for one, other in zip(wanted, given, strict=True)
    )
