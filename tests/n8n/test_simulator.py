"""What the simulator does beyond what was recorded, as n8n 2.41.1 does it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from sandbox.http import Request
from sandbox.n8n.execution import NodeFailedError, evaluated
from tests.n8n.test_faults import Faulty

ITEM = {"body": {"to": "a@b.ch", "list": [{"x": 1}], "n": 5}, "headers": {}}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("plain {{ $json.body.to }}", "plain {{ $json.body.to }}"),
        ("={{ $json.body.n }}", 5),
        ("=to {{ $json.body.to }}!", "to a@b.ch!"),
        ("={{ $json.body.list[0].x }}", 1),
        ("={{ $json.body.nothing.at.all }}", None),
        ({"a": ["={{ $json.body.n }}"]}, {"a": [5]}),
        (7, 7),
    ],
)
def test_paths_are_read(value: Any, read: Any) -> None:
    assert evaluated(value, ITEM) == read


def test_code_is_not_run() -> None:
    with pytest.raises(NodeFailedError, match=r"only paths of \$json"):
        evaluated("={{ 1 + 1 }}", ITEM)


@pytest.fixture
def server() -> Any:
    faulty = Faulty()
    yield faulty
    faulty.server.shutdown()
    faulty.server.server_close()


def flow(*nodes: dict[str, Any], mode: str = "responseNode") -> dict[str, Any]:
    """A webhook at /hook, and these nodes one after the other."""
    webhook = {
        "name": "W",
        "type": "n8n-nodes-base.webhook",
        "typeVersion": 2,
        "position": [0, 0],
        "parameters": {"httpMethod": ["GET", "POST"], "path": "hook", "responseMode": mode},
    }
    rows = [webhook, *({"name": f"N{number}", "position": [0, 0], **node} for number, node in enumerate(nodes))]
    links = {
        one["name"]: {"main": [[{"node": other["name"], "type": "main", "index": 0}]]}
        for one, other in itertools.pairwise(rows)
    }
    return {"name": "flow", "nodes": rows, "connections": links, "settings": {}}


def node(kind: str, version: float, **parameters: Any) -> dict[str, Any]:
    return {"type": f"n8n-nodes-base.{kind}", "typeVersion": version, "parameters": parameters}


def called(server: Faulty, body: dict[str, Any]) -> tuple[int, Any]:
    headers = {"x-n8n-api-key": server.key}
    raw = json.dumps(body).encode()
    made = server.n8n.handle(Request(method="POST", target="/api/v1/workflows", headers=headers, body=raw)).body
    path = f"/api/v1/workflows/{made['id']}/publish"
    assert server.n8n.handle(Request(method="POST", target=path, headers=headers)).status == 200
    server.n8n.publisher.delay = 0
    for row in list(server.n8n.store.all("pending")):
        server.n8n.store.put("pending", str(row["number"]), row | {"due": 0})
    answer = server.n8n.handle(Request(method="POST", target="/webhook/hook", body=b'{"msg": "x"}'))
    return answer.status, answer.body


def test_it_answers_as_the_response_mode_says(server: Faulty) -> None:
    assert called(server, flow(mode="onReceived")) == (200, {"message": "Workflow was started"})


def test_the_last_node_answers(server: Faulty) -> None:
    rows = [{"id": "a", "name": "said", "value": "={{ $json.body.msg }}", "type": "string"}]
    assert called(server, flow(node("set", 3.4, assignments={"assignments": rows}), mode="lastNode")) == (
        200,
        {"said": "x"},
    )


def test_a_respond_node_says_the_status(server: Faulty) -> None:
    answer = node("respondToWebhook", 1.1, respondWith="text", responseBody="made", options={"responseCode": 201})
    assert called(server, flow(node("noOp", 1), answer)) == (201, "made")


def test_a_node_that_would_reach_another_server_has_failed(server: Faulty) -> None:
    assert called(server, flow(node("httpRequest", 4.2), node("respondToWebhook", 1.1))) == (
        500,
        {"message": "Error in workflow"},
    )
    assert [row["status"] for row in server.n8n.store.all("execution")] == ["error"]


def test_nodes_in_a_circle_end(server: Faulty) -> None:
    body = flow(node("noOp", 1), mode="lastNode")
    body["connections"]["N0"] = {"main": [[{"node": "N0", "type": "main", "index": 0}]]}
    assert called(server, body)[0] == 500


def test_another_method_is_told_apart_from_another_path(server: Faulty) -> None:
    called(server, flow(mode="onReceived"))
    said = server.n8n.handle(Request(method="PUT", target="/webhook/hook")).body["message"]
    assert said == "This webhook is not registered for PUT requests. Did you mean to make a GET or POST request?"
    asked = Request(method="OPTIONS", target="/webhook/hook", headers={"origin": "http://x"})
    answer = server.n8n.handle(asked)
    assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"
