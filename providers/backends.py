"""The backends of each region, from the file that TENANTRY_BACKENDS names: where a tenant's parts are made.

Decides how that file looks, and which region stands for which servers. A secret is never in it: it names the variable
that holds one, TENANTRY_BACKEND_..., so that a resource's inputs need no more than the region's name. Never connects.

    regions:
      eu-central:
        database: {host: db.eu.example, user: provisioner, passwordFrom: TENANTRY_BACKEND_EU_DB, name: departments}
        oauth: {issuer: "https://login.eu.example/realms/tenants", initialTokenFrom: TENANTRY_BACKEND_EU_OAUTH}
        container: {platform: docker, host: "unix:///var/run/docker.sock"}
        n8n: {url: "https://n8n.eu.example", keyFrom: TENANTRY_BACKEND_EU_N8N}
        gateway: {admin: "http://127.0.0.1:2019", domain: tenants.eu.example, authUrl: "https://tenantry.example"}
        erpnext: {url: "https://erp.eu.example", keyFrom: TENANTRY_BACKEND_EU_ERP, secretFrom: TENANTRY_BACKEND_EU_ERPS}
        odoo: {url: "https://odoo.eu.example", database: eu, user: tenantry, keyFrom: TENANTRY_BACKEND_EU_ODOO}
        site: {driver: bench, folder: /home/frappe/frappe-bench, dbRootPasswordFrom: TENANTRY_BACKEND_EU_BENCH}

A region may lack parts that its tenants do not need: whoever asks for one that it lacks is told so. Without a file
there is one region, `default`, which the environment describes (`environment_region`).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from providers.backend_model import Address, BackendModel, SecretName, Url
from providers.connection import DatabaseSettings
from providers.errors import ConfigurationError
from providers.site_backend import SiteBackend

P = TypeVar("P")

VARIABLE = "TENANTRY_BACKENDS"
DEFAULT_REGION = "default"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class DatabaseBackend(BackendModel):
    """The PostgreSQL server and the database that schemas of tenants are made in. `user` is no superuser of need.

    `internal` is the host:port at which tenants' containers reach it, where that is another than ours.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 5432
    user: str
    password_from: SecretName | None = None
    name: str
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    internal: Address | None = None
    _region: str = PrivateAttr("")

    def settings(self) -> DatabaseSettings:
        """As providers of databases want it. Raises ConfigurationError where the password's variable is not set."""
        return DatabaseSettings(
            host=self.host,
            port=self.port,
            user=self.user,
            password=secret(self.password_from) if self.password_from else "",
            sslmode=self.sslmode,
            main_database=self.name,
            region=self._region,
        )

    def settings_inside(self) -> DatabaseSettings:
        """The same as tenants' containers reach it."""
        if self.internal is None:
            return self.settings()
        host, _, port = self.internal.rpartition(":")
        return replace(self.settings(), host=host.strip("[]"), port=int(port))

    def belong_to(self, region: str) -> None:
        """Says whose it is, for messages."""
        self._region = region


class OAuthBackend(BackendModel):
    """An authorization server with dynamic client registration (RFC 7591, 7592).

    Its endpoints are in its metadata (RFC 8414, or OpenID's discovery), found from `issuer`. `rotation` says how a
    client's secret is exchanged: by registering a successor, which every server can, or by Keycloak's own API.

    The administrator is Keycloak's, of the same realm, with the role manage-clients and no other: a client with a
    service account, or a user. By it clients are found whose registration was cut off, and the initial token is not
    needed, which on Keycloak ends with its number of uses.
    """

    issuer: Url
    initial_token_from: SecretName | None = None
    rotation: Literal["successor", "keycloak"] = "successor"
    admin_user_from: SecretName | None = None
    admin_password_from: SecretName | None = None
    admin_is: Literal["client", "user"] = "client"
    ca_file: str | None = None

    @model_validator(mode="after")
    def _administrator(self) -> Self:
        if (self.admin_user_from is None) != (self.admin_password_from is None):
            raise ValueError("adminUserFrom and adminPasswordFrom go together")
        if self.rotation == "keycloak" and self.admin_user_from is None:
            raise ValueError("rotation: keycloak needs adminUserFrom and adminPasswordFrom")
        return self


class ProcessBackend(BackendModel):
    """Containers as processes under supervisor, on this machine: for development. `folder` is its include folder."""

    platform: Literal["process"]
    url: str
    folder: str
    user: str | None = None
    password_from: SecretName | None = None


class _Images(BackendModel):
    """Where images are: `registry` is put before their names, `tag` after those that have none and no digest."""

    registry: str | None = None
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] | None = None


class DockerBackend(_Images):
    platform: Literal["docker"]
    host: str | None = None
    published_on: str = "127.0.0.1"


