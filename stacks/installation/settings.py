"""What platform.yaml may say: the image, where PostgreSQL is, the names of Secrets, how many workers, who may reach it.

Decides defaults and refuses what makes no sense, field by field. It holds no secret: each is in a Secret of the
cluster, named under `secrets`, with fixed keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from providers import backends
from providers.errors import ConfigurationError
from providers.masking import SECRET_PREFIX
from stacks.problems import FieldProblem, InputError, problems_of
from stacks.shape import Model
from stacks.yaml_source import read_yaml

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def _like(pattern: str, valid: str, longest: int = 253) -> AfterValidator:
    """Text of this form; `valid` is what a reader is told."""
    form = re.compile(pattern)

    def check(given: str) -> str:
        if len(given) > longest or not form.fullmatch(given):
            raise ValueError(valid)
        return given

    return AfterValidator(check)


_NAME = "lower-case letters, digits and hyphens"
Label = Annotated[str, _like(_LABEL, f"{_NAME}, at most 63", 63)]
ObjectName = Annotated[
    str, _like(rf"{_LABEL}(\.{_LABEL})*", f"the name of an object of Kubernetes: {_NAME}, with dots")
]
Host = Annotated[str, _like(rf"{_LABEL}(\.{_LABEL})+", "a name of DNS, such as tenantry.example.com")]
Network = Annotated[str, AfterValidator(lambda given: str(ip_network(given)))]
Cpu = Annotated[str, _like(r"[1-9][0-9]*m|[1-9][0-9]*|0\.[0-9]*[1-9][0-9]*", "CPUs in quotes, such as '2' or 500m")]
Memory = Annotated[str, _like(r"[1-9][0-9]*(Mi|Gi)", "memory such as 768Mi or 2Gi")]
_PREFIXES = ("TENANTRY_", "MAX_", "PROVISIONING_", "HEALTH_", "ROLLBACK_", "DOCKER_")
Variable = Annotated[
    str,
    _like(rf"({'|'.join(_PREFIXES)})[A-Z0-9_]{{1,60}}", f"a variable that begins with one of {', '.join(_PREFIXES)}"),
]
Url = Annotated[
    str, _like(r"https?://[^\s/@]+[^\s@]*", "a URL without user and password, such as https://host/path", 2000)
]
HttpsUrl = Annotated[Url, _like(r"https://.*", "an https URL", 2000)]
Address = Annotated[str, _like(r"[^\s/@]+", "a host's name or address")]
Database = Annotated[str, _like(r"[a-z_][a-z0-9_]*", "lower-case letters, digits and underscores", 63)]
Image = Annotated[str, _like(r"[a-z0-9]\S*", "an image with its tag or digest, such as registry.example/tenantry:1.0")]
Context = Annotated[str, _like(r"\S.*", "a context of the kubeconfig")]
Seconds = Annotated[int, Field(ge=1, le=86_400)]


class PlatformError(InputError):
    """Settings of the platform that cannot be used."""

    noun = "file of platform settings"


class Resources(Model):
    """What one pod is given, and may not exceed."""

    cpu: Cpu
    memory: Memory


class DatabaseReference(Model):
    """The PostgreSQL server and the main database. Tenantry never installs one."""

    host: Annotated[Address, Field(description="PostgreSQL's host")]
    port: Annotated[int, Field(ge=1, le=65_535)] = 5432
    name: Database = "tenantry"
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"


class SecretNames(Model):
    """Secrets of the namespace, by name; none of them is made, changed or read here.

    `database` has the keys `user` and `password`, and `ca.crt` where sslmode verifies; `state` has `passphrase`, and
    may have `secretKey`; `tokens` has `jwtSecret`; `rabbitmq` has `url`; `metrics` has `token`; each key of `regions`
    is a variable TENANTRY_BACKEND_....
    """

    database: ObjectName = "tenantry-database"
    state: ObjectName = "tenantry-state"
    tokens: ObjectName = "tenantry-tokens"
    rabbitmq: ObjectName | None = None
    regions: ObjectName | None = None
    metrics: ObjectName | None = None
    image: ObjectName | None = None


class Tokens(Model):
    """How callers' tokens are checked: by the keys of an identity provider, or else by the Secret `tokens`."""

    jwks_url: HttpsUrl | None = None
    audience: str = "tenantry"
    issuer: str | None = None


