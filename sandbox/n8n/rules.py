"""What n8n 2.41.1 accepts in a workflow and in a credential, and the words with which it refuses. Pure."""

from collections.abc import Mapping
from typing import Any

from sandbox.n8n.answers import Refusal

_READ_ONLY = (
    *("id", "active", "createdAt", "updatedAt", "isArchived", "versionId", "triggerCount", "activeVersion"),
    *("meta", "tags"),
)
_CREATE = ("name", "nodes", "connections", "settings", "nodeGroups", "staticData", "pinData")
_PUT = (*_CREATE, "parentFolderId", "description")
_SETTINGS: Mapping[str, type] = {
    "saveExecutionProgress": bool,
    "saveManualExecutions": bool,
    "saveDataErrorExecution": str,
    "saveDataSuccessExecution": str,
    "executionTimeout": float,
    "errorWorkflow": str,
    "timezone": str,
    "executionOrder": str,
    "callerPolicy": str,
    "callerIds": str,
    "timeSavedPerExecution": float,
    "availableInMCP": bool,
}
_RESET = {
    "timezone": "DEFAULT",
    "errorWorkflow": "DEFAULT",
    "saveDataErrorExecution": "DEFAULT",
    "saveDataSuccessExecution": "DEFAULT",
    "saveManualExecutions": "DEFAULT",
    "saveExecutionProgress": "DEFAULT",
    "executionTimeout": -1,
}
_NODE = (
    *("id", "name", "type", "typeVersion", "position", "parameters", "credentials", "webhookId", "disabled", "notes"),
    *("notesInFlow", "executeOnce", "alwaysOutputData", "retryOnFail", "maxTries", "waitBetweenTries"),
    *("continueOnFail", "onError"),
)
_SET_VERSIONS = (1, 2, 3, 3.1, 3.2, 3.3, 3.4, 3.5)
NODE_TYPES: Mapping[str, tuple[float, ...]] = {
    "n8n-nodes-base.webhook": (1, 1.1, 2, 2.1),
    "n8n-nodes-base.set": _SET_VERSIONS,
    "n8n-nodes-base.respondToWebhook": (1, 1.1, 1.2, 1.3, 1.4, 1.5),
    "n8n-nodes-base.manualTrigger": (1,),
    "n8n-nodes-base.scheduleTrigger": (1, 1.1, 1.2, 1.3, 1.4),
    "n8n-nodes-base.stickyNote": (1,),
    "n8n-nodes-base.noOp": (1,),
    "n8n-nodes-base.emailSend": (1, 2, 2.1),
    "n8n-nodes-base.googleDrive": (1, 2, 3),
    "n8n-nodes-base.postgres": (1, 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7),
    "n8n-nodes-base.convertToFile": (1, 1.1),
    "n8n-nodes-base.httpRequest": (1, 2, 3, 4, 4.1, 4.2, 4.3, 4.4, 4.5),
}
_TRIGGERS = ("n8n-nodes-base.webhook", "n8n-nodes-base.scheduleTrigger")
_NEEDED: Mapping[str, str] = {"n8n-nodes-base.emailSend": "smtp", "n8n-nodes-base.postgres": "postgres"}
"""Credentials without which a node is not published. Whether they exist is not asked."""
_NO_TRIGGER = (
    "Workflow cannot be activated because it has no trigger node. "
    "At least one trigger, webhook, or polling node is required."
)
_DATA_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}
# Properties of each type of credential, and those that it must have.
CREDENTIAL_TYPES: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "httpHeaderAuth": (
        {
            "name": {"type": "string"},
            "value": {"type": "string"},
            "useCustomAuth": {"type": "notice"},
            "allowedHttpRequestDomains": {"type": "string", "enum": ["all", "domains", "none"]},
            "allowedDomains": {"type": "string"},
        },
        (),
    ),
    "smtp": (
        {
            "user": {"type": "string"},
            "password": {"type": "string"},
            "host": {"type": "string"},
            "port": {"type": "number"},
            "secure": {"type": "boolean"},
            "disableStartTls": {"type": "boolean"},
            "hostName": {"type": "string"},
        },
        (),
    ),
    "googleApi": (
        {
            "region": {"type": "string"},
            "email": {"type": "string"},
            "privateKey": {"type": "string"},
            "inpersonate": {"type": "boolean"},
            "delegatedEmail": {"type": "string"},
            "httpNode": {"type": "boolean"},
            "httpWarning": {"type": "notice"},
            "scopes": {"type": "string"},
            "allowedHttpRequestDomains": {"type": "string", "enum": ["all", "domains", "none"]},
            "allowedDomains": {"type": "string"},
        },
        ("email", "privateKey"),
    ),
    "postgres": (
        {
            "host": {"type": "string"},
            "database": {"type": "string"},
            "user": {"type": "string"},
            "password": {"type": "string"},
            "maxConnections": {"type": "number"},
            "allowUnauthorizedCerts": {"type": "boolean"},
            "ssl": {"type": "string", "enum": ["allow", "disable", "require"]},
            "port": {"type": "number"},
            "sshTunnel": {"type": "boolean"},
            "sshAuthenticateWith": {"type": "string", "enum": ["password", "privateKey"]},
            "sshHost": {"type": "string"},
            "sshPort": {"type": "number"},
            "sshUser": {"type": "string"},
            "sshPassword": {"type": "string"},
            "privateKey": {"type": "string"},
            "passphrase": {"type": "string"},
        },
        (),
    ),
}


