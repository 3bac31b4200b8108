"""From a resolved manifest to the arguments of the department's component. Imports the SDK.

Decides what the application runs where a manifest names none: Tenantry's own sample. It never talks to a server.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.container import AppSpec
from components.department import DepartmentArgs
from components.gateway import GatewayPolicy
from components.tenant_schema import DatabaseSizing
from components.workflow_plans import CredentialPlan, WorkflowPlan
from providers.backends import VARIABLE, BackendSet, ProcessBackend, backends_of, unset_secrets
from providers.caddy.probe import public_url
from providers.errors import ConfigurationError
from stacks.application import Application
from stacks.department.manifest import DepartmentManifest
from stacks.department.settings import DepartmentSettings
from stacks.department.workflows import DATABASE_TYPE
from stacks.inside import app_spec, demand_reachable
from stacks.resolve import ResolvedManifest
from stacks.workflows import SECRET_SUFFIX

SAMPLE = ("-m", "sandbox.sample_app")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_MOST_CERTIFICATES = 65_536
"""What Linux takes as one variable is twice that."""


def department_args(resolved: ResolvedManifest[DepartmentManifest], mark: str) -> DepartmentArgs:
    """Plain values, no Outputs. Raises ConfigurationError for a wrong environment."""
    manifest = resolved.manifest
    settings = DepartmentSettings.model_validate(dict(resolved.settings))
    backends = backends_of(manifest.region)
    plans = workflow_plans(resolved.settings["workflows"])
    _demand_reachable(manifest.region, backends)
    _demand_secrets(backends, plans)
    size = settings.size
    return DepartmentArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        admin_email=manifest.admin_email,
        region=manifest.region,
        retention=settings.data_retention,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
        app=_app(settings.application, backends),
        environment=_environment(settings.application, backends),
        cpu=size.cpu,
        memory_mb=size.memory_mb,
        database=DatabaseSizing(connections=size.connections, statement_timeout_ms=size.statement_seconds * 1000),
        scopes=settings.credential.scopes,
        rotation=settings.credential.rotation,
        grace_seconds=settings.credential.grace_seconds,
        workflows=plans,
        policy=GatewayPolicy(auth=settings.gateway.auth, requests_per_minute=settings.gateway.requests_per_minute),
        public_url=public_url(backends.gateway, f"{manifest.slug}.{backends.gateway.domain}"),
    )


def _demand_reachable(region: str, backends: BackendSet) -> None:
    if isinstance(backends.container, ProcessBackend):
        return
    host = (backends.database.internal or "").rpartition(":")[0] or backends.database.host
    told = {"database.host": host, "oauth.issuer": urlsplit(backends.oauth.issuer).hostname or ""}
    demand_reachable(region, backends.container.platform, told)


def _demand_secrets(backends: BackendSet, plans: Sequence[WorkflowPlan]) -> None:
    """All that are not set are told at once, before anything is touched."""
    missing = [f"{name}, which {os.environ.get(VARIABLE, VARIABLE)} names" for name in unset_secrets(backends)]
    missing += [
        f"{variable}, the {field} of the workflow {plan.key}'s credential {credential.slot}"
        for plan in plans
        for credential in plan.credentials
        for field, variable in credential.secrets.items()
        if not os.environ.get(variable, "").strip()
    ]
    if missing:
        raise ConfigurationError(f"these variables hold secrets and are not set: {'; '.join(missing)}.")


def _app(application: Application, backends: BackendSet) -> AppSpec:
    command = application.command
    if isinstance(backends.container, ProcessBackend):
        # A process knows no image: without a command it is the sample, run by the Python that runs us.
        command = command or (sys.executable, *SAMPLE)
    elif application.image is None:
        raise ConfigurationError(
            "customSettings.application.image: a container needs an image: name one, or build the sample's with "
            "`python -m sandbox.sample_app.image`."
        )
    return app_spec(application, image=application.image or "tenantry/sample", command=command)


def _environment(application: Application, backends: BackendSet) -> dict[str, str]:
    found = dict(application.environment)
    if backends.oauth.ca_file:
        # The certificates and not the path, which is one of our machine: the application runs wherever its region says.
        found["OAUTH_CA_PEM"] = _certificates(backends.oauth.ca_file)
    return found


def _certificates(path: str) -> str:
    """The file's certificates, and nothing else that may be in it."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"oauth.caFile: {path} cannot be read: {error.strerror}.") from None
    found = "".join(f"{each}\n" for each in _CERTIFICATE.findall(text))
    if not 0 < len(found) <= _MOST_CERTIFICATES:
        raise ConfigurationError(
            f"oauth.caFile: {path} has {len(found)} characters of certificates (PEM), which each application is told; "
            f"valid: 1 to {_MOST_CERTIFICATES}. Name a file with the authority's own, or none if it is a public one."
        )
    return found


def workflow_plans(resolved: Mapping[str, Any]) -> list[WorkflowPlan]:
    """What is made of resolved settings, by the workflows' names."""
    return [
        WorkflowPlan(
            key=name,
            version=str(own["version"]),
            definition=own["definition"],
            credentials=[
                _plan(slot, kind, (own.get("credentials") or {}).get(slot))
                for slot, kind in (own.get("credentialTypes") or {}).items()
            ],
        )
        for name, own in resolved.items()
    ]


def _plan(slot: str, kind: str, given: Mapping[str, Any] | None) -> CredentialPlan:
    if kind == DATABASE_TYPE and not given:
        return CredentialPlan(slot=slot, type=kind, own_database=True)
    given = given or {}
    variables = {
        key.removesuffix(SECRET_SUFFIX): str(value) for key, value in given.items() if key.endswith(SECRET_SUFFIX)
    }
    plain = {key: value for key, value in given.items() if not key.endswith(SECRET_SUFFIX)}
    return CredentialPlan(slot=slot, type=kind, data=plain, secrets=variables)