class IngressBackend(BackendModel):
    """How requests get into a cluster: the class of its ingress controller, whose pods are in `namespace`.

    Each tenant has a host under `domain`. `issuer` is cert-manager's ClusterIssuer. Where hosts are not in DNS as it is
    seen from here, `address` is the host:port at which the controller serves https, `http_address` http. `ca_file`
    holds the certificates of its authority.
    """

    class_: Annotated[str, Field(alias="class")] = "nginx"
    namespace: str = "ingress-nginx"
    domain: str | None = None
    issuer: str | None = None
    address: Address | None = None
    http_address: Address | None = None
    ca_file: str | None = None


class KubernetesBackend(_Images):
    """`namespace` is one that all tenants share; without it, each has its own. `storage_class` is the cluster's default
    where none is named."""

    platform: Literal["kubernetes"]
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    storage_class: str | None = None
    ingress: IngressBackend = IngressBackend()


class RailwayBackend(BackendModel):
    platform: Literal["railway"]
    url: Url = "https://backboard.railway.com/graphql/v2"
    token_from: SecretName
    workspace: str | None = None


ContainerBackend = Annotated[
    ProcessBackend | DockerBackend | KubernetesBackend | RailwayBackend, Field(discriminator="platform")
]


class N8nBackend(BackendModel):
    """An n8n server and a key of its public API. `webhook_url` is where its webhooks are called, if not at `url`."""

    url: Url
    key_from: SecretName
    webhook_url: Url | None = None


class GatewayBackend(BackendModel):
    """A Caddy: its admin API, the name of its server, and `domain`, under which each tenant has a host of its own.

    `url` is how the gateway is reached from here, `auth_url` our service, which it asks about each request. The
    variable `auth_secret_from` is set for our service and for Caddy alike: by it the service knows the gateway.
    """

    admin: Url
    server: str = "tenants"
    domain: str
    url: Url
    auth_url: Url | None = None
    ca_file: str | None = None
    auth_secret_from: SecretName | None = None


class ErpNextBackend(BackendModel):
    """An ERPNext site, and the key and secret of a user of its API who may make companies.

    `requests_per_run` is how many requests one run may send it at the most. `ca_file` holds the certificates of its
    authority, where that is one of its own.
    """

    url: Url
    key_from: SecretName
    secret_from: SecretName
    requests_per_run: Annotated[int, Field(ge=1)] = 500
    ca_file: str | None = None


class OdooBackend(BackendModel):
    """An Odoo database, and the login and API key of a user with the administration right Settings.

    `requests_per_run` is how many requests one run may send it at the most. `ca_file` holds the certificates of its
    authority, where that is one of its own.
    """

    url: Url
    database: Annotated[str, Field(min_length=1)]
    user: Annotated[str, Field(min_length=1)]
    key_from: SecretName
    requests_per_run: Annotated[int, Field(ge=1)] = 500
    ca_file: str | None = None


class BackendSet(BackendModel):
    """All backends of one region, which a department needs."""

    database: DatabaseBackend
    oauth: OAuthBackend
    container: ContainerBackend
    n8n: N8nBackend
    gateway: GatewayBackend


class RegionParts(BackendModel):
    """The backends of one region that may lack some."""

    database: DatabaseBackend | None = None
    oauth: OAuthBackend | None = None
    container: ContainerBackend | None = None
    n8n: N8nBackend | None = None
    gateway: GatewayBackend | None = None
    erpnext: ErpNextBackend | None = None
    odoo: OdooBackend | None = None
    site: SiteBackend | None = None

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Which of these parts the region has not."""
        return [name for name in names if getattr(self, name) is None]


PARTS = tuple(BackendSet.model_fields)
"""What a department needs."""


class _File(BackendModel):
    regions: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")], RegionParts], Field(min_length=1)]

    @model_validator(mode="after")
    def _named(self) -> Self:
        # So that what is said of a region's database says which region's it is.
        for region, parts in self.regions.items():
            if parts.database is not None:
                parts.database.belong_to(region)
        return self


def regions(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The regions there are, in the file's order; without a file, the environment's. Raises ConfigurationError."""
    path = environ.get(VARIABLE)
    return tuple(_read(path, _stamp(path)).regions) if path else (DEFAULT_REGION,)


def parts_of(region: str, environ: Mapping[str, str] = os.environ) -> RegionParts:
    """The backends that `region` has. Raises ConfigurationError naming the regions that there are."""
    path = environ.get(VARIABLE)
    if not path:
        if region == DEFAULT_REGION:
            # Late: only the environment's region is read by it.
            from providers.environment_region import environment_region

            return environment_region(environ)
        raise ConfigurationError(
            f"region {region!r} is not known: set {VARIABLE} to a file that says which servers a region has."
        )
    known = _read(path, _stamp(path)).regions
    if region not in known:
        raise ConfigurationError(f"region {region!r} is not one of {', '.join(known)}, which are in {path}.")
    return known[region]


