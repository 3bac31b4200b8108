"""What the component of every line's tenant has: the stack's outputs.

Decides nothing about what a tenant is made of.
"""

from __future__ import annotations

from typing import Any

import pulumi


class Tenant(pulumi.ComponentResource):
    """One tenant. `outputs` are the stack's outputs."""

    outputs: dict[str, Any]
