"""ISPs as Python calls (ISP-1, ISP-4, ISP-6): provisioned and checked from a program, without a running service.

    from automation.isp import ISPConfig, ProvisioningError, provision_isp_container, validate_container_health

    config = ISPConfig("Acme Fibre", "premium", ("billing", "customer_portal"))
    result = await provision_isp_container("acme-fibre", 2500, config)
    health = await validate_container_health(result.container_id)

What is configured is the environment's, as for the command line, and what is done is what `tenantry up` and `tenantry
health` do. Decides how their answers look to a program. A container is called what its ISP is.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from automation import manifests
from automation.asking import COMMAND, Answer, answer_to
from automation.errors import DatabaseError, EngineError, InputError, LockedError, NotFoundError, TenantryError
from automation.models import DeploymentStatus
from automation.settings import load_settings
from stacks.fields import SLUG_PATTERN
from stacks.isp.settings import Resources
from stacks.isp.sizing import ResourceRequirements
from stacks.isp.steps import STEPS

__all__ = [
    "ContainerHealth",
    "ISPConfig",
    "PartHealth",
    "ProvisioningError",
    "ProvisioningResult",
    "ResourceRequirements",
    "provision_isp_container",
    "validate_container_health",
]

_GRACES = 4
"""The command interrupts its engine, again, and kills it, each with its grace, and then says how it ended."""
_UNTOUCHED = frozenset({InputError.exit_code, LockedError.exit_code, DatabaseError.exit_code})
"""How a command ends that had no run yet."""
_MAKING = frozenset(step.key for step in STEPS if step.component_type is not None)
_PARTS = ("workload", "database", "api", "tls", "ingress")
_NOT_BEGUN = frozenset({"pending", "skipped"})


@dataclass(frozen=True, slots=True)
class ISPConfig:
    """What an ISP is to be. `custom_settings` are what differs from the template, with the manifest's own keys."""

    tenant_name: str
    plan_type: str
    features: Sequence[str] = ()
    _: KW_ONLY
    region: str = "default"
    admin_email: str | None = None
    template_id: str = "default-isp"
    template_version: str | None = None
    custom_settings: Mapping[str, Any] = field(default_factory=dict)
    enable_rollback: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningResult:
    """An ISP that works. `deployment_duration` is in seconds; `changed` is False where there was nothing to do."""

    success: bool
    endpoint_url: str
    deployment_duration: float
    error_message: str | None
    container_id: str
    resources: ResourceRequirements
    changed: bool
    deployment_id: str
    correlation_id: str


