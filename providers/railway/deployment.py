"""A deployment of a tenant's service: the service as it now is, with the variables that it now has.

It is begun here, and waited for by `providers.container_ready`. One that a killed run has begun needs no adoption: the
next run begins another, and Railway ends the older one when the newer one serves.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.props import diff_of, required
from providers.railway import queries
from providers.railway.api import GoneError, Railway

IDENTITY = ("region", "environment_id", "service_id")
FAILED = frozenset({"CRASHED", "FAILED", "SKIPPED"})
SERVING = frozenset({"SUCCESS", "SLEEPING"})
_GONE = frozenset({"REMOVED", "REMOVING"})


class RailwayDeploymentProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=("of", "live"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["service_id"]), _begun(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        status = status_of(str(props["region"]), str(props["deployment_id"]))
        return ReadResult(id_, {**props, "live": status is not None and status not in FAILED | _GONE})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_begun(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _railway(_props).remove(queries.DEPLOYMENT_REMOVE, id=_props["deployment_id"])


class RailwayDeployment(Resource, module="tenantry", name="RailwayDeployment"):
    """`of` is what it is a deployment of: another value of it is deployed anew."""

    deployment_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        values = {**props, "live": True, "deployment_id": None}
        super().__init__(RailwayDeploymentProvider(), name, values, opts)


def status_of(region: str, deployment: str) -> str | None:
    """Railway's word for it, such as BUILDING or SUCCESS; None where it is gone."""
    railway = Railway.of(region, f"Railway deployment {deployment!r}")
    try:
        return str(railway.ask(queries.DEPLOYMENT, id=deployment)["status"])
    except GoneError:
        return None


def _railway(props: dict[str, Any]) -> Railway:
    return Railway.of(str(props["region"]), f"deployment of Railway service {props['service_id']!r}")


def _begun(props: dict[str, Any]) -> dict[str, Any]:
    place = {"serviceId": props["service_id"], "environmentId": props["environment_id"]}
    # A second one for a lost answer does no harm: the newer one is what serves.
    deployment = _railway(props).ask(queries.DEPLOY, **place)
    return {**props, "live": True, "deployment_id": deployment}
