"""Runs a published workflow for one call of its webhook, as far as needed to answer the caller.

Decides what webhook, set, no-op and respond nodes do, and how paths such as `={{ $json.body.to }}` are read. Every
other node would reach another server: its call has failed, and the caller is told so as n8n tells it. It never runs
code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.http import HTML, TEXT, Answer, Request
from sandbox.n8n.answers import traced
from sandbox.n8n.publication import Hit
from sandbox.n8n.state import World

_PATH = re.compile(r"\{\{\s*\$json((?:\.[A-Za-z_]\w*|\[\d+\])*)\s*\}\}")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_MOST_NODES = 100


class NodeFailedError(Exception):
    """A node could not do its work."""


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution: `answer` is what a respond node said, if one was reached."""

    nodes: Mapping[str, Mapping[str, Any]]
    connections: Mapping[str, Any]
    answer: Answer | None = None

    def go(self, start: str, item: dict[str, Any]) -> dict[str, Any]:
        """The last item. Raises NodeFailedError."""
        name, steps = start, 0
        while (following := self._next(name)) is not None:
            steps += 1
            if steps > _MOST_NODES:
                raise NodeFailedError(f"more than {_MOST_NODES} nodes ran")
            item = self._do(self.nodes[following], item)
            name = following
        return item

    def kinds_after(self, start: str) -> set[str]:
        """The types of all nodes that come after one."""
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            outputs = self.connections.get(ahead.pop(), {}).get("main") or []
            names = {str(link["node"]) for links in outputs for link in links or []} - seen
            seen |= names
            ahead += names
        return {str(self.nodes[name]["type"]) for name in seen}

    def _next(self, name: str) -> str | None:
        outputs = self.connections.get(name, {}).get("main") or []
        links = outputs[0] if outputs else None
        return str(links[0]["node"]) if links else None

    def _do(self, node: Mapping[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        kind = str(node["type"]).rpartition(".")[2]
        parameters = node.get("parameters") or {}
        if node.get("disabled") or kind == "noOp":
            return item
        if kind == "set":
            kept = item if parameters.get("includeOtherFields") else {}
            rows = (parameters.get("assignments") or {}).get("assignments") or []
            return kept | {row["name"]: evaluated(row["value"], item) for row in rows}
        if kind == "respondToWebhook":
            self.answer = _responded(parameters, item)
            return item
        raise NodeFailedError(f"the simulator runs no {kind} node: it reaches no other server")


def answer_call(world: World, hit: Hit, request: Request) -> Answer:
    """What the caller of a webhook gets."""
    version = world.store.get("version", hit.version_id) or {"nodes": [], "connections": {}}
    nodes = {node["name"]: node for node in version["nodes"]}
    webhook = nodes[hit.node]
    parameters = webhook.get("parameters") or {}
    if parameters.get("authentication") == "headerAuth" and not _authorised(world, webhook, request):
        asked = {"WWW-Authenticate": 'Basic realm="Webhook"'}
        return Answer(status=403, body="Authorization data is wrong!", content_type=TEXT, headers=asked)
    mode = parameters.get("responseMode", "onReceived")
    started, run = world.now(), Run(nodes=nodes, connections=version["connections"])
    responds = "n8n-nodes-base.respondToWebhook" in run.kinds_after(hit.node)
    if responds != (mode == "responseNode"):
        which = "Unused" if responds else "No"
        raise traced(500, f"{which} Respond to Webhook node found in the workflow", code=0)
    item = {"headers": request.headers, "params": {}, "query": request.query, "body": _body_of(request)}
    try:
        last = run.go(hit.node, item)
    except NodeFailedError:
        _record(world, hit, started, ok=False)
        return Answer(status=500, body={"message": "Error in workflow"}) if mode != "onReceived" else _started()
    _record(world, hit, started, ok=True)
    if run.answer is not None:
        return run.answer
    return Answer(body=last) if mode == "lastNode" else _started()


def evaluated(value: Any, item: Mapping[str, Any]) -> Any:
    """A parameter's value, with its paths read from the item. Raises NodeFailedError for any other expression."""
    if isinstance(value, dict):
        return {key: evaluated(child, item) for key, child in value.items()}
    if isinstance(value, list):
        return [evaluated(child, item) for child in value]
    if not isinstance(value, str) or not value.startswith("="):
        return value
    text = value[1:]
    if whole := _PATH.fullmatch(text.strip()):
        return _read(whole.group(1), item)
    done = _PATH.sub(lambda found: str(_read(found.group(1), item) or ""), text)
    if "{{" in done:
        raise NodeFailedError(f"the simulator reads only paths of $json, not {text}")
    return done


def _read(path: str, item: Any) -> Any:
    for name, index in _STEP.findall(path):
        if name and isinstance(item, dict):
            item = item.get(name)
        elif index and isinstance(item, list) and int(index) < len(item):
            item = item[int(index)]
        else:
            return None
    return item


def _responded(parameters: Mapping[str, Any], item: dict[str, Any]) -> Answer:
    status = int((parameters.get("options") or {}).get("responseCode") or 200)
    kind = parameters.get("respondWith", "firstIncomingItem")
    if kind == "noData":
        return Answer(status=status, body="", content_type=TEXT)
    if kind == "text":
        return Answer(status=status, body=evaluated(parameters.get("responseBody", ""), item), content_type=HTML)
    if kind == "json":
        body = evaluated(parameters.get("responseBody", "{}"), item)
        try:
            return Answer(status=status, body=json.loads(body) if isinstance(body, str) else body)
        except ValueError:
            raise NodeFailedError("Invalid JSON in 'Response Body' field") from None
    if kind == "firstIncomingItem":
        return Answer(status=status, body=item)
    raise NodeFailedError(f"the simulator does not respond with {kind}")


def _authorised(world: World, node: Mapping[str, Any], request: Request) -> bool:
    wanted = (node.get("credentials") or {}).get("httpHeaderAuth") or {}
    credential = world.store.get("credential", str(wanted.get("id"))) or {"data": {}}
    name, value = credential["data"].get("name", ""), credential["data"].get("value")
    return bool(name) and request.headers.get(str(name).lower()) == value


def _body_of(request: Request) -> Any:
    try:
        return json.loads(request.body) if request.body else {}
    except ValueError:
        return request.body.decode(errors="replace")


def _started() -> Answer:
    return Answer(body={"message": "Workflow was started"})


def _record(world: World, hit: Hit, started: str, *, ok: bool) -> None:
    settings = (world.store.get("workflow", hit.workflow_id) or {"settings": {}})["settings"]
    if settings.get("saveDataSuccessExecution" if ok else "saveDataErrorExecution") == "none":
        return
    number = str(world.number("execution"))
    world.store.put(
        "execution",
        number,
        {
            "id": number,
            "finished": ok,
            "mode": "webhook",
            "retryOf": None,
            "retrySuccessId": None,
            "status": "success" if ok else "error",
            "startedAt": started,
            "stoppedAt": world.now(),
            "workflowId": hit.workflow_id,
            "waitTill": None,
        },
    )
