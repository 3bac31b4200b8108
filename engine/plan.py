"""An update plan: what a preview promised for each resource, and whether what is about to be done keeps to it. Pure.

A plan constrains, it does not prescribe: an unknown value in it accepts any value, a step may be one of less impact
(same instead of update, update instead of replace), and what has been reached already is no violation. Options have to
be the same. The words are the stock engine's, but for secrets, which it prints and this does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.go_text import go_text
from engine.resource import (
    UNKNOWN,
    UNKNOWN_SENTINEL,
    AliasSpec,
    Goal,
    PropertyMap,
    Secret,
    State,
    StepOp,
    Timeouts,
    contains_secret,
    same_values,
    split_provider_ref,
)

_LONG: Final = 400
_MASK: Final = "{&{[secret]}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """What a preview saw change in a set of properties; unknown values are in it as UNKNOWN."""

    adds: PropertyMap = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    updates: PropertyMap = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class GoalPlan:
    """What a preview saw registered. `output_diff` comes later, with a component's or the stack's outputs."""

    type: str
    name: str
    custom: bool
    input_diff: PlanDiff = field(default_factory=PlanDiff)
    output_diff: PlanDiff = field(default_factory=PlanDiff)
    parent: str = ""
    protect: bool = False
    dependencies: Sequence[str] = ()
    provider: str = ""
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    delete_before_replace: bool | None = None
    ignore_changes: Sequence[str] = ()
    additional_secret_outputs: Sequence[str] = ()
    alias_urns: Sequence[str] = ()
    alias_specs: Sequence[AliasSpec] = ()
    import_id: str = ""
    custom_timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(slots=True, kw_only=True)
class ResourcePlan:
    """One resource's part of a plan; without a goal, it was not registered. `seed` makes names come out the same."""

    goal: GoalPlan | None = None
    steps: list[StepOp] = field(default_factory=list)
    outputs: PropertyMap | None = None
    seed: bytes = b""


@dataclass(slots=True, kw_only=True)
class Plan:
    """A preview's promise, by URN."""

    resources: dict[str, ResourcePlan] = field(default_factory=dict)


def goal_plan(goal: Goal, input_diff: PlanDiff) -> GoalPlan:
    """What a plan keeps of a registration."""
    return GoalPlan(
        type=goal.type,
        name=goal.name,
        custom=goal.custom,
        input_diff=input_diff,
        parent=goal.parent,
        protect=bool(goal.protect),
        dependencies=list(goal.dependencies),
        provider=goal.provider,
        property_dependencies=dict(goal.property_dependencies),
        delete_before_replace=goal.delete_before_replace,
        ignore_changes=list(goal.ignore_changes),
        additional_secret_outputs=list(goal.additional_secret_outputs),
        alias_urns=list(goal.alias_urns),
        alias_specs=list(goal.alias_specs),
        import_id=goal.import_id,
        custom_timeouts=goal.custom_timeouts,
    )


def unchanged_plan(old: State, goal: Goal) -> GoalPlan:
    """The promise of a plan that does not know a resource: it stays as it is in the state."""
    kept = goal_plan(goal, PlanDiff())
    kept.custom, kept.parent, kept.protect, kept.provider = old.custom, old.parent, old.protect, old.provider
    kept.dependencies, kept.property_dependencies = old.dependencies, old.property_dependencies
    kept.additional_secret_outputs, kept.custom_timeouts = old.additional_secret_outputs, old.custom_timeouts
    return kept


# ------------------------------------------------------------------ properties


