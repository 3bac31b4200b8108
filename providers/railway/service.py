"""The service of a tenant's project: its image, its command, its health path and its limits.

It is made empty and deployed by `deployment`: Railway would else run the image at once, without its variables. What its
limits are is not read back, as the API gives them in a form that its documentation does not describe.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required
from providers.railway import queries
from providers.railway.api import GoneError, Railway, nodes

IDENTITY = ("region", "name", "project_id", "environment_id")
OWNED = ("image", "command", "health_path", "cpu", "memory_mb")
HEALTH_SECONDS = 120


class RailwayServiceProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, (*IDENTITY, "image", "health_path", "cpu", "memory_mb"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        railway = _railway(props)
        project = railway.ask(queries.PROJECT, id=props["project_id"])
        # The project is the tenant's own, so a service of this name in it is, too.
        found = [each["id"] for each in nodes(project["services"]) if _is(each, props)]
        given = {"projectId": props["project_id"], "name": props["name"]}
        service = found[0] if found else railway.make(queries.SERVICE_CREATE, input=given)["id"]
        return CreateResult(str(service), _applied(railway, str(service), props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            found = _railway(props).ask(queries.SERVICE_INSTANCE, environmentId=props["environment_id"], serviceId=id_)
        except GoneError:
            return ReadResult("", {})
        if found["deletedAt"]:
            return ReadResult("", {})
        source = found["source"] or {}
        seen = {"image": source.get("image") or "", "command": found["startCommand"] or ""}
        return ReadResult(id_, {**props, **seen, "health_path": found["healthcheckPath"] or ""})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_applied(_railway(_news), _id, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _railway(_props).remove(queries.SERVICE_DELETE, id=_id)


class RailwayService(Resource, module="tenantry", name="RailwayService"):
    service_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(RailwayServiceProvider(), name, {**props, "service_id": None}, opts)


def _railway(props: dict[str, Any]) -> Railway:
    return Railway.of(str(props["region"]), f"Railway service {props['name']!r}")


def _is(service: dict[str, Any], props: dict[str, Any]) -> bool:
    return service["name"] == props["name"] and not service["deletedAt"]


def _applied(railway: Railway, service: str, props: dict[str, Any]) -> dict[str, Any]:
    place = {"serviceId": service, "environmentId": props["environment_id"]}
    settings = {
        "source": {"image": props["image"]},
        "startCommand": props["command"] or None,
        "healthcheckPath": props["health_path"],
        "healthcheckTimeout": HEALTH_SECONDS,
        "restartPolicyType": "ON_FAILURE",
        "restartPolicyMaxRetries": 10,
        "numReplicas": 1,
    }
    railway.ask(queries.SERVICE_UPDATE, **place, input=settings)
    limits = {"vCPUs": float(props["cpu"]), "memoryGB": float(props["memory_mb"]) / 1024}
    railway.ask(queries.SERVICE_LIMITS, input={**place, **limits})
    return {**props, "service_id": service}
