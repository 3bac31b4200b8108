"""Engine events in the JSON that the Automation API and `--event-log` readers know (sdk/go/common/apitype/events.go).

Builders only: each returns a dict without `sequence` and `timestamp`. Secrets are masked here, once, for every reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.diff import PropertyDiff
from engine.policy import Remediation, Violation
from engine.resource import PropertyMap, State, StepOp, masked

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInfo:
    """What the events tell of one step."""

    op: StepOp
    urn: str
    type: str
    provider: str = ""
    old: State | None = None
    new: State | None = None
    keys: Sequence[str] = ()
    diffs: Sequence[str] = ()
    detailed_diff: Mapping[str, PropertyDiff] | None = None
    logical: bool = True


def prelude(config: Mapping[str, str], secret_keys: frozenset[str]) -> Event:
    shown = {k: "[secret]" if k in secret_keys else v for k, v in config.items()}
    return {"preludeEvent": {"config": shown}}


def resource_pre(step: StepInfo, *, planning: bool) -> Event:
    return {"resourcePreEvent": {"metadata": _metadata(step), "planning": planning}}


def resource_outputs(step: StepInfo, *, planning: bool) -> Event:
    return {"resOutputsEvent": {"metadata": _metadata(step), "planning": planning}}


def resource_failed(step: StepInfo, steps: int) -> Event:
    return {"resOpFailedEvent": {"metadata": _metadata(step), "status": 0, "steps": steps}}


def diagnostic(severity: str, message: str, urn: str = "", *, stream: int = 0, ephemeral: bool = False) -> Event:
    """A message for the reader; `severity` is debug, info, info#err, warning or error."""
    prefix = f"{severity}: " if severity in ("error", "warning", "debug") else ""
    body: dict[str, Any] = {
        "prefix": prefix,
        "message": message if message.endswith("\n") else message + "\n",
        "color": "raw",
        "severity": severity,
    }
    if urn:
        body["urn"] = urn
    if stream:
        body["streamID"] = stream
    if ephemeral:
        body["ephemeral"] = True
    return {"diagnosticEvent": body}


def summary(
    changes: Mapping[str, int], seconds: float, *, preview: bool, policy_packs: Mapping[str, str] | None = None
) -> Event:
    """The last word on an operation. The odd spelling of PolicyPacks is the one that readers know."""
    return {
        "summaryEvent": {
            "maybeCorrupt": False,
            "durationSeconds": round(seconds),
            "resourceChanges": dict(changes),
            "PolicyPacks": dict(policy_packs or {}),
            "isPreview": preview,
        }
    }


def policy_violation(urn: str, violation: Violation) -> Event:
    """A policy's word; its message must hold no secret."""
    body = {
        "resourceUrn": urn,
        "message": violation.message + "\n",
        "color": "raw",
        "policyName": violation.policy,
        "policyPackName": violation.pack,
        "policyPackVersion": violation.version,
        "policyPackVersionTag": violation.version,
        "enforcementLevel": violation.level.value,
    }
    return {"policyEvent": {key: value for key, value in body.items() if value or key != "resourceUrn"}}


def policy_remediation(urn: str, remediation: Remediation, before: PropertyMap) -> Event:
    return {
        "policyRemediationEvent": {
            "resourceUrn": urn,
            "color": "raw",
            "policyName": remediation.policy,
            "policyPackName": remediation.pack,
            "policyPackVersion": remediation.version,
            "policyPackVersionTag": remediation.version,
            "before": masked(before),
            "after": masked(remediation.properties or {}),
        }
    }


def cancel() -> Event:
    """The last event of every operation, whether it was cancelled or not."""
    return {"cancelEvent": {}}


def _metadata(step: StepInfo) -> dict[str, Any]:
    body: dict[str, Any] = {
        "op": step.op.value,
        "urn": step.urn,
        "type": step.type,
        "old": _state(step.old),
        "new": _state(step.new),
        "detailedDiff": None,
        "provider": step.provider,
    }
    if step.keys:
        body["keys"] = list(step.keys)
    if step.diffs:
        body["diffs"] = list(step.diffs)
    if step.detailed_diff is not None:
        body["detailedDiff"] = {
            path: {"diffKind": diff.kind.value, "inputDiff": diff.input_diff}
            for path, diff in step.detailed_diff.items()
        }
    if step.logical:
        body["logical"] = True
    return body


def _state(state: State | None) -> dict[str, Any] | None:
    if state is None:
        return None
    body: dict[str, Any] = {
        "type": state.type,
        "urn": state.urn,
        "id": state.id,
        "parent": state.parent,
        "provider": state.provider,
        "inputs": masked(state.inputs),
        "outputs": masked(state.outputs),
    }
    marks = {
        "custom": state.custom,
        "delete": state.delete,
        "protect": state.protect,
        "retainOnDelete": state.retain_on_delete,
        "initErrors": state.init_errors,
        "taint": state.taint,
    }
    body.update({key: value for key, value in marks.items() if value})
    return body