def plan_diff(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> PlanDiff:
    """How `new` differs from `old`, property by property at the top level. A null is as good as nothing."""
    before, after = _valued(old or {}), _valued(new)
    return PlanDiff(
        adds={k: v for k, v in after.items() if k not in before},
        deletes=tuple(sorted(k for k in before if k not in after)),
        updates={k: v for k, v in after.items() if k in before and not same_values(before[k], v)},
    )


def _valued(properties: Mapping[str, Any]) -> PropertyMap:
    return {k: v for k, v in properties.items() if v is not None}


def accepts(expected: Any, actual: Any) -> bool:
    """Whether a value is what the plan says; unknown values accept anything, in a map also nothing."""
    if expected is UNKNOWN:
        return True
    if isinstance(expected, Secret):
        return accepts(expected.value, actual)
    if isinstance(actual, Secret):
        return accepts(expected, actual.value)
    if isinstance(expected, dict) and isinstance(actual, dict):
        return actual.keys() <= expected.keys() and all(
            accepts(v, actual[k]) if k in actual else v is UNKNOWN for k, v in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(accepts, expected, actual))
    return same_values(expected, actual)


def property_violations(old: Mapping[str, Any] | None, new: Mapping[str, Any], planned: PlanDiff) -> list[str]:
    """What differs from the plan, as `<planned><actual>name[value]` with `+` add, `~` update, `-` delete, `=` same."""
    actual = plan_diff(old, new)
    values = _valued(new)
    found: list[str] = []
    for key, value in actual.adds.items():
        if key not in planned.adds or not accepts(planned.adds[key], value):
            found.append(_violation(planned, key, "+", value))
    # What was planned as an update to an unknown value may have come out as nothing.
    gone = (k for k in actual.deletes if k not in planned.deletes and planned.updates.get(k) is not UNKNOWN)
    found.extend(_violation(planned, key, "-") for key in gone)
    for key, value in actual.updates.items():
        expected = planned.updates.get(key, planned.adds.get(key, _NOTHING))
        if expected is _NOTHING or not accepts(expected, value):
            found.append(_violation(planned, key, "~", value))
    found += _broken_promises(actual, values, planned)
    return sorted(set(found))


_NOTHING: Final = object()


def _broken_promises(actual: PlanDiff, values: Mapping[str, Any], planned: PlanDiff) -> list[str]:
    """Changes that the plan holds and that do not come."""
    found: list[str] = []
    for key, expected in {**planned.adds, **planned.updates}.items():
        if key in actual.updates or (key in actual.adds and key in planned.adds):
            continue  # compared above
        if key in actual.adds:
            found.append(_violation(planned, key, "+", values[key]))
        elif key not in values:
            if expected is not UNKNOWN:
                found.append(_violation(planned, key, "-"))
        elif not accepts(expected, values[key]):
            found.append(_violation(planned, key, "=", values[key]))
    for key in planned.deletes:
        if key in values:
            op = "+" if key in actual.adds else "~" if key in actual.updates else "="
            found.append(_violation(planned, key, op, values[key]))
    return found


def _violation(planned: PlanDiff, key: str, op: str, value: Any = _NOTHING) -> str:
    expected = planned.adds.get(key, planned.updates.get(key, _NOTHING))
    if key in planned.adds:
        promised = "+"
    elif key in planned.updates:
        promised = "~"
    else:
        promised = "-" if key in planned.deletes else "="
    shown = [v for v in (expected, value) if v is not _NOTHING]
    # A value that is secret on one side is on the other, too, whatever the program calls it.
    hidden = any(map(contains_secret, shown))
    text = "!=".join(_MASK if hidden else _short(go_text(v)) for v in shown)
    return f"{promised}{op}{key}" + (f"[{text}]" if shown else "")


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}... ({len(text)} characters)"


# ------------------------------------------------------------------ the whole of a resource


def goal_violation(
    planned: GoalPlan | None, goal: Goal, old_inputs: Mapping[str, Any] | None, inputs: Mapping[str, Any]
) -> str:
    """How a registration breaks its plan, the first thing found; empty where it does not."""
    if planned is None:
        return "resource unexpectedly not deleted"
    if planned.custom != goal.custom:
        return f"resource kind changed (expected {'custom' if planned.custom else 'component'})"
    if _provider_changed(planned.provider, goal.provider):
        return f"provider changed (expected {planned.provider})"
    plain: tuple[tuple[str, Any, Any], ...] = (
        ("parent", planned.parent, goal.parent),
        ("protect", planned.protect, bool(goal.protect)),
        ("deleteBeforeReplace", planned.delete_before_replace, goal.delete_before_replace),
        ("importID", planned.import_id, goal.import_id),
        ("create timeout", planned.custom_timeouts.create, goal.custom_timeouts.create),
        ("update timeout", planned.custom_timeouts.update, goal.custom_timeouts.update),
        ("delete timeout", planned.custom_timeouts.delete, goal.custom_timeouts.delete),
    )
    for what, expected, actual in plain:
        if expected != actual:
            return f"{what} changed (expected {_expected(expected)})"
    return _set_violation(planned, goal) or _input_violation(planned, goal, old_inputs, inputs)


