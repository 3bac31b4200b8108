"""The domain that Railway gives a tenant's service, and the port behind it."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

from providers.props import diff_of, required
from providers.railway import queries
from providers.railway.api import GoneError, Railway

IDENTITY = ("region", "project_id", "environment_id", "service_id", "port")


class RailwayDomainProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        railway = _railway(props)
        found = next((each for each in _domains(railway, props) if each["targetPort"] == int(props["port"])), None)
        if found is None:
            place = {"serviceId": props["service_id"], "environmentId": props["environment_id"]}
            found = railway.make(queries.DOMAIN_CREATE, input={**place, "targetPort": int(props["port"])})
        return CreateResult(str(found["id"]), {**props, "domain": found["domain"]})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            found = next((each for each in _domains(_railway(props), props) if each["id"] == id_), None)
        except GoneError:
            found = None
        if found is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "domain": found["domain"], "port": found["targetPort"]})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _railway(_props).remove(queries.DOMAIN_DELETE, id=_id)


class RailwayDomain(Resource, module="tenantry", name="RailwayDomain"):
    """`domain` is a host name; it is served with TLS on 443."""

    domain: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(RailwayDomainProvider(), name, {**props, "domain": None}, opts)


def _railway(props: dict[str, Any]) -> Railway:
    return Railway.of(str(props["region"]), f"domain of Railway service {props['service_id']!r}")


def _domains(railway: Railway, props: dict[str, Any]) -> list[dict[str, Any]]:
    names = {"projectId": "project_id", "environmentId": "environment_id", "serviceId": "service_id"}
    found = railway.ask(queries.DOMAINS, **{theirs: props[ours] for theirs, ours in names.items()})
    return list(found["serviceDomains"])