def check_workflow(body: Any, *, creating: bool) -> None:
    """Raises Refusal for what POST, or PUT, does not take."""
    if not isinstance(body, dict):
        raise Refusal(400, "request/body must be object")
    for key in body:
        if key in _READ_ONLY:
            raise Refusal(400, f"request/body/{key} is read-only")
        if key == "shared":
            raise Refusal(400, "request/body/shared/0/project/id is read-only")
    for key in ("name", "nodes", "settings"):
        if key not in body:
            raise Refusal(400, f"request/body must have required property '{key}'")
    if not isinstance(body.get("connections"), dict):
        raise Refusal(400, "request/body/connections must be object")
    _check_keys("request/body", body, _CREATE if creating else _PUT)
    if not creating and "description" in body:
        _check_type("request/body/description", body["description"], str)
    _check_nodes_form(body["nodes"])
    _check_settings(body["settings"])
    if not 1 <= len(str(body["name"])) <= 128:
        raise Refusal(400, "Workflow name must be 1 to 128 characters long.")
    if broken := structure_problems(body["nodes"], body["connections"]):
        raise Refusal(400, "Workflow structure is invalid. " + "; ".join(broken))


def structure_problems(nodes: list[dict[str, Any]], connections: Mapping[str, Any]) -> list[str]:
    """What is wrong with the graph, in n8n's words."""
    found, names = [], set()
    for index, node in enumerate(nodes):
        found += [f"nodes[{index}].{key} (invalid_type): Required" for key in ("name", "type") if key not in node]
        if "position" not in node:
            found.append(f"nodes[{index}].position (invalid_type): Required")
        if node.get("name") in names:
            found.append(f'nodes[{index}].name (duplicate_node_name): Duplicate node name "{node["name"]}"')
        names.add(node.get("name"))
    if any("invalid_type" in problem for problem in found):
        return found
    for source, kinds in connections.items():
        if source not in names:
            found.append(
                f"connections.{source} (unknown_connection_source): "
                f'Connection source "{source}" does not reference an existing node'
            )
        found += [
            f"connections.{source}.{kind}[{output}][{index}].node (unknown_connection_target): "
            f'Connection target "{link["node"]}" does not reference an existing node'
            for kind, outputs in kinds.items()
            for output, links in enumerate(outputs)
            for index, link in enumerate(links or [])
            if link["node"] not in names
        ]
    return found


