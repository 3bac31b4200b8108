"""`tenantry health`: whether each part of a tenant works now, by the checks that its provisioning ended with.

Decides where their inputs are: in the tenant's own state, so that no other place has to know its secrets. It takes no
lock and changes nothing.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from automation.errors import InputError, NotFoundError
from automation.redaction import SIGNATURE

if TYPE_CHECKING:
    from automation.run import Context
    from providers.health.run import Checked

CHECKED_TYPES = {
    "pulumi-python:dynamic/tenantry:DepartmentHealth": "providers.department_health",
    "pulumi-python:dynamic/tenantry:IspHealth": "providers.isp_health",
}
"""The resources whose inputs say what there is to check, and the modules that know their checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Whether each part of a tenant works, and when that was asked."""

    tenant: str
    parts: tuple[Checked, ...]
    checked_at: datetime

    @property
    def healthy(self) -> bool:
        """Whether all parts work."""
        return all(one.ok for one in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe. Durations are in milliseconds."""
        names = ("part", "ok", "detail", "duration_ms")
        return {
            "tenant": self.tenant,
            "healthy": self.healthy,
            "parts": [{name: getattr(one, name) for name in names} for one in self.parts],
            "checked_at": self.checked_at.isoformat(),
        }


def health(context: Context, tenant: str) -> HealthReport:
    """Checks each part once. Raises NotFoundError without a stack, InputError for a tenant that has no such checks."""
    from providers.errors import ConfigurationError
    from providers.health.run import check

    module, inputs = _inputs(context, tenant)
    try:
        checks = importlib.import_module(module).checks_of(inputs)
    except ConfigurationError as error:
        raise InputError(f"the health of '{tenant}' cannot be checked: {error}") from None
    return HealthReport(tenant=tenant, parts=tuple(check(checks)), checked_at=datetime.now(UTC))


def _inputs(context: Context, tenant: str) -> tuple[str, Mapping[str, Any]]:
    """The module with the checks, and what they need to know."""
    with context.stacks(context.settings, tenant, context.choice) as stack:
        if not stack.exists():
            raise NotFoundError(f"there is no stack of '{tenant}'", hint="`tenantry list` shows the tenants there are")
        resources = stack.export().get("resources", [])
    for resource in resources:
        if (module := CHECKED_TYPES.get(str(resource.get("type")))) is not None:
            return module, revealed(resource.get("inputs") or {})
    raise InputError(
        f"'{tenant}' has no parts that could be checked: it is not that far yet, or its line has no checks",
        hint=f"`tenantry show {tenant}` says how far it is",
    )


def revealed(value: Any) -> Any:
    """An exported value with its secrets as they are. For use and never for showing."""
    if isinstance(value, Mapping):
        if SIGNATURE in value and isinstance(value.get("plaintext"), str):
            return revealed(json.loads(value["plaintext"]))
        return {key: revealed(child) for key, child in value.items()}
    if isinstance(value, list):
        return [revealed(child) for child in value]
    return value
