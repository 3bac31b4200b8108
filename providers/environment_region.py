"""The region `default` of a machine without a file of regions, from the environment (ISP-7).

KUBECONFIG is a cluster's (with KUBERNETES_NAMESPACE, which all tenants then share). Without it, a process that runs in
a cluster uses that one, and any other this machine's Docker engine; DOCKER_HOST names an engine for both.
DOCKER_REGISTRY and DOCKER_TAG say where images are. The database is on the main database's server (DB_HOST and so on).
Decides what each variable means. Never connects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import PrivateAttr, ValidationError

from providers.backends import ContainerBackend, DatabaseBackend, DockerBackend, KubernetesBackend, RegionParts
from providers.connection import DatabaseSettings
from providers.errors import ConfigurationError

_VARIABLES = {"registry": "DOCKER_REGISTRY", "tag": "DOCKER_TAG", "namespace": "KUBERNETES_NAMESPACE"}
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class MainDatabase(DatabaseBackend):
    """The main database's server: its password is the environment's own, DB_PASSWORD."""

    _settings: DatabaseSettings = PrivateAttr()

    @classmethod
    def of(cls, settings: DatabaseSettings) -> MainDatabase:
        made = cls(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            name=settings.main_database,
            sslmode=cast("SslMode", settings.sslmode),
        )
        made._settings = settings
        return made

    def settings(self) -> DatabaseSettings:
        return self._settings


def environment_region(environ: Mapping[str, str]) -> RegionParts:
    """Database and container. Raises ConfigurationError naming the variable that is wrong."""
    database = MainDatabase.of(DatabaseSettings.from_env(environ))
    return RegionParts(database=database, container=_container(environ))


def _container(environ: Mapping[str, str]) -> ContainerBackend:
    given: dict[str, Any] = {name: environ.get(_VARIABLES[name]) or None for name in ("registry", "tag")}
    kubeconfig = environ.get("KUBECONFIG") or ""
    try:
        inside = "KUBERNETES_SERVICE_HOST" in environ and not environ.get("DOCKER_HOST")
        if not kubeconfig and not inside:
            return DockerBackend(platform="docker", host=environ.get("DOCKER_HOST") or None, **given)
        return KubernetesBackend(
            platform="kubernetes",
            # A list of files is merged by whoever reads the variable itself.
            kubeconfig=None if os.pathsep in kubeconfig else kubeconfig or None,
            namespace=environ.get(_VARIABLES["namespace"]) or None,
            **given,
        )
    except ValidationError as error:
        wrong = "; ".join(f"{_VARIABLES[str(item['loc'][0])]}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"the region of the environment is not right: {wrong}.") from None
