"""The variables of a tenant's service, all of them: what is not ours is taken away. Deploys nothing by itself."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required
from providers.railway import queries
from providers.railway.api import GoneError, Railway

IDENTITY = ("region", "project_id", "environment_id", "service_id")
_GIVEN = "RAILWAY_"
"""Railway gives each service variables of its own, by names that begin so."""


class RailwayVariablesProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=("variables",))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["service_id"]), _applied(props, 1))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            found = _railway(props).ask(queries.VARIABLES, **_place(props))
        except GoneError:
            return ReadResult("", {})
        own = {name: value for name, value in found.items() if not name.startswith(_GIVEN)}
        return ReadResult(id_, {**props, "variables": own})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_applied(_news, int(_olds.get("revision") or 0) + 1))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _railway(_props).remove(queries.VARIABLES_SET, input=_collection(_props, {}))


class RailwayVariables(Resource, module="tenantry", name="RailwayVariables"):
    """`variables` are a secret; `revision` grows with each change of them."""

    revision: pulumi.Output[int]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["variables"])
        merged = pulumi.ResourceOptions.merge(opts, secret)
        super().__init__(RailwayVariablesProvider(), name, {**props, "revision": None}, merged)


def _railway(props: dict[str, Any]) -> Railway:
    hidden = tuple(str(value) for value in (props.get("variables") or {}).values() if len(str(value)) > 3)
    return Railway.of(str(props["region"]), f"variables of Railway service {props['service_id']!r}", hidden)


def _place(props: dict[str, Any]) -> dict[str, Any]:
    names = {"projectId": "project_id", "environmentId": "environment_id", "serviceId": "service_id"}
    return {theirs: props[ours] for theirs, ours in names.items()}


def _collection(props: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    return {**_place(props), "variables": variables, "replace": True, "skipDeploys": True}


def _applied(props: dict[str, Any], revision: int) -> dict[str, Any]:
    _railway(props).ask(queries.VARIABLES_SET, input=_collection(props, dict(props.get("variables") or {})))
    return {**props, "revision": revision}
