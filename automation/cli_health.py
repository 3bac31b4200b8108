"""`tenantry health`: a row per part of a tenant, and an exit code for scripts."""

from __future__ import annotations

from automation.cli_support import Output, context_for, print_table
from automation.errors import UnhealthyError


def show_health(output: Output, tenant: str) -> None:
    """Prints the report. Raises UnhealthyError where a part does not work."""
    from automation.health import health

    report = health(context_for(output), tenant)
    if output.as_json:
        output.document({"type": "health", **report.to_dict()})
    else:
        rows = ((one.part, "ok" if one.ok else "broken", f"{one.duration_ms} ms", one.detail) for one in report.parts)
        print_table(output, ("PART", "STATE", "TIME", "SEEN"), rows)
    if not report.healthy:
        broken = ", ".join(one.part for one in report.parts if not one.ok)
        raise UnhealthyError(
            f"'{tenant}' does not work in part: {broken}",
            hint=f"its next `up` repairs what has drifted: `tenantry up {tenant}`, or POST /api/v1/tenants/{tenant}/up",
        )
