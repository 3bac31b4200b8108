"""Operations on tenants: what runs, who may run it, what happened, and what is undone when it fails.

Reaches Pulumi only through the Automation API; never decides what a tenant consists of (that is `stacks`).
"""

from __future__ import annotations


def version() -> str:
    """The installed version of Tenantry, or `0+source` when it runs from a source tree that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("tenantry")
    except metadata.PackageNotFoundError:
        return "0+source"