def _set_violation(planned: GoalPlan, goal: Goal) -> str:
    sets: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("ignoreChanges", planned.ignore_changes, goal.ignore_changes),
        ("additionalSecretOutputs", planned.additional_secret_outputs, goal.additional_secret_outputs),
        ("aliases", _aliases(planned.alias_urns, planned.alias_specs), _aliases(goal.alias_urns, goal.alias_specs)),
        ("dependencies", planned.dependencies, goal.dependencies),
    )
    for what, expected, actual in sets:
        message = _set_difference(expected, actual)
        if message:
            return f"{what} changed: {message}"
    return ""


def _input_violation(
    planned: GoalPlan, goal: Goal, old_inputs: Mapping[str, Any] | None, inputs: Mapping[str, Any]
) -> str:
    changes = property_violations(old_inputs, inputs, planned.input_diff)
    if changes:
        return f"properties changed: {', '.join(changes)}"
    for key, urns in planned.property_dependencies.items():
        # A property that was unknown in the plan may have come out as nothing, and then has no dependencies.
        message = _set_difference(urns, goal.property_dependencies.get(key, urns))
        if message:
            return f"dependencies for {key} changed: {message}"
    return ""


def _provider_changed(expected: str, actual: str) -> bool:
    """Whether another provider is used; the id of one that was still to be created could not be promised."""
    if expected == actual:
        return False
    if not expected or not actual:
        return True
    expected_urn, expected_id = split_provider_ref(expected)
    return expected_urn != split_provider_ref(actual)[0] or expected_id != UNKNOWN_SENTINEL


def _expected(value: Any) -> str:
    if value is None:
        return "no value"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _aliases(urns: Iterable[str], specs: Iterable[AliasSpec]) -> list[str]:
    named = [
        ", ".join(f"{k} {v}" for k, v in alias_fields(spec).items() if k != "noParent")
        + (" without a parent" if spec.no_parent else "")
        for spec in specs
    ]
    return [*urns, *named]


def alias_fields(spec: AliasSpec) -> dict[str, Any]:
    """What an alias says, by the names of the plan file."""
    fields = {"name": spec.name, "type": spec.type, "stack": spec.stack, "project": spec.project}
    body: dict[str, Any] = {k: v for k, v in {**fields, "parent": spec.parent_urn}.items() if v}
    if spec.no_parent:
        body["noParent"] = True
    return body


def _set_difference(expected: Iterable[str], actual: Iterable[str]) -> str:
    before, after = set(expected), set(actual)
    parts = []
    if after - before:
        parts.append(f"added {', '.join(sorted(after - before))}")
    if before - after:
        parts.append(f"deleted {', '.join(sorted(before - after))}")
    return "; ".join(parts)


# ------------------------------------------------------------------ steps

_ALLOWED: Final[Mapping[StepOp, frozenset[StepOp]]] = {
    StepOp.CREATE: frozenset({StepOp.SAME, StepOp.CREATE}),
    StepOp.UPDATE: frozenset({StepOp.SAME, StepOp.UPDATE}),
    StepOp.REPLACE: frozenset({StepOp.SAME, StepOp.UPDATE, StepOp.REPLACE}),
    StepOp.CREATE_REPLACEMENT: frozenset({StepOp.SAME, StepOp.UPDATE, StepOp.CREATE_REPLACEMENT}),
    StepOp.DELETE_REPLACED: frozenset({StepOp.SAME, StepOp.UPDATE, StepOp.DELETE_REPLACED}),
}


def constrained_to(op: StepOp, planned: StepOp) -> bool:
    """Whether a step has no more impact than the planned one."""
    return op in _ALLOWED.get(planned, {planned})


def step_violation(op: StepOp, remaining: Sequence[StepOp] | None) -> str:
    """Why a step may not be; `remaining` are the resource's planned steps still to come, None where it has no plan."""
    if remaining is None:
        allowed = constrained_to(op, StepOp.SAME)
        return "" if allowed else f"{op} is not allowed by the plan: no steps were expected for this resource"
    if not remaining:
        return f"{op} is not allowed by the plan: no more steps were expected for this resource"
    if constrained_to(op, remaining[0]):
        return ""
    return f"{op} is not allowed by the plan: this resource is constrained to {remaining[0]}"
