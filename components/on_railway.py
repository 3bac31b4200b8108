"""A container on Railway: a project for the tenant, with one service in it.

Decides their order: the service gets its variables before it is deployed, and a change of either deploys it anew.
"""

from __future__ import annotations

import shlex
from typing import Any

import pulumi

from components.placing import Placed, Placing
from providers.backends import ContainerBackend
from providers.container_ready import ContainerReady
from providers.railway.deployment import RailwayDeployment
from providers.railway.domain import RailwayDomain
from providers.railway.project import RailwayProject
from providers.railway.service import RailwayService
from providers.railway.variables import RailwayVariables

_SERVICE = "app"
_ANYWHERE = "0.0.0.0"  # noqa: S104 - inside its own container
READY_SECONDS = 180.0
"""It fetches the image first, at a pace that is not ours."""


def place_railway(placing: Placing, _backend: ContainerBackend) -> Placed:
    app, name, region = placing.app, placing.name, placing.region
    project = RailwayProject(
        name,
        {"region": region, "name": placing.object_name, "tenant_mark": placing.tenant_mark},
        placing.options(),
    )
    within = {"region": region, "environment_id": project.environment_id}
    settings: dict[str, Any] = {
        "image": app.image,
        "command": shlex.join(app.command),
        "health_path": app.health_path,
        "cpu": placing.cpu,
        "memory_mb": placing.memory_mb,
    }
    place = {**within, "project_id": project.project_id}
    service = RailwayService(name, {**place, "name": _SERVICE, **settings}, placing.options(project))
    variables = {**placing.environment, "HOST": _ANYWHERE, "PORT": str(app.port)}
    of_service = {**place, "service_id": service.service_id}
    given = RailwayVariables(
        name, {**of_service, "variables": pulumi.Output.secret(variables)}, placing.options(service)
    )
    domain = RailwayDomain(name, {**of_service, "port": app.port}, placing.options(given))
    deployment = RailwayDeployment(
        name,
        {**within, "service_id": service.service_id, "of": {**settings, "variables": given.revision}},
        placing.options(domain),
    )
    url = domain.domain.apply(lambda host: f"https://{host}")
    ready = ContainerReady(
        name,
        container=placing.object_name,
        region=region,
        url=url.apply(lambda base: f"{base}{app.health_path}"),
        revision=deployment.deployment_id,
        seconds=READY_SECONDS,
        opts=placing.options(deployment),
    )
    return Placed(upstream=domain.domain.apply(lambda host: f"{host}:443"), url=url, anchor=deployment, ready=ready)