class ServicePart(Model):
    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    resources: Resources = Resources(cpu="500m", memory="768Mi")
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)] = 20


class Workers(Model):
    """Workers, and when there are more of them: when the oldest job has waited for longer than `queueAgeSeconds`."""

    min: Annotated[int, Field(ge=1, le=500)] = 2
    max: Annotated[int, Field(ge=1, le=500)] = 10
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    autoscaling: Literal["hpa", "keda", "none"] = "hpa"
    queue_age_seconds: Seconds = 30
    prometheus: Url | None = None
    drain_seconds: Seconds = 300
    cancel_grace_seconds: Seconds = 15
    resources: Resources = Resources(cpu="2", memory="2Gi")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max, {self.max}, to be no less than min, {self.min}")
        if self.autoscaling == "keda" and self.prometheus is None:
            raise ValueError("prometheus, the URL of a Prometheus, beside autoscaling: keda")
        return self


class Tls(Model):
    """A certificate that is in a Secret, or that cert-manager puts there by a ClusterIssuer."""

    secret: ObjectName = "tenantry-tls"  # noqa: S105 - its name
    issuer: ObjectName | None = None


class IngressPart(Model):
    host: Annotated[Host, Field(description="the name under which the service is reached")]
    class_name: Annotated[ObjectName | None, Field(alias="class")] = None
    tls: Tls | None = None
    trusted_proxies: list[Network] = Field(default_factory=list)
    annotations: dict[str, str] = Field(default_factory=dict)


class Reach(Model):
    """Which namespaces may reach the service; where none is named, all may."""

    ingress_from: list[Label] = Field(default_factory=list)
    metrics_from: list[Label] = Field(default_factory=list)


class Tenants(Model):
    """Where workers may make tenants on this cluster: a namespace each, in one that exists, or not at all."""

    on_this_cluster: bool = True
    namespace: Label | None = None

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.namespace is not None and not self.on_this_cluster:
            raise ValueError("namespace only where onThisCluster is true")
        return self


class Platform(Model):
    """platform.yaml. The namespace exists, as the Secrets in it do. `context` is one of KUBECONFIG's, else its own.

    `ready_seconds` is how long `up` waits for new pods before it says what they lack.
    """

    image: Annotated[Image, Field(description="Tenantry's image, with its tag or digest")]
    namespace: Label = "tenantry"
    context: Context | None = None
    database: Annotated[DatabaseReference, Field(description="where PostgreSQL is: host, port, name, sslmode")]
    secrets: SecretNames = SecretNames()
    tokens: Tokens = Tokens()
    service: ServicePart = ServicePart()
    workers: Workers = Workers()
    ingress: IngressPart | None = None
    reach: Reach = Reach()
    tenants: Tenants = Tenants()
    regions: str | None = None
    ready_seconds: Seconds = 600
    environment: dict[Variable, str] = Field(default_factory=dict)
    _regions_text: str | None = PrivateAttr(None)

    @property
    def regions_text(self) -> str | None:
        """The content of the file of regions."""
        return self._regions_text


def load(path: Path) -> Platform:
    """The settings in a file, with the file of regions that it names, which lies beside it.

    Raises PlatformError with every problem.
    """
    return parse(read_yaml(path, PlatformError), str(path), folder=path.parent)


