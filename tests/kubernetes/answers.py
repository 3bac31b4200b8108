"""An API server in memory, behind the provider's own transport. It stores ConfigMaps, and can lose its answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.kubernetes.service import Kubernetes
from providers.plugin.engine_log import EngineLog, Voice
from providers.plugin.errors import UnreachableError
from providers.plugin.properties import Naming
from providers.plugin.service import Ask
from providers.plugin.wire import Bag

TYPE = "kubernetes:core/v1:ConfigMap"
PATH = "/api/v1/namespaces/shop/configmaps/settings"
_KINDS = [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": ["list"]}]


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return json.dumps(self.body).encode()


@dataclass
class Answers:
    """Stands in for a `Connection`. `lost`: changes are done, and not answered; `away`: nothing is."""

    host: str = "https://test"
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: bool = False
    away: bool = False
    warning: str = ""
    made: int = 0

    def put(self, path: str, document: Mapping[str, Any], manager: str) -> dict[str, Any]:
        self.made += 1
        metadata = {"uid": str(self.made), "managedFields": [{"manager": manager, "operation": "Apply"}]}
        known = self.objects.get(path, {}).get("metadata", metadata)
        self.objects[path] = {**document, "metadata": {**document["metadata"], "namespace": "shop", **known}}
        return self.objects[path]

    def send(
        self,
        method: str,
        path: str,
        doing: Any,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        stream: bool = False,
        **_: Any,
    ) -> Answer:
        """It has no watches: who waits looks again from time to time."""
        if self.away or stream:
            raise UnreachableError(doing.line("no answer"))
        if path == "/api/v1":
            return Answer(200, {"resources": _KINDS})
        found = self._do(method, path, query, json.loads(body) if body else {})
        if self.lost and method == "PATCH":
            self.away = True
            raise UnreachableError(doing.line("no answer"))
        return found

    def _do(self, method: str, path: str, query: Mapping[str, str], body: dict[str, Any]) -> Answer:
        if method == "PATCH":
            told = {"Warning": f'299 - "{self.warning}"'} if self.warning else {}
            return Answer(200, self.put(path, body, query["fieldManager"]), told)
        if path not in self.objects:
            return Answer(404, {"kind": "Status", "message": "not found"})
        if method == "DELETE":
            wanted = body.get("preconditions", {}).get("uid", "")
            if wanted not in {"", self.objects[path]["metadata"]["uid"]}:
                return Answer(409, {"kind": "Status", "message": "Precondition failed"})
            return Answer(200, self.objects.pop(path))
        return Answer(200, self.objects[path])


class Heard(EngineLog):
    """What would be said to the engine."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warning(self, urn: str, message: str) -> None:
        self.warnings.append(message)


class Provider(Kubernetes):
    def __init__(self, answers: Answers) -> None:
        super().__init__()
        cluster = {"name": "c", "cluster": {"server": answers.host}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}
        users = [{"name": "u", "user": {"token": "none"}}]
        config = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "x"}
        self.heard = Heard()
        self.configure({"kubeconfig": json.dumps(config)}, self.heard)
        self._connectable()._transport._connection = answers  # type: ignore[assignment]

    def ask(self, object_id: str = "", type_: str = TYPE) -> Ask:
        urn = f"urn:pulumi:dev::tests::{type_}::settings"
        return Ask(urn=urn, type=type_, voice=Voice(log=self.heard, urn=urn), object_id=object_id)

    def inputs(self, **more: Any) -> Bag:
        news = Bag(values={"metadata": {"name": "settings"}, "data": {"a": "b"}} | more)
        checked = self.check(self.ask(), news, Bag(values={}), Naming(logical_name="settings"))
        assert not checked.failures
        return checked.inputs
