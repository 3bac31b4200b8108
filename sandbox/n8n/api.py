"""The simulator's front: which request goes where, who may ask, and how a refusal is told.

Decides the order of checks that recordings show: starting, key, route, method, scope, body.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.http import TEXT, Answer, BadBodyError, Request
from sandbox.n8n.answers import Refusal, page, traced
from sandbox.n8n.execution import answer_call
from sandbox.n8n.objects import Credentials, Tags
from sandbox.n8n.owner import SCOPES, Owner
from sandbox.n8n.publication import Publisher
from sandbox.n8n.rules import CREDENTIAL_TYPES, schema_of
from sandbox.n8n.state import World
from sandbox.n8n.workflows import Workflows, paged
from sandbox.store import Store

_LICENCE = "Your license does not allow for {0}. To enable {0}, please upgrade to a license that supports this feature."
_TEST_HINT = (
    "Click the 'Execute workflow' button on the canvas, then try again. "
    "(In test mode, the webhook only works for one call after you click this button)"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
Handler = Callable[[Request, tuple[str, ...]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    place: str
    method: str
    pattern: re.Pattern[str]
    scope: str | None
    serve: Handler
    status: int = 200


@dataclass(slots=True)
class N8n:
    """The whole simulator. `startup` is how many seconds it answers as an n8n that starts."""

    store: Store
    delay: float = 0.2
    startup: float = 0.0
    clock: Callable[[], float] = time.time
    world: World = field(init=False)
    publisher: Publisher = field(init=False)
    _started: float = field(init=False)
    _routes: tuple[Route, ...] = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.world = World(store=self.store, clock=self.clock)
        self.publisher = Publisher(world=self.world, delay=self.delay)
        self._started = self.world.clock()
        self._routes = _routes(self.world, self.publisher)

    def handle(self, request: Request) -> Answer:
        """The answer to any request. One at a time."""
        with self._lock:
            try:
                return self._handle(request)
            except Refusal as refusal:
                return Answer(status=refusal.status, body=refusal.body)
            except BadBodyError:
                return page(500, "ResponseError: Failed to parse request body")

    def _handle(self, request: Request) -> Answer:
        path, starting = request.path, self._starting()
        if path == "/healthz":
            return Answer(body={"status": "ok"})
        if path == "/healthz/readiness":
            return Answer(status=503, body={"status": "error"}) if starting else Answer(body={"status": "ok"})
        if starting:
            return starting if isinstance(starting, Answer) else page(404, f"Cannot {request.method} {path}")
        self.publisher.settle()
        if path.startswith("/webhook/"):
            return self._webhook(request, path.removeprefix("/webhook/"))
        if path.startswith("/webhook-test/"):
            name = path.removeprefix("/webhook-test/")
            raise traced(404, f'The requested webhook "{name}" is not registered.', hint=_TEST_HINT)
        if path.startswith("/rest/"):
            return self._rest(request)
        return self._public(request) if path.startswith("/api/v1/") else page(404, f"Cannot {request.method} {path}")

    def _starting(self) -> Answer | bool:
        passed = self.world.clock() - self._started
        if passed < self.startup / 2:
            return Answer(body="n8n is starting up. Please wait", content_type=TEXT)
        return passed < self.startup

    def _webhook(self, request: Request, path: str) -> Answer:
        if request.method == "OPTIONS":
            methods = ", ".join(["OPTIONS", *self.publisher.methods_of(path)])
            headers = {"Access-Control-Allow-Methods": methods} if "origin" in request.headers else {}
            return Answer(status=204, body="", content_type=TEXT, headers=headers)
        return answer_call(self.world, self.publisher.find(request.method, path), request)

    def _rest(self, request: Request) -> Answer:
        owner, key = Owner(world=self.world), (request.method, request.path)
        if key == ("POST", "/rest/owner/setup"):
            return owner.setup(request.json())
        if key == ("POST", "/rest/login"):
            return owner.login(request.json())
        if key == ("GET", "/rest/api-keys/scopes"):
            owner.check_session(request)
            return Answer(body={"data": list(SCOPES)})
        if key == ("POST", "/rest/api-keys"):
            return Answer(body={"data": owner.create_key(request)})
        if key == ("GET", "/rest/api-keys"):
            return Answer(body={"data": owner.list_keys(request)})
        if key == ("GET", "/rest/workflows"):
            owner.check_session(request)
            rows = [_internal(self.world, row) for row in self.store.all("workflow")]
            return Answer(body={"count": len(rows), "data": rows})
        return page(404, f"Cannot {request.method} {request.path}")

    def _public(self, request: Request) -> Answer:
        owner = Owner(world=self.world)
        owner.check_key(request, None)
        matching = [(route, found) for route in self._routes if (found := route.pattern.fullmatch(request.path))]
        if not matching:
            raise Refusal(404, "not found")
        for route, found in matching:
            if route.method == request.method:
                owner.check_key(request, route.scope)
                return Answer(status=route.status, body=route.serve(request, found.groups()))
        raise Refusal(405, f"{request.method} method not allowed")


def _routes(world: World, publisher: Publisher) -> tuple[Route, ...]:
    flows, tags = Workflows(world=world, publisher=publisher), Tags(world=world)
    credentials = Credentials(world=world)
    table = (
        _route("GET /workflows", "workflow:list", lambda r, _: flows.find(r.query)),
        _route("POST /workflows", "workflow:create", lambda r, _: flows.create(r.json())),
        _route("GET /workflows/*", "workflow:read", lambda r, a: flows.get(a[0], r.query)),
        _route("PUT /workflows/*", "workflow:update", lambda r, a: flows.put(a[0], r.json(), r.query)),
        _route("DELETE /workflows/*", "workflow:delete", lambda _, a: flows.delete(a[0])),
        _route("POST /workflows/*/publish", "workflow:activate", lambda r, a: flows.publish(a[0], r.json())),
        _route("POST /workflows/*/activate", "workflow:activate", lambda r, a: flows.publish(a[0], r.json())),
        _route("POST /workflows/*/unpublish", "workflow:deactivate", lambda _, a: flows.unpublish(a[0])),
        _route("POST /workflows/*/deactivate", "workflow:deactivate", lambda _, a: flows.unpublish(a[0])),
        _route("POST /workflows/*/archive", "workflow:delete", lambda _, a: flows.archive(a[0])),
        _route("POST /workflows/*/unarchive", "workflow:delete", lambda _, a: flows.unarchive(a[0])),
        _route("GET /workflows/*/history", "workflow:read", lambda r, a: flows.history(a[0], r.query)),
        _route("GET /workflows/*/versions/*", "workflow:read", lambda _, a: flows.version(a[0], a[1])),
        _route("GET /workflows/*/tags", "workflowTags:list", lambda _, a: flows.get_tags(a[0])),
        _route("PUT /workflows/*/tags", "workflowTags:update", lambda r, a: flows.put_tags(a[0], r.json())),
        _route("GET /tags", "tag:list", lambda r, _: tags.find(r.query)),
        _route("POST /tags", "tag:create", lambda r, _: tags.create(r.json()), 201),
        _route("GET /tags/*", "tag:read", lambda _, a: tags.get(a[0])),
        _route("PUT /tags/*", "tag:update", lambda r, a: tags.update(a[0], r.json())),
        _route("DELETE /tags/*", "tag:delete", lambda _, a: tags.delete(a[0])),
        _route("GET /credentials", "credential:list", lambda r, _: credentials.find(r.query)),
        _route("POST /credentials", "credential:create", lambda r, _: credentials.create(r.json())),
        _route("GET /credentials/schema/*", "credential:read", lambda _, a: _schema(a[0])),
        _route("GET /credentials/*", "credential:read", lambda _, a: credentials.get(a[0])),
        _route("PATCH /credentials/*", "credential:update", lambda r, a: credentials.patch(a[0], r.json())),
        _route("DELETE /credentials/*", "credential:delete", lambda _, a: credentials.delete(a[0])),
        _route("GET /executions", "execution:list", lambda r, _: _executions(world, r.query)),
        _route("GET /users", "user:list", lambda r, _: _users(world, r.query)),
        _route("GET /projects", "project:list", _unlicensed("feat:projectRole:admin")),
        _route("POST /projects", "project:create", _unlicensed("feat:projectRole:admin")),
        _route("POST /projects/*/folders", "folder:create", _unlicensed("feat:folders")),
        _route("GET /variables", "variable:list", _unlicensed("feat:variables")),
        _route("POST /variables", "variable:create", _unlicensed("feat:variables")),
    )
    return (*table, _route("GET /discover", None, lambda *_: _discovery([route.place for route in table])))


def _route(place: str, scope: str | None, serve: Handler, status: int = 200) -> Route:
    method, _, path = place.partition(" ")
    pattern = re.compile("/api/v1" + path.replace("*", "([^/]+)"))
    return Route(place=place, method=method, pattern=pattern, scope=scope, serve=serve, status=status)


def _unlicensed(feature: str) -> Handler:
    def refuse(_request: Request, _arguments: tuple[str, ...]) -> Any:
        raise Refusal(403, _LICENCE.format(feature))

    return refuse


def _schema(kind: str) -> dict[str, Any]:
    if kind not in CREDENTIAL_TYPES:
        raise Refusal(404, "Not Found")
    return schema_of(kind)


def _executions(world: World, query: dict[str, str]) -> dict[str, Any]:
    wanted = query.get("workflowId")
    rows = [row for row in world.store.all("execution") if wanted in {None, row["workflowId"]}]
    return paged(rows[::-1], query)


def _users(world: World, query: dict[str, str]) -> dict[str, Any]:
    names = ("id", "email", "firstName", "lastName", "createdAt")
    more = {"isPending": False, "mfaEnabled": False}
    rows = [
        {name: user[name] for name in names} | {"updatedAt": user["createdAt"]} | more
        for user in world.store.all("user")
    ]
    return paged(rows, query)


def _discovery(served: list[str]) -> dict[str, Any]:
    """What this simulator serves, in the form in which n8n tells what it serves."""
    resources: dict[str, dict[str, list[Any]]] = {}
    for place in served:
        method, _, path = place.partition(" ")
        kind, verb = path.split("/")[1].removesuffix("s"), _VERBS.get(method, "read")
        row = resources.setdefault(kind, {"operations": [], "endpoints": []})
        row["operations"] += [] if verb in row["operations"] else [verb]
        named = re.sub(r"\*", "{id}", path)
        row["endpoints"].append({"method": method, "path": f"/api/v1{named}", "operationId": f"{verb}{kind.title()}"})
    operations = sorted({verb for row in resources.values() for verb in row["operations"]})
    filters = {
        "resource": {"description": "Filter to a specific resource", "values": list(resources)},
        "operation": {"description": "Filter to a specific operation", "values": operations},
        "include": {"description": "Include additional data", "values": ["schemas"]},
    }
    data = {"scopes": list(SCOPES), "resources": resources, "filters": filters, "specUrl": "/api/v1/openapi.yml"}
    return {"data": data}


def _internal(world: World, workflow: dict[str, Any]) -> dict[str, Any]:
    names = ("updatedAt", "createdAt", "id", "name", "description", "active", "isArchived", "settings", "versionId")
    project = next(world.store.all("project"))
    return {
        **{name: workflow[name] for name in (*names, "activeVersionId")},
        "parentFolder": None,
        "tags": [tag for tag in world.store.all("tag") if tag["id"] in workflow["tags"]],
        "homeProject": {name: project[name] for name in ("id", "type", "name", "icon")},
        "sharedWithProjects": [],
    }
