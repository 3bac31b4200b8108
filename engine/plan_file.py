"""A plan as a file: the stock engine's DeploymentPlanV1 JSON, its secrets encrypted as the stack's are. No files here.

    {"manifest": ..., "config": {...}, "resourcePlans": {URN: {"goal": ..., "steps": [...], "state": ..., "seed": ...}}}

`state` holds the outputs that a component or the stack registered, for the reader only; `seed` is base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from engine.checkpoint import Cipher, Codec, manifest
from engine.errors import SecretsError, StateError
from engine.plan import GoalPlan, Plan, PlanDiff, ResourcePlan, alias_fields
from engine.resource import AliasSpec, StepOp, Timeouts

#: (JSON name, GoalPlan attribute), of what is the same in both.
_PLAIN: Final = (
    ("parent", "parent"),
    ("dependencies", "dependencies"),
    ("provider", "provider"),
    ("propertyDependencies", "property_dependencies"),
    ("ignoreChanges", "ignore_changes"),
    ("additionalSecretOutputs", "additional_secret_outputs"),
    ("aliases", "alias_urns"),
    ("id", "import_id"),
)
_TIMEOUTS: Final = ("create", "update", "delete", "read")


def plan_to_dict(plan: Plan, config: Mapping[str, Any], cipher: Cipher) -> dict[str, Any]:
    """The plan as plain data; `config` is the stack's configuration as it is stored, secrets encrypted."""
    codec = Codec(cipher)
    body: dict[str, Any] = {"manifest": manifest()}
    if config:
        body["config"] = dict(config)
    if plan.resources:
        body["resourcePlans"] = {urn: _resource_to_dict(urn, r, codec) for urn, r in sorted(plan.resources.items())}
    return body


def _resource_to_dict(urn: str, planned: ResourcePlan, codec: Codec) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if planned.goal is not None:
        body["goal"] = _goal_to_dict(urn, planned.goal, codec)
    if planned.steps:
        body["steps"] = [op.value for op in planned.steps]
    body["state"] = None if planned.outputs is None else codec.value_to_json(planned.outputs, (urn, "state"))
    if planned.seed:
        body["seed"] = base64.b64encode(planned.seed).decode("ascii")
    return body


def _goal_to_dict(urn: str, goal: GoalPlan, codec: Codec) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": goal.type,
        "name": goal.name,
        "custom": goal.custom,
        "inputDiff": _diff_to_dict(goal.input_diff, codec, (urn, "inputDiff")),
        "outputDiff": _diff_to_dict(goal.output_diff, codec, (urn, "outputDiff")),
        "protect": goal.protect,
    }
    for name, attribute in _PLAIN:
        value = getattr(goal, attribute)
        if value:
            body[name] = dict(value) if isinstance(value, Mapping) else value if isinstance(value, str) else list(value)
    if goal.delete_before_replace is not None:
        body["deleteBeforeReplace"] = goal.delete_before_replace
    if goal.alias_specs:
        body["structuredAliases"] = [alias_fields(spec) for spec in goal.alias_specs]
    timeouts = {name: getattr(goal.custom_timeouts, name) for name in _TIMEOUTS}
    body["customTimeouts"] = {name: value for name, value in timeouts.items() if value}
    return body


def _diff_to_dict(diff: PlanDiff, codec: Codec, place: tuple[str, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if diff.adds:
        body["adds"] = codec.value_to_json(diff.adds, (*place, "adds"))
    if diff.deletes:
        body["deletes"] = list(diff.deletes)
    if diff.updates:
        body["updates"] = codec.value_to_json(diff.updates, (*place, "updates"))
    return body


# ------------------------------------------------------------------ reading


def plan_from_dict(body: object, cipher: Cipher, name: str) -> Plan:
    """The plan in a file's data; `name` is the file's, for messages. Raises StateError and SecretsError."""
    resources: Any = body.get("resourcePlans", {}) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or "manifest" not in body or not isinstance(resources, Mapping):
        raise StateError(f"{name} is not an update plan. Make one with `pulumi preview --save-plan {name}`")
    codec = Codec(cipher)
    try:
        return Plan(resources={urn: _resource_from_dict(urn, r, codec) for urn, r in resources.items()})
    except SecretsError as error:
        raise SecretsError(
            f"the plan {name} cannot be decrypted: it was made for another stack or with another passphrase ({error})"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise StateError(
            f"the update plan {name} is damaged ({type(error).__name__}: {error}). Make it again with "
            f"`pulumi preview --save-plan {name}`"
        ) from error


def _resource_from_dict(urn: str, body: Mapping[str, Any], codec: Codec) -> ResourcePlan:
    goal, outputs = body.get("goal"), body.get("state")
    return ResourcePlan(
        goal=_goal_from_dict(urn, goal, codec) if goal is not None else None,
        steps=[StepOp(op) for op in body.get("steps") or ()],
        outputs=codec.value_from_json(outputs, (urn, "state")) if outputs is not None else None,
        seed=base64.b64decode(body.get("seed") or "", validate=True),
    )


def _goal_from_dict(urn: str, body: Mapping[str, Any], codec: Codec) -> GoalPlan:
    timeouts = body.get("customTimeouts") or {}
    return GoalPlan(
        type=body["type"],
        name=body["name"],
        custom=bool(body["custom"]),
        input_diff=_diff_from_dict(body.get("inputDiff") or {}, codec, (urn, "inputDiff")),
        output_diff=_diff_from_dict(body.get("outputDiff") or {}, codec, (urn, "outputDiff")),
        protect=bool(body.get("protect")),
        delete_before_replace=body.get("deleteBeforeReplace"),
        alias_specs=[_alias_from_dict(alias) for alias in body.get("structuredAliases") or ()],
        custom_timeouts=Timeouts(**{name: timeouts[name] for name in _TIMEOUTS if name in timeouts}),
        **{attribute: body[name] for name, attribute in _PLAIN if body.get(name)},
    )


def _alias_from_dict(body: Mapping[str, Any]) -> AliasSpec:
    # The stock engine writes Go's names of the fields where it has no others.
    known = {key.lower(): value for key, value in body.items()}
    return AliasSpec(
        name=known.get("name") or "",
        type=known.get("type") or "",
        stack=known.get("stack") or "",
        project=known.get("project") or "",
        parent_urn=known.get("parent") or "",
        no_parent=bool(known.get("noparent")),
    )


def _diff_from_dict(body: Mapping[str, Any], codec: Codec, place: tuple[str, ...]) -> PlanDiff:
    return PlanDiff(
        adds=codec.value_from_json(body.get("adds") or {}, (*place, "adds")),
        deletes=tuple(body.get("deletes") or ()),
        updates=codec.value_from_json(body.get("updates") or {}, (*place, "updates")),
    )