def backends_of(region: str, environ: Mapping[str, str] = os.environ) -> BackendSet:
    """What a department needs of `region`. Raises ConfigurationError naming the regions, or the parts it lacks."""
    parts = parts_of(region, environ)
    missing = parts.lacking(PARTS)
    if missing:
        raise _lacks(region, missing, environ)
    return BackendSet(**{name: getattr(parts, name) for name in PARTS})


def database_of(region: str, environ: Mapping[str, str] = os.environ) -> DatabaseBackend:
    """The region's database server. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).database, region, "database", environ)


def container_of(region: str, environ: Mapping[str, str] = os.environ) -> ContainerBackend:
    """The platform of the region's containers. Raises ConfigurationError where it has none."""
    found = parts_of(region, environ).container
    # Not by _had: the type that its alternatives share has nothing of them.
    if found is None:
        raise _lacks(region, ["container"], environ)
    return found


def oauth_of(region: str, environ: Mapping[str, str] = os.environ) -> OAuthBackend:
    """The region's authorization server. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).oauth, region, "oauth", environ)


def n8n_backend_of(region: str, environ: Mapping[str, str] = os.environ) -> N8nBackend:
    """The region's n8n. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).n8n, region, "n8n", environ)


def gateway_of(region: str, environ: Mapping[str, str] = os.environ) -> GatewayBackend:
    """The region's gateway. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).gateway, region, "gateway", environ)


def erpnext_of(region: str, environ: Mapping[str, str] = os.environ) -> ErpNextBackend:
    """The region's ERPNext site. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).erpnext, region, "erpnext", environ)


def odoo_of(region: str, environ: Mapping[str, str] = os.environ) -> OdooBackend:
    """The region's Odoo. Raises ConfigurationError where it has none."""
    return _had(parts_of(region, environ).odoo, region, "odoo", environ)


def site_of(region: str, environ: Mapping[str, str] = os.environ) -> SiteBackend:
    """The region's bench for sites. Raises ConfigurationError where it has none."""
    found = parts_of(region, environ).site
    # As for containers.
    if found is None:
        raise _lacks(region, ["site"], environ)
    return found


def _had(part: P | None, region: str, name: str, environ: Mapping[str, str]) -> P:
    if part is None:
        raise _lacks(region, [name], environ)
    return part


def _lacks(region: str, missing: Sequence[str], environ: Mapping[str, str]) -> ConfigurationError:
    path = environ.get(VARIABLE)
    where = f"to {path}" if path else f"in a file that {VARIABLE} names: the environment's region has none"
    return ConfigurationError(f"region {region!r} has no {' and no '.join(missing)}. Add what is missing {where}.")


def secret(name: str, environ: Mapping[str, str] = os.environ, *, lines: bool = False) -> str:
    """The secret in the variable `name`, without blanks around it: a file's last line ends in a newline.

    With `lines` it may be several lines, such as a private key, which stay as they are. Raises ConfigurationError where
    it is not set, or holds a control character, which no header can carry.
    """
    given = environ.get(name, "")
    value = given.strip()
    if not value:
        raise ConfigurationError(f"the variable {name} is not set, but {environ.get(VARIABLE) or VARIABLE} names it.")
    if lines and "\n" in value:
        value, refused = given, _CONTROL_IN_LINES
    else:
        refused = _CONTROL
    if refused.search(value):
        raise ConfigurationError(
            f"the variable {name} holds a control character, such as a newline, inside its value. "
            "Write the secret there as it was given out, in one line."
        )
    return value


def unset_secrets(chosen: BackendSet | RegionParts, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The variables of these backends' secrets that providers read and that are not set."""
    # The gateway's is not among them: it is for Caddy and for our service.
    parts: list[BackendModel | None] = [chosen.database, chosen.oauth, chosen.container, chosen.n8n]
    if isinstance(chosen, RegionParts):
        parts += [chosen.erpnext, chosen.odoo, chosen.site, getattr(chosen.site, "backups", None)]
    names = [str(value) for part in parts if part is not None for key, value in part if key.endswith("_from") and value]
    return [name for name in dict.fromkeys(names) if not environ.get(name, "").strip()]


def _stamp(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} cannot be read: {error.strerror}.") from None


@functools.lru_cache(maxsize=8)
def _read(path: str, _changed: int) -> _File:
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{VARIABLE}: {path} is no YAML: byte {error.start} is not UTF-8. Save it as UTF-8."
        ) from None
    try:
        return _File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} is no YAML{_place(error, text)}. Correct it there.") from None
    except ValidationError as error:
        # Without what was given: somebody may have written a secret where its variable's name belongs.
        rows = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"{VARIABLE}: {path} is not right: {rows}.") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{VARIABLE}: {path} is no YAML: a value of it is none that YAML has.") from None


def _place(error: Any, text: str) -> str:
    """Where YAML ends to be YAML. Without the parser's own words: they quote the line, which may hold a secret."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return f": line {mark.line + 1}, column {mark.column + 1}"
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return ""
    before = text[:position]
    return f": line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"
