"""What a department's workflows are made from, before it is known what its database is called.

Decides how the database of the department becomes n8n's credential for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.tenant_schema import TenantSchema
from components.workflows import CredentialArgs, WorkflowArgs
from providers.backends import database_of, secret

_SSL = {"disable": "disable", "require": "require", "verify-ca": "require", "verify-full": "require"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialPlan:
    """`data` has no secret; `secrets` names, by field, the variables that hold them."""

    slot: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    own_database: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPlan:
    """One workflow of a department: its n8n definition, and the credentials that its nodes use.

    `version` is its template's.
    """

    key: str
    version: str
    definition: Mapping[str, Any]
    credentials: Sequence[CredentialPlan] = ()


def workflow_args(plans: Sequence[WorkflowPlan], database: TenantSchema, region: str) -> list[WorkflowArgs]:
    """The component's arguments. Raises ConfigurationError for a variable that is not set."""
    return [
        WorkflowArgs(
            key=plan.key,
            definition=plan.definition,
            credentials={one.slot: _credential(one, database, region) for one in plan.credentials},
        )
        for plan in plans
    ]


def _credential(plan: CredentialPlan, database: TenantSchema, region: str) -> CredentialArgs:
    if not plan.own_database:
        secrets = {name: pulumi.Output.secret(secret(variable, lines=True)) for name, variable in plan.secrets.items()}
        return CredentialArgs(type=plan.type, data={**plan.data, **secrets})
    return CredentialArgs(
        type=plan.type,
        data={
            "host": database.host,
            "port": database.port,
            "database": database.database,
            "user": database.role,
            "password": database.password,
            "ssl": _SSL.get(database_of(region).sslmode, "allow"),
        },
    )