class ProvisioningError(TenantryError):
    """An ISP that was not provisioned: the message says which, why, and `hint` what to do.

    `rollback_completed` says that nothing is left of what the call did: it is undone, or it did nothing; otherwise
    `leftovers` names what is known to be left. `problems` has (field, given, message) for each wrong value.
    """

    kind = "provisioning_failed"

    def __init__(
        self,
        message: str,
        *,
        rollback_completed: bool,
        hint: str = "",
        leftovers: Sequence[str] = (),
        problems: Sequence[tuple[str, str, str]] = (),
        correlation_id: str = "",
    ) -> None:
        details = {"rollback_completed": rollback_completed, "leftovers": list(leftovers)}
        super().__init__(message, hint=hint, details={**details, "correlation_id": correlation_id})
        self.rollback_completed = rollback_completed
        self.leftovers = tuple(leftovers)
        self.problems = tuple(problems)
        self.correlation_id = correlation_id

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {field}: {text}" for field, _, text in self.problems)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """One part: whether it works, and what was seen. `duration_ms` is how long that took."""

    part: str
    ok: bool
    detail: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerHealth:
    """Whether an ISP works (ISP-4). `overall` is True where all parts do; each is None where the ISP has no such part.

    `tls` is its certificate, with redirect and status; an ISP on plain HTTP has `ingress` in its place.
    """

    container_id: str
    overall: bool
    workload: PartHealth | None
    database: PartHealth | None
    api: PartHealth | None
    tls: PartHealth | None
    ingress: PartHealth | None
    checked_at: datetime


async def provision_isp_container(
    isp_id: str, customer_count: int, config: ISPConfig, custom_resources: ResourceRequirements | None = None
) -> ProvisioningResult:
    """Creates the ISP, or brings it to these values; where it has them already, nothing is changed.

    All is validated before anything is touched. Several may run at once, one of each ISP. Where the awaiting task is
    cancelled, the run is: what is being worked on is finished and saved, and another call continues from there.
    Raises ProvisioningError.
    """
    correlation = uuid.uuid4().hex[:16]
    manifest = _manifest(isp_id, customer_count, config, custom_resources)
    grace = _validated(isp_id, manifest)
    with tempfile.TemporaryDirectory(prefix="tenantry-isp-") as folder:
        file = Path(folder) / "manifest.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(manifest), encoding="utf-8")
        words = ("up", isp_id, "--file", str(file), "--correlation-id", correlation)
        answer = await answer_to(*words, command=COMMAND, patience=_GRACES * grace)
    if answer.code == 0 and answer.document.get("type") == "result":
        return _result(isp_id, answer.document)
    raise _failed(isp_id, answer, correlation)


async def validate_container_health(container_id: str) -> ContainerHealth:
    """Uses each part of the ISP once, as its users do. Changes nothing.

    Raises NotFoundError where there is no such ISP, InputError where it is not so far that it could be checked, and
    EngineError where that could not be found out, in the time that HEALTH_CHECK_TIMEOUT gives too.
    """
    if not SLUG_PATTERN.fullmatch(container_id):
        raise NotFoundError(f"there is no ISP {container_id!r}", hint="name it as when it was provisioned")
    limit = load_settings().health_limit
    try:
        async with asyncio.timeout(limit.seconds):
            answer = await answer_to("health", container_id, command=COMMAND)
    except TimeoutError:
        raise EngineError(
            f"the health of '{container_id}' was not known within {limit.seconds:g} s ({limit.variable})",
            hint="look whether its servers answer, or raise the limit",
        ) from None
    if answer.document.get("type") != "health":
        raise _unknown(container_id, answer)
    parts = {one["part"]: PartHealth(**one) for one in answer.document["parts"]}
    if _PARTS[0] not in parts:
        raise InputError(f"'{container_id}' is no ISP", hint=f"`tenantry health {container_id}` checks other tenants")
    return ContainerHealth(
        container_id=container_id,
        overall=bool(answer.document["healthy"]),
        checked_at=datetime.fromisoformat(answer.document["checked_at"]),
        **{name: parts.get(name) for name in _PARTS},
    )


def _manifest(isp_id: str, customers: int, config: ISPConfig, own: ResourceRequirements | None) -> dict[str, Any]:
    settings = dict(config.custom_settings)
    if own is not None:
        amounts = {name: getattr(own, name) for name in Resources.model_fields}
        settings["resources"] = {str(Resources.model_fields[name].alias): amounts[name] for name in amounts}
    given = {
        "kind": "isp",
        "slug": isp_id,
        "name": config.tenant_name,
        "customerCount": customers,
        "planType": config.plan_type,
        "features": list(config.features),
        "region": config.region,
        "adminEmail": config.admin_email,
        "templateId": config.template_id,
        "templateVersion": config.template_version,
        "customSettings": settings,
        "enableRollback": config.enable_rollback,
    }
    return {key: value for key, value in given.items() if value is not None}


def _validated(isp_id: str, manifest: Mapping[str, Any]) -> float:
    """Seconds that an engine has to stop. Raises ProvisioningError for what is wrong of the values or of what is
    configured; what only its template and its region can tell is found by the command itself, as early.
    """
    try:
        settings = load_settings()
        settings.run_environment()
        manifests.parsed(manifest, isp_id)
    except TenantryError as error:
        raise ProvisioningError(
            error.message, rollback_completed=True, hint=error.hint, problems=getattr(error, "problems", ())
        ) from None
    return settings.cancel_grace


def _result(isp_id: str, document: Mapping[str, Any]) -> ProvisioningResult:
    outputs = document["outputs"]
    return ProvisioningResult(
        success=True,
        endpoint_url=str(outputs["url"]),
        deployment_duration=document["duration_ms"] / 1000,
        error_message=None,
        container_id=isp_id,
        resources=ResourceRequirements(
            cpu_cores=float(outputs["cpuCores"]),
            memory_gb=float(outputs["memoryGb"]),
            storage_gb=float(outputs["storageGb"]),
            max_connections=int(outputs["maxConnections"]),
        ),
        changed=bool(document["changed"]),
        deployment_id=str(document["deployment"]),
        correlation_id=str(document["correlation_id"]),
    )


def _failed(isp_id: str, answer: Answer, correlation: str) -> ProvisioningError:
    error, document = answer.error, answer.document
    if not error:
        return ProvisioningError(
            f"isp '{isp_id}': the process that provisioned it ended without an answer (exit code {answer.code})",
            hint=f"`tenantry show {isp_id}` says how far it came; another call continues from there",
            rollback_completed=False,
            correlation_id=correlation,
        )
    problems = (error.get("details") or {}).get("problems") or ()
    return ProvisioningError(
        str(error["message"]),
        hint=str(error.get("hint") or ""),
        rollback_completed=_nothing_left(answer),
        leftovers=document.get("leftovers") or (),
        problems=[(one["field"], one["given"], one["message"]) for one in problems],
        correlation_id=str(document.get("correlation_id") or correlation),
    )


def _nothing_left(answer: Answer) -> bool:
    """Whether the run is undone, or has not begun with anything."""
    if answer.document.get("type") != "result":
        return answer.error.get("exit_code") in _UNTOUCHED
    if answer.document["status"] == DeploymentStatus.ROLLED_BACK:
        return True
    return all(one["status"] in _NOT_BEGUN for one in answer.document["steps"] if one["key"] in _MAKING)


def _unknown(container_id: str, answer: Answer) -> TenantryError:
    error = answer.error
    if not error:
        return EngineError(f"the health of '{container_id}' could not be asked for: its process said nothing")
    kinds: dict[object, type[TenantryError]] = {NotFoundError.kind: NotFoundError, InputError.kind: InputError}
    kind = kinds.get(error.get("kind"), EngineError)
    return kind(str(error["message"]), hint=str(error.get("hint") or ""))
