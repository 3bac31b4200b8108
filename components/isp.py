"""The tenant of the ISP line: its steps, and in which order they come and go (ISP-5).

Decides the order: infrastructure and database side by side; then the container, which needs both; its entrance; its
health. What is removed goes the other way round.
"""

from __future__ import annotations

from typing import Any

import pulumi

from components.isp_args import DATA, IspArgs, Platform
from components.isp_database import IspDatabase
from components.isp_steps import Configuration, Container, Health, Infrastructure, Record
from components.tenant import Tenant
from providers.backends import DockerBackend, KubernetesBackend, container_of
from providers.errors import ConfigurationError
from providers.names import DATA_VARIABLE

MIB_OF_A_GB = 1024


class Isp(Tenant):
    """One ISP. `outputs` are the stack's outputs; only `password` is a secret. Raises ConfigurationError."""

    def __init__(self, name: str, args: IspArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tenantry:isp:Isp", name, None, opts)
        platform = _platform(args)
        self.record = Record(name, _row(args), tenant=self)
        first = [self.record.anchor]
        self.infrastructure = Infrastructure(name, platform, tenant=self, after=first)
        self.configuration = Configuration(name, args, tenant=self, after=first)
        database = self.configuration.database
        self.container = Container(
            name,
            platform,
            environment_of(args, database),
            tenant=self,
            after=[*self.infrastructure.ready, database.ready],
        )
        self.configuration.open(platform, self.container)
        self.health = Health(name, args, self._parts(args, platform), tenant=self, after=list(self.configuration.ready))
        self.outputs = self._outputs(args, platform)
        self.register_outputs(self.outputs)

    def _parts(self, args: IspArgs, platform: Platform) -> dict[str, Any]:
        return {
            "tenant_mark": args.tenant_mark,
            "region": args.region,
            "tenant": args.name,
            **platform.outputs(),
            "replicas": args.replicas,
            "database_url": self.configuration.database.url,
            "url": self.configuration.url,
            "health_path": args.app.health_path,
            "certificate": args.entrance.certificate,
            # Another container is another thing to be well.
            "revision": self.container.placed.revision,
            "seconds": args.health_seconds,
        }

    def _outputs(self, args: IspArgs, platform: Platform) -> dict[str, Any]:
        database, size = self.configuration.database, args.size
        return {
            "slug": args.slug,
            "region": args.region,
            "template": f"{args.template_id}@{args.template_version}",
            "url": self.configuration.url,
            **platform.outputs(),
            "host": database.host,
            "port": database.port,
            "database": database.name,
            "role": database.role,
            "password": database.password,
            "plan": args.plan,
            "customers": args.customers,
            "features": list(args.features),
            "replicas": args.replicas,
            "cpuCores": size.cpu_cores,
            "memoryGb": size.memory_mib / MIB_OF_A_GB,
            "storageGb": size.storage_mib / MIB_OF_A_GB,
            "maxConnections": size.max_connections,
            "status": self.health.status,
        }


def environment_of(args: IspArgs, database: IspDatabase) -> dict[str, pulumi.Input[str]]:
    """What the application is told: its own settings, and where its parts are."""
    return {
        **args.environment,
        "TENANT": args.name,
        "DATABASE_URL": database.inner_url,
        **({"PUBLIC_URL": args.entrance.url} if args.entrance.url else {}),
        "ISP_CUSTOMERS": str(args.customers),
        "ISP_PLAN": args.plan,
        "ISP_FEATURES": ",".join(args.features),
        "ISP_CONNECTIONS": str(args.pod_connections),
        DATA_VARIABLE: DATA,
    }


def _platform(args: IspArgs) -> Platform:
    # Imported where it is used: the SDKs of docker and kubernetes are half a million lines.
    match container_of(args.region):
        case KubernetesBackend() as backend:
            from components.isp_on_kubernetes import IspOnKubernetes

            return IspOnKubernetes(args, backend)
        case DockerBackend() as backend:
            from components.isp_on_docker import IspOnDocker

            return IspOnDocker(args, backend)
        case other:
            raise ConfigurationError(
                f"isp {args.slug!r}: it runs on kubernetes or docker, and region {args.region!r} has "
                f"{other.platform}. Choose another region."
            )


def _row(args: IspArgs) -> dict[str, Any]:
    return {
        "slug": args.slug,
        "tenant_mark": args.tenant_mark,
        "name": args.name,
        "admin_email": args.admin_email,
        "region": args.region,
        "plan": args.plan,
        "customers": args.customers,
        "template_id": args.template_id,
        "template_version": args.template_version,
    }