def parse(mapping: dict[str, Any], source: str = "platform.yaml", *, folder: Path = Path()) -> Platform:
    """The settings in a mapping. Raises PlatformError with every problem."""
    try:
        platform = Platform.model_validate(mapping)
    except ValidationError as error:
        raise PlatformError(source, problems_of(error, Platform)) from None
    if problems := list(_clashes(platform)):
        raise PlatformError(source, problems)
    if platform.regions is not None:
        text, regions = _regions(folder / platform.regions, source, platform.regions)
        if problems := list(_out_of_reach(platform, regions)):
            raise PlatformError(source, problems)
        platform._regions_text = text  # noqa: SLF001 - own
    return platform


def _clashes(platform: Platform) -> Iterator[FieldProblem]:
    for name in sorted(platform.environment):
        if name in DECIDED_HERE:
            valid = "a variable that no other key of this file decides"
            yield FieldProblem(field="environment", given=name, valid=valid)
        elif name in _SECRET or name.startswith(SECRET_PREFIX):
            # A ConfigMap, the state and what is rendered are no places for it.
            valid = "a variable that is no secret: this one goes into the Secret that secrets.regions names, as a key"
            yield FieldProblem(field="environment", given=name, valid=valid)
    if platform.tenants.namespace == platform.namespace:
        valid = "another namespace than Tenantry's own, whose Secrets workers could read"
        yield FieldProblem(field="tenants.namespace", given=platform.namespace, valid=valid)


DECIDED_HERE = frozenset(
    {
        *("TENANTRY_HOST", "TENANTRY_PORT", "TENANTRY_PROBE_HOST", "TENANTRY_PROBE_PORT", "TENANTRY_BACKENDS"),
        *("TENANTRY_PUBLIC_URL", "TENANTRY_TRUSTED_PROXIES", "TENANTRY_PROJECT_DIR", "TENANTRY_ENGINE"),
        *("TENANTRY_WORKER_CONCURRENCY", "TENANTRY_DRAIN_SECONDS", "TENANTRY_CANCEL_GRACE"),
        *("TENANTRY_SHUTDOWN_SECONDS", "TENANTRY_JWT_JWKS_URL", "TENANTRY_JWT_AUDIENCE", "TENANTRY_JWT_ISSUER"),
        *("TENANTRY_JWT_SECRET", "TENANTRY_SECRET_KEY", "TENANTRY_METRICS_TOKEN"),
    }
)
"""Variables that pods get from other keys: secrets from Secrets, the rest from what this file says of them."""
_SECRET = frozenset({"DOCKER_REGISTRY_PASS", "TENANTRY_TLS_KEY_PASSWORD"})
"""Others that are secret, beside those of regions."""


def _out_of_reach(platform: Platform, regions: Mapping[str, backends.RegionParts]) -> Iterator[FieldProblem]:
    """Regions on this very cluster, where workers have no rights: nothing could be made there."""
    tenants = platform.tenants
    for name, parts in regions.items():
        here = parts.container
        if not isinstance(here, backends.KubernetesBackend) or here.kubeconfig is not None:
            continue
        given = f"{name}: a container on this cluster, namespace {here.namespace or 'one for each tenant'}"
        if not tenants.on_this_cluster:
            valid = "a kubeconfig of another cluster there, or tenants.onThisCluster: true"
            yield FieldProblem(field="regions", given=given, valid=valid)
        elif tenants.namespace is not None and here.namespace != tenants.namespace:
            valid = f"namespace {tenants.namespace} there: by tenants.namespace, workers have rights in no other"
            yield FieldProblem(field="regions", given=given, valid=valid)


def _regions(path: Path, source: str, given: str) -> tuple[str, Mapping[str, backends.RegionParts]]:
    try:
        text = path.read_text(encoding="utf-8")
        where = {backends.VARIABLE: str(path)}
        found = {name: backends.parts_of(name, where) for name in backends.regions(where)}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        valid = "a file of regions that can be read, beside this one"
        raise PlatformError(source, [FieldProblem(field="regions", given=f"{given}: {reason}", valid=valid)]) from None
    except ConfigurationError as error:
        valid = "a file of regions, as in docs/departments.md"
        raise PlatformError(source, [FieldProblem(field="regions", given=str(error), valid=valid)]) from None
    return text, found
