"""The tenant of the department line: its parts, and in which order they come and go (DEP-1, DEP-3).

Decides the order. Each part's first object (its anchor) waits for the one before: so what is removed goes strictly the
other way round. What takes time hangs beside that chain: tables are made while the client is registered, and workflows
are published while the container comes up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.container import AppSpec, Container
from components.credential import Credential
from components.department_record import Record
from components.gateway import Gateway, GatewayPolicy
from components.health import Health
from components.tenant import Tenant
from components.tenant_schema import DatabaseSizing, TenantSchema
from components.workflow_plans import WorkflowPlan, workflow_args
from components.workflows import Workflows
from providers.names import department_identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentArgs:
    """What a department is made from. `route_expects` are the statuses of a healthy route without a token."""

    slug: str
    tenant_mark: str
    name: str
    admin_email: str
    region: str
    retention: str
    template_id: str
    template_version: str
    app: AppSpec
    environment: Mapping[str, str]
    cpu: float
    memory_mb: int
    database: DatabaseSizing
    scopes: Sequence[str]
    rotation: int
    grace_seconds: int
    workflows: Sequence[WorkflowPlan]
    policy: GatewayPolicy
    public_url: str

    @property
    def identifier(self) -> str:
        """What its schema is called."""
        return department_identifier(self.slug)

    @property
    def route_expects(self) -> tuple[int, ...]:
        if self.policy.auth == "jwt":
            return (401,)
        # Checks count as requests. One that comes over the limit has been through gateway and service; the application
        # itself is checked where it is.
        return (200, 429) if self.policy.requests_per_minute is not None else (200,)


class Department(Tenant):
    """One department. `outputs` are the stack's outputs; password, client secret and database URL are secrets."""

    def __init__(self, name: str, args: DepartmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tenantry:department:Department", name, None, opts)
        common: dict[str, Any] = {"region": args.region, "tenant_mark": args.tenant_mark, "tenant": self}
        self.record = Record(name, _row(args), tenant=self)
        self.database = TenantSchema(
            name,
            schema=args.identifier,
            role=f"{args.identifier}_app",
            sizing=args.database,
            after=[self.record.anchor],
            **common,
        )
        self.credential = Credential(
            name,
            client_name=f"tenant-{args.slug}",
            scopes=args.scopes,
            rotation=args.rotation,
            grace_seconds=args.grace_seconds,
            after=[self.database.anchor],
            **common,
        )
        self.container = Container(
            name,
            app=args.app,
            environment=environment_of(args, self.database, self.credential),
            cpu=args.cpu,
            memory_mb=args.memory_mb,
            after=[self.credential.ready, self.database.ready],
            **common,
        )
        self.workflows = Workflows(
            name,
            workflows=workflow_args(args.workflows, self.database, args.region),
            after=[self.container.anchor],
            **common,
        )
        self.gateway = Gateway(
            name,
            label=args.slug,
            upstream=self.container.upstream,
            policy=args.policy,
            # All workflows, and not their tag alone: the route goes before the first of them does.
            after=[self.workflows.ready, self.container.ready],
            **common,
        )
        self.health = Health(
            name,
            slug=args.slug,
            parts=self._parts(args),
            after=[self.gateway.ready],
            **common,
        )
        self.outputs = self._outputs(args)
        self.register_outputs(self.outputs)

    def _parts(self, args: DepartmentArgs) -> dict[str, Any]:
        return {
            "database_url": self.database.url,
            "token_endpoint": self.credential.token_endpoint,
            "client_id": self.credential.client_id,
            "client_secret": self.credential.client_secret,
            "scopes": list(args.scopes),
            "container_url": self.container.url.apply(lambda url: f"{url}{args.app.health_path}"),
            "webhooks": self.workflows.health_urls,
            "route": self.gateway.url.apply(lambda url: f"{url.rstrip('/')}{args.app.health_path}"),
            "route_expects": list(args.route_expects),
        }

    def _outputs(self, args: DepartmentArgs) -> dict[str, Any]:
        database = self.database
        return {
            "slug": args.slug,
            "region": args.region,
            "template": f"{args.template_id}@{args.template_version}",
            "retention": args.retention,
            "url": self.gateway.url,
            "host": database.host,
            "port": database.port,
            "database": database.database,
            "schema": database.schema,
            "role": database.role,
            "password": database.password,
            "clientId": self.credential.client_id,
            "clientSecret": self.credential.client_secret,
            "tokenEndpoint": self.credential.token_endpoint,
            "workflowIds": self.workflows.ids,
            "webhookUrls": self.workflows.webhook_urls,
            **({"webhookKey": key} if (key := self.workflows.webhook_key) is not None else {}),
            "status": self.health.status,
        }


def environment_of(
    args: DepartmentArgs, database: TenantSchema, credential: Credential
) -> dict[str, pulumi.Input[str]]:
    """What the application is told: its own settings, and where its parts are."""
    return {
        **args.environment,
        "TENANT": args.name,
        "DATABASE_URL": database.inner_url,
        "OAUTH_TOKEN_ENDPOINT": credential.token_endpoint,
        "OAUTH_CLIENT_ID": credential.client_id,
        "OAUTH_CLIENT_SECRET": credential.client_secret,
        **({"OAUTH_SCOPE": " ".join(args.scopes)} if args.scopes else {}),
        "PUBLIC_URL": args.public_url,
    }


def _row(args: DepartmentArgs) -> dict[str, Any]:
    return {
        "slug": args.slug,
        "tenant_mark": args.tenant_mark,
        "name": args.name,
        "admin_email": args.admin_email,
        "region": args.region,
        "retention": args.retention,
        "schema_name": args.identifier,
        "template_id": args.template_id,
        "template_version": args.template_version,
        "workflows": sorted(f"{plan.key}@{plan.version}" for plan in args.workflows),
    }
