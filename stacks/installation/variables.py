"""The environment of service and workers: what is plain in a ConfigMap, what is secret by reference to the Secrets.

Decides which process gets which secret: workers check no tokens and answer no metrics, so they get neither's.
"""

from __future__ import annotations

import hashlib
import json

from providers.backends import VARIABLE as BACKENDS
from stacks.installation.names import PORT, PROBE_PORT, REGIONS, SETTINGS, Document, metadata
from stacks.installation.settings import Platform

PROJECT = "/srv/tenantry"
STACKS = f"{PROJECT}/stacks"
REGIONS_FOLDER = "/etc/tenantry/regions"
DATABASE_FOLDER = "/etc/tenantry/database"
_ALL = "0.0.0.0"  # noqa: S104 - inside a pod
VERIFYING = ("verify-ca", "verify-full")


def settings_map(platform: Platform) -> Document:
    """The ConfigMap of all that is not secret, for service and workers alike."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(platform, SETTINGS, "settings"),
        "data": dict(sorted((plain(platform) | platform.environment).items())),
    }


def regions_map(platform: Platform) -> Document | None:
    """The ConfigMap of the file of regions; None where there is none."""
    if platform.regions_text is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(platform, REGIONS, "settings"),
        "data": {"regions.yaml": platform.regions_text},
    }


def fingerprint(platform: Platform) -> str:
    """Changes with what the ConfigMaps hold: a pod does not see that they have changed, so it has to be another pod."""
    content = json.dumps([settings_map(platform)["data"], platform.regions_text], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def plain(platform: Platform) -> dict[str, str]:
    """Variables that anybody may read."""
    database, workers, ingress = platform.database, platform.workers, platform.ingress
    found = {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.name,
        "DB_SSL": database.sslmode,
        # The state of all tenants is in the main database too, by which workers on several nodes share it.
        "PULUMI_BACKEND_URL": f"postgres:///{database.name}",
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGSSLMODE": database.sslmode,
        "TENANTRY_ENGINE": "embedded",
        "TENANTRY_PROJECT_DIR": PROJECT,
        "TENANTRY_HOST": _ALL,
        "TENANTRY_PORT": str(PORT),
        "TENANTRY_SHUTDOWN_SECONDS": str(platform.service.shutdown_seconds),
        "TENANTRY_PROBE_HOST": _ALL,
        "TENANTRY_PROBE_PORT": str(PROBE_PORT),
        "TENANTRY_WORKER_CONCURRENCY": str(workers.concurrency),
        "TENANTRY_DRAIN_SECONDS": str(workers.drain_seconds),
        "TENANTRY_CANCEL_GRACE": str(workers.cancel_grace_seconds),
        "TENANTRY_JWT_AUDIENCE": platform.tokens.audience,
    }
    if database.sslmode in VERIFYING:
        found["PGSSLROOTCERT"] = f"{DATABASE_FOLDER}/ca.crt"
    if platform.tokens.jwks_url is not None:
        found["TENANTRY_JWT_JWKS_URL"] = platform.tokens.jwks_url
    if platform.tokens.issuer is not None:
        found["TENANTRY_JWT_ISSUER"] = platform.tokens.issuer
    if ingress is not None:
        found["TENANTRY_PUBLIC_URL"] = f"{'https' if ingress.tls else 'http'}://{ingress.host}"
        if ingress.trusted_proxies:
            found["TENANTRY_TRUSTED_PROXIES"] = ",".join(ingress.trusted_proxies)
    if platform.tenants.namespace is not None:
        found["KUBERNETES_NAMESPACE"] = platform.tenants.namespace
    if platform.regions_text is not None:
        found[BACKENDS] = f"{REGIONS_FOLDER}/regions.yaml"
    return found


def for_database(platform: Platform) -> list[Document]:
    """What whoever makes the tables needs."""
    name = platform.secrets.database
    keys = {"DB_USER": "user", "DB_PASSWORD": "password", "PGUSER": "user", "PGPASSWORD": "password"}
    return [_from(variable, name, key) for variable, key in keys.items()]


def for_workers(platform: Platform) -> list[Document]:
    """What a worker and its runs need."""
    secrets = platform.secrets
    found = [
        *for_database(platform),
        _from("PULUMI_CONFIG_PASSPHRASE", secrets.state, "passphrase"),
        _from("TENANTRY_SECRET_KEY", secrets.state, "secretKey", optional=True),
    ]
    return found + ([_from("RABBITMQ_URL", secrets.rabbitmq, "url")] if secrets.rabbitmq else [])


def for_service(platform: Platform) -> list[Document]:
    """What the service needs: it reads tenants' states when it is asked for their health."""
    secrets = platform.secrets
    found = for_workers(platform)
    if platform.tokens.jwks_url is None:
        found.append(_from("TENANTRY_JWT_SECRET", secrets.tokens, "jwtSecret"))
    if secrets.metrics is not None:
        found.append(_from("TENANTRY_METRICS_TOKEN", secrets.metrics, "token"))
    return found


def plain_source() -> Document:
    """All of the settings as variables."""
    return {"configMapRef": {"name": SETTINGS}}


def sources(platform: Platform) -> list[Document]:
    """Whole maps of variables: the settings, and the secrets of regions, whose keys are the variables' names."""
    found = [plain_source()]
    if platform.secrets.regions is not None:
        found.append({"secretRef": {"name": platform.secrets.regions}})
    return found


def _from(variable: str, secret: str, key: str, *, optional: bool = False) -> Document:
    reference: Document = {"name": secret, "key": key} | ({"optional": True} if optional else {})
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
