"""A department's workflows in n8n: its tag, the credentials that they use, and the workflows themselves.

Decides the order: the tag first, since it takes all that bears its mark along when it goes; then credentials; then the
workflows, side by side. The webhooks' own key is made here, where a definition asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.step import StepComponent
from providers.n8n.credential import N8nCredential
from providers.n8n.naming import WEBHOOK_KEY, credential_key
from providers.n8n.tag import N8nTag
from providers.n8n.workflow import N8nWorkflow
from providers.password import Password

KEY_HEADER = "X-Webhook-Key"
"""The header in which callers of a department's webhooks give its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialArgs:
    """`type` is n8n's own word, such as `smtp`; `data` is kept as a secret."""

    type: str
    data: Mapping[str, pulumi.Input[Any]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowArgs:
    """`key` names the workflow among the tenant's. `definition` has nodes, connections and settings, in which a node's
    credential is the name of a slot: one of `credentials`, or `webhook`, the department's own key."""

    key: str
    definition: Mapping[str, Any]
    credentials: Mapping[str, CredentialArgs] = field(default_factory=dict)


class Workflows(StepComponent):
    """By key: `ids`, `webhook_urls` (of each workflow's first webhook), `health_urls`. `webhook_key` is a secret, and
    None where no webhook asks for it. `ready` stands for all of them."""

    def __init__(
        self,
        name: str,
        *,
        workflows: Sequence[WorkflowArgs],
        region: str,
        tenant_mark: str,
        tenant: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        for workflow in workflows:
            _check_slots(workflow)
        super().__init__("tenantry:department:Workflows", name, tenant=tenant, after=after)
        self._where = {"region": region, "tenant_mark": tenant_mark}
        self.anchor: pulumi.Resource = N8nTag(name, **self._where, opts=self.child_options())
        self.ready: pulumi.Resource = self
        self.webhook_key: pulumi.Output[str] | None = None
        shared = self._webhook_key(name) if any(WEBHOOK_KEY in _slots(each) for each in workflows) else None
        self.ids: dict[str, pulumi.Output[str]] = {}
        self.webhook_urls: dict[str, pulumi.Output[str]] = {}
        self.health_urls: dict[str, pulumi.Output[str]] = {}
        for workflow in workflows:
            used = self._credentials(name, workflow)
            if shared is not None and WEBHOOK_KEY in _slots(workflow):
                used.append(shared)
            made = N8nWorkflow(
                f"{name}-{workflow.key}",
                **self._where,
                key=workflow.key,
                definition=workflow.definition,
                opts=self.child_options(self.anchor, *used),
            )
            self.ids[workflow.key] = made.id
            self.webhook_urls[workflow.key] = pulumi.Output.all(made.webhook_urls, made.health_url).apply(_first)
            self.health_urls[workflow.key] = made.health_url
        self.register_outputs({"ids": self.ids, "webhook_urls": self.webhook_urls, "health_urls": self.health_urls})

    def _credentials(self, name: str, workflow: WorkflowArgs) -> list[pulumi.Resource]:
        return [
            N8nCredential(
                f"{name}-{workflow.key}-{slot}",
                **self._where,
                key=credential_key(workflow.key, slot),
                type_=given.type,
                data=given.data,
                opts=self.child_options(self.anchor),
            )
            for slot, given in workflow.credentials.items()
        ]

    def _webhook_key(self, name: str) -> pulumi.Resource:
        generated = Password(f"{name}-webhook", owner=self._where["tenant_mark"], opts=self.child_options(self.anchor))
        self.webhook_key = generated.value
        return N8nCredential(
            f"{name}-webhook",
            **self._where,
            key=WEBHOOK_KEY,
            type_="httpHeaderAuth",
            data={"name": KEY_HEADER, "value": generated.value},
            opts=self.child_options(self.anchor),
        )


def _first(urls: Sequence[Any]) -> str:
    """The first webhook's address; that of the workflow's health, where it has none of its own."""
    own, health = urls
    return str(own[0] if own else health)


def _slots(workflow: WorkflowArgs) -> set[str]:
    nodes = workflow.definition.get("nodes") or ()
    return {str(slot) for node in nodes for slot in (node.get("credentials") or {}).values()}


def _check_slots(workflow: WorkflowArgs) -> None:
    """Raises ValueError for a slot that nobody fills, and for a credential that no node uses."""
    used, given = _slots(workflow), set(workflow.credentials)
    if WEBHOOK_KEY in given:
        raise ValueError(f"workflow {workflow.key!r}: the credential {WEBHOOK_KEY!r} is made here: do not give it")
    if missing := sorted(used - given - {WEBHOOK_KEY}):
        raise ValueError(f"workflow {workflow.key!r}: its nodes use the credential {', '.join(missing)}: give it")
    if unused := sorted(given - used):
        raise ValueError(f"workflow {workflow.key!r}: no node uses the credential {', '.join(unused)}: leave it out")