def check_publishable(nodes: list[dict[str, Any]]) -> None:
    """Raises Refusal for nodes that cannot be published."""
    live = [node for node in nodes if not node.get("disabled")]
    for node in nodes:
        versions = NODE_TYPES.get(node["type"])
        if versions is None:
            raise Refusal(400, f"Unrecognized node type: {node['type']}")
        wanted = node.get("typeVersion", 1)
        if wanted not in versions:
            short = node["type"].rpartition(".")[2]
            listed = ", ".join(f"{version:g}" for version in versions)
            raise Refusal(
                400,
                f'Node type "{short}" is not available in version {wanted:g}. Available versions: {listed}. '
                f"Use the latest version {versions[-1]:g}.",
            )
    if not any(node["type"] in _TRIGGERS for node in live):
        raise Refusal(400, _NO_TRIGGER)
    bare = [node for node in live if _NEEDED.get(node["type"], "") not in {"", *(node.get("credentials") or {})}]
    if bare:
        rows = [f'Node "{node["name"]}":\n - Missing required credential: {_NEEDED[node["type"]]}' for node in bare]
        head = f"Cannot publish workflow: {len(bare)} node have configuration issues:"
        raise Refusal(400, "\n\n".join([head, *rows]))


def merged_settings(old: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """What settings become: those sent over those there are, without those that are reset."""
    return {key: value for key, value in {**old, **sent}.items() if _RESET.get(key) != value or isinstance(value, bool)}


def check_credential(body: Mapping[str, Any], *, kind: str, partial: bool = False) -> None:
    """Raises Refusal for data that the type does not have."""
    properties, needed = CREDENTIAL_TYPES[kind]
    data = body.get("data") or {}
    for key in data:
        if key not in properties:
            raise Refusal(400, f'request.body.data is not allowed to have the additional property "{key}"')
    for key in needed:
        if key not in data and not partial:
            raise Refusal(400, f'request.body.data requires property "{key}"')
    for key, value in data.items():
        allowed = _DATA_TYPES.get(properties[key]["type"])
        if allowed is not None and type(value) not in allowed:
            raise Refusal(400, f"request.body.data.{key} is not of a type(s) {properties[key]['type']}")
        if value not in properties[key].get("enum", [value]):
            listed = ",".join(properties[key]["enum"])
            raise Refusal(400, f"request.body.data.{key} is not one of enum values: {listed}")


def schema_of(kind: str) -> dict[str, Any]:
    """What GET /credentials/schema/{kind} answers."""
    properties, needed = CREDENTIAL_TYPES[kind]
    return {
        "additionalProperties": False,
        "type": "object",
        "properties": dict(properties),
        "required": list(needed),
    }


def _check_nodes_form(nodes: Any) -> None:
    if not isinstance(nodes, list):
        raise Refusal(400, f"request/body/nodes Expected array, received {_named(nodes)}")
    for index, node in enumerate(nodes):
        _check_type(f"request/body/nodes/{index}", node, dict)
        _check_keys(f"request/body/nodes/{index}", node, _NODE)


def _check_settings(settings: Any) -> None:
    _check_type("request/body/settings", settings, dict)
    _check_keys("request/body/settings", settings, tuple(_SETTINGS))
    for key, value in settings.items():
        if value != _RESET.get(key):
            _check_type(f"request/body/settings/{key}", value, _SETTINGS[key])


def _check_keys(where: str, value: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in value if key not in known]
    if unknown:
        listed = ", ".join(f"'{key}'" for key in unknown)
        raise Refusal(400, f"{where} Unrecognized key(s) in object: {listed}")


def _check_type(where: str, value: Any, kind: type) -> None:
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        wanted = {str: "string", bool: "boolean", float: "number", dict: "object"}[kind]
        raise Refusal(400, f"{where} Expected {wanted}, received {_named(value)}")


def _named(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
