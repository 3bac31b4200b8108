"""How much an ISP is given: CPU, memory, storage and connections (ISP-3). Pure: no I/O, no environment.

Decides the size of one tenant's application, and which sizes are refused. What the rules' numbers are is decided by
the template; `tenantry isp calibrate` measures them. Sums are exact (decimal), so that rounding up is by what was asked
for and never by a float's last digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from stacks.isp.settings import Feature, Plan, PlanType, Resources, Rules, Use
from stacks.problems import FieldProblem, InputError

MIB_OF_A_GB = 1024
CONNECTIONS_OF_A_CUSTOMER = 2
"""ISP-3."""
CUSTOMERS_OF_CPU, CUSTOMERS_OF_MEMORY, CUSTOMERS_OF_STORAGE = 1000, 500, 1000
"""How many customers a coefficient is for. Of storage it is ours, of the others ISP-3's."""
_MILLICORES = 1000
CAPPED = (
    ("cpu_cores", "cpuCores", "MAX_CPU_CORES"),
    ("memory_gb", "memoryGb", "MAX_MEMORY_GB"),
    ("storage_gb", "storageGb", "MAX_STORAGE_GB"),
)


class SizeError(InputError):
    """A size that this installation does not allow."""

    noun = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequirements:
    """A size: cores, GB of 1024 MiB, and connections to the database."""

    cpu_cores: float
    memory_gb: float
    storage_gb: float
    max_connections: int

    @property
    def millicores(self) -> int:
        """CPU in thousandths of a core, rounded up."""
        return _up(_exact(self.cpu_cores) * _MILLICORES)

    @property
    def memory_mib(self) -> int:
        """Memory in MiB, rounded up."""
        return _up(_exact(self.memory_gb) * MIB_OF_A_GB)

    @property
    def storage_mib(self) -> int:
        """Storage in MiB, rounded up."""
        return _up(_exact(self.storage_gb) * MIB_OF_A_GB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that one tenant may have here, in cores and GB; None: any amount (ISP-3, MAX_*)."""

    cpu_cores: float | None = None
    memory_gb: float | None = None
    storage_gb: float | None = None


def need_of(customers: int, plan: PlanType, features: Iterable[Feature], rules: Rules) -> ResourceRequirements:
    """What `customers` need under a plan, before caps and overrides (ISP-3).

    cpu (cores)   = base_cpu + customers/1000 * cpu_multiplier
    memory (GB)   = base_memory + customers/500 * memory_increment
    storage (GB)  = base_storage + customers/1000 * storage_increment
    connections   = min(customers*2, max_connections)

    Each feature adds the same of its own, and the connections of its own work. The sum of the first three is taken
    `headroom` times, is never under what the plan promises, and is rounded up to whole millicores and MiB.
    """
    given: Plan = getattr(rules.plans, plan)
    uses: list[Use] = [rules.core, *(getattr(rules.features, feature) for feature in sorted(set(features)))]

    def amount(base: str, increment: str, step: int, promise: float) -> Decimal:
        used = sum(_exact(getattr(use, base)) + customers * _exact(getattr(use, increment)) / step for use in uses)
        return max(_exact(given.headroom) * used, _exact(promise))

    cpu = amount("base_cpu", "cpu_multiplier", CUSTOMERS_OF_CPU, given.cpu_cores)
    memory = amount("base_memory", "memory_increment", CUSTOMERS_OF_MEMORY, given.memory_gb)
    storage = amount("base_storage", "storage_increment", CUSTOMERS_OF_STORAGE, given.storage_gb)
    customers_own = min(customers * CONNECTIONS_OF_A_CUSTOMER, given.max_connections)
    return ResourceRequirements(
        cpu_cores=_up(cpu * _MILLICORES) / _MILLICORES,
        memory_gb=_up(memory * MIB_OF_A_GB) / MIB_OF_A_GB,
        storage_gb=_up(storage * MIB_OF_A_GB) / MIB_OF_A_GB,
        max_connections=customers_own + sum(use.connections for use in uses),
    )


def size_of(
    customers: int,
    plan: PlanType,
    features: Iterable[Feature],
    *,
    rules: Rules,
    overrides: Resources | None = None,
    caps: Caps | None = None,
) -> ResourceRequirements:
    """The size of one tenant's application: `need_of`, capped, and each value that `overrides` has in its place.

    Raises SizeError with every problem, as `size_problems` finds them.
    """
    overrides, caps = overrides or Resources(), caps or Caps()
    problems = size_problems(plan, rules=rules, overrides=overrides, caps=caps)
    if problems:
        raise SizeError("manifest", problems)
    need = need_of(customers, plan, features, rules)

    def given(name: str, unit: int) -> float:
        own: float | None = getattr(overrides, name)
        cap: float | None = getattr(caps, name)
        needed: float = getattr(need, name)
        if own is not None:
            return own
        return needed if cap is None else min(needed, _down(_exact(cap) * unit) / unit)

    own_connections = overrides.max_connections
    return ResourceRequirements(
        cpu_cores=given("cpu_cores", _MILLICORES),
        memory_gb=given("memory_gb", MIB_OF_A_GB),
        storage_gb=given("storage_gb", MIB_OF_A_GB),
        max_connections=need.max_connections if own_connections is None else own_connections,
    )


def size_problems(plan: PlanType, *, rules: Rules, overrides: Resources, caps: Caps) -> tuple[FieldProblem, ...]:
    """What of a size the caps do not allow (CORE-7): an override above one, and a plan that promises more than one."""
    problems = []
    promised: Plan = getattr(rules.plans, plan)
    for name, key, variable in CAPPED:
        cap, own, promise = getattr(caps, name), getattr(overrides, name), getattr(promised, name)
        if cap is None:
            continue
        if own is not None and own > cap:
            field, valid = f"customSettings.resources.{key}", f"at most {cap:g}, as {variable} says"
            problems.append(FieldProblem(field=field, given=f"{own:g}", valid=valid))
        if own is None and promise > cap:
            valid = f"a plan that promises at most {cap:g}, as {variable} says, or customSettings.resources.{key}"
            given = f'"{plan}", which promises {key} {promise:g}'
            problems.append(FieldProblem(field="planType", given=given, valid=valid))
    return tuple(problems)


def share_of(size: ResourceRequirements, replicas: int) -> ResourceRequirements:
    """What each of `replicas` is given of a tenant's size.

    They share its requests, and so its CPU and its connections. They do not share memory and storage: each holds all
    customers. A replica has at least one connection.
    """
    return ResourceRequirements(
        cpu_cores=_up(_exact(size.cpu_cores) * _MILLICORES / replicas) / _MILLICORES,
        memory_gb=size.memory_gb,
        storage_gb=size.storage_gb,
        max_connections=max(1, size.max_connections // replicas),
    )


def _exact(value: float) -> Decimal:
    """The number as it was written."""
    return Decimal(str(value))


def _up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def _down(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_FLOOR))
