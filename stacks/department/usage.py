"""What of a department's data ages, and what a department uses, for its purge and its cost; and where it is.

Reads no more than the file of backends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.backends import parts_of
from providers.caddy.probe import public_url
from providers.errors import ConfigurationError
from providers.names import department_identifier
from providers.retention import Retained, parse
from stacks.department.manifest import DepartmentManifest
from stacks.department.settings import DepartmentSettings
from stacks.department.workflows import counted
from stacks.pricing import Sizing
from stacks.resolve import ResolvedManifest


def retained(resolved: ResolvedManifest[DepartmentManifest], mark: str) -> Retained:
    """Where a department's data is, and how long it is kept."""
    return Retained(
        region=resolved.manifest.region,
        schema=department_identifier(resolved.slug),
        tenant_mark=mark,
        retention=parse(resolved.settings["dataRetention"]),
    )


def counted_runs(resolved: ResolvedManifest[DepartmentManifest]) -> dict[str, bool]:
    """Of each workflow, whether its runs are counted: a template's own nodes do that, or nobody does."""
    return counted(resolved.settings)


def address(manifest: Mapping[str, Any] | None) -> str | None:
    """Where a department of that manifest is reached; None where its region is not known here."""
    try:
        gateway = parts_of(str(manifest["region"])).gateway if manifest else None
    except (ConfigurationError, KeyError):
        return None
    return public_url(gateway, f"{manifest['slug']}.{gateway.domain}") if gateway and manifest else None


def sizing(resolved: ResolvedManifest[DepartmentManifest]) -> Sizing:
    """What a department may use, and how often its workflows are expected to run, if it has any."""
    size = DepartmentSettings.model_validate(resolved.settings).size
    return Sizing(
        cpu=size.cpu,
        memory_mb=size.memory_mb,
        storage_mb=size.storage_mb,
        connections=size.connections,
        runs_per_month=size.workflow_runs_per_month if resolved.manifest.workflows else 0,
    )
