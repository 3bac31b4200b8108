"""The plan of one deployment: what is written into a new one, and what an old one still allows. No I/O.

Called by the deployment's loop only, one registration after another, so nothing here is guarded by a lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from engine.errors import ResourceError
from engine.plan import (
    Plan,
    ResourcePlan,
    goal_plan,
    goal_violation,
    plan_diff,
    property_violations,
    step_violation,
    unchanged_plan,
)
from engine.resource import Goal, PropertyMap, State, StepOp
from engine.steps import Step

_SEED_BYTES: Final = 32
_MILDER: Final = frozenset({StepOp.SAME, StepOp.UPDATE})
_PARTS: Final = frozenset({StepOp.REPLACE, StepOp.CREATE_REPLACEMENT, StepOp.DELETE_REPLACED})


class Planning:
    """`constraint` is the plan that the deployment keeps to; `record` says that a new one is wanted.

    `salt` is the stack's own, from which automatic names come.
    """

    def __init__(self, *, constraint: Plan | None = None, record: bool = False, salt: str = "") -> None:
        self._salt = salt
        self._constraint = constraint
        self._record = record
        self._seeds: dict[str, bytes] = {}
        self._remaining = {urn: list(r.steps) for urn, r in constraint.resources.items()} if constraint else {}
        self.plan = Plan()

    def seed(self, urn: str, old_id: str = "") -> bytes:
        """The bytes that a resource's automatic names come from: those of the plan, where it has them.

        Others are the same in each run of the stack, until the object has another id: a run that was killed after it
        made an object comes to the same name again, and its replacement to another one.
        """
        known = self._seeds.get(urn)
        if known is None:
            planned = self._constraint.resources.get(urn) if self._constraint is not None else None
            own = f"{self._salt}\0{urn}\0{old_id}".encode() if self._salt else os.urandom(_SEED_BYTES)
            fresh = hashlib.sha256(own).digest()
            known = self._seeds[urn] = (planned.seed if planned is not None else b"") or fresh
        return known

    def registered(self, urn: str, goal: Goal, old: State | None, *, fresh: bool, inputs: PropertyMap) -> None:
        """A resource's inputs are known. `fresh` says that the old ones do not count. Raises ResourceError."""
        old_inputs = None if old is None or fresh else old.inputs
        if self._record:
            planned = self.plan.resources.setdefault(urn, ResourcePlan())
            planned.seed, planned.goal = self.seed(urn), goal_plan(goal, plan_diff(old_inputs, inputs))
        if self._constraint is None:
            return
        promise = self._constraint.resources.get(urn)
        if promise is not None:
            violation = goal_violation(promise.goal, goal, old_inputs, inputs)
        elif old is not None:
            violation = goal_violation(unchanged_plan(old, goal), goal, old_inputs, inputs)
        else:
            return  # it is to be created, which its step is refused for
        if violation:
            raise ResourceError(urn, f"resource {urn} violates plan: {violation}")

    def steps(self, steps: Sequence[Step], aliased: Mapping[str, str]) -> None:
        """Steps have been decided, and nothing of them is done. `aliased` is old URN -> new URN. Raises ResourceError.

        A step of less impact than a replacement stands for all of it.
        """
        for step in steps:
            if step.op is StepOp.REFRESH:
                continue  # it changes nothing, so no plan has it
            urn = aliased.get(step.urn, step.urn)
            if self._constraint is not None:
                self._take(urn, step.op)
            if self._record:
                self.plan.resources.setdefault(urn, ResourcePlan()).steps.append(step.op)

    def _take(self, urn: str, op: StepOp) -> None:
        remaining = self._remaining.get(urn)
        violation = step_violation(op, remaining)
        if violation:
            raise ResourceError(urn, violation)
        if remaining:
            planned = remaining.pop(0)
            if op in _MILDER and planned in _PARTS:
                remaining[:] = [other for other in remaining if other not in _PARTS]

    def outputs(self, urn: str, old: Mapping[str, Any], new: PropertyMap) -> None:
        """A component, or the stack, has said its outputs. Raises ResourceError."""
        if self._constraint is not None:
            promise = self._constraint.resources.get(urn)
            if promise is None:
                raise ResourceError(urn, f"no plan for resource {urn}")
            if promise.goal is not None:
                changes = property_violations(old, new, promise.goal.output_diff)
                if changes:
                    raise ResourceError(urn, f"resource violates plan: properties changed: {', '.join(changes)}")
        planned = self.plan.resources.get(urn) if self._record else None
        if planned is not None and planned.goal is not None:
            planned.goal.output_diff, planned.outputs = plan_diff(old, new), new

    def unmet(self, olds: Iterable[State]) -> list[tuple[str, str]]:
        """(URN, message) of everything that was planned and did not come; `olds` is the state it all began with."""
        present = {state.urn for state in olds}
        return [
            (urn, f"expected resource operations for {urn} but none were seen")
            for urn, steps in self._remaining.items()
            if steps and (steps != [StepOp.DELETE] or urn in present)
        ]
