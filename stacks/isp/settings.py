"""What an ISP can be set to: the typed model behind its templates and customSettings.

Decides which settings exist, which values each may have, and which do not fit together. What a size comes to is
decided by `sizing`. CPU is in cores; memory and storage are in GB of 1024 MiB.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field

from providers.names import ISP_VARIABLES
from stacks.application import Application, EnvironmentName, not_of
from stacks.fields import LineText, matching
from stacks.problems import MISSING, FieldProblem, shown
from stacks.settings import Section

PlanType = Literal["standard", "premium", "enterprise"]
Feature = Literal["billing", "customer_portal", "technician_portal", "analytics", "bulk_operations"]
PLANS: tuple[PlanType, ...] = get_args(PlanType)
"""From the least to the most that a plan promises."""
FEATURES: tuple[Feature, ...] = get_args(Feature)

Cores = Annotated[float, Field(ge=0.05, le=1024, allow_inf_nan=False)]
MemoryGb = Annotated[float, Field(ge=0.0625, le=65_536, allow_inf_nan=False)]
StorageGb = Annotated[float, Field(ge=0.0625, le=1_048_576, allow_inf_nan=False)]
Connections = Annotated[int, Field(ge=1, le=100_000)]
_Coefficient = Annotated[float, Field(ge=0, le=1_048_576, allow_inf_nan=False)]
_Host = Annotated[
    str,
    matching(
        r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "a host's name in small letters, such as acme.isp.example",
    ),
]
_Variable = Annotated[
    str, matching(r"TENANTRY_BACKEND_[A-Z0-9_]{1,60}", "the name of a variable, TENANTRY_BACKEND_..., that holds it")
]


_Name = Annotated[EnvironmentName, not_of(ISP_VARIABLES)]


class IspApplication(Application):
    """What an ISP's container runs."""

    environment: Annotated[dict[_Name, LineText], Field(max_length=100)] = Field(default_factory=dict)


class Use(Section):
    """What the core, or a feature, uses: a part of its own, and one for its customers (ISP-3).

    `cpuMultiplier` is cores for 1000 customers, `memoryIncrement` GB for 500, `storageIncrement` GB for 1000;
    `connections` are those that a feature's own work holds, whoever its customers are.
    """

    base_cpu: _Coefficient = 0
    cpu_multiplier: _Coefficient = 0
    base_memory: _Coefficient = 0
    memory_increment: _Coefficient = 0
    base_storage: _Coefficient = 0
    storage_increment: _Coefficient = 0
    connections: Annotated[int, Field(ge=0, le=10_000)] = 0


class FeatureUses(Section):
    """What each feature adds."""

    billing: Use = Use()
    customer_portal: Use = Use()
    technician_portal: Use = Use()
    analytics: Use = Use()
    bulk_operations: Use = Use()


class Plan(Section):
    """What a plan gives: `headroom` times what is used, never less than the first three, and connections up to a most.

    `maxConnections` bounds those for customers; features' own come on top.
    """

    headroom: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 1
    cpu_cores: Cores = 0.05
    memory_gb: MemoryGb = 0.0625
    storage_gb: StorageGb = 0.0625
    max_connections: Connections = 100


class Plans(Section):
    """The plans, each giving at least what the one before it gives."""

    standard: Plan = Plan()
    premium: Plan = Plan()
    enterprise: Plan = Plan()


class Rules(Section):
    """How a size is computed: what is used does not depend on the plan, what is given of it does."""

    core: Use = Use()
    features: FeatureUses = FeatureUses()
    plans: Plans = Plans()


class Resources(Section):
    """Values that replace what is computed, one by one."""

    cpu_cores: Cores | None = None
    memory_gb: MemoryGb | None = None
    storage_gb: StorageGb | None = None
    max_connections: Connections | None = None


class Ingress(Section):
    """How it is reached. Without a `host` its name is the slug's in the region's domain.

    `tls`: `auto` is whatever the region has, and plain HTTP where it has nothing; `issuer` demands the region's issuer
    of certificates; `own` is the certificate (PEM, with its chain) and key in the two variables; `none` is plain HTTP.
    """

    host: _Host | None = None
    tls: Literal["auto", "issuer", "own", "none"] = "auto"
    certificate_from: _Variable | None = None
    key_from: _Variable | None = None


class IspSettings(Section):
    """All settings of one ISP. Every key has a default, so that a partial mapping can be checked alone."""

    application: IspApplication = IspApplication()
    resources: Resources = Resources()
    sizing: Rules = Rules()
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    ingress: Ingress = Ingress()


def inconsistencies(settings: IspSettings, *, prefix: str) -> Iterator[FieldProblem]:
    """Values that are valid alone but do not fit together. `prefix` is put before each path."""
    yield from _certificate(settings.ingress, f"{prefix}.ingress")
    yield from _order(settings.sizing.plans, f"{prefix}.sizing.plans")


def _certificate(ingress: Ingress, path: str) -> Iterator[FieldProblem]:
    for key, given in (("certificateFrom", ingress.certificate_from), ("keyFrom", ingress.key_from)):
        if ingress.tls == "own" and given is None:
            valid = "the variable, TENANTRY_BACKEND_..., that holds it: tls is own"
            yield FieldProblem(field=f"{path}.{key}", given=MISSING, valid=valid)
        if ingress.tls != "own" and given is not None:
            yield FieldProblem(field=f"{path}.{key}", given=shown(given), valid=f"nothing, as tls is {ingress.tls}")


def _order(plans: Plans, path: str) -> Iterator[FieldProblem]:
    for lower, higher in itertools.pairwise(PLANS):
        least, own = getattr(plans, lower), getattr(plans, higher)
        for name, about in Plan.model_fields.items():
            if getattr(own, name) < getattr(least, name):
                yield FieldProblem(
                    field=f"{path}.{higher}.{about.alias}",
                    given=shown(getattr(own, name)),
                    valid=f"at least {getattr(least, name)}, as {lower} gives",
                )
