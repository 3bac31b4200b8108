"""A workflow's definition as n8n is given it, and whether what n8n has is still that. Pure.

Decides the ids of nodes and webhooks, where webhooks are, which credential a node uses, and adds two things to each
workflow: the note by which it is known again, and a webhook at `<path>/health` that says which revision runs. Being
told that revision is the only proof that a publication has taken effect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from providers.errors import ConfigurationError
from providers.n8n.naming import credential_id, credential_key, credential_name, node_id, note_id, note_text, path_of

WEBHOOK = "n8n-nodes-base.webhook"
RESET: Mapping[str, Any] = {
    "timezone": "DEFAULT",
    "errorWorkflow": "DEFAULT",
    "saveDataErrorExecution": "DEFAULT",
    "saveDataSuccessExecution": "DEFAULT",
    "saveManualExecutions": "DEFAULT",
    "saveExecutionProgress": "DEFAULT",
    "executionTimeout": -1,
    "callerPolicy": "workflowsFromSameOwner",
    "executionOrder": "v1",
}
"""The settings that may be given, and the value that takes each back: n8n keeps what a request leaves out."""
_PARTS = ("nodes", "connections", "settings")
_HEALTH, _HEALTHY = "Health", "Healthy"


def prepared(definition: Mapping[str, Any], *, mark: str, key: str) -> dict[str, Any]:
    """nodes, connections and settings as n8n gets them.

    In `definition`, a webhook without a path gets the workflow's own, and a node's credential is the name of a slot.
    Raises ConfigurationError naming what is wrong.
    """
    what = f"workflow {key!r}"
    if unknown := sorted(set(definition) - set(_PARTS)):
        raise ConfigurationError(f"{what}: {', '.join(unknown)} is not known here: give nodes, connections, settings.")
    settings = {"executionOrder": "v1", **(definition.get("settings") or {})}
    if unknown := sorted(set(settings) - set(RESET)):
        raise ConfigurationError(
            f"{what}: the setting {', '.join(unknown)} cannot be given, since n8n could not take it back. "
            f"Settings are {', '.join(RESET)}."
        )
    nodes = [_node(node, mark, key) for node in definition.get("nodes") or ()]
    names = [node["name"] for node in nodes]
    if len(set(names)) != len(names) or {_HEALTH, _HEALTHY, "Tenantry"} & set(names):
        raise ConfigurationError(
            f"{what}: names of nodes must differ, and Health, Healthy and Tenantry are taken. They are {names}."
        )
    connections = dict(definition.get("connections") or {})
    revision = _digest({"nodes": nodes, "connections": connections})
    return {
        "nodes": [_note(mark, key), *nodes, *_health(mark, key, revision)],
        "connections": {**connections, _HEALTH: {"main": [[{"node": _HEALTHY, "type": "main", "index": 0}]]}},
        "settings": settings,
    }


def revision_of(wanted: Mapping[str, Any]) -> str:
    """What the health webhook of a prepared definition says."""
    body = next(node for node in wanted["nodes"] if node["name"] == _HEALTHY)["parameters"]["responseBody"]
    return str(json.loads(body)["revision"])


def canonical(definition: Mapping[str, Any]) -> str:
    """A definition as text: numbers stay what they are, and the order of keys means nothing."""
    return json.dumps(definition, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def owned(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What n8n has of a workflow, as far as it is ours: settings that we did not give are not."""
    settings = {key: value for key, value in (found.get("settings") or {}).items() if key in wanted["settings"]}
    same = _nodes_are(found.get("nodes") or (), wanted["nodes"]) and settings == wanted["settings"]
    same = same and (found.get("connections") or {}) == wanted["connections"]
    mine = {"nodes": found.get("nodes"), "connections": found.get("connections"), "settings": settings}
    return dict(wanted) if same else mine


def with_resets(settings: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Settings to send: with those taken back that were given before and are not any more."""
    return {**{key: RESET[key] for key in before if key in RESET and key not in settings}, **settings}


def webhook_paths(wanted: Mapping[str, Any]) -> list[str]:
    """The paths of the definition's own webhooks, below /webhook/, in the order of nodes."""
    found = []
    for node in wanted["nodes"]:
        if node["type"] == WEBHOOK and node["name"] != _HEALTH and not node.get("disabled"):
            path = str(node["parameters"]["path"]).strip("/")
            # With a parameter in it, n8n puts the webhook's id before the path.
            found.append(f"{node['webhookId']}/{path}" if ":" in path else path)
    return found


def health_path(mark: str, key: str) -> str:
    return f"{path_of(mark, key)}/health"


def _node(node: Mapping[str, Any], mark: str, key: str) -> dict[str, Any]:
    if missing := [name for name in ("name", "type", "typeVersion") if name not in node]:
        raise ConfigurationError(f"workflow {key!r}: a node has no {' and no '.join(missing)}: {dict(node)}.")
    name = str(node["name"])
    done = {
        "id": node_id(mark, key, name),
        "position": [0, 0],
        **node,
        "parameters": dict(node.get("parameters") or {}),
    }
    if node["type"] == WEBHOOK:
        done["webhookId"] = node_id(mark, key, f"{name}\0webhook")
        done["parameters"].setdefault("path", path_of(mark, key))
    if used := node.get("credentials"):
        done["credentials"] = {kind: _reference(str(slot), mark, key) for kind, slot in used.items()}
    return done


def _reference(slot: str, mark: str, key: str) -> dict[str, str]:
    credential = credential_key(key, slot)
    return {"id": credential_id(mark, credential), "name": credential_name(mark, credential)}


def _note(mark: str, key: str) -> dict[str, Any]:
    return {
        "id": note_id(mark, key),
        "name": "Tenantry",
        "type": "n8n-nodes-base.stickyNote",
        "typeVersion": 1,
        "position": [-60, -260],
        "parameters": {"content": note_text(mark, key), "height": 160, "width": 460},
    }


def _health(mark: str, key: str, revision: str) -> list[dict[str, Any]]:
    """Last of all, so that n8n registers it when the others are."""
    said = {"status": "ok", "workflow": key, "revision": revision}
    return [
        {
            "id": node_id(mark, key, _HEALTHY),
            "name": _HEALTHY,
            "type": "n8n-nodes-base.respondToWebhook",
            "typeVersion": 1.1,
            "position": [220, 320],
            "parameters": {"respondWith": "json", "responseBody": json.dumps(said), "options": {}},
        },
        {
            "id": node_id(mark, key, _HEALTH),
            "name": _HEALTH,
            "type": WEBHOOK,
            "typeVersion": 2,
            "position": [0, 320],
            "webhookId": node_id(mark, key, f"{_HEALTH}\0webhook"),
            "parameters": {
                "httpMethod": "GET",
                "path": health_path(mark, key),
                "responseMode": "responseNode",
                "options": {},
            },
        },
    ]


def _nodes_are(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
    return len(found) == len(wanted) and all(
        _compared(one, other) == _compared(other, other) for one, other in zip(found, wanted, strict=True)
    )


def _compared(node: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a node that must be equal.

    A credential is its id, since n8n renames it in nodes by itself. A node that could wait for an answer, such as one
    that sends e-mails, is given a webhook's id by n8n, which nobody asked for.
    """
    done = {key: value for key, value in node.items() if key != "webhookId" or key in wanted}
    if used := node.get("credentials"):
        done["credentials"] = {kind: (each or {}).get("id") for kind, each in used.items()}
    return done


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
